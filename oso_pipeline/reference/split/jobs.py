"""Jobs of stage ``reference``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oso_pipeline.config.reference import Reference
from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.reference.split.split import SplitRules
from oso_pipeline.tasks.job import Input, Job, decides, place, reads
from oso_pipeline.vectors.vector_files import VectorFile


def _of_selection(reference: Reference) -> dict[str, Any]:
    kept = {"caps", "min_polygons", "rare_classes", "unknown_codes"}
    return reference.model_dump(mode="json", include=kept)


@dataclass(frozen=True)
class Seasons:
    """Which years labels come from.

    Parameters
    ----------
    year
        That of the labels at hand.
    past
        Past years whose labels serve the map as well; none without ``adaptation``.
    """

    year: int
    past: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReferenceJob(Job):
    """The polygons of all cells in one table, on two sides of a split.

    Parameters
    ----------
    split
        How polygons are split.
    reference
        Maximum kept of each class; the rest of the section decides the cells.
    cells, events
        The pieces of polygons of each cell, and what happened to them.
    nomenclature
        The classes, for their names.
    vectors
        The sources that are plain vector files, by name, for a count of what no cell has met.
    seasons
        The year of the labels, and the past years whose labels serve too.
    """

    split: SplitRules = decides("split_rules")
    reference: Reference = decides(merged=True, part=_of_selection)
    cells: Mapping[str, Input] = reads()
    # The second output of the same tasks, hence the same names and keys.
    events: Mapping[str, Input] = reads()
    nomenclature: Nomenclature = place()
    vectors: Mapping[str, VectorFile] = place()
    seasons: Seasons = place()


@dataclass(frozen=True, kw_only=True)
class PastReferenceJob(ReferenceJob):
    """The polygons of a past season, kept off the ground that evaluates the map.

    Parameters
    ----------
    of_map
        The reference of the season of the map.
    """

    of_map: Input = reads("reference of the map")


@dataclass(frozen=True, kw_only=True)
class NoReferenceJob(Job):
    """The empty reference of a season in which no label holds.

    Parameters
    ----------
    split, reference
        As of `ReferenceJob`.
    labels_of
        The year whose labels are not known.
    epsg
        Coordinate system of the map.
    """

    split: SplitRules = decides("split_rules")
    reference: Reference = decides(merged=True, part=_of_selection)
    labels_of: int
    epsg: int
