"""Scale and nodata values of a MUSCATE product, as its metadata state them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.header import Header
from oso_pipeline.imagery.muscate.metadata import Metadata


def check_numbers(
    metadata: Metadata, bands: Mapping[str, Header], where: Path, problems: Problems
) -> tuple[float, int] | None:
    """Return scale and no data value of a product, None where they are unknown.

    Parameters
    ----------
    metadata
        Metadata of the product.
    bands
        Headers of the bands; their own tags for no data are only compared.
    where
        The product, for messages.
    problems
        Takes errors (``E-IMAGE-SCALE``, ``E-IMAGE-NODATA``) and warnings (``W-IMAGE-NODATA-TAG``).
    """
    quantification, text = metadata.scale, metadata.nodata
    usable = quantification is not None and 0 < quantification < float("inf")
    if not usable:
        problems.error(
            "E-IMAGE-SCALE",
            f"the metadata give no usable REFLECTANCE_QUANTIFICATION_VALUE (found "
            f"{quantification})",
            where,
            "use the complete metadata file of the product",
        )
    nodata = _whole_number(text)
    if nodata is None:
        problems.error(
            "E-IMAGE-NODATA",
            f"the no data value is unknown: SPECIAL_VALUE nodata is {text or 'missing'} in the "
            "metadata, expected a whole number such as -10000",
            where,
            "use the complete metadata file of the product",
        )
    if not usable or quantification is None or nodata is None:
        return None
    tags = {h.nodata for h in bands.values() if h.nodata not in (None, nodata)}
    if tags:
        found = ", ".join(f"{tag:g}" for tag in tags if tag is not None)
        problems.warn(
            "W-IMAGE-NODATA-TAG",
            f"files are tagged with no data {found} but the metadata say {nodata}, which is used",
            where,
        )
    return 1 / quantification, nodata


def _whole_number(text: str | None) -> int | None:
    try:
        value = float(text or "")
        return int(value) if value == int(value) else None
    except (ValueError, OverflowError):
        return None
