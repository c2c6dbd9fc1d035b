"""Stage ``polygons``: the labelled polygons of every source, prepared cell by cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import pandas as pd
import shapely

from oso_pipeline.config.model import Config, Strata
from oso_pipeline.config.reference import Reference
from oso_pipeline.config.seasons import has_labels, target_config
from oso_pipeline.core.commit import verified
from oso_pipeline.core.errors import ConfigError, InputDataError, Problems
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.core.wording import counted
from oso_pipeline.reference.databases.catalogue import open_sources
from oso_pipeline.reference.databases.sources import LabelledPolygons, ReferenceSource
from oso_pipeline.reference.polygons.attach_strata import attach_strata
from oso_pipeline.reference.polygons.cell_file import write_cell
from oso_pipeline.reference.polygons.cells import MARGIN_M, Cell, cells_of, footprint
from oso_pipeline.reference.polygons.inputs import bytes_of, digest_of
from oso_pipeline.reference.polygons.prepare import clip, prepare
from oso_pipeline.reference.polygons.source_check import check_sources
from oso_pipeline.reference.polygons.work import Delivery, Preparation, Work
from oso_pipeline.tasks.job import Input, Job, decides, reads
from oso_pipeline.tasks.stage import Gathered, Makes, PlanContext, StageBase, summaries
from oso_pipeline.tasks.task import Cost, Summary, Task
from oso_pipeline.vectors.strata import file_of, read_strata
from oso_pipeline.vectors.strata_check import check_strata
from oso_pipeline.vectors.window import Window

VERSION = 1
_SQUARE_METRES = 10_000  # of a hectare
_SECONDS, _SECONDS_PER_FILE, _SECONDS_PER_BYTE = 0.1, 5.5e-4, 1.3e-7
_MEMORY_BYTES, _MEMORY_PER_BYTE = 350_000_000, 40
"""A cell of 45 000 parcels, 22 MB of the files, takes 20 s and 1.2 GB; an empty one, the first."""
_LEFT = 0.25
"""Bytes left of each byte of the sources, as compressed Parquet."""
_PREPARATION = ("sources", "unknown_codes", "erosion_m", "min_area_m2", "max_polygon_ha")


def _of_preparation(reference: Reference) -> dict[str, Any]:
    plain = reference.without_folders()
    rules = {name: plain[name] for name in _PREPARATION}
    return {"reference": rules, "side_column": reference.split.column}


def _of_strata(strata: Strata) -> dict[str, Any]:
    """Return how regions are read; `crs` only where it is given, as earlier keys lack it."""
    return strata.without_folders(exclude={"crs": strata.crs is None})


@dataclass(frozen=True, kw_only=True)
class PolygonsJob(Job):
    """The polygons of a cell.

    Parameters
    ----------
    cell
        Which one.
    tiles
        Tiles that reach into it.
    epsg
        Coordinate system of the map.
    reference
        The sources and how their polygons are prepared.
    strata
        Regions with a model of their own, if there are any.
    nomenclature
        The classes; their names and colours do not matter.
    files
        Files to read, as ``source 0``, ``source 1``, ..., ``strata``.
    """

    cell: Cell
    tiles: tuple[str, ...]
    epsg: int
    reference: Reference = decides(merged=True, part=_of_preparation)
    strata: Strata | None = decides(part=_of_strata)
    nomenclature: Nomenclature = decides("codes", part=attrgetter("codes"))
    files: Mapping[str, Input] = reads()


@dataclass(frozen=True)
class PolygonsStage(StageBase):
    """Plans one task per cell that the tiles reach into."""

    name: str = "polygons"
    makes = Makes("polygons")
    reusable = ("reference/**/*",)
    plans_from = ()

    def check(self, config: Config) -> Problems:
        """Find what is wrong with the sources of the season, and with strata.

        A nomenclature that cannot be used is left to the check of paths.
        """
        problems, own = Problems(), target_config(config)
        if has_labels(own):
            with suppress(ConfigError):
                problems.extend(check_sources(own, load_nomenclature(own.nomenclature)))
        problems.extend(check_strata(config))
        return problems

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """List the cells; their keys hold the content of every file of the sources.

        None where no label holds in the season of the map.

        Raises
        ------
        ConfigError
            Where the nomenclature cannot be used.
        InputDataError
            With all problems of the sources that can be found without
            reading them: files, layers, columns, coordinate systems, missing departments.
        """
        config = target_config(context.config)
        if not has_labels(config):
            return []
        nomenclature = load_nomenclature(config.nomenclature)
        problems = Problems()
        sources = open_sources(config.reference, nomenclature)
        files, size = _files(context, config, sources, problems)
        for source in sources:
            source.check(problems)
        problems.raise_errors(InputDataError)
        cells = cells_of(config.imagery.tiles, config.map.epsg)
        share = size // max(1, len(cells))
        # Each cell looks at the headers of all files.
        fixed = _SECONDS + _SECONDS_PER_FILE * len(files)
        return [
            Task(
                stage=self.name,
                name=cell.name,
                function="oso_pipeline.reference.polygons.stage:prepare_cell",
                run_dir=context.run_dir,
                outputs=(f"reference/{cell.name}.parquet", f"reference/events/{cell.name}.parquet"),
                version=VERSION,
                job=PolygonsJob(
                    cell=cell,
                    tiles=tuple(tiles),
                    epsg=config.map.epsg,
                    reference=config.reference,
                    strata=config.strata,
                    nomenclature=nomenclature,
                    files=files,
                ),
                cost=Cost(
                    bytes_read=share,
                    memory_bytes=_MEMORY_BYTES + _MEMORY_PER_BYTE * share,
                    core_seconds=fixed + _SECONDS_PER_BYTE * share,
                    bytes_written=int(_LEFT * share),
                ),
            )
            for cell, tiles in cells.items()
        ]

    def gather(self, tasks: tuple[Task, ...]) -> Gathered:
        """Return how many pieces of polygons there are; `reference` reports the warnings."""
        done = summaries(tasks)
        rows = sum(summary["rows"] for summary in done)
        pieces = counted(rows, "piece of a polygon", "pieces of polygons")
        headline = f"{pieces} in {counted(len(done), 'cell')}"
        return Gathered({"cells": len(done), "rows": rows}, headline=headline)


STAGE = PolygonsStage()


def prepare_cell(job: PolygonsJob, task: Task) -> Summary:
    """Read and clean the polygons of a cell, and publish them with the log of what happened.

    Returns
    -------
    dict
        ``rows``; ``grown_m2``: area removed by erosion and added by buffers, by step; by source:
        ``features`` that begin in this cell, ``left_out`` by reason why
        they have no class, ``values`` without a class and their counts; ``reprojected``: the
        coordinate system of each source that has another one than the map; ``warnings``.

    Raises
    ------
    InputDataError
        With every problem that reading the sources met in this cell.
    """
    reference, cell, epsg = job.reference, job.cell, job.epsg
    most = reference.max_polygon_ha
    work = Work(
        cell,
        Preparation(epsg, reference.min_area_m2, most and most * _SQUARE_METRES),
        shapely.union_all([footprint(tile, epsg) for tile in job.tiles]),
    )
    sources = open_sources(reference, job.nomenclature)
    window = Window(*cell.bounds, epsg, MARGIN_M)
    found = [source.read(window, work.problems) for source in sources]
    regions = None
    if job.strata is not None:
        regions = read_strata(job.strata, epsg, work.problems)
    work.problems.raise_errors(InputDataError)
    read = [one for one in found if one is not None]
    deliveries = [
        Delivery(one.name, source.priority, one.frame)
        for source, one in zip(sources, read, strict=True)
    ]
    table = prepare(deliveries, work)
    work.problems.raise_errors(InputDataError)
    table = clip(attach_strata(table, regions, work), cell)
    write_cell(table, task.output())
    _publish_events(work.log.table(), task)
    unknown = {one.name: dict(one.values) for one in read}
    return {
        "rows": len(table),
        "grown_m2": dict(work.grown),
        "features": {one.name: one.n_features for one in read},
        "left_out": {one.name: dict(one.left_out) for one in read},
        "values": unknown,
        "value_hectares": {one.name: dict(one.value_hectares) for one in read},
        "reprojected": _reprojected(read, epsg),
        # Unknown values are reported once, with their counts in all cells.
        "warnings": [
            str(warning)
            for warning in work.problems.warnings
            if warning.code != "W-CLASS-UNKNOWN" or not any(unknown.values())
        ],
    }


def _reprojected(read: Sequence[LabelledPolygons], epsg: int) -> dict[str, str]:
    systems = {one.name: one.frame.crs for one in read if len(one.frame)}
    return {name: crs.to_string() for name, crs in systems.items() if crs.to_epsg() != epsg}


def _files(
    context: PlanContext[Config],
    config: Config,
    sources: Sequence[ReferenceSource],
    problems: Problems,
) -> tuple[dict[str, Input], int]:
    """Return everything that is read, by its content, and its size in bytes."""
    found, size, digests = dict[str, Input](), 0, context.digests
    for number, (source, section) in enumerate(zip(sources, config.reference.sources, strict=True)):
        files = source.files
        content = digest_of(files, source.name, digests, problems)
        found[f"source {number}"] = Input.file(section.path, content)
        size += bytes_of(files)
    if config.strata is not None:
        files = file_of(config.strata).files
        content = digest_of(files, "strata", digests, problems)
        found["strata"] = Input.file(config.strata.path, content)
        size += bytes_of(files)
    digests.remember()
    return found, size


def _publish_events(events: pd.DataFrame, task: Task) -> None:
    def check(path: Path) -> None:
        if len(pd.read_parquet(path, columns=["polygon_id"])) != len(events):
            raise OSError(f"{path.name} was not read back as it was written")

    def write(path: Path) -> None:
        events.to_parquet(path, index=False, compression="zstd")

    verified(write, check, task.output(1))


def summed(counts: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    """Return the sums, by source and reason, of counts of several cells."""
    result: dict[str, Counter[str]] = {}
    for one in counts:
        for source, by_reason in one.items():
            result.setdefault(source, Counter()).update(by_reason)
    return {source: dict(sorted(total.items())) for source, total in sorted(result.items())}
