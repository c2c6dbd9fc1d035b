"""The kinds of land cover of the simulated world, and how each looks through the year.

A kind is what grows or lies on a field. Everything but the annual crops is a class of its own in
OSO 17 and OSO 23 alike; the annual crops, which OSO 17 holds in two classes, winter and summer,
are those of OSO 23.

Crops follow the calendar of the northern half of France, in days of the year from half grown to
half gone, of the order of what FranceAgriMer (Céré'Obs) and Terres Inovia report for sowing,
flowering and harvest: rapeseed covers the ground from October on, flowers in April and May and is
ripe in late June; winter barley ripens two weeks before wheat; spring barley and peas are sown in
February and March; sunflower is sown one or two weeks before maize and is dry four weeks earlier.
Within a crop, sowing dates and ripening spread over weeks, which is why a season that is 12 days
late looks like another crop: crops ripe today ripened later then. Crops are left out
whose group in the register until 2014 mixes several classes (soya, beet, potatoes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Growth:
    """One growing season: from the day half grown to the day half gone, and how high."""

    rise: float
    fall: float
    height: float
    rise_days: float = 10.0
    fall_days: float = 9.0


@dataclass(frozen=True)
class Look:
    """Bare ground, green leaves, and how much of them through the year.

    Attributes
    ----------
    bare, green
        Names of spectra.
    floor, floor_spread
        Share under green leaves all year round, and its standard deviation between fields.
    growths
        The growing seasons.
    timing_days
        Standard deviation between fields of when everything happens: sowing, altitude.
    ripening_days
        Of how much longer or shorter the leaves last: earliness of the variety, use.
    brightness
        Of the logarithm of the reflectance of the ground.
    mown
        Whether the leaves are cut once in early summer.
    flowers
        When and how far petals hide the leaves.
    """

    bare: str
    green: str
    floor: float
    growths: tuple[Growth, ...] = ()
    floor_spread: float = 0.03
    timing_days: float = 9.0
    brightness: float = 0.12
    mown: bool = False
    ripening_days: float = 0.0
    flowers: Growth | None = None


@dataclass(frozen=True)
class Crop:
    """How an annual crop is declared and what it follows.

    Attributes
    ----------
    declared
        Codes in the register of parcels, as often as they come.
    group
        Its group in the register until 2014.
    before
        Of a hundred fields of annual crops, those of this one, by what they bore the year before.
    """

    declared: tuple[str, ...]
    group: int
    before: dict[str, int]

    @property
    def percent(self) -> int:
        """Of a hundred fields of annual crops, those of this one."""
        return sum(self.before.values())


@dataclass(frozen=True)
class Kind:
    """A kind of land cover: its classes, its look, and how it is declared if it is a crop."""

    name: str
    oso17: int
    oso23: int
    look: Look
    crop: Crop | None = None


_WINTER_WHEAT = Look(
    "soil", "crop", 0.08, (Growth(312, 545, 0.24, 14, 7), Growth(94, 180, 0.60, 11, 6)),
    timing_days=7, ripening_days=4,
)  # fmt: skip
_WINTER_BARLEY = Look(
    "soil", "crop", 0.08, (Growth(304, 530, 0.26, 14, 7), Growth(85, 165, 0.56, 11, 6)),
    timing_days=7, ripening_days=4,
)  # fmt: skip
_SPRING_BARLEY = Look(
    "soil", "crop", 0.07, (Growth(116, 184, 0.74, 9, 6),), timing_days=9, ripening_days=4
)
_RAPESEED = Look(
    "soil", "crop", 0.08, (Growth(285, 520, 0.38, 12, 7), Growth(76, 173, 0.46, 12, 7)),
    timing_days=7, ripening_days=4, flowers=Growth(106, 130, 0.55, 3, 4),
)  # fmt: skip
_PEAS = Look("soil", "crop", 0.07, (Growth(122, 175, 0.70, 9, 6),), timing_days=9, ripening_days=5)
_MAIZE = Look("soil", "crop", 0.06, (Growth(167, 263, 0.82, 9, 8),), timing_days=9, ripening_days=8)
_SUNFLOWER = Look(
    "soil", "crop", 0.06, (Growth(160, 239, 0.78, 9, 9),), timing_days=9, ripening_days=6
)

# Rotations as they are usual: wheat after rapeseed, peas or sunflower, barley after wheat, rapeseed
# after barley, maize after maize. As many fields come to a crop as leave it.
KINDS: tuple[Kind, ...] = (
    Kind("wheat", 12, 6, _WINTER_WHEAT, Crop(
        ("BTH", "BTH", "BTH", "TTH"), 1,
        {"rapeseed": 10, "peas": 5, "sunflower": 5, "maize": 2})),
    Kind("winter barley", 12, 6, _WINTER_BARLEY, Crop(
        ("ORH",), 3, {"wheat": 6, "sunflower": 4})),
    Kind("spring barley", 12, 6, _SPRING_BARLEY, Crop(
        ("ORP",), 3, {"maize": 4, "sunflower": 3})),
    Kind("rapeseed", 12, 5, _RAPESEED, Crop(
        ("CZH",), 5, {"winter barley": 6, "wheat": 4, "spring barley": 2})),
    Kind("peas", 12, 7, _PEAS, Crop(
        ("PPR", "PPR", "FVL"), 8,
        {"wheat": 4, "winter barley": 2, "spring barley": 2, "maize": 1, "sunflower": 1})),
    Kind("maize", 11, 10, _MAIZE, Crop(
        ("MIS", "MIS", "MIE"), 2,
        {"maize": 12, "peas": 5, "rapeseed": 2, "sunflower": 2, "wheat": 1})),
    Kind("sunflower", 11, 9, _SUNFLOWER, Crop(
        ("TRN",), 6,
        {"wheat": 7, "spring barley": 3, "maize": 3, "winter barley": 2, "sunflower": 2})),
    Kind("broadleaves", 31, 16, Look(
        "litter", "leaves", 0.14, (Growth(108, 303, 0.78, 6, 9),), timing_days=7)),
    Kind("conifers", 32, 17, Look(
        "litter", "needles", 0.86, (Growth(120, 290, 0.05, 20, 20),), brightness=0.10)),
    Kind("natural grassland", 34, 18, Look(
        "dry grass", "crop", 0.20, (Growth(88, 185, 0.34, 14, 16),), 0.07, 13)),
    Kind("heath", 36, 19, Look(
        "dry grass", "heath", 0.50, (Growth(105, 285, 0.22, 16, 18),), 0.10, 11)),
    Kind("dense town", 41, 1, Look("concrete", "leaves", 0.10, (Growth(108, 300, 0.07),), 0.06)),
    Kind("diffuse town", 42, 2, Look("concrete", "leaves", 0.27, (Growth(106, 302, 0.17),), 0.07)),
    Kind("industry", 43, 3, Look(
        "roofs", "crop", 0.04, (Growth(100, 290, 0.03),), 0.03, brightness=0.20)),
    Kind("roads", 44, 4, Look(
        "asphalt", "crop", 0.06, (Growth(90, 290, 0.04),), 0.03, brightness=0.14)),
    Kind("rock", 45, 20, Look(
        "rock", "heath", 0.05, (Growth(140, 270, 0.06),), 0.03, brightness=0.14)),
    Kind("sand", 46, 21, Look("sand", "dry grass", 0.08, (), 0.05, brightness=0.14)),
    Kind("water", 51, 23, Look("water", "water", 0.0, (), 0.0, brightness=0.20)),
    Kind("glacier", 53, 22, Look("snow", "snow", 0.0, (), 0.0, brightness=0.05)),
    Kind("grassland", 211, 13, Look(
        "dry grass", "crop", 0.46, (Growth(76, 320, 0.40, 13, 18),), 0.09, 12, mown=True)),
    Kind("orchard", 221, 14, Look(
        "dry grass", "leaves", 0.26, (Growth(98, 300, 0.38, 9, 11),), 0.08, 9)),
    Kind("vineyard", 222, 15, Look(
        "soil", "leaves", 0.12, (Growth(132, 288, 0.36, 10, 10),), 0.06, 9)),
)  # fmt: skip
"""All kinds; a field holds its index."""

NUMBER = {kind.name: number for number, kind in enumerate(KINDS)}
"""Index of each kind by its name."""
OSO17: Codes = np.array([kind.oso17 for kind in KINDS], dtype=np.int16)
OSO23: Codes = np.array([kind.oso23 for kind in KINDS], dtype=np.int16)
"""Code of each kind."""


def drawn_kinds(codes: Codes, rng: np.random.Generator) -> Codes:
    """Return a kind for each class of OSO 17: crops by their shares."""
    lot = rng.uniform(size=codes.size)
    kinds = np.zeros(codes.size, dtype=np.int16)
    for code in np.unique(codes):
        numbers = np.flatnonzero(np.equal(OSO17, code))
        shares = np.cumsum([crop.percent if (crop := KINDS[n].crop) else 1 for n in numbers])
        fields = np.flatnonzero(codes == code)
        drawn = np.searchsorted(shares / shares[-1], lot[fields], side="right")
        kinds[fields] = numbers[drawn]
    return kinds
