"""Stage ``labels``: the labels of reference polygons to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from oso_pipeline.config.model import Config
from oso_pipeline.config.seasons import has_labels
from oso_pipeline.core.commit import verified
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.core.sides import TRAIN, VALIDATION
from oso_pipeline.learners.forest.engines import fit_forest
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.learners.forest.votes import probabilities
from oso_pipeline.learning.cost import training_cost
from oso_pipeline.learning.label_check import Floats, LabelAssessment, check_labels
from oso_pipeline.learning.training_set import (
    Choice,
    TrainingSet,
    read_held_out,
    read_training_set,
    samples_of,
)
from oso_pipeline.reference.split.variants import map_variant, split_columns, variants
from oso_pipeline.tasks.job import Input, Job, decides, place, reads
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries
from oso_pipeline.tasks.task import Summary, Task
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.vectors.strata import strata_names

_TREES = 50
"""Enough for mean probabilities; the forests of the check make no map."""
_WORKER_BYTES, _BYTES_PER_VALUE = 800_000_000, 10
"""Memory of a warm worker, and for each value: a fold is copied while all are held.

A check of the demo used 0.80 and 0.97 GB; 10 bytes were measured on 40,000 + 20,000 pixels.
"""
_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class LabelsJob(Job):
    """Which labels of a stratum to look at.

    Parameters
    ----------
    variant, stratum
        Which rows of the samples are looked at.
    columns
        Columns that hold the split.
    layout
        The features.
    folds
        Parts of the training polygons, each checked by the forest of the others.
    max_pixels
        Most pixels of a class.
    n_trees
        Trees of each forest.
    exclude_below
        Doubted polygons whose label has less than this probability stay out of training.
    seed
        Seed of the run.
    expected_share
        Share of the labels to list; None where it follows from the doubts.
    samples
        Labelled samples of the tiles.
    threads
        Trees grown at once.
    """

    variant: str
    stratum: str
    columns: tuple[str, ...]
    layout: FeatureLayout
    folds: int
    max_pixels: int
    n_trees: int
    exclude_below: float | None
    seed: int
    expected_share: float | None = decides(if_set=True, default=None)
    samples: Mapping[str, Input] = reads()
    threads: int = place(default=1)


class LabelsStage(StageBase):
    """Plans one task per stratum, or per stratum and variant if doubted polygons are excluded.

    Polygons are excluded from a variant on the basis of its own training polygons only, so its
    validation polygons have no influence.
    """

    name = "labels"
    makes = Makes("labels", is_result=True)
    plans_from = ()

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the checks; none where `label_check.enabled` is false or no label holds."""
        config = context.config
        if not config.label_check.enabled or not has_labels(config):
            return []
        excludes = config.label_check.exclude_below is not None
        checked = variants(config) if excludes else (map_variant(config),)
        return [
            _task(context, variant, stratum)
            for variant in checked
            for stratum in strata_names(config)
        ]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return the summaries of the checks and one warning for all."""
        checks = summaries(tasks)
        doubted = sum(check["doubted"] for check in checks)
        assessed = sum(check["polygons"] for check in checks)
        headline = f"{doubted} of {assessed} labels to look at"
        warning = (
            f"warning[W-LABELS] {headline}, see labels/*.parquet; `label_check.exclude_below` "
            "keeps them out of training"
        )
        return Gathered({"checks": checks}, (warning,) if doubted else (), headline)


STAGE = LabelsStage()


def check(job: LabelsJob, task: Task) -> Summary:
    """Assess the labels of the polygons of a stratum and publish the result.

    Returns
    -------
    dict
        ``polygons`` assessed, ``doubted``, ``excluded``, ``expected_share`` if one is given;
        ``classes``: per given label the polygons, those doubted, and the labels they likely have;
        ``worst``: the most doubted polygons.
    """
    choice = Choice(job.variant, job.stratum, job.columns, job.max_pixels)
    paths = [task.path_of(one) for one in job.samples.values()]
    known = read_training_set(paths, choice, job.layout)
    held_out = read_held_out(paths, choice, job.layout)
    seed = derived_seed(job.seed, "labels", job.stratum, job.variant)
    classifier = FoldForest(job.n_trees, job.threads)
    assessment = check_labels(known, held_out, job.folds, seed, classifier, job.expected_share)
    trains = np.isin(assessment.polygon_id, known.polygon_id)
    excluded = _excluded(assessment, trains, job.exclude_below)
    _publish(assessment, trains, excluded, task.output())
    expected = {} if job.expected_share is None else {"expected_share": job.expected_share}
    return _summary(assessment, trains, excluded, choice) | expected


def excluded_polygons(path: Path) -> tuple[int, ...]:
    """Return the polygons that a check keeps out of training, ascending."""
    table = pq.read_table(path, columns=["polygon_id", "excluded"])
    return tuple(table["polygon_id"].to_numpy()[table["excluded"].to_numpy(zero_copy_only=False)])


@dataclass(frozen=True)
class FoldForest:
    """Trains a forest on the other folds and predicts probabilities (soft votes).

    Parameters
    ----------
    n_trees
        Trees of a forest.
    threads
        Trees grown at once.
    """

    n_trees: int = 50
    threads: int = 1

    def __call__(
        self, chosen: TrainingSet, features: npt.NDArray[np.int16], seed: int
    ) -> tuple[npt.NDArray[np.int32], Floats]:
        """Return classes and probabilities; see `Classifier`."""
        settings = ForestSettings(n_trees=self.n_trees)
        forest = fit_forest(chosen.features, chosen.codes, settings, seed, self.threads)
        return forest.classes, probabilities(forest, np.ascontiguousarray(features.T)).T


def _excluded(
    assessment: LabelAssessment, trains: npt.NDArray[np.bool_], below: float | None
) -> npt.NDArray[np.bool_]:
    if below is None:
        return np.zeros(len(trains), bool)
    return assessment.doubted & trains & (assessment.given < below)


def _publish(
    assessment: LabelAssessment,
    trains: npt.NDArray[np.bool_],
    excluded: npt.NDArray[np.bool_],
    final: Path,
) -> None:
    table = pa.table(
        {
            "polygon_id": assessment.polygon_id,
            "code": assessment.code,
            "side": np.where(trains, TRAIN, VALIDATION),
            "pixels": assessment.pixels,
            "given_probability": assessment.given.astype(np.float32),
            "likely_code": assessment.likely_code,
            "likely_probability": assessment.likely.astype(np.float32),
            "doubted": assessment.doubted,
            "excluded": excluded,
        }
    )

    def check_content(path: Path) -> None:
        if pq.read_metadata(path).num_rows != len(table):
            raise OSError(f"{final.name} was not read back with {len(table)} rows")

    verified(lambda path: pq.write_table(table, path, compression="zstd"), check_content, final)


def _summary(
    assessment: LabelAssessment,
    trains: npt.NDArray[np.bool_],
    excluded: npt.NDArray[np.bool_],
    choice: Choice,
) -> Summary:
    classes: dict[str, Any] = {}
    for code in np.unique(assessment.code):
        own = assessment.code == code
        likely, counts = np.unique(
            assessment.likely_code[own & assessment.doubted], return_counts=True
        )
        classes[str(code)] = {
            "polygons": int(own.sum()),
            "doubted": int((own & assessment.doubted).sum()),
            "excluded": int((own & excluded).sum()),
            "likely": {str(c): int(n) for c, n in zip(likely, counts, strict=True)},
        }
    order = np.argsort(assessment.given - assessment.likely, kind="stable")
    worst = [int(row) for row in order if assessment.doubted[row]][:_SHOWN]
    return {
        "variant": choice.variant,
        "stratum": choice.stratum,
        "polygons": len(trains),
        "doubted": int(assessment.doubted.sum()),
        "excluded": int(excluded.sum()),
        "classes": classes,
        "worst": [
            {
                "polygon_id": int(assessment.polygon_id[row]),
                "code": int(assessment.code[row]),
                "likely_code": int(assessment.likely_code[row]),
                "given": round(float(assessment.given[row]), 3),
                "likely": round(float(assessment.likely[row]), 3),
            }
            for row in worst
        ],
    }


def _task(context: PlanContext[Config], variant: str, stratum: str) -> Task:
    config = context.config
    rules = config.label_check
    layout = FeatureLayout.of(config)
    rounds = 1 if rules.expected_share is None else 2
    one = training_cost(context, rules.pixels_per_class, ForestSettings(n_trees=_TREES))
    memory = _WORKER_BYTES + one.pixels * layout.size * _BYTES_PER_VALUE
    return Task(
        stage="labels",
        name=f"{variant}/{stratum}",
        function="oso_pipeline.learning.label_stage:check",
        run_dir=context.run_dir,
        outputs=(f"labels/{variant}/{stratum}.parquet",),
        job=LabelsJob(
            variant=variant,
            stratum=stratum,
            columns=split_columns(config),
            layout=layout,
            folds=rules.folds,
            max_pixels=rules.pixels_per_class,
            n_trees=_TREES,
            exclude_below=rules.exclude_below,
            seed=config.seed,
            expected_share=rules.expected_share,
            samples=samples_of(context.tasks("samples")),
        ),
        cost=replace(
            one,
            core_seconds=rounds * rules.folds * one.core_seconds,
            memory_bytes=memory,
            bytes_written=0,  # a line for each polygon
        ),
    )
