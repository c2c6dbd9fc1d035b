"""Land-cover classes: codes, names, colours, and how they aggregate.

``oso17`` and ``oso23`` are package data, in the very format that users write for their own
classes; `load_nomenclature` reads both.
"""

from __future__ import annotations

import colorsys
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from itertools import chain, count
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.csv_tables import read_rows
from oso_pipeline.core.errors import ConfigError, Problems
from oso_pipeline.core.nomenclature_table import NomenclatureRow, read_nomenclature_rows

PACKAGED = ("oso17", "oso23")
"""Nomenclatures that come with the package."""
NODATA_CODE = 0
"""Value of map pixels without a class."""
GREATEST_CODE = 65535
"""A map of classes is written as uint8 or uint16."""

_HUES = 20_000
"""Steps in hue; those beyond meet hardly a colour that is new."""
_COLOURS = 2**24
_STRIDE = 10_368_889
"""Odd, so that its multiples meet every colour; near the golden section of them all."""
_FOLDER = Path(__file__).parent / "nomenclatures"


@dataclass(frozen=True, slots=True)
class LandCoverClass:
    """A class of a map.

    Parameters
    ----------
    code
        Value in the map, 1 to 65535.
    name_fr, name_en
        Names; where only one is known both are that one.
    colour
        As ``#rrggbb``.
    level1
        Code of the parent class, None where the nomenclature has one level only.
    vector_field
        Short ASCII name, at most 10 characters, for columns of vector files.
    """

    code: int
    name_fr: str
    name_en: str
    colour: str
    level1: int | None
    vector_field: str

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour as three values of 0 to 255."""
        red, green, blue = bytes.fromhex(self.colour[1:])
        return red, green, blue


@dataclass(frozen=True)
class Nomenclature:
    """The classes of a map, ascending by code, and their parents if there are any.

    Examples
    --------
    >>> oso = load_nomenclature("oso17")
    >>> len(oso.classes), oso.by_code[211].name_en, oso.level1_of(211), oso.raster_dtype
    (17, 'grassland', 120, 'uint8')
    """

    name: str
    classes: tuple[LandCoverClass, ...]
    level1_classes: tuple[LandCoverClass, ...] = ()

    @cached_property
    def codes(self) -> tuple[int, ...]:
        """Codes, ascending."""
        return tuple(one.code for one in self.classes)

    @cached_property
    def by_code(self) -> dict[int, LandCoverClass]:
        """Classes by their code."""
        return {one.code: one for one in self.classes}

    def level1_of(self, code: int) -> int | None:
        """Return the code of the parent; KeyError for a code that is not a class."""
        return self.by_code[code].level1

    @cached_property
    def level1_mapping(self) -> dict[int, int]:
        """From code to the code of the parent; empty where there is one level only."""
        return {one.code: one.level1 for one in self.classes if one.level1 is not None}

    def colour_table(self) -> dict[int, tuple[int, int, int, int]]:
        """Return red, green, blue, alpha (0 to 255) by code; 0 (no data) is transparent."""
        return {NODATA_CODE: (0, 0, 0, 0)} | {one.code: (*one.rgb, 255) for one in self.classes}

    @property
    def raster_dtype(self) -> Literal["uint8", "uint16"]:
        """The smallest type of raster that holds every code."""
        return "uint8" if max(self.codes) <= 255 else "uint16"

    def to_json(self) -> dict[str, Any]:
        """Return the content as JSON values."""
        return {
            "name": self.name,
            "classes": [asdict(one) for one in self.classes],
            "level1_classes": [asdict(one) for one in self.level1_classes],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Nomenclature:
        """Return what `to_json` described."""
        return cls(
            content["name"],
            tuple(LandCoverClass(**one) for one in content["classes"]),
            tuple(LandCoverClass(**one) for one in content["level1_classes"]),
        )


def load_nomenclature(ref: str, folder: Path = Path()) -> Nomenclature:
    """Return a packaged nomenclature, or the one that a CSV or YAML file describes.

    Parameters
    ----------
    ref
        ``oso17``, ``oso23``, or the path of a file (see `read_nomenclature_rows`).
    folder
        Where a relative path begins.

    Raises
    ------
    ConfigError
        With every problem of the file: code or name given twice or a parent missing
        (``E-NOMENCLATURE``), code out of 1 to 65535 (``E-NOMENCLATURE-CODE``), encoding
        (``E-TEXT-ENCODING``), unreadable file (``E-PATH-READ``).
    """
    if ref in PACKAGED:
        path, name = _FOLDER / f"{ref}.csv", ref
    else:
        path = folder / os.path.expanduser(ref)
        name = path.stem
    problems = Problems()
    classes, parents = read_nomenclature_rows(path, problems)
    if not path.suffix and any(found.code == "E-PATH-READ" for found in problems.errors):
        problems = Problems()
        problems.error(
            "E-PATH-MISSING",
            f"nomenclature {ref!r} is neither one of {', '.join(PACKAGED)} nor a file",
            path,
            "name a packaged nomenclature or give the path of a CSV or YAML file",
        )
    problems.raise_errors(ConfigError)
    return Nomenclature(name, _classes(classes), _classes(parents))


@cache
def _oso23_to_oso17() -> tuple[tuple[int, int], ...]:
    problems = Problems()
    _, rows = read_rows(_FOLDER / "oso23.csv", problems)
    problems.raise_errors(ConfigError)
    return tuple((int(row.get("code")), int(row.get("oso17"))) for row in rows)


def oso23_to_oso17() -> dict[int, int]:
    """Return the OSO 17 code of every OSO 23 code.

    The crops follow their season of growth; class 7 (protein crops, sown in winter or
    spring) counts as winter crop.
    """
    return dict(_oso23_to_oso17())


def recode(codes: npt.ArrayLike, mapping: Mapping[int, int]) -> npt.NDArray[np.uint16]:
    """Return codes of any shape mapped to other codes; 0 stays 0.

    Raises
    ------
    ValueError
        Where a code is not in `mapping`.

    Examples
    --------
    >>> recode([5, 0, 23], oso23_to_oso17()).tolist()
    [12, 0, 51]
    """
    values = np.asarray(codes)
    table = np.full(GREATEST_CODE + 1, -1, dtype=np.int32)
    table[NODATA_CODE] = NODATA_CODE
    for old, new in mapping.items():
        table[old] = new
    result = table[values]
    if (result < 0).any():
        unknown = np.unique(values[result < 0])[:10].tolist()
        raise ValueError(f"codes {unknown} have no counterpart in the mapping")
    return result.astype(np.uint16)


def _classes(rows: Iterable[NomenclatureRow]) -> tuple[LandCoverClass, ...]:
    """Fill in what the rows leave open: colours and short names, distinct and reproducible."""
    ordered = sorted(rows, key=lambda row: row.code)
    colours = _distinct_colours({row.colour for row in ordered if row.colour})
    fields = {row.vector_field.lower() for row in ordered if row.vector_field}
    result = []
    for row in ordered:
        field = row.vector_field or _short_name(row.name_fr, row.code, fields)
        fields.add(field.lower())
        colour = row.colour or next(colours)
        result.append(LandCoverClass(row.code, row.name_fr, row.name_en, colour, row.level1, field))
    return tuple(result)


def _distinct_colours(used: set[str]) -> Iterator[str]:
    """Yield colours far apart in hue (steps of the golden angle), none of them in `used`.

    Thousands of classes find no further one of these brightnesses: theirs come from a walk that
    meets each of the 16.8 million colours once.
    """
    seen = set(used)
    for colour in chain(map(_hue, range(_HUES)), map(_anywhere, range(_COLOURS))):
        if colour not in seen:
            seen.add(colour)
            yield colour


def _hue(step: int) -> str:
    value, saturation = (0.9, 0.65, 0.4)[step % 3], (0.85, 0.6)[step % 2]
    rgb = colorsys.hsv_to_rgb(step * 0.618033988749895 % 1, saturation, value)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in rgb)


def _anywhere(step: int) -> str:
    return f"#{step * _STRIDE % _COLOURS:06x}"


def _short_name(name: str, code: int, used: set[str]) -> str:
    """Return at most 10 ASCII letters and digits made from `name`, not in `used`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.findall(r"[A-Za-z0-9]+", plain)
    short = "".join(word[:1].upper() + word[1:] for word in words)[:10]
    if not short or short[0].isdigit():
        short = f"C{code}"
    if short.lower() not in used:
        return short
    numbered = (short[: 10 - len(end)] + end for end in _endings(code))
    return next(name for name in numbered if name.lower() not in used)


def _endings(code: int) -> Iterator[str]:
    """Yield the code, then a suffix that separates names that end in digits themselves."""
    yield str(code)
    yield from (f"{code}_{number}" for number in count(2))
