"""Stage ``reference``: from the vector files to ``reference.parquet``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import geopandas
import numpy as np

from oso_pipeline.config.model import Config
from oso_pipeline.config.reference import Reference
from oso_pipeline.core.commit import verified
from oso_pipeline.core.errors import ConfigError, InputDataError, Problems
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.core.task import Cost, PlanContext, Summary, Task, summaries
from oso_pipeline.reference import recipe, tally
from oso_pipeline.reference.catalogue import open_sources
from oso_pipeline.reference.prepare import Preparation, prepare
from oso_pipeline.reference.rare import warn_one_sided, without_rare
from oso_pipeline.reference.sources import LabelledPolygons
from oso_pipeline.reference.split import SplitRules, add_split, polygon_table, verify_split
from oso_pipeline.reference.strata import attach_strata, read_strata
from oso_pipeline.reference.summary import classes_summary, splits_summary
from oso_pipeline.reference.window import Window

OUTPUT = "reference.parquet"
_BYTES_PER_FILE_BYTE = 30
_SECONDS_PER_BYTE = 8e-7


@dataclass(frozen=True)
class ReferenceStage:
    """Plans the one task that prepares the polygons."""

    name: str = "reference"

    def plan(self, context: PlanContext[Config]) -> list[Task]:
        """Return the task ``reference``; its key holds the content of every vector file.

        Raises
        ------
        ConfigError
            Where the nomenclature cannot be used, or a column is to dictate folds.
        InputDataError
            Where vector files are missing; all of them are named.
        """
        config = context.config
        nomenclature = load_nomenclature(config.nomenclature)
        if config.validation.folds and config.reference.split.method == "column":
            problems = Problems()
            message = "validation.folds deals the polygons itself, but split.method is column"
            problems.error("E-INPUT-049", message, "validation.folds", "remove one of the two")
            problems.raise_errors(ConfigError)
        inputs, size = recipe.inputs(config)
        params, paths = recipe.without_paths(config)
        return [
            Task(
                stage=self.name,
                name=self.name,
                function="oso_pipeline.reference.stage:prepare_reference",
                run_dir=context.run_dir,
                outputs=(OUTPUT,),
                params={**params, "codes": list(nomenclature.codes)},
                inputs=inputs,
                options={"paths": paths, "nomenclature": nomenclature.to_json()},
                cost=Cost(
                    bytes_read=size,
                    memory_bytes=300_000_000 + _BYTES_PER_FILE_BYTE * size,
                    core_seconds=2 + _SECONDS_PER_BYTE * size,
                ),
            )
        ]

    def gather(self, tasks: tuple[Task, ...]) -> Summary:
        """Return the summary of the task, or nothing if it is not committed."""
        found = summaries(tasks)
        return found[0] if found else {}


STAGE = ReferenceStage()


def prepare_reference(task: Task) -> Summary:
    """Read, clean and split the polygons, and publish them as GeoParquet.

    Returns
    -------
    dict
        ``polygons`` and ``rows``; ``classes``: per code its name, the polygons drawn and
        kept, hectares and the counts by reason; ``reasons``; ``splits``: per column and side
        polygons and hectares; ``reprojected``: the coordinate system of each source that has
        another one than the map; ``warnings``.

    Raises
    ------
    InputDataError
        With every problem of all sources and of the strata.
    """
    problems = Problems()
    nomenclature = Nomenclature.from_json(task.options["nomenclature"])
    reference, strata = recipe.with_paths(task.params, task.options["paths"])
    rules = Preparation(task.params["epsg"], reference.erosion_m, reference.min_area_m2)
    sources = _read(reference, nomenclature, Window.everywhere(rules.epsg), problems)
    regions = None if strata is None else read_strata(strata, rules.epsg, problems)
    problems.raise_errors(InputDataError)
    table, report = prepare(sources, rules, problems)
    table = attach_strata(table, regions, rules, report)
    table = without_rare(table, reference, nomenclature, (report, problems))
    problems.raise_errors(InputDataError)
    split = SplitRules(**task.params["split_rules"])
    table = add_split(table, split)
    verify_split(table, split.columns, problems)
    problems.raise_errors(InputDataError)
    warn_one_sided(table, split, problems)
    _publish(table, split.columns, task.output())
    polygons = polygon_table(table)
    kept = polygons["code"].to_numpy(dtype=np.int32)
    report.add(tally.KEPT, kept, polygons["area"].to_numpy(dtype=np.float64))
    return {
        "polygons": len(polygons),
        "rows": len(table),
        "left_out": {source.name: dict(source.left_out) for source in sources},
        "reprojected": _reprojected(sources, rules.epsg),
        "classes": classes_summary(report, nomenclature),
        "reasons": report.to_json(),
        "splits": splits_summary(table, split),
        "warnings": [str(warning) for warning in problems.warnings],
    }


def read_reference(path: Path) -> geopandas.GeoDataFrame:
    """Return the table that the stage committed, in the coordinates of the map."""
    return geopandas.read_parquet(path)


def _read(
    reference: Reference, nomenclature: Nomenclature, window: Window, problems: Problems
) -> list[LabelledPolygons]:
    """Read every source, so that the problems of all are known together."""
    found = [source.read(window, problems) for source in open_sources(reference, nomenclature)]
    if not problems.errors and not any(one is not None and len(one.frame) for one in found):
        where = ", ".join(str(source.path) for source in reference.sources)
        message = "no polygon of the reference data has a class"
        problems.error("E-INPUT-048", message, where, "check `code_field` and `crosswalk`")
    return [_numbered(one) for one in found if one is not None]


def _numbered(source: LabelledPolygons) -> LabelledPolygons:
    """Add the column ``feature``: the number of the feature in its file, or in the result."""
    ids = source.frame["source_id"]
    first = int(".gpkg" in source.name)  # GeoPackages count from 1
    numbers = ids.astype(np.int64) - first if ids.str.isdecimal().all() else np.arange(len(ids))
    return replace(source, frame=source.frame.assign(feature=numbers))


def _reprojected(sources: list[LabelledPolygons], epsg: int) -> dict[str, str]:
    systems = {source.name: source.frame.crs for source in sources}
    return {name: crs.to_string() for name, crs in systems.items() if crs.to_epsg() != epsg}


def _publish(table: geopandas.GeoDataFrame, columns: tuple[str, ...], final: Path) -> None:
    names = ["polygon_id", "code", "source", "year", "stratum", *columns, "geometry"]
    content = table[names]

    def write(path: Path) -> None:
        content.to_parquet(path, index=False, compression="zstd", write_covering_bbox=True)

    def check(path: Path) -> None:
        found = geopandas.read_parquet(path)
        if len(found) != len(content) or found.crs != content.crs:
            message = f"{final.name} was read back with {len(found)} rows, not {len(content)}"
            raise OSError(message)

    verified(write, check, final)
