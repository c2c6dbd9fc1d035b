"""Stage ``independent``: the accuracy of the finished map by points or polygons of the user."""

from __future__ import annotations

from pathlib import Path

from oso_pipeline.config.independent import IndependentSet
from oso_pipeline.config.model import Config
from oso_pipeline.core.commit import publish_bytes, publish_json, read_sidecar, sha256_file
from oso_pipeline.core.errors import InputDataError, Problem, Problems
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.reference.split.variants import map_variant, split_columns
from oso_pipeline.tasks.stage import Gathered, PlanContext, StageBase
from oso_pipeline.tasks.task import Cost, Summary, Task
from oso_pipeline.validation.accuracy import Method, Predictions, assess
from oso_pipeline.validation.gathered import gathered_accuracy
from oso_pipeline.validation.independent import (
    DESIGN,
    TRAINS,
    VARIANT,
    apart_from_training,
    pixels_on_map,
    read_units,
)
from oso_pipeline.validation.other_maps import compared
from oso_pipeline.validation.tables import classes_csv, confusion_csv
from oso_pipeline.vectors.vector_files import VectorFile

OUTPUTS = (
    "validation/independent/accuracy.json",
    "validation/independent/confusion_matrix.csv",
    "validation/independent/classes.csv",
)


class IndependentStage(StageBase):
    """Plans one task where the configuration names an independent set, else none."""

    name = "independent"

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the one task; it reads the map and the polygons that trained it.

        Raises
        ------
        InputDataError
            If the file cannot be read.
        """
        config = context.config
        rules = config.validation.independent
        if rules is None:
            return []
        references = [*context.tasks("reference")]
        if config.adaptation is not None:  # what trained in a past season is not independent
            references += context.tasks("past_reference")
        (layer,) = (t for t in context.tasks("mosaic") if t.params["layer"] == "class")
        plain = rules.model_dump(mode="json", exclude={"path", "crosswalk", "compare"})
        in_file = isinstance(rules.crosswalk, Path)
        task = Task(
            stage=self.name,
            name=self.name,
            function="oso_pipeline.validation.independent_stage:validate",
            run_dir=context.run_dir,
            outputs=OUTPUTS,
            params={
                **plain,
                "crosswalk": None if in_file else rules.model_dump(mode="json")["crosswalk"],
                "variant": map_variant(config),
                "columns": list(split_columns(config)),
                "epsg": config.map.epsg,
                "nomenclature": load_nomenclature(config.nomenclature).to_json(),
                "bootstrap": config.validation.bootstrap,
                "confidence_level": config.validation.confidence_level,
                "seed": config.seed,
            },
            inputs={
                **_digests(rules),
                "mosaic/class": layer.key,
                **{f"{one.stage}/{one.name}": one.key for one in references},
            },
            options={
                "map": layer.outputs[0],
                "references": [one.outputs[0] for one in references],
                "path": str(rules.path),
                "crosswalk": str(rules.crosswalk) if in_file else None,
                "compare": {name: str(path) for name, path in rules.compare.items()},
            },
            cost=Cost(memory_bytes=500_000_000, core_seconds=10.0),
        )
        return [task]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return overall accuracy and kappa."""
        return gathered_accuracy(tasks)


STAGE = IndependentStage()


def validate(task: Task) -> Summary:
    """Compare the set with the map and publish accuracy and tables.

    Raises
    ------
    InputDataError
        If the file cannot be used, or nothing of it can be compared.
    """
    params, options = task.params, task.options
    nomenclature = Nomenclature.from_json(params["nomenclature"])
    rules = IndependentSet(
        path=Path(options["path"]),
        layer=params["layer"],
        code_field=params["code_field"],
        crosswalk=Path(options["crosswalk"]) if options["crosswalk"] else params["crosswalk"],
        crs=params["crs"],
    )
    problems = Problems()
    units = read_units(rules, nomenclature, params["epsg"], problems)
    problems.raise_errors(InputDataError)
    if units is None:
        raise ValueError(f"{rules.path} was refused without a reason")
    references = [task.input_path(path) for path in options["references"]]
    free = apart_from_training(units, references, params["variant"], params["columns"])
    pixels = pixels_on_map(free, task.input_path(options["map"]))
    excluded = {**pixels.excluded, TRAINS: len(units.code) - len(free.code)}
    if not len(pixels.code):
        raise _nothing_to_compare(rules, excluded)
    found = Predictions(VARIANT, pixels.feature, pixels.code, pixels.predicted, excluded)
    method = Method(
        nomenclature, params["bootstrap"], params["confidence_level"], params["seed"], folds=False
    )
    accuracy = {**assess([found], method), "design": DESIGN}
    maps = {name: Path(path) for name, path in options.get("compare", {}).items()}
    if maps:
        accuracy["compared_maps"] = compared(pixels, params["epsg"], maps, method, problems)
        problems.raise_errors(InputDataError)
    publish_bytes(task.output(1), confusion_csv(accuracy))
    publish_bytes(task.output(2), classes_csv({2: accuracy, 1: accuracy["level1"]}))
    publish_json(task.output(0), accuracy)
    keys = ["overall_accuracy", "kappa", "pixels", "polygons", "excluded"]
    keys += ["compared_maps"] if maps else []
    warnings = [f"warning[{one['code']}] {one['message']}" for one in accuracy["warnings"]]
    return {**{key: accuracy[key] for key in keys}, "warnings": warnings}


def _digests(rules: IndependentSet) -> dict[str, str]:
    problems, digests = Problems(), {}
    try:
        digests["independent"] = VectorFile(rules.path, rules.layer).digest()
        if isinstance(rules.crosswalk, Path):
            digests["independent crosswalk"] = sha256_file(rules.crosswalk)
        for name, path in rules.compare.items():
            # The map of another run says its digest itself: a country is not read to plan.
            committed = read_sidecar(path) or {}
            digests[f"compared map {name}"] = committed.get("sha256") or sha256_file(path)
    except OSError as error:
        message = f"validation.independent cannot be read: {error.strerror}"
        hint = "correct the path; relative paths begin at the configuration file"
        problems.error("E-INPUT-058", message, error.filename or rules.path, hint)
    problems.raise_errors(InputDataError)
    return digests


def _nothing_to_compare(rules: IndependentSet, excluded: dict[str, int]) -> InputDataError:
    reasons = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in excluded.items())
    message = f"no pixel of the independent set can be compared with the map ({reasons})"
    hint = "check that the set lies inside the tiles and away from the training polygons"
    return InputDataError(Problem("E-INPUT-065", message, str(rules.path), hint))
