"""Check that acquisitions can be read as the inventory lists them; name all that cannot."""

from __future__ import annotations

from collections.abc import Sequence

from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.imagery.acquisition import Acquisition
from oso_pipeline.imagery.cache.reading import missing_copy, without_copy
from oso_pipeline.imagery.clear import ClearPolicy
from oso_pipeline.imagery.image_kinds import IN_PLACE, kind_of
from oso_pipeline.timeseries.reading.rasters import vanished


def refuse_incomplete(
    acquisitions: Sequence[Acquisition], bands: tuple[str, ...], clear: ClearPolicy
) -> None:
    """Refuse acquisitions without a band or quality asset that will be read, all at once."""
    problems = []
    for acquisition in acquisitions:
        lacking = [f"band {band}" for band in bands if band not in acquisition.bands]
        lacking += [
            f"quality asset {rule.asset}"
            for rule in acquisition.rules
            if rule.needed and rule.asset not in acquisition.quality
        ]
        if lacking:
            problems.append(
                Problem(
                    "E-IMAGE-ASSET",
                    f"product {acquisition.product_id} lacks {', '.join(lacking)}, needed with "
                    f"imagery.clear: {clear}",
                    str(acquisition.path),
                    "complete the product, take it out of imagery.paths, or change "
                    "imagery.bands or imagery.clear",
                )
            )
    if problems:
        raise InputDataError(*problems)


def resolutions_of(acquisitions: Sequence[Acquisition], bands: tuple[str, ...]) -> dict[str, int]:
    """Return the resolution of each band, which all acquisitions share, metres.

    Raises
    ------
    InputDataError
        If they do not (``E-IMAGE-RESOLUTION``).
    """
    if not acquisitions:
        return {band: SENTINEL2.resolution_m(band) for band in bands}
    first = acquisitions[0]
    problems = [
        Problem(
            "E-IMAGE-RESOLUTION",
            f"band {band} has pixels of {other.bands[band].resolution_m} m in {other.product_id}, "
            f"of {first.bands[band].resolution_m} m in {first.product_id}",
            other.bands[band].href,
            "all products of a tile need a band at one resolution; leave some out of imagery.paths",
        )
        for band in bands
        for other in acquisitions
        if other.bands[band].resolution_m != first.bands[band].resolution_m
    ]
    if problems:
        raise InputDataError(*problems)
    return {band: first.bands[band].resolution_m for band in bands}


def refuse_changed(acquisitions: Sequence[Acquisition]) -> None:
    """Refuse products whose files have vanished or changed in size, all at once.

    Of images that are read from copies only these have to be there.
    """
    problems = []
    for acquisition in acquisitions:
        copies = [asset.path for asset in acquisition.assets if asset.cached is not None]
        problems += [missing_copy(path) for path in copies if not path.is_file()]
        sources = [asset for asset in acquisition.assets if asset.cached is None]
        lost = [asset.path for asset in sources if not asset.path.is_file()]
        problems += [
            vanished(path) if kind_of(path) in IN_PLACE else without_copy(path) for path in lost
        ]
        size = 0 if lost else sum(asset.path.stat().st_size for asset in sources)
        stated = sum(asset.size_bytes for asset in sources)
        if not lost and size != stated:
            problems.append(
                Problem(
                    "E-IMAGE-CHANGED",
                    f"the files of {acquisition.product_id} have {size} bytes, they had "
                    f"{stated} when the inventory was made",
                    str(acquisition.path),
                    "run `oso run` again so that the inventory takes up the product as it is",
                )
            )
    if problems:
        raise InputDataError(*problems)
