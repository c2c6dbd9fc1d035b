"""Spectral indices as plain data: defined once, attached to by name.

The kernels compute an index of this project by its name, and any other from its formula. The
configuration admits the names, a layout of features checks that the bands are there. Formulas name
bands by their common name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from oso_pipeline.core.expressions import FormulaError, Term, parsed
from oso_pipeline.core.formulas import refuse_useless
from oso_pipeline.core.sensors import SENTINEL2, Sensor

DEFAULT_SCALE, MOST_SCALE = 1000, 32_767


@dataclass(frozen=True, slots=True)
class Index:
    """An index of one date.

    Parameters
    ----------
    name
        Its name in the configuration and in the names of features.
    bands
        Bands that it needs, by common name; none where it takes all bands there are.
    formula
        How it follows from them.
    scale
        Factor for storage as int16, truncated toward zero.
    """

    name: str
    bands: tuple[str, ...]
    formula: str
    scale: int

    @classmethod
    def defined(
        cls, name: str, formula: str, scale: int = DEFAULT_SCALE, sensor: Sensor = SENTINEL2
    ) -> Index:
        """Return the index of a formula.

        Parameters
        ----------
        name
            Letters and digits, the first a letter; no name of a band or of `INDICES`.
        formula
            Arithmetic on reflectances from 0 to 1, see `core.expressions`. Bands go by their
            common name or by that of the sensor.
        scale
            1 to 32767.
        sensor
            Whose bands may be named.

        Raises
        ------
        FormulaError
            If the name is taken or odd, or the formula or the scale cannot be used.

        Examples
        --------
        >>> Index.defined("DVI", "B8-red", 10_000).formula
        'nir - red'
        """
        refuse_name(name, sensor)
        if not 1 <= scale <= MOST_SCALE:
            raise FormulaError(f"scale: found {scale}, allowed: 1 to {MOST_SCALE}")
        term = formula_of(formula, sensor)
        refuse_useless(term, scale)
        return cls(name, term.bands, str(term), scale)

    @property
    def definition(self) -> str:
        """The formula with its scale, as text.

        Examples
        --------
        >>> INDICES["NDVI"].definition
        'NDVI = (nir - red) / (nir + red), x 1000'
        """
        return f"{self.name} = {self.formula}, x {self.scale}"


INDICES: Mapping[str, Index] = {
    index.name: index
    for index in (
        Index("NDVI", ("red", "nir"), "(nir - red) / (nir + red)", 1000),
        Index("NDWI", ("nir", "swir16"), "(swir16 - nir) / (swir16 + nir)", 1000),
        Index("brightness", (), "sqrt(sum(band ** 2 for band in bands))", 1),
    )
}
"""Every index that the kernels know by name."""


def formula_of(text: str, sensor: Sensor = SENTINEL2) -> Term:
    """Return the formula that a text is; FormulaError if it is none for the bands of a sensor."""
    return parsed(text, _names_of(sensor))


@lru_cache(maxsize=1024)
def term_of(index: Index) -> Term:
    """Return the formula of an index that is defined by one."""
    return parsed(index.formula, {band: band for band in index.bands})


def index_named(name: str, defined: Iterable[Index] = ()) -> Index:
    """Return the index of a name: one of `INDICES`, or one of those that are defined beside.

    Raises
    ------
    ValueError
        If there is none.
    """
    found = {**INDICES} | {index.name: index for index in defined}
    if name not in found:
        raise ValueError(f"unknown index {name!r}, known are {', '.join(found)}")
    return found[name]


def nearest_names(name: str, names: Iterable[str]) -> list[str]:
    """Return at most three of `names` that resemble a name, upper and lower case alike.

    Examples
    --------
    >>> nearest_names("evi", ["EVI", "EVI2", "NDVI"])
    ['EVI', 'EVI2']
    """
    known = {one.lower(): one for one in names}
    return [known[one] for one in get_close_matches(name.lower(), known, n=3, cutoff=0.6)]


def lacking(index: Index, bands: Iterable[str], sensor: Sensor) -> tuple[str, ...]:
    """Return the bands that an index needs and that are not among `bands`, by their names.

    Raises
    ------
    ValueError
        If the sensor has no band of that kind.
    """
    try:
        needed = {sensor.named(common_name) for common_name in index.bands}
    except ValueError as error:
        raise ValueError(f"{index.name} cannot be computed: {error}") from error
    return tuple(sorted(needed - set(bands)))


def refuse_name(name: str, sensor: Sensor = SENTINEL2) -> None:
    """Raise FormulaError for a name that an index cannot have."""
    if not (name.isascii() and name.isalnum() and name[0].isalpha() and len(name) <= 32):
        raise FormulaError(
            f"the name {name[:40]!r} has to be 1 to 32 letters and digits, a letter first"
        )
    if name in INDICES:
        raise FormulaError(f"the name {name} is that of an index of this project")
    if name in _names_of(sensor):
        raise FormulaError(f"the name {name} is that of a band")


@lru_cache(maxsize=8)
def _names_of(sensor: Sensor) -> dict[str, str]:
    """Return the common name of a band by each of its names."""
    common = {band.common_name: band.common_name for band in sensor.bands}
    return common | {band.name: band.common_name for band in sensor.bands}
