"""Values of the fields of STAC items, of whatever type they come.

Items come from anywhere, so a value of another type than the specification says counts as missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from oso_pipeline.imagery.metadata_file import parse_date

_TILE = re.compile(r"^(?:MGRS-|T)?(\d{1,2})([C-HJ-NP-X])([A-HJ-NP-Z][A-HJ-NP-V])$")


def as_mapping(value: object) -> Mapping[str, Any]:
    """Return a JSON object; an empty one for any other value."""
    return value if isinstance(value, Mapping) else {}


def as_objects(value: object) -> tuple[Mapping[str, Any], ...]:
    """Return the objects of a JSON list; what else it holds is left out."""
    return tuple(one for one in _listed(value) if isinstance(one, Mapping))


def as_text(value: object) -> str | None:
    """Return a text that is not empty, None for any other value."""
    return value.strip() or None if isinstance(value, str) else None


def as_finite(value: object) -> float | None:
    """Return a number as float; None for text, for true and false, and for what is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = float(value) if abs(value) < 1e300 else float("nan")
    return number if isfinite(number) else None


def as_whole(value: object) -> int | None:
    """Return a whole number; None for any other value."""
    number = as_finite(value)
    return int(number) if number is not None and number.is_integer() else None


def as_numbers(value: object, least: int) -> tuple[float, ...] | None:
    """Return a list of at least so many finite numbers; None for any other value."""
    numbers = [as_finite(one) for one in _listed(value)]
    if len(numbers) < least or any(number is None for number in numbers):
        return None
    return tuple(number for number in numbers if number is not None)


def as_moment(value: object) -> datetime | None:
    """Return a moment in UTC of its text, or of a column of times; None for any other value."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return parse_date(as_text(value))


def as_tile(value: object) -> str | None:
    """Return the Sentinel-2 tile of a grid code; None where it is none.

    Examples
    --------
    >>> as_tile("MGRS-31TCJ"), as_tile("T07HFE"), as_tile("7HFE"), as_tile("WRS2-199030")
    ('31TCJ', '07HFE', '07HFE', None)
    """
    match = _TILE.match(as_text(value) or "")
    return f"{int(match[1]):02d}{match[2]}{match[3]}" if match else None


def as_epsg(code: object, number: object) -> int | None:
    """Return the EPSG code of ``proj:code`` (``EPSG:32631``), or of ``proj:epsg`` before it."""
    text = (as_text(code) or "").upper()
    if re.fullmatch(r"EPSG:\d{4,6}", text):
        return int(text.removeprefix("EPSG:"))
    return as_whole(number)


def _listed(value: object) -> Sequence[object]:
    """Return a JSON list; an empty one for any other value."""
    return value if isinstance(value, list | tuple) else ()
