"""Stage ``reference``: joins the cells and writes ``reference.parquet`` with its split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from oso_pipeline.config.model import Config
from oso_pipeline.config.seasons import has_labels, past_years, target_config
from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.core.errors import ConfigError, InputDataError, Problem, Problems
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.core.wording import counted
from oso_pipeline.reference.databases.catalogue import open_sources
from oso_pipeline.reference.databases.kinds import VectorSource
from oso_pipeline.reference.databases.sources import ReferenceSource
from oso_pipeline.reference.polygons import event_log
from oso_pipeline.reference.polygons.by_object import ByObject
from oso_pipeline.reference.polygons.cell_file import join_cells, read_boxes, read_small
from oso_pipeline.reference.polygons.event_log import EventCounts
from oso_pipeline.reference.polygons.stage import summed
from oso_pipeline.reference.polygons.steps import counts_of, read_steps, step_of_pieces
from oso_pipeline.reference.split.bookkeeping import bookkeeping, summed_growth
from oso_pipeline.reference.split.caps import Caps, within_caps
from oso_pipeline.reference.split.cost import joining_cost
from oso_pipeline.reference.split.jobs import NoReferenceJob, ReferenceJob, Seasons
from oso_pipeline.reference.split.rare_classes import check_sides, rare_rows, warn_of_absent
from oso_pipeline.reference.split.split import SplitRules, add_split, verify_split
from oso_pipeline.reference.split.summary import (
    Unknown,
    classes_summary,
    report_unknown,
    report_unplaced,
    splits_summary,
    warn_of_losses,
)
from oso_pipeline.tasks.job import Input, Job
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries, warnings_of
from oso_pipeline.tasks.task import Summary, Task
from oso_pipeline.vectors.vector_files import VectorFile

OUTPUT = "reference.parquet"


@dataclass(frozen=True)
class ReferenceStage(StageBase):
    """Plans the one task that joins the cells, caps the classes and splits the polygons."""

    name: str = "reference"
    makes = Makes("reference")
    reusable = (OUTPUT,)
    plans_from = ()

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """Return the task ``reference``, none with given models; see `no_labels` for no label.

        Raises
        ------
        ConfigError
            Where a column is to dictate folds.
        """
        config = target_config(context.config)
        if config.learning.model is not None:
            return []
        if config.validation.folds and config.reference.split.method == "column":
            problems = Problems()
            message = "validation.folds splits the polygons itself, but split.method is column"
            problems.error("E-SPLIT-COLUMN", message, "validation.folds", "remove one of the two")
            problems.raise_errors(ConfigError)
        cells = context.tasks("polygons")
        nomenclature = load_nomenclature(config.nomenclature)
        if has_labels(config):
            sources = open_sources(config.reference, nomenclature)
            function, job = _with_labels(config, cells, sources, nomenclature)
            cost = joining_cost(cells, sources)
        else:
            function, job = _without(config)
            cost = joining_cost(())
        return [
            Task(
                stage=self.name,
                name=self.name,
                function=f"oso_pipeline.reference.split.{function}",
                run_dir=context.run_dir,
                outputs=(OUTPUT,),
                version=2,
                job=job,
                cost=cost,
            )
        ]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return the summary of the task, or nothing if it is not committed."""
        found = summaries(tasks)
        if not found:
            return Gathered()
        return Gathered(found[0], warnings_of(found), counted(found[0]["polygons"], "polygon"))


STAGE = ReferenceStage()


def gather_reference(job: ReferenceJob, task: Task) -> Summary:
    """Join, cap and split the polygons and publish them; see `publish_reference`."""
    return publish_reference(job, task, partial(split_polygons, job))


Splitter = Callable[[pd.DataFrame, EventCounts, Problems], tuple[pd.DataFrame, pd.DataFrame]]
"""Returns the pieces of polygons with the columns of the split, and those left out as too rare."""


def split_polygons(
    job: ReferenceJob, parts: pd.DataFrame, seen: EventCounts, problems: Problems
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split polygons into training and validation as the configuration says."""
    split, what = job.split, job.reference.rare_classes
    policy = (what, job.reference.min_polygons)
    rare = rare_rows(parts, seen, job.nomenclature, policy, problems)
    warn_of_absent(seen, job.nomenclature, job.seasons, problems)
    problems.raise_errors(InputDataError)
    left, gone = divided(parts, ~rare)
    found = add_split(left, split)
    verify_split(found, split.columns, problems)
    check_sides(found, split, what, problems)
    return found, gone


def divided(parts: pd.DataFrame, kept: npt.NDArray[np.bool_]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the pieces that are kept and the others; the table itself where all are."""
    if kept.all():
        return parts.reset_index(drop=True), parts.iloc[:0]
    return parts[kept].reset_index(drop=True), parts[~kept]


def publish_reference(job: ReferenceJob, task: Task, splitter: Splitter) -> Summary:
    """Join the cells, keep what the caps allow, split, and publish as GeoParquet.

    Only small columns of all cells are in memory at once; shapes pass through cell by cell.

    Returns
    -------
    dict
        ``polygons`` and ``rows``; ``classes``: per code its name, the polygons read and kept,
        hectares, counts by reason, and all that by source; ``reasons``; ``books``: the lines of
        `bookkeeping`; ``splits``: per column and side polygons and hectares; ``left_out`` and
        ``reprojected`` by source; ``warnings``.

    Raises
    ------
    InputDataError
        With every problem of the classes and of the split.
    """
    problems, split, reference = Problems(), job.split, job.reference
    cells = [task.path_of(cell) for cell in job.cells.values()]
    steps = read_steps(task.path_of(events) for events in job.events.values())
    records = [_summary(path) for path in cells]
    unknown_stops = reference.unknown_codes == "error"
    features: Counter[str] = sum((Counter(one["features"]) for one in records), Counter())
    for name, file in job.vectors.items():
        total = file.count(problems)
        report_unplaced(name, total, features[name], problems)
    unknown = Unknown.of(records)
    report_unknown(unknown, unknown_stops, problems)
    seen = counts_of(steps)
    warn_of_losses(seen, problems)
    if not seen.count(event_log.READ):
        message = "no polygon of the reference data has a class and lies in one of the tiles"
        hint = "check `code_field` and `crosswalk`, and where the polygons lie"
        where = ", ".join(str(source.path) for source in reference.sources)
        problems.error("E-POLYGON-NONE", message, where, hint)
    problems.raise_errors(InputDataError)
    parts = read_small(cells)
    if split.needs_boxes:
        parts = parts.assign(**read_boxes(cells))
    caps = Caps(reference.caps.max_polygons, reference.caps.max_hectares, split.seed)
    parts, capped = divided(parts, within_caps(parts, caps))
    parts, rare = splitter(parts, seen, problems)
    problems.raise_errors(InputDataError)
    parts["part"] = ByObject.of(parts["polygon_id"].to_numpy()).number_within()
    for reason, rows in (
        (event_log.CAPPED, capped),
        (event_log.RARE, rare),
        (event_log.KEPT, parts),
    ):
        if len(rows):
            steps[reason] = step_of_pieces(reason, rows)
    kind = pa.int8() if split.folds else pa.string()
    join_cells(cells, parts, dict.fromkeys(split.columns, kind), task.output())
    seen = counts_of(steps)
    return {
        "polygons": seen.count(event_log.KEPT),
        "rows": len(parts),
        "left_out": summed(one["left_out"] for one in records),
        "reprojected": {name: crs for one in records for name, crs in one["reprojected"].items()},
        "classes": classes_summary(seen, job.nomenclature),
        "reasons": seen.to_json(),
        "books": bookkeeping(steps, summed_growth(records)),
        "splits": splits_summary(parts, split),
        "warnings": _warnings(records, problems),
    }


def read_reference(path: Path) -> geopandas.GeoDataFrame:
    """Return the table that the stage committed, in the coordinates of the map."""
    return geopandas.read_parquet(path)


def _with_labels(
    config: Config,
    cells: tuple[Task, ...],
    opened: Sequence[ReferenceSource],
    nomenclature: Nomenclature,
) -> tuple[str, Job]:
    """Return what does the work, and the job."""
    job = ReferenceJob(
        split=SplitRules.of(config),
        reference=config.reference,
        cells=Input.of_each(cells),
        events=Input.of_each(cells, output=1),
        nomenclature=nomenclature,
        vectors={
            source.name: VectorFile(given.path, given.layer, given.crs)
            for source, given in zip(opened, config.reference.sources, strict=True)
            if isinstance(given, VectorSource)
        },
        seasons=Seasons(config.year, past_years(config)),
    )
    return "stage:gather_reference", job


def _without(config: Config) -> tuple[str, Job]:
    job = NoReferenceJob(
        split=SplitRules.of(config),
        reference=config.reference,
        labels_of=config.year,
        epsg=config.map.epsg,
    )
    return "no_labels:publish_no_reference", job


def _summary(path: Path) -> Summary:
    record = read_sidecar(path)
    if record is None:
        message = "the polygons of this cell were not committed, or were changed since"
        problem = Problem("E-RUN-STAGE", message, str(path), "run stage polygons again")
        raise InputDataError(problem)
    found: Summary = record["summary"]
    return found


def _warnings(records: list[Summary], problems: Problems) -> list[str]:
    """Return the warnings of all cells, each once, and those of the whole."""
    found = [text for one in records for text in one["warnings"]]
    return [*dict.fromkeys(found), *map(str, problems.warnings)]
