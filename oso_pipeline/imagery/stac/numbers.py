"""From the numbers in the files of an item to reflectance: ``scale * number + offset``.

The offset of -0.1 came with processing baseline 04.00, also for old images that were processed
again. Some archives apply it to the files they make. So item or baseline decide, never the date;
`imagery.offset_check` looks at the pixels of the tile besides, as catalogues contain errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.sen2cor.names import WITH_OFFSET
from oso_pipeline.imagery.stac.item import Item, ItemAsset
from oso_pipeline.imagery.stac.providers import Chosen, Offsets

SCALE, OFFSET = 1e-4, -0.1
"""Of products whose items state neither: one over ``BOA_QUANTIFICATION_VALUE``, and the offset of
every product since baseline 04.00."""

NODATA, SATURATED = 0, 65_535
"""Special values of all products of Sen2Cor; the tag of files is often missing."""

_STATE = "state scale and offset of each band in the item (`raster:bands`, or `bands` since 1.1)"


@dataclass(frozen=True, slots=True)
class Number:
    """How the numbers of a band are read: scale, offset, and the number of no data."""

    scale: float
    offset: float
    nodata: float


def check_numbers(
    item: Item, chosen: Chosen, bands: tuple[str, ...], where: Path, problems: Problems
) -> dict[str, Number] | None:
    """Return how the numbers of bands become reflectance, None where an error was found.

    Parameters
    ----------
    item, chosen
        The item, and the assets chosen of it.
    bands
        The bands that are read.
    where
        The file of the item, for messages.
    problems
        Takes errors: ``E-IMAGE-SCALE`` for a missing or unusable scale, ``E-IMAGE-BASELINE`` for
        a baseline that decides and is no number, ``E-IMAGE-BOA-OFFSET`` for an offset that is
        missing or contradicts the baseline. Each once, with the bands.
    """
    found = _Findings(item, chosen)
    numbers = {band: found.number(band, chosen.assets[band][1]) for band in bands}
    for (code, text), named in found.faults.items():
        shown = f"{', '.join(named)}: " if named[0] else ""
        problems.error(code, f"{shown}{text} ({item.id})", where, _STATE)
    if found.faults:
        return None
    return {band: number for band, number in numbers.items() if number is not None}


class _Findings:
    """Collects the faults of the bands of an item, equal ones once."""

    def __init__(self, item: Item, chosen: Chosen) -> None:
        self._item = item
        self._rule = chosen.provider.offsets
        self._provider = chosen.provider.name
        self.faults: dict[tuple[str, str], list[str]] = {}

    def number(self, band: str, asset: ItemAsset) -> Number | None:
        """Return how the numbers of a band are read; None with a fault."""
        # Planetary Computer states no offset; one that is there was written by somebody who knew.
        by_baseline = self._rule is Offsets.BASELINE and asset.offset is None
        scale = SCALE if asset.scale is None and by_baseline else asset.scale
        if scale is None or scale <= 0:
            stated = "no scale" if scale is None else f"the scale {scale:g}"
            self._fault("SCALE", band, f"the item states {stated} of reflectance")
            return None
        offset = self._by_baseline() if by_baseline else self._stated(band, asset)
        nodata = NODATA if asset.nodata is None else asset.nodata
        return None if offset is None else Number(scale, offset, float(nodata))

    def _by_baseline(self) -> float | None:
        baseline = self._item.baseline
        if baseline is not None:
            return OFFSET if baseline >= WITH_OFFSET else 0.0
        found = self._item.baseline_text or "missing"
        text = (
            f"the processing baseline is {found}, expected text such as 05.11: items of "
            f"{self._provider} state no offset, and the baseline decides about it"
        )
        self._fault("BASELINE", "", text)
        return None

    def _stated(self, band: str, asset: ItemAsset) -> float | None:
        is_flagged, baseline = self._rule is Offsets.FLAGGED, self._item.baseline
        is_before = baseline is not None and baseline < WITH_OFFSET
        if is_flagged and (self._item.offset_applied or is_before):
            return 0.0
        if asset.offset is not None and not (asset.offset and is_before):
            return asset.offset
        if asset.offset is None and is_before:
            return 0.0
        shown = self._item.baseline_text or "that is not stated"
        if asset.offset is None:
            text = (
                f"the item states no offset; products of baseline {shown} are shifted by "
                f"{OFFSET:g}, unless the archive has applied it"
            )
        else:
            text = (
                f"the item states the offset {asset.offset:g}, and products of baseline {shown} "
                "have none"
            )
        self._fault("BOA-OFFSET", band, text)
        return None

    def _fault(self, code: str, band: str, text: str) -> None:
        self.faults.setdefault((f"E-IMAGE-{code}", text), []).append(band)
