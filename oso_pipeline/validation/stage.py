"""Stage ``validate``: predict the held-out pixels and measure how well that goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from oso_pipeline.config.learning import LearnerSettings
from oso_pipeline.config.model import Config
from oso_pipeline.config.seasons import has_labels
from oso_pipeline.core.commit import publish_bytes, publish_json, read_sidecar
from oso_pipeline.core.coverage import covered_in_words
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.core.lowest_draws import LowestOfParts
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.core.parquet_pieces import chosen_rows
from oso_pipeline.learners.registry import late_settings
from oso_pipeline.learning.model_file import Model, load_model
from oso_pipeline.prediction.samples import calibrated_percent, predict_samples
from oso_pipeline.reference.split.variants import (
    column_of,
    map_variant,
    validation_rows,
    variants,
)
from oso_pipeline.tasks.job import Input, Job, decides, reads
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase
from oso_pipeline.tasks.task import Summary, Task
from oso_pipeline.validation.accuracy import Method, Predictions, assess, pooled
from oso_pipeline.validation.accuracy_tables import classes_csv, confusion_csv, polygons_csv
from oso_pipeline.validation.calibration import calibration
from oso_pipeline.validation.cost import validation_cost
from oso_pipeline.validation.gathered import gathered_accuracy

OUTPUTS = (
    "validation/accuracy.json",
    "validation/confusion_matrix.csv",
    "validation/confusion_matrix_level1.csv",
    "validation/classes.csv",
    "validation/polygons.csv",
)
_FEW_COLUMNS = ("code", "stratum", "validity", "draw")


@dataclass(frozen=True, kw_only=True)
class ValidateJob(Job):
    """Samples to predict, and how accuracy is estimated.

    Parameters
    ----------
    nomenclature
        Classes of the map.
    bootstrap, confidence_level, seed
        Number of resamples of the intervals, their level, 0 to 1, and the seed of the run.
    folds
        Whether the variants are folds, whose predictions are pooled; else the first made the map.
    variants
        Names of the variants that are evaluated.
    max_pixels
        Most pixels per class and stratum; None for all.
    learning
        The learner and its settings, as for the map.
    samples
        Sample files of the tiles.
    models
        Descriptions of the models by ``variant/stratum``.
    """

    nomenclature: Nomenclature
    bootstrap: int
    confidence_level: float
    seed: int
    folds: bool
    variants: tuple[str, ...]
    max_pixels: int | None
    learning: LearnerSettings = decides(merged=True, part=late_settings)
    samples: Mapping[str, Input] = reads()
    models: Mapping[str, Input] = reads("train/{}")

    @property
    def method(self) -> Method:
        """How accuracy is estimated."""
        return Method(
            self.nomenclature, self.bootstrap, self.confidence_level, self.seed, self.folds
        )

    def models_of(self, variant: str) -> dict[str, Input]:
        """Return the models of a variant by stratum."""
        begins = f"{variant}/"
        found = {name: model for name, model in self.models.items() if name.startswith(begins)}
        return {name.removeprefix(begins): model for name, model in found.items()}


class ValidateStage(StageBase):
    """Plans one task and returns its headline."""

    name = "validate"
    makes = Makes("validation", is_result=True)
    optional = True
    plans_from = ()

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the one task; it reads the samples of all tiles and the models but the map's own.

        None where no label holds in the season of the map: nothing is held out then.
        With folds the model of the map saw all polygons, so it has nothing to be tested on.
        """
        config = context.config
        if not has_labels(config):
            return []
        samples, training = context.tasks("samples"), context.tasks("train")
        names = _validated(config)
        task = Task(
            stage=self.name,
            name="validate",
            function="oso_pipeline.validation.stage:validate",
            run_dir=context.run_dir,
            outputs=OUTPUTS,
            job=ValidateJob(
                nomenclature=load_nomenclature(config.nomenclature),
                bootstrap=config.validation.bootstrap,
                confidence_level=config.validation.confidence_level,
                seed=config.seed,
                folds=config.validation.folds is not None,
                variants=names,
                max_pixels=config.sampling.max_validation_pixels,
                learning=config.learning,
                samples=Input.of_each(samples),
                models={task.name: Input.of(task) for task in training if _variant(task) in names},
            ),
            cost=validation_cost(context),
        )
        return [task]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return overall accuracy and kappa."""
        return gathered_accuracy(tasks)


STAGE = ValidateStage()


def validate(job: ValidateJob, task: Task) -> Summary:
    """Predict the held-out pixels of every variant and publish accuracy and tables.

    Raises
    ------
    InputDataError
        If a model is damaged or does not fit the samples, or nothing was held out.
    """
    paths = [task.path_of(samples) for samples in job.samples.values()]
    predictions, settings, mapped = [], late_settings(job.learning), set[int]()
    for variant in job.variants:
        models = {
            stratum: load_model(task.path_of(one).parent).with_settings(settings)
            for stratum, one in job.models_of(variant).items()
        }
        predictions.append(predict_variant(variant, models, paths, job.max_pixels))
        mapped |= {code for one in models.values() for code in one.classifier.classes.tolist()}
    headline = pooled(predictions) if job.folds else predictions[0]
    if not headline.polygon_id.size:
        raise _nothing_held_out(headline.excluded)
    accuracy = {**assess(predictions, job.method, mapped), "candidates": candidates(paths)}
    if headline.forecast is not None:
        accuracy["calibration"] = calibration(headline, job.seed)
    level1 = accuracy["level1"]
    publish_bytes(task.output(1), confusion_csv(accuracy))
    publish_bytes(task.output(2), confusion_csv(level1) if level1 else b"")
    publish_bytes(task.output(3), classes_csv({2: accuracy, 1: level1}))
    publish_bytes(task.output(4), polygons_csv(predictions))
    publish_json(task.output(0), accuracy)
    keys = ("overall_accuracy", "kappa", "pixels", "polygons", "excluded", "warnings")
    return {**{key: accuracy[key] for key in keys}, "covered": covered_in_words(accuracy)}


def predict_variant(
    variant: str,
    models: Mapping[str, Model],
    paths: Sequence[Path],
    max_pixels: int | None,
) -> Predictions:
    """Predict the held-out pixels of one variant.

    Parameters
    ----------
    variant
        Name of the variant.
    models
        Its models by stratum; pixels of a stratum without model are left out and counted.
    paths
        Sample files of the tiles.
    max_pixels
        Most pixels per class and stratum; None for all. Each tile kept its own lowest
        draws, so the lowest of those are the lowest of all tiles.
    """
    excluded: Counter[str] = Counter({"no_clear_date": 0, "no_model_in_stratum": 0})
    drawn, light = LowestOfParts(max_pixels), [*_FEW_COLUMNS, column_of(variant)]
    for path in paths:
        table = pq.read_table(path, columns=light)
        held_out = validation_rows(table, variant)
        seen = held_out & (table["validity"].to_numpy() > 0)
        strata = pc.index_in(table["stratum"], pa.array([*models], pa.string()))
        stratum = pc.fill_null(strata, -1).to_numpy().astype(np.int64)
        known = seen & (stratum >= 0)
        excluded["no_clear_date"] += int(held_out.sum() - seen.sum())
        excluded["no_model_in_stratum"] += int(seen.sum() - known.sum())
        group = stratum + len(models) * table["code"].to_numpy().astype(np.int64)
        drawn.add(table["draw"].to_numpy(), np.where(known, group, -1))
    columns = [np.empty((5, 0), np.int64)]
    for path, rows in zip(paths, drawn.rows(), strict=True):
        for table in chosen_rows(path, None, rows):
            few = [table[name].to_numpy() for name in ("polygon_id", "code")]
            found, share = predict_samples(models, table)
            chance = calibrated_percent(models, table, share)
            columns.append(np.stack([*few, found, share, chance]).astype(np.int64))
    polygon, code, predicted, *forecast = np.hstack(columns)
    tabled = bool(models) and all(one.tables is not None for one in models.values())
    forecasts = np.stack(forecast) if tabled else None
    return Predictions(variant, polygon, code, predicted, dict(excluded), forecasts)


def candidates(paths: Sequence[Path]) -> dict[str, Any]:
    """Return how many pixels of polygons there were, and how many were not clear often enough.

    The counts are of training and validation polygons together; the latter of those pixels that
    were drawn to be read.
    """
    records = [read_sidecar(path) for path in paths]
    found = [record.get("summary", {}) for record in records if record is not None]
    counts = {
        name: sum(sum(summary.get(name, {}).values()) for summary in found)
        for name in ("candidates", "not_clear")
    }
    return {
        "pixels": counts["candidates"],
        "not_clear": counts["not_clear"],
        "note": "pixels of training and validation polygons; not_clear were drawn but not sampled",
    }


def _validated(config: Config) -> tuple[str, ...]:
    """Return the variants that hold polygons out, the one that made the map first."""
    names = tuple(variants(config))
    if config.validation.folds is None:
        return names
    return tuple(name for name in names if name != map_variant(config))


def _variant(training: Task) -> str:
    """Return the variant whose model a task trains."""
    return training.name.partition("/")[0]


def _nothing_held_out(excluded: Mapping[str, int]) -> InputDataError:
    reasons = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in excluded.items())
    return InputDataError(
        Problem(
            "E-VALIDATION-EMPTY",
            f"no validation pixel is left to measure accuracy with (left out: {reasons})",
            "samples/*.parquet",
            "check that validation polygons lie inside the tiles and have clear dates, or lower "
            "`reference.split.train_share`",
        )
    )
