"""Forests of stage ``train`` that learn from past seasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from oso_pipeline.adaptation import AdaptationOptions, AdaptationRecord, SeriesSpace
from oso_pipeline.config.adaptation import Adaptation
from oso_pipeline.config.model import Config
from oso_pipeline.config.seasons import past_config, past_years, perennial_codes
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.learners.forest.classifier import ForestClassifier
from oso_pipeline.learning.cost import training_cost
from oso_pipeline.learning.jobs import AdaptedTrainJob, TrainJob
from oso_pipeline.learning.label_stage import excluded_polygons
from oso_pipeline.learning.model_file import save_model
from oso_pipeline.learning.season_samples import (
    SeasonFiles,
    Unlabelled,
    held_out_polygons,
    read_anchors,
    read_pooled,
    read_unlabelled,
    refuse_shared_polygons,
)
from oso_pipeline.learning.trained import model_of, summary_of
from oso_pipeline.learning.training_set import (
    TrainingSet,
    check_classes,
    expected_polygons,
    samples_of,
)
from oso_pipeline.learning.vintage import vintages
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.past_seasons import past_tasks
from oso_pipeline.tasks.stage import PlanContext
from oso_pipeline.tasks.task import Summary, Task
from oso_pipeline.timeseries.feature_layout import FeatureLayout

COST = 3.0
"""An adapted forest takes up to this many times as long as a plain one."""

_COPIES = 2
"""Tables of features held besides those of a plain forest: series moved, and the student's."""

_TABLES_OF_TARGET, _LIBRARIES_BYTES = 6, 200_000_000
"""Tables of the unlabelled samples in float64 while shift and neighbours are looked for, and the
libraries that this loads; peaks of 0.8 GB (demo) and 1.7 GB (220,000 samples) were measured."""


def adapted_task(task: Task, context: PlanContext[Config], adaptation: Adaptation) -> Task:
    """Return the task that trains the same forest with samples of past seasons."""
    config, years = context.config, past_years(context.config)
    if not isinstance(task.job, TrainJob):
        raise TypeError(f"{task.name} is a {type(task.job).__name__}, which trains no forest")
    references = [one for year in years for one in past_tasks(context, "reference", year)]
    samples = [one for year in years for one in past_tasks(context, "samples", year)]
    most = len(years) * (config.sampling.max_train_pixels or 10_000)
    plain = training_cost(context, most, config.learning, "past_samples")
    return replace(
        task,
        function="oso_pipeline.learning.adapted_training:train_adapted",
        job=AdaptedTrainJob(
            **vars(task.job),
            adaptation=adaptation,
            perennial=perennial_codes(config),
            seasons={year: FeatureLayout.of(past_config(config, year)) for year in years},
            past_samples=samples_of(samples),
            past_references=Input.of_each(references),
            unlabelled=samples_of(context.tasks("samples"), output=1),
        ),
        cost=replace(
            plain,
            core_seconds=COST * plain.core_seconds,
            memory_bytes=plain.memory_bytes
            + _COPIES * plain.bytes_read
            + _TABLES_OF_TARGET * 8 * adaptation.target_sample_size * FeatureLayout.of(config).size
            + _LIBRARIES_BYTES,
        ),
    )


def train_adapted(job: AdaptedTrainJob, task: Task) -> Summary:
    """Train a forest with samples of past seasons and publish its model file.

    Raises
    ------
    InputDataError
        If a class has no pixel in any past season, there is one class only, or a polygon both
        trains and evaluates.
    """
    from oso_pipeline.adaptation import AdaptedForestClassifier

    source, problems = _past(job, task)
    reference = task.path_of(job.reference)
    anchors, unlabelled = _of_the_map(job, task, reference)
    adaptation = job.adaptation
    classifier = AdaptedForestClassifier(
        method=adaptation.method,
        space=SeriesSpace.of(job.layout),
        forest=job.learning,
        options=_options(adaptation),
        gate=adaptation.gate,
        random_state=derived_seed(job.seed, "train", job.stratum, job.variant),
        n_jobs=job.threads,
    ).fit(
        source.features,
        source.codes,
        polygons=source.polygon_id,
        target=unlabelled.features,
        target_polygons=unlabelled.polygon_id,
        anchors=anchors.features,
        anchor_labels=anchors.codes,
        anchor_polygons=anchors.polygon_id,
        perennial_classes=job.perennial,
        target_classes=np.unique(pq.read_table(reference, columns=["code"])["code"].to_numpy()),
    )
    made = ForestClassifier(classifier.forest_, job.learning.vote)
    model = model_of(job, made, source.counts, classifier.record_)
    save_model(task.output().parent, model)
    warnings = [*map(str, problems.warnings), *_warnings(job, classifier.record_)]
    summary = _summary_of(classifier.record_)
    images = vintages(task.run_dir, job.inventories)
    return {**summary_of(model, source.polygons, warnings, images), "adaptation": summary}


def _past(job: AdaptedTrainJob, task: Task) -> tuple[TrainingSet, Problems]:
    """Return the samples of the past seasons, and what is worth a warning."""
    seasons = {
        year: SeasonFiles(tuple(map(task.path_of, job.samples_of(year))), layout)
        for year, layout in job.seasons.items()
    }
    source = read_pooled(seasons, job.choice)
    references = [task.path_of(one) for one in job.past_references.values()]
    expected: Counter[int] = Counter()
    for path in references:
        expected.update(expected_polygons(path, job.choice))
    problems = check_classes(source.counts, expected, job.choice, job.allow_missing, references[0])
    problems.raise_errors(InputDataError)
    return source, problems


def _of_the_map(
    job: AdaptedTrainJob, task: Task, reference: Path
) -> tuple[TrainingSet, Unlabelled]:
    """Return the perennial samples of the season of the map, and its unlabelled pixels."""
    held_out = held_out_polygons(reference, job.choice)
    excluded = [excluded_polygons(task.path_of(one)) for one in job.labels.values()]
    without = tuple(polygon for polygons in excluded for polygon in polygons)
    here = SeasonFiles(tuple(map(task.path_of, job.samples.values())), job.layout)
    anchors = read_anchors(here, replace(job.choice, without=without), job.perennial)
    refuse_shared_polygons(anchors, held_out)
    drawn = [task.path_of(one) for one in job.unlabelled.values()]
    size = job.adaptation.target_sample_size
    return anchors, read_unlabelled(drawn, job.layout, job.choice, held_out, size)


def _options(adaptation: Adaptation) -> AdaptationOptions:
    return AdaptationOptions(
        **{f.name: getattr(adaptation, f.name) for f in fields(AdaptationOptions)}
    )


def _summary_of(record: AdaptationRecord) -> Summary:
    """Return the summary of an adaptation for the log and the report."""
    gate = record.gate
    return {
        "method": record.method,
        "adapted": gate.adapted,
        "reason": gate.reason,
        "shift_days": gate.shift_days,
        "discrepancy": gate.discrepancy,
        "confidence_drop": gate.confidence_drop,
        "target_samples": record.target_samples,
        "anchor_samples": record.anchor_samples,
    }


def _warnings(job: AdaptedTrainJob, record: AdaptationRecord) -> list[str]:
    place = f"model {job.variant}, stratum {job.stratum}"
    return [f"warning[W-ADAPTATION] {place}: {text}" for text in record.warnings]
