"""The kinds of sources of this package: their settings, and where what reads them lies.

Read with every configuration, hence without the libraries that read polygons.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field

from oso_pipeline.config.reference import Database, Source
from oso_pipeline.core.plugins import Plugin

LAST_YEAR_OF_ILOTS = 2014
"""Up to this year the RPG holds blocks with a crop group, afterwards parcels with a crop."""


class VectorSource(Source):
    """Polygons of any vector file, labelled by a column."""

    default_priority: ClassVar[int] = 0
    tells_sides: ClassVar[bool] = True

    kind: Literal["vector"] = "vector"
    """Kind of the source."""
    layer: str | None = None
    """Layer, for a file with several layers."""
    code_field: str = "code"
    """Column with the class of a polygon."""
    crosswalk: Path | dict[str | int, int | None] | None = None
    """From the values of `code_field` to codes of the nomenclature: a mapping, or a CSV file
    whose first two columns are value and code. Values mapped to nothing are left out."""


class RpgSource(Database):
    """RPG, the register of agricultural land: blocks up to 2014, parcels since 2015."""

    default_priority: ClassVar[int] = 1

    kind: Literal["rpg"]
    """Kind of the source."""
    year: int = Field(ge=2006, le=2100)
    """Year of the declarations. It decides how CODE_CULTU is read: up to 2014 the group of
    crops that covers most of a block, since 2015 the crop of a parcel."""
    form: Literal["auto", "ilots", "parcels"] = "auto"
    """Whether CODE_CULTU is read as the group of a block or the crop of a parcel; auto decides by
    the year. For registers that were converted to the other form, and simulated ones."""
    purity: Literal["pure", "majority"] = "pure"
    """Use of blocks. pure: only blocks with a single group of crops, according to the table of
    groups delivered with the blocks. majority: every block, with its main group."""


class BdTopoSource(Database):
    """BD TOPO, IGN's topographic database, one or several departments."""

    default_priority: ClassVar[int] = 2

    kind: Literal["bdtopo"]
    """Kind of the source."""
    version: Literal["auto", "v2", "v3"] = "auto"
    """Version of the layers and fields; auto takes it from their names."""
    departments: tuple[str | int, ...] = ()
    """Required departments, for example 031 or 2A; a missing one is an error."""
    incomplete: Literal["error", "skip"] = "error"
    """Action for a shapefile without an attribute table: stop, or leave it out."""


class ClcSource(Database):
    """Corine Land Cover, of any year."""

    default_priority: ClassVar[int] = 5

    kind: Literal["clc"]
    """Kind of the source."""
    layer: str | None = None
    """Layer, for a file with several layers."""
    code_field: str = "auto"
    """Column with the three-digit code; auto finds CODE_12, CODE_18 and similar names."""
    labels: bool = True
    """false: the polygons only classify the built-up units of BD TOPO."""

    @property
    def gives_labels(self) -> bool:
        """Whether it does more than classify built-up units."""
        return self.labels

    def without_labels(self) -> Self:
        """Return the land cover, which classifies built-up units in every season."""
        return self.model_copy(update={"labels": False})


class BdForetSource(Database):
    """BD Forêt, IGN's map of forest types."""

    default_priority: ClassVar[int] = 3

    kind: Literal["bdforet"]
    """Kind of the source."""
    version: Literal["auto", "v1", "v2"] = "auto"
    """Version of the fields; auto takes it from their names."""


class RandolphSource(Database):
    """Outlines of glaciers of the Randolph Glacier Inventory."""

    default_priority: ClassVar[int] = 4

    kind: Literal["randolph"]
    """Kind of the source."""


_HERE = "oso_pipeline.reference.databases"

VECTOR = Plugin("vector", VectorSource, f"{_HERE}.generic:GenericVectorSource")
RPG = Plugin("rpg", RpgSource, f"{_HERE}.rpg:Rpg")
BDTOPO = Plugin("bdtopo", BdTopoSource, f"{_HERE}.bdtopo:BdTopo")
CLC = Plugin("clc", ClcSource, f"{_HERE}.clc:Clc.of")
BDFORET = Plugin("bdforet", BdForetSource, f"{_HERE}.plain_database:bdforet")
RANDOLPH = Plugin("randolph", RandolphSource, f"{_HERE}.plain_database:randolph")
