"""Time and memory to train and to use models; for planning only."""

from __future__ import annotations

from dataclasses import replace

from oso_pipeline.config.learning import LearnerSettings
from oso_pipeline.config.model import Config
from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.learners.protocol import Extent, Need
from oso_pipeline.learners.registry import learner_of
from oso_pipeline.tasks.stage import PlanContext
from oso_pipeline.tasks.task import Cost
from oso_pipeline.timeseries.feature_layout import FeatureLayout

_LIBRARIES_BYTES = 300_000_000
ALL_PER_CLASS = 10_000
"""Taken for the pixels of a class where their number is not limited."""


def training_cost(
    context: PlanContext[Config],
    per_class: int | None,
    settings: LearnerSettings,
    stage: str = "samples",
) -> Cost:
    """Return what a model takes on at most `per_class` pixels of each class.

    Once the samples of `stage` are committed no more pixels are expected than there are rows.
    """
    extent = _extent(context.config, per_class)
    rows = committed_samples(context, stage)
    if rows is not None:
        extent = replace(extent, pixels=min(extent.pixels, rows))
    need = learner_of(settings.kind).training_need(extent, settings)
    return Cost(
        extent.pixels,
        2 * extent.pixels * extent.features,
        _LIBRARIES_BYTES + need.fixed_bytes,
        0.5 + need.seconds,
        bytes_written=need.disk_bytes,
    )


def committed_samples(context: PlanContext[Config], stage: str = "samples") -> int | None:
    """Return how many samples there are; None where not those of all tiles are committed."""
    # Taken from the commit record: a file may be damaged, and a plan must not fail because of it.
    records = [read_sidecar(task.output()) for task in context.tasks(stage)]
    if not records or not all(records):
        return None
    return sum(sum(record["summary"]["pixels"].values()) for record in records if record)


def classifying_need(config: Config) -> Need:
    """Return what the models of the map take; it follows from the configuration alone."""
    settings = config.learning
    extent = _extent(config, config.sampling.max_train_pixels)
    return learner_of(settings.kind).classifying_need(extent, settings)


def _extent(config: Config, per_class: int | None) -> Extent:
    classes = len(load_nomenclature(config.nomenclature).codes)
    pixels = classes * (per_class or ALL_PER_CLASS)
    return Extent(FeatureLayout.of(config).size, classes, pixels)
