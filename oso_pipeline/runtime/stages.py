"""The stages in the order of the flow; the one place that names them all."""

from __future__ import annotations

from collections.abc import Sequence

from oso_pipeline.config.model import Config
from oso_pipeline.imagery.angles_stage import STAGE as ANGLES
from oso_pipeline.imagery.cache.check_stage import STAGE as CACHE_CHECK
from oso_pipeline.imagery.cache.stage import STAGE as CACHE
from oso_pipeline.imagery.quicklook_stage import STAGE as QUICKLOOKS
from oso_pipeline.imagery.stage import STAGE as INVENTORY
from oso_pipeline.learning.label_stage import STAGE as LABELS
from oso_pipeline.learning.train_stage import STAGE as TRAIN
from oso_pipeline.prediction.stage import STAGE as PREDICT
from oso_pipeline.products.cell_stage import STAGE as CELLS
from oso_pipeline.products.series.files_stage import STAGE as SERIES_FILES
from oso_pipeline.products.series.parcels_stage import PARCELS
from oso_pipeline.products.series.parcels_stage import TABLES as PARCEL_TABLES
from oso_pipeline.products.series.stage import STAGE as SERIES
from oso_pipeline.products.stage import STAGE as MOSAIC
from oso_pipeline.reference.polygons.stage import STAGE as POLYGONS
from oso_pipeline.reference.split.past_seasons import beside_the_map
from oso_pipeline.reference.split.stage import STAGE as REFERENCE
from oso_pipeline.report.stage import STAGE as REPORT
from oso_pipeline.sampling.draw_stage import STAGE as DRAW
from oso_pipeline.sampling.pixel_stage import STAGE as PIXELS
from oso_pipeline.sampling.stage import STAGE as SAMPLES
from oso_pipeline.tasks.past_seasons import PastStage
from oso_pipeline.tasks.stage import Stage
from oso_pipeline.validation.independent_stage import STAGE as INDEPENDENT
from oso_pipeline.validation.stage import STAGE as VALIDATE

STAGES: tuple[Stage, ...] = (
    INVENTORY,
    POLYGONS,
    REFERENCE,
    CACHE,
    CACHE_CHECK,
    DRAW,
    PIXELS,
    SAMPLES,
    PastStage(INVENTORY),
    PastStage(POLYGONS),
    PastStage(REFERENCE, beside_the_map),
    PastStage(CACHE),
    PastStage(CACHE_CHECK),
    PastStage(DRAW),
    PastStage(PIXELS),
    PastStage(SAMPLES),
    LABELS,
    TRAIN,
    PREDICT,
    CELLS,
    MOSAIC,
    VALIDATE,
    INDEPENDENT,
    ANGLES,
    SERIES,
    PARCELS,
    PARCEL_TABLES,
    SERIES_FILES,
    QUICKLOOKS,
    REPORT,
)

OF_SERIES = ("series", "series_files", "parcels", "parcel_tables")
"""Stages that make series; with all that they read they are what `oso series` runs."""

_WITHOUT_LABELS = ("inventory", "cache", "cache_check", "angles", *OF_SERIES, "quicklooks")


def stages_of(config: Config, stages: Sequence[Stage] = STAGES) -> tuple[Stage, ...]:
    """Return the stages of a run: without labels and models it makes series alone."""
    if config.makes_map:
        return tuple(stages)
    return tuple(stage for stage in stages if stage.name in _WITHOUT_LABELS)
