"""Time and memory to evaluate the models; for planning only."""

from __future__ import annotations

from oso_pipeline.config.model import Config
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.core.parquet_pieces import ROWS_AT_ONCE
from oso_pipeline.learning.cost import ALL_PER_CLASS, classifying_need, committed_samples
from oso_pipeline.reference.split.variants import variants
from oso_pipeline.tasks.stage import PlanContext
from oso_pipeline.tasks.task import Cost
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.vectors.strata import strata_names

_LIBRARIES_BYTES = 350_000_000
_BYTES_PER_VALUE = 6
"""Of a row group of samples: as read, as taken, and as features side by side."""
_BYTES_PER_PIXEL, _SECONDS_PER_PIXEL = 100, 1.5e-5
"""Of a predicted pixel, its polygon and its part of the resampled matrices; measured on 1.7 million
pixels of 600 thousand polygons."""
_SECONDS_PER_BYTE = 6.5e-9
"""Of the sample files, decoded."""


def validation_cost(context: PlanContext[Config]) -> Cost:
    """Return what it takes to predict the held-out pixels of all strata and variants."""
    config, layout = context.config, FeatureLayout.of(context.config)
    strata, runs = len(strata_names(config)), len(variants(config))
    per_class = config.sampling.max_validation_pixels or ALL_PER_CLASS
    pixels = per_class * len(load_nomenclature(config.nomenclature).codes) * strata
    pixels = min(pixels, committed_samples(context) or pixels)
    need = classifying_need(config)
    read = runs * sum(task.cost.bytes_written for task in context.tasks("samples"))
    return Cost(
        bytes_read=read,
        memory_bytes=_LIBRARIES_BYTES
        + _BYTES_PER_VALUE * ROWS_AT_ONCE * layout.size
        + _BYTES_PER_PIXEL * pixels * runs
        + strata * need.fixed_bytes,
        core_seconds=4.0
        + _SECONDS_PER_BYTE * read
        + runs * pixels * (_SECONDS_PER_PIXEL + need.seconds),
    )
