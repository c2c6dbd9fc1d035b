"""Stage ``train``: one model per variant and stratum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from oso_pipeline.config.model import Config
from oso_pipeline.core import machine
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.core.wording import counted
from oso_pipeline.learners.protocol import Classifier, TrainingData
from oso_pipeline.learners.registry import late_settings, learner_of, missing_software
from oso_pipeline.learning.adapted_training import adapted_task
from oso_pipeline.learning.confidence.tables import ConfidenceTables, CrossFit, fit_tables
from oso_pipeline.learning.cost import training_cost
from oso_pipeline.learning.given_models import check_given, given_tasks
from oso_pipeline.learning.jobs import TrainJob
from oso_pipeline.learning.kept_models import kept, kept_inputs
from oso_pipeline.learning.label_stage import LabelsJob, excluded_polygons
from oso_pipeline.learning.model_description import DESCRIPTION, arrays_name
from oso_pipeline.learning.model_file import save_model
from oso_pipeline.learning.trained import model_of, summary_of
from oso_pipeline.learning.training_set import (
    check_classes,
    expected_polygons,
    read_training_set,
    samples_of,
)
from oso_pipeline.learning.vintage import vintages
from oso_pipeline.reference.split.variants import split_columns, variants
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries, warnings_of
from oso_pipeline.tasks.task import Cost, Summary, Task
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.vectors.strata import strata_names
from oso_pipeline.vectors.strata_check import check_strata


class TrainStage(StageBase):
    """Plans one task per variant and stratum."""

    name = "train"
    makes = Makes("models", is_result=True)
    plans_from = ()
    section = "oso_pipeline.learning.models_section:models_section"

    def check(self, config: Config) -> Problems:
        """Find strata, a learner or given models that cannot be used, and tiles outside of strata.

        Models of past seasons cannot be calibrated (``E-CONFIDENCE-ADAPTED``).

        A missing folder of models is reported by the check of paths.
        """
        problems, folder = check_strata(config), config.learning.model
        if folder is None:
            problems.extend(missing_software(config.learning))
        elif folder.is_dir():
            problems.extend(check_given(config, folder))
        if config.adaptation is not None and config.calibration is not None:
            problems.error(
                "E-CONFIDENCE-ADAPTED",
                "models of past seasons cannot be calibrated: labels of the mapped season are "
                "missing, and a calibration does not hold from year to year",
                config.file,
                "remove `adaptation`, or `confidence` and the bands probability, set_size and "
                "out_of_domain",
            )
        return problems

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the models to train, each from the samples of all tiles; or those to take.

        Raises
        ------
        InputDataError
            If given models do not fit.
        """
        if (folder := context.config.learning.model) is not None:
            return given_tasks(context, folder)
        strata = strata_names(context.config)
        names = [(v, stratum) for v in variants(context.config) for stratum in strata]
        threads = _threads(context.config, len(names))
        tasks = [_task(context, variant, stratum, threads) for variant, stratum in names]
        if (adaptation := context.config.adaptation) is not None:
            tasks = [adapted_task(task, context, adaptation) for task in tasks]
        return [kept(task) for task in tasks] if context.config.learning.freeze else tasks

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return the summaries of the models, and their warnings together."""
        models = summaries(tasks)
        headline = counted(len(models), "model")
        if given := sum("origin" in model for model in models):
            headline += f", {given} of another run"
        if frozen := sum(bool(kept_inputs(task.run_dir, task.outputs[0])) for task in tasks):
            headline += f", {frozen} kept though samples or labels changed"
        return Gathered({"models": models}, warnings_of(models), headline)


STAGE = TrainStage()


def train(job: TrainJob, task: Task) -> Summary:
    """Train a model and publish its file.

    Raises
    ------
    InputDataError
        If a class has no pixel, there is one class only, or a polygon both trains and evaluates.
    """
    excluded = [excluded_polygons(task.path_of(one)) for one in job.labels.values()]
    without = tuple(polygon for polygons in excluded for polygon in polygons)
    choice = replace(job.choice, without=without)
    reference = task.path_of(job.reference)
    samples = [task.path_of(one) for one in job.samples.values()]
    chosen = read_training_set(samples, choice, job.layout)
    expected = expected_polygons(reference, choice)
    problems = check_classes(chosen.counts, expected, choice, job.allow_missing, reference)
    problems.raise_errors(InputDataError)
    seed = derived_seed(job.seed, "train", job.stratum, job.variant)
    learner = learner_of(job.learning.kind)
    data = TrainingData(
        chosen.features, chosen.codes, job.layout, groups=chosen.polygon_id.astype(np.int64)
    )
    tables = _tables(job, data, chosen.polygon_id, seed)
    classifier = learner.fit(data, job.learning, seed, job.threads)
    model = model_of(job, classifier, chosen.counts, tables=tables)
    save_model(task.output().parent, model)
    warnings = [str(found) for found in problems.warnings]
    images = vintages(task.run_dir, job.inventories)
    return summary_of(model, chosen.polygons, warnings, images)


def _tables(
    job: TrainJob, data: TrainingData, polygon_id: npt.NDArray[np.int64], seed: int
) -> ConfidenceTables | None:
    if job.calibration is None:
        return None
    learner, settings = learner_of(job.learning.kind), late_settings(job.learning)

    def fit(part: TrainingData, seed: int) -> Classifier:
        return learner.fit(part, job.learning, seed, job.threads).with_settings(settings)

    place = f"model {job.variant}, stratum {job.stratum}"
    how = CrossFit(job.calibration["folds"], seed, fit, settings, place)
    return fit_tables(data, polygon_id, how)


def _task(context: PlanContext[Config], variant: str, stratum: str, threads: int) -> Task:
    config = context.config
    (reference,) = context.tasks("reference")
    folder = f"models/{variant}/{stratum}"
    calibration = None
    if config.calibration is not None:
        calibration = {"folds": config.calibration.folds, **late_settings(config.learning)}
    return Task(
        stage="train",
        name=f"{variant}/{stratum}",
        function="oso_pipeline.learning.train_stage:train",
        run_dir=context.run_dir,
        outputs=(f"{folder}/{DESCRIPTION}", f"{folder}/{arrays_name(config.learning.kind)}"),
        job=TrainJob(
            variant=variant,
            stratum=stratum,
            columns=split_columns(config),
            layout=FeatureLayout.of(config),
            date_grid=config.season.grid,
            nomenclature=load_nomenclature(config.nomenclature),
            max_pixels=config.sampling.max_train_pixels,
            allow_missing=config.sampling.allow_missing_classes,
            learning=config.learning,
            seed=config.seed,
            samples=samples_of(context.tasks("samples")),
            labels=Input.of_each(_label_checks(context, variant, stratum)),
            reference=Input.of(reference),
            threads=threads,
            inventories=tuple(one.outputs[0] for one in context.tasks("inventory")),
            calibration=calibration,
        ),
        cost=_cost(context),
    )


def _cost(context: PlanContext[Config]) -> Cost:
    config = context.config
    one = training_cost(context, config.sampling.max_train_pixels, config.learning)
    if config.calibration is None:
        return one
    # Each fold trains on a copy of the others; all folds together take as long as `folds - 1`.
    return replace(
        one,
        core_seconds=config.calibration.folds * one.core_seconds,
        memory_bytes=one.memory_bytes + one.bytes_read,
    )


def _label_checks(context: PlanContext[Config], variant: str, stratum: str) -> list[Task]:
    """Return the check that keeps polygons out of this model; none where nothing is excluded."""
    if context.config.label_check.exclude_below is None:
        return []
    return [task for task in context.tasks("labels") if _checks(task, variant, stratum)]


def _checks(task: Task, variant: str, stratum: str) -> bool:
    job = task.job
    return isinstance(job, LabelsJob) and (job.variant, job.stratum) == (variant, stratum)


def _threads(config: Config, n_tasks: int) -> int:
    """Return how many cores a training may use while the others of the stage run too."""
    workers = config.runtime.workers or machine.cores()
    return max(1, workers // min(workers, n_tasks))
