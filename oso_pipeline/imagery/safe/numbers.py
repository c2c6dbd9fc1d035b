"""From the numbers in a SAFE product to reflectance.

Reflectance is ``(number + BOA_ADD_OFFSET) / BOA_QUANTIFICATION_VALUE`` (ESA, Level-2A product
definition). The offset is stated per band since baseline 04.00, which includes old images that
were processed again; so metadata or baseline decide about it, never the date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.imagery.metadata_file import as_number
from oso_pipeline.imagery.safe.metadata import Metadata
from oso_pipeline.imagery.sen2cor.names import WITH_OFFSET, parse_baseline

BAND_IDS: Mapping[str, str] = {
    "B1": "0", "B2": "1", "B3": "2", "B4": "3", "B5": "4", "B6": "5", "B7": "6", "B8": "7",
    "B8A": "8", "B9": "9", "B10": "10", "B11": "11", "B12": "12",
}  # fmt: skip
"""Identifiers of bands in the metadata; B10 has one although no L2A product holds it."""

_USUAL_OFFSET = -1000.0
_COMPLETE = "use the complete MTD_MSIL2A.xml of the product"


@dataclass(frozen=True)
class Numbers:
    """How the numbers of a product are read.

    Parameters
    ----------
    scale
        One over the quantification.
    offsets
        Added to ``scale * number``, per band.
    nodata, saturated
        Special values; None where the metadata do not state the latter.
    """

    scale: float
    offsets: Mapping[str, float]
    nodata: int
    saturated: int | None


def check_numbers(metadata: Metadata, where: Path, problems: Problems) -> Numbers | None:
    """Return how numbers become reflectance, None where an error was found.

    Parameters
    ----------
    metadata
        Metadata of the product.
    where
        The product, for messages.
    problems
        Takes errors (``E-IMAGE-SCALE``, ``E-IMAGE-BASELINE``, ``E-IMAGE-BOA-OFFSET``,
        ``E-IMAGE-NODATA``) and warnings (``W-IMAGE-BOA-OFFSET``).
    """
    before = len(problems.errors)
    quantification = as_number(metadata.quantification) or 0.0
    if not (isfinite(quantification) and quantification > 0):
        problems.error(
            "E-IMAGE-SCALE",
            "the metadata give no usable BOA_QUANTIFICATION_VALUE (found "
            f"{metadata.quantification})",
            where,
            _COMPLETE,
        )
    offsets = _offsets(metadata, where, problems)
    nodata = _special(metadata, "NODATA", "0", where, problems)
    saturated = _special(metadata, "SATURATED", None, where, problems)
    if len(problems.errors) > before or offsets is None or nodata is None:
        return None
    shifts = {band: offset / quantification for band, offset in offsets.items()}
    return Numbers(1 / quantification, shifts, nodata, saturated)


def _offsets(metadata: Metadata, where: Path, problems: Problems) -> dict[str, float] | None:
    """Return the offset of each band in stored units: as stated, or else by the baseline."""
    baseline = parse_baseline(metadata.baseline)
    if baseline is None:
        problems.error(
            "E-IMAGE-BASELINE",
            f"PROCESSING_BASELINE is {metadata.baseline or 'missing'}, expected a number such as "
            "05.11",
            where,
            _COMPLETE,
        )
        return None
    if metadata.offsets:
        return _stated_offsets(metadata.offsets, where, problems)
    named = metadata.name.baseline if metadata.name else None
    if named is not None and (named >= WITH_OFFSET) != (baseline >= WITH_OFFSET):
        problems.error(
            "E-IMAGE-BASELINE",
            f"PROCESSING_BASELINE is {metadata.baseline}, the name of the product says "
            f"{named[0]:02d}.{named[1]:02d}, and no BOA_ADD_OFFSET decides whether the numbers are "
            "shifted",
            where,
            _COMPLETE,
        )
        return None
    if baseline < WITH_OFFSET:
        return dict.fromkeys(SENTINEL2.names, 0.0)
    problems.warn(
        "W-IMAGE-BOA-OFFSET",
        f"the metadata state no BOA_ADD_OFFSET; {_USUAL_OFFSET:g} is used, as in every product of "
        f"baseline {metadata.baseline}",
        where,
        _COMPLETE,
    )
    return dict.fromkeys(SENTINEL2.names, _USUAL_OFFSET)


def _stated_offsets(
    stated: Mapping[str, str], where: Path, problems: Problems
) -> dict[str, float] | None:
    offsets, lacking = {}, []
    for band in SENTINEL2.names:
        offset = as_number(stated.get(BAND_IDS[band]))
        if offset is None or not isfinite(offset):
            lacking.append(f"{band} (band_id {BAND_IDS[band]})")
        else:
            offsets[band] = offset
    if not lacking:
        return offsets
    problems.error(
        "E-IMAGE-BOA-OFFSET",
        f"the metadata state {len(stated)} values of BOA_ADD_OFFSET, expected 13; none that is a "
        f"number for {', '.join(lacking)}",
        where,
        _COMPLETE,
    )
    return None


def _special(
    metadata: Metadata, name: str, usual: str | None, where: Path, problems: Problems
) -> int | None:
    text = metadata.specials.get(name, usual)
    if text is None:
        return None
    value = as_number(text)
    if value is not None and value.is_integer():
        return int(value)
    problems.error(
        "E-IMAGE-NODATA",
        f"the special value {name} is {text or 'empty'} in the metadata, expected a whole number",
        where,
        _COMPLETE,
    )
    return None
