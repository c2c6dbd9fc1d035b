"""Stage ``independent``: the accuracy of the finished map by points or polygons of the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oso_pipeline.config.independent import IndependentSet
from oso_pipeline.config.model import Config
from oso_pipeline.core.commit import publish_bytes, publish_json, read_sidecar, sha256_file
from oso_pipeline.core.coverage import covered_in_words
from oso_pipeline.core.errors import InputDataError, Problem, Problems
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.reference.split.variants import map_variant, split_columns
from oso_pipeline.tasks.file_digests import FileDigests
from oso_pipeline.tasks.job import Input, Job, decides, reads
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase
from oso_pipeline.tasks.task import Cost, Summary, Task
from oso_pipeline.validation.accuracy import Method, Predictions, assess
from oso_pipeline.validation.accuracy_tables import classes_csv, confusion_csv
from oso_pipeline.validation.gathered import gathered_accuracy
from oso_pipeline.validation.independent import (
    DESIGN,
    TRAINS,
    VARIANT,
    apart_from_training,
    pixels_on_map,
    read_units,
)
from oso_pipeline.validation.independent_check import check_independent, file_of
from oso_pipeline.validation.other_maps import compared

OUTPUTS = (
    "validation/independent/accuracy.json",
    "validation/independent/confusion_matrix.csv",
    "validation/independent/classes.csv",
)

_UNKNOWN = (
    "the models were trained by another run: whether polygons of the set trained them is not known"
)
_SECONDS_PER_BYTE = 8e-9
"""Of the reference, whose training polygons are all compared with the set."""


def _of_reading(rules: IndependentSet) -> dict[str, Any]:
    """Return how the files are read, as JSON values; their content enters by digest."""
    values = rules.model_dump(mode="json", exclude={"path", "compare"})
    return values | ({"crosswalk": None} if isinstance(rules.crosswalk, Path) else {})


@dataclass(frozen=True, kw_only=True)
class IndependentJob(Job):
    """Sets to compare with the map, and how its accuracy is estimated.

    Parameters
    ----------
    rules
        The section ``validation.independent``.
    variant, columns
        Variant that made the map, and the columns of the reference that say what trained it.
    epsg
        Coordinate system of the map.
    nomenclature
        Its classes.
    bootstrap, confidence_level, seed
        Number of resamples of the intervals, their level, 0 to 1, and the seed of the run.
    files
        Its files, as ``independent``, ``independent crosswalk``, ``compared map NAME``.
    class_map
        The map of the run.
    references
        Files of the polygons that trained it, by stage and task.
    """

    rules: IndependentSet = decides(merged=True, part=_of_reading)
    variant: str
    columns: tuple[str, ...]
    epsg: int
    nomenclature: Nomenclature
    bootstrap: int
    confidence_level: float
    seed: int
    files: Mapping[str, Input] = reads()
    class_map: Input = reads("mosaic/class")
    references: Mapping[str, Input] = reads()

    @property
    def method(self) -> Method:
        """How accuracy is estimated."""
        return Method(
            self.nomenclature, self.bootstrap, self.confidence_level, self.seed, folds=False
        )


class IndependentStage(StageBase):
    """Plans one task where the configuration names an independent set, else none."""

    name = "independent"
    makes = Makes("validation", is_result=True)
    optional = True
    plans_from = ()

    def check(self, config: Config) -> Problems:
        """Find what is wrong with the set and with the maps to compare, before any work."""
        return check_independent(config)

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
        (class_map,) = (task for task in context.tasks("mosaic") if task.name == "class")
        task = Task(
            stage=self.name,
            name=self.name,
            function="oso_pipeline.validation.independent_stage:validate",
            run_dir=context.run_dir,
            outputs=OUTPUTS,
            job=IndependentJob(
                rules=rules,
                variant=map_variant(config),
                columns=tuple(split_columns(config)),
                epsg=config.map.epsg,
                nomenclature=load_nomenclature(config.nomenclature),
                bootstrap=config.validation.bootstrap,
                confidence_level=config.validation.confidence_level,
                seed=config.seed,
                files=_files(rules, context.digests),
                class_map=Input.of(class_map),
                references=Input.of_each(references),
            ),
            cost=Cost(
                memory_bytes=500_000_000,
                core_seconds=10.0
                + _SECONDS_PER_BYTE * sum(task.cost.bytes_written for task in references),
            ),
        )
        return [task]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return overall accuracy and kappa."""
        return gathered_accuracy(tasks)


STAGE = IndependentStage()


def validate(job: IndependentJob, task: Task) -> Summary:
    """Compare the set with the map and publish accuracy and tables.

    Raises
    ------
    InputDataError
        If the file cannot be used, or nothing of it can be compared.
    """
    rules, problems = job.rules, Problems()
    units = read_units(rules, job.nomenclature, job.epsg, problems)
    problems.raise_errors(InputDataError)
    if units is None:
        raise ValueError(f"{rules.path} was refused without a reason")
    references = [task.path_of(reference) for reference in job.references.values()]
    free = apart_from_training(units, references, job.variant, job.columns)
    pixels = pixels_on_map(free, task.path_of(job.class_map))
    excluded = {**pixels.excluded, TRAINS: len(units.code) - len(free.code)}
    if not len(pixels.code):
        raise _nothing_to_compare(rules, excluded)
    found = Predictions(VARIANT, pixels.feature, pixels.code, pixels.predicted, excluded)
    mapped = _classes_of(task.path_of(job.class_map))
    accuracy = {**assess([found], job.method, mapped), "design": DESIGN}
    if rules.compare:
        accuracy["compared_maps"] = compared(pixels, job.epsg, rules.compare, job.method, problems)
    publish_bytes(task.output(1), confusion_csv(accuracy))
    publish_bytes(task.output(2), classes_csv({2: accuracy, 1: accuracy["level1"]}))
    publish_json(task.output(0), accuracy)
    keys = ["overall_accuracy", "kappa", "pixels", "polygons", "excluded"]
    keys += ["compared_maps"] if rules.compare else []
    warnings = [f"warning[{one['code']}] {one['message']}" for one in accuracy["warnings"]]
    warnings += map(str, problems.warnings)
    if not job.references:
        warnings.append(f"warning[W-MODEL-INDEPENDENT] {_UNKNOWN}")
    # Held-out polygons may have the same.
    warnings = [f"independent set: {text}" for text in warnings]
    figures = {key: accuracy[key] for key in keys}
    return {**figures, "covered": covered_in_words(accuracy), "warnings": warnings}


def _classes_of(class_map: Path) -> set[int] | None:
    """Return the codes that a map has pixels of; None if its commit does not list them."""
    record = read_sidecar(class_map) or {}
    hectares = record.get("summary", {}).get("hectares")
    return None if hectares is None else {int(code) for code, area in hectares.items() if area}


def _files(rules: IndependentSet, digests: FileDigests) -> dict[str, Input]:
    files = {}
    try:
        content = file_of(rules).digest()
        files["independent"] = Input.file(rules.path, content)
        if isinstance(rules.crosswalk, Path):
            content = sha256_file(rules.crosswalk)
            files["independent crosswalk"] = Input.file(rules.crosswalk, content)
        for name, path in rules.compare.items():
            # The map of another run says its digest itself: a country is not read to plan.
            committed = read_sidecar(path) or {}
            content = committed.get("sha256") or digests.of(path)
            files[f"compared map {name}"] = Input.file(path, content)
        digests.remember()
    except OSError as error:
        message = f"validation.independent cannot be read: {error.strerror}"
        hint = "correct the path; relative paths begin at the configuration file"
        where = str(error.filename or rules.path)
        raise InputDataError(Problem("E-PATH-READ", message, where, hint)) from None
    return files


def _nothing_to_compare(rules: IndependentSet, excluded: dict[str, int]) -> InputDataError:
    reasons = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in excluded.items())
    message = f"no pixel of the independent set can be compared with the map ({reasons})"
    hint = "check that the set lies inside the tiles and away from the training polygons"
    return InputDataError(Problem("E-VALIDATION-EMPTY", message, str(rules.path), hint))
