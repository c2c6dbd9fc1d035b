"""The arrays of an EOPF product, and how their numbers become reflectance.

Scale and offset are attributes of each array: reflectance is ``scale_factor * number +
add_offset`` (conventions of CF). The date never decides about them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.imagery.sen2cor.classes import SCL
from oso_pipeline.imagery.sen2cor.names import WITH_OFFSET, Baseline
from oso_pipeline.imagery.zarr.array import ArrayInfo

SATURATED = 65_535
"""Number of a saturated detector in products of ESA; the attributes do not state it."""

_HUGE = 1e30
_CLASSES = "conditions/mask/l2a_classification/r20m/scl"
_COMPLETE = "fetch the product again; scale and offset are never guessed"


@dataclass(frozen=True)
class Numbers:
    """How the numbers of an array are read: scale and offset, and the special numbers."""

    scale: float
    offset: float
    nodata: float | None
    saturated: int | None


def array_of(name: str) -> str:
    """Return the array of a band, by its name in the table of the sensor, or of ``SCL``.

    Examples
    --------
    >>> array_of("B2"), array_of("B8A")
    ('measurements/reflectance/r10m/b02', 'measurements/reflectance/r20m/b8a')
    """
    if name == SCL:
        return _CLASSES
    code = f"b0{name[1:]}" if len(name) == 2 else name.lower()
    return f"{group_of(name)}/{code}"


def group_of(band: str) -> str:
    """Return the group that holds the array of a band."""
    return f"measurements/reflectance/r{SENTINEL2.resolution_m(band)}m"


ARRAYS: tuple[str, ...] = tuple(array_of(name) for name in (*SENTINEL2.names, SCL))
"""All arrays that are ever read."""


def check_numbers(
    arrays: Mapping[str, ArrayInfo], baseline: Baseline | None, where: Path, problems: Problems
) -> dict[str, Numbers] | None:
    """Return how the numbers of each band become reflectance, None where an error was found.

    Parameters
    ----------
    arrays
        The arrays, by band.
    baseline
        Processing baseline, which says whether an offset has to be there.
    where
        The product, for messages.
    problems
        Takes ``E-IMAGE-SCALE``, ``E-IMAGE-BOA-OFFSET`` and ``E-IMAGE-NODATA``, each once for all
        bands that have the fault.
    """
    found: dict[str, Numbers] = {}
    faults: dict[tuple[str, str], list[str]] = {}
    for band, info in arrays.items():
        numbers = _numbers(info, baseline)
        if isinstance(numbers, Numbers):
            found[band] = numbers
        else:
            faults.setdefault(numbers, []).append(f"{band} ({info.name})")
    for (code, message), bands in faults.items():
        problems.error(code, f"{message}: {', '.join(bands)}", where, _COMPLETE)
    return None if faults else found


def _numbers(info: ArrayInfo, baseline: Baseline | None) -> Numbers | tuple[str, str]:
    """Return how an array is read, or code and text of a fault."""
    scale, offset = _stated(info, "scale_factor"), _stated(info, "add_offset")
    is_float = info.dtype.kind == "f"
    if scale is None and is_float:
        scale = 1.0  # reflectance itself, as converters to GeoZarr store it
    if not _is_number(scale) or scale <= 0:
        text = "is missing" if scale is None else f"is {scale}"
        return "E-IMAGE-SCALE", f"the attribute scale_factor {text}, expected a number above 0"
    if offset is None and not is_float:
        if baseline is None or baseline >= WITH_OFFSET:
            made = "unknown" if baseline is None else f"{baseline[0]:02d}.{baseline[1]:02d}"
            return (
                "E-IMAGE-BOA-OFFSET",
                f"the attribute add_offset is missing; numbers of baseline {made} may be shifted",
            )
        offset = 0.0
    offset = 0.0 if offset is None else offset
    if not _is_number(offset):
        return "E-IMAGE-BOA-OFFSET", f"the attribute add_offset is {offset}, expected a number"
    stated = _stated(info, "_FillValue", "fill_value")
    fill = info.fill if stated is None or stated == "NaN" else stated
    if is_float:  # what is not finite is no data in any case
        nodata = float(fill) if _is_number(fill) else None
        return Numbers(float(scale), float(offset), nodata, None)
    if not _is_number(fill) or not float(fill).is_integer():
        return "E-IMAGE-NODATA", f"the fill value is {fill}, expected a whole number"
    if _is_number(info.fill) and info.fill != fill:
        return (
            "E-IMAGE-NODATA",
            f"the fill value is {info.fill:g} in .zarray and {fill:g} in the attributes",
        )
    saturated = SATURATED if info.dtype.name == "uint16" else None
    return Numbers(float(scale), float(offset), int(fill), saturated)


def _stated(info: ArrayInfo, *keys: str) -> Any:
    """Return the first attribute that is there, of the array or of its part ``_eopf_attrs``."""
    own = info.attributes
    more = own.get("_eopf_attrs")
    for content in (own, more if isinstance(more, dict) else {}):
        for key in keys:
            if content.get(key) is not None:
                return content[key]
    return None


def _is_number(value: Any) -> TypeGuard[float]:
    """Return whether a value is a finite number; whole ones in JSON have any number of digits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < _HUGE
