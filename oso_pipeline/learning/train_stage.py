"""Stage ``train``: one random forest per variant and stratum."""

from __future__ import annotations

import os
from importlib.metadata import version

from oso_pipeline.config.model import Config, Learning
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.learners.engines import SOFTWARE, fit_forest
from oso_pipeline.learning.adapted_training import adapted_task
from oso_pipeline.learning.cost import training_cost
from oso_pipeline.learning.label_stage import excluded_polygons
from oso_pipeline.learning.model_file import (
    ARRAYS,
    DESCRIPTION,
    Model,
    date_grid_from_json,
    date_grid_to_json,
    save_model,
)
from oso_pipeline.learning.training_set import (
    Choice,
    TrainingSet,
    check_classes,
    expected_polygons,
    read_training_set,
)
from oso_pipeline.reference.split.variants import split_columns, variants
from oso_pipeline.tasks.stage import Gathered, PlanContext, StageBase, summaries, warnings_of
from oso_pipeline.tasks.task import Summary, Task
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.vectors.strata import strata_names


class TrainStage(StageBase):
    """Plans one task per variant and stratum."""

    name = "train"

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the forests to train; each reads the samples of all tiles."""
        strata = strata_names(context.config)
        names = [(v, stratum) for v in variants(context.config) for stratum in strata]
        threads = _threads(context.config, len(names))
        tasks = [_task(context, variant, stratum, threads) for variant, stratum in names]
        adaptation = context.config.adaptation
        if adaptation is None:
            return tasks
        return [adapted_task(task, context, adaptation) for task in tasks]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return the summaries of the forests, and their warnings together."""
        models = summaries(tasks)
        return Gathered({"models": models}, warnings_of(models), f"{len(models)} models")


STAGE = TrainStage()


def train(task: Task) -> Summary:
    """Train a forest and publish its model file.

    Raises
    ------
    InputDataError
        If a class has no pixel, there is one class only, or a polygon both trains and judges.
    """
    params = task.params
    layout = FeatureLayout.from_json(params["layout"])
    excluded = [excluded_polygons(task.input_path(path)) for path in task.options["labels"]]
    choice = Choice(
        params["variant"],
        params["stratum"],
        tuple(params["columns"]),
        params["max_pixels"],
        without=tuple(polygon for polygons in excluded for polygon in polygons),
    )
    reference = task.input_path(task.options["reference"])
    samples = [task.input_path(relative) for relative in task.options["samples"]]
    chosen = read_training_set(samples, choice, layout)
    expected = expected_polygons(reference, choice)
    problems = check_classes(chosen.counts, expected, choice, params["allow_missing"], reference)
    problems.raise_errors(InputDataError)
    seed = derived_seed(params["seed"], "train", choice.stratum, choice.variant)
    settings = Learning(**{n: params[n] for n in Learning.model_fields if n != "vote"})
    forest = fit_forest(chosen.features, chosen.codes, settings, seed, task.options["threads"])
    model = Model(
        forest=forest,
        layout=layout,
        grid=date_grid_from_json(params["date_grid"]),
        nomenclature=params["nomenclature"],
        variant=choice.variant,
        stratum=choice.stratum,
        seed=params["seed"],
        counts=chosen.counts,
        parameters=settings.model_dump(mode="json", exclude={"vote"}),
        software={name: version(name) for name in SOFTWARE[settings.engine]},
    )
    save_model(task.output().parent, model)
    return _summary(model, chosen, problems)


def _task(context: PlanContext[Config], variant: str, stratum: str, threads: int) -> Task:
    config = context.config
    samples, (reference,) = context.tasks("samples"), context.tasks("reference")
    labels = _label_checks(context, variant, stratum)
    layout = FeatureLayout.of(config)
    folder = f"models/{variant}/{stratum}"
    return Task(
        stage="train",
        name=f"{variant}/{stratum}",
        function="oso_pipeline.learning.train_stage:train",
        run_dir=context.run_dir,
        outputs=(f"{folder}/{DESCRIPTION}", f"{folder}/{ARRAYS}"),
        params={
            "variant": variant,
            "stratum": stratum,
            "columns": list(split_columns(config)),
            "layout": layout.to_json(),
            "date_grid": date_grid_to_json(config.season.grid),
            "nomenclature": load_nomenclature(config.nomenclature).to_json(),
            "max_pixels": config.sampling.max_train_pixels,
            "allow_missing": config.sampling.allow_missing_classes,
            # One by one, so that a changed one is named when it outdates the forest.
            **config.learning.model_dump(mode="json", exclude={"vote"}),
            "seed": config.seed,
        },
        inputs={f"{task.stage}/{task.name}": task.key for task in (*samples, *labels, reference)},
        options={
            "labels": [task.outputs[0] for task in labels],
            "samples": sorted(task.outputs[0] for task in samples),
            "reference": reference.outputs[0],
            "threads": threads,
        },
        cost=training_cost(context, config.sampling.max_train_pixels, config.learning),
    )


def _label_checks(context: PlanContext[Config], variant: str, stratum: str) -> list[Task]:
    """Return the check that keeps polygons out of this forest; none where nothing is excluded."""
    if context.config.label_check.exclude_below is None:
        return []
    checks = context.tasks("labels")
    return [t for t in checks if (t.params["variant"], t.params["stratum"]) == (variant, stratum)]


def _threads(config: Config, n_tasks: int) -> int:
    """Return how many cores a forest may use while the others of the stage run too."""
    workers = config.runtime.workers or os.cpu_count() or 1
    return max(1, workers // min(workers, n_tasks))


def _summary(model: Model, chosen: TrainingSet, problems: Problems) -> Summary:
    return {
        "variant": model.variant,
        "stratum": model.stratum,
        "pixels": {str(code): count for code, count in chosen.counts.items()},
        "polygons": chosen.polygons,
        "engine": model.parameters["engine"],
        "trees": model.forest.n_trees,
        "nodes": model.forest.n_nodes,
        "warnings": [str(found) for found in problems.warnings],
    }
