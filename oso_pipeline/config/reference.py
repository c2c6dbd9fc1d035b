"""Section ``reference``: the sources of labelled polygons, and what is done with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from oso_pipeline.config.plugin_section import OfPlugins
from oso_pipeline.config.section import Section

CRS_PATTERN = r"^EPSG:[0-9]{4,6}$"


class Source(Section):
    """A source of labelled polygons; the keys that all kinds have in common.

    A kind derives its own from it, with ``kind: Literal["its kind"]``, a docstring that says what
    the source is, and its keys.
    """

    default_priority: ClassVar[int] = 0
    """Rank of the kind where polygons of several sources overlap; the lower one wins."""
    tells_sides: ClassVar[bool] = False
    """Whether a column of its files can say train or validation."""

    path: Path
    """The file, or a folder in which the files are searched."""
    kind: str
    """Kind of the source."""
    year: int | None = Field(None, ge=1990, le=2100)
    """Year the labels describe, kept per polygon."""
    classes: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(None, min_length=1)
    """Only these codes of the nomenclature are taken from this source; null takes all."""
    priority: int | None = Field(None, ge=0, le=99)
    """If polygons of different classes overlap, the source with the lower number keeps the area;
    with equal numbers the area is removed from both. Default: vector 0, rpg 1, bdtopo 2, bdforet 3,
    randolph 4, clc 5."""
    crs: str | None = Field(None, pattern=CRS_PATTERN)
    """Coordinate system of files without one, for example EPSG:2154; it never replaces theirs."""

    @property
    def tables(self) -> dict[str, Path]:
        """Files that the user wrote about the source, by the key that names them."""
        named = {key: getattr(self, key, None) for key in ("crosswalk", "rules")}
        return {key: path for key, path in named.items() if isinstance(path, Path)}

    @property
    def rank(self) -> int:
        """The priority given, or that of the kind."""
        return self.default_priority if self.priority is None else self.priority

    @property
    def gives_labels(self) -> bool:
        """Whether polygons of the source are labels, or only help other sources."""
        return True

    def without_labels(self) -> Self | None:
        """Return what serves others where its labels do not hold, None where nothing does."""
        return None


class Database(Source):
    """A national database, labelled by rules; the keys that all databases have in common."""

    rules: Path | None = None
    """YAML file with the rules from values to classes, instead of those of the package; a first
    line `extends: default` keeps these and replaces or adds single rules."""
    crosswalk: dict[str | int, int | None] = Field(default_factory=dict)
    """Changes to single values or rules: the code of the nomenclature, or null to leave the value
    out, for example {SOG: 11, MCR: null}."""
    options: tuple[str | int, ...] = ()
    """Rules that the package offers but leaves off (`use: option`), by their name or value."""


AnySource = Annotated[Source, OfPlugins("sources", "vector")]
"""A source, selected by `kind`; vector if it is absent."""


class Split(Section):
    """How polygons are split into training and validation; no polygon is ever on both sides."""

    method: Literal["random", "column", "blocks"] = "random"
    """random: polygons are drawn per class and stratum. column: a column assigns them. blocks:
    whole squares of `block_size_m` are drawn, so that neighbours stay together."""
    train_share: float = Field(0.7, gt=0, lt=1)
    """Share of the polygons of a class and stratum used for training."""
    column: str | None = None
    """Column with the values train and validation, for method column."""
    block_size_m: float = Field(5000.0, gt=0)
    """Side of the squares of method blocks, metres in the coordinates of the map."""
    buffer_m: float = Field(0.0, ge=0)
    """For method blocks: training polygons nearer than this to a validation polygon are left out,
    in metres, to reduce spatial autocorrelation."""

    @model_validator(mode="after")
    def _column_named(self) -> Split:
        if (self.method == "column") != (self.column is not None):
            raise ValueError("`column` goes with method column, and method column needs it")
        if self.buffer_m and self.method != "blocks":
            raise ValueError("`buffer_m` goes with method blocks")
        return self


class ClassCaps(Section):
    """The most that is kept of each class, drawn as a spatially balanced random sample."""

    max_polygons: int | None = Field(None, ge=2)
    """Maximum number of polygons of a class; null keeps all."""
    max_hectares: float | None = Field(None, gt=0)
    """Maximum area of a class in hectares, drawn from polygons and pieces of polygons; null keeps
    all."""


class Reference(Section):
    """The labelled polygons that train and validate the map."""

    model_config = ConfigDict(defer_build=True)

    sources: tuple[AnySource, ...] = Field(min_length=1)
    """Databases and vector files. An item without `kind` is a vector file with a class column. If
    polygons of different classes overlap, `priority` decides."""
    erosion_m: float = Field(10.0, ge=0, le=200)
    """Width removed inside the border of each polygon, in metres; one pixel absorbs
    misregistration."""
    min_area_m2: float = Field(200.0, ge=0)
    """Polygons smaller than this after erosion are dropped; two pixels by default."""
    max_polygon_ha: float | None = Field(2500.0, gt=0)
    """Larger polygons are cut into squares of 5 km, so that no polygon dominates its class; all
    pieces stay on one side of the split. null cuts none."""
    caps: ClassCaps = ClassCaps()
    """Upper limits per class."""
    unknown_codes: Literal["error", "drop"] = "error"
    """Action for values that neither crosswalk, nomenclature nor rules contain; they are
    listed with their counts either way."""
    min_polygons: int = Field(2, ge=2)
    """A class needs this many polygons to be split."""
    rare_classes: Literal["error", "drop"] = "error"
    """Action for a class that has fewer than `min_polygons` polygons."""
    split: Split = Split()
    """Split into training and validation polygons."""

    @model_validator(mode="after")
    def _column_in_every_source(self) -> Reference:
        without = [source.kind for source in self.sources if not source.tells_sides]
        if self.split.method == "column" and without:
            raise ValueError(
                "reference.split.method: column needs the column in every source, "
                f"which sources of kind {', '.join(dict.fromkeys(without))} do not have"
            )
        return self
