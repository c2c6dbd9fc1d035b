"""Section ``series``: which series `oso series` writes, and in which forms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from pydantic import Field, model_validator

from oso_pipeline.config.section import Section, doubles
from oso_pipeline.core.indices import INDICES
from oso_pipeline.core.sensors import SENTINEL2

BIOPHYSICAL = ("LAI", "FAPAR", "FCOVER")
"""Variables that networks estimate from reflectances and angles."""

STATISTICS = (
    *("p5", "p10", "p25", "p50", "p75", "p90", "p95", "mean", "min", "max"),
    *("standard_deviation", "amplitude", "day_of_maximum", "day_of_minimum"),
)
"""Statistics of the season."""

if TYPE_CHECKING:
    SeriesVariable: TypeAlias = str
    StatisticName: TypeAlias = str
else:
    SeriesVariable = Literal[(*SENTINEL2.names, *INDICES, *BIOPHYSICAL)]
    StatisticName = Literal[STATISTICS]

SmoothingKind = Literal["linear", "whittaker", "savitzky_golay"]
MonthlyKind = Literal["mean", "median", "max"]
SeriesFormat = Literal["netcdf", "zarr", "cog"]
ParcelFormat = Literal["parquet", "csv"]


def _or_word(schema: dict[str, Any]) -> None:
    """Let the schema of `smoothing` accept a word alone, as the loader does."""
    words = {"enum": list(get_args(SmoothingKind)), "type": "string"}
    schema["anyOf"] = [{"$ref": schema.pop("$ref")}, words]


class Smoothing(Section):
    """How the dates of the season are filled and smoothed. A word alone is its `kind`."""

    kind: SmoothingKind = "linear"
    """linear: between the nearest clear dates, as for the map. whittaker: penalised least squares
    of the clear dates. savitzky_golay: a moving polynomial over the linear series."""
    smoothness: float = Field(1.0, gt=0)
    """Weight of the roughness of whittaker, usually called lambda, for steps of ten days. Far above
    1 it flattens growing seasons."""
    window: int = Field(7, ge=3, le=51)
    """Dates of the window, odd, of savitzky_golay."""
    order: int = Field(2, ge=0, le=5)
    """Degree of the polynomial, of savitzky_golay."""

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: object) -> object:
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits(self) -> Smoothing:
        if self.window % 2 == 0 or self.order >= self.window:
            raise ValueError(
                f"window: found {self.window}, allowed: an odd number above order {self.order}"
            )
        return self


class Biophysical(Section):
    """Leaf area and its kin."""

    resolution_m: Literal[10, 20] = 20
    """Grid of LAI, FAPAR and FCOVER, in metres: most bands of the networks have 20 m."""


class Phenology(Section):
    """Dates and values of the growing seasons."""

    variable: Literal["NDVI", "LAI", "FAPAR", "FCOVER"] = "NDVI"
    """The variable whose course is analysed; one of `variables`."""
    seasons: Literal[1, 2] = 2
    """Most growing seasons of a pixel."""
    start_fraction: float = Field(0.25, gt=0, lt=1)
    """The season starts where the curve has risen by this share of its amplitude."""
    end_fraction: float = Field(0.15, gt=0, lt=1)
    """The season ends where the curve has fallen to this share of its amplitude."""
    least_amplitude: float | None = Field(None, gt=0, le=8)
    """A season rises and falls by at least so much, in units of the variable. By default 0.15 for
    NDVI, 0.1 for FAPAR and FCOVER, 0.5 for LAI: bare soil rises and falls by less."""


class Parcels(Section):
    """Series per parcel."""

    path: Path
    """Vector file of the parcels."""
    layer: str | None = None
    """Layer, for a file with several layers."""
    id_field: str
    """Column with the name of a parcel."""
    crs: str | None = None
    """Coordinate system of a file without one, for example EPSG:2154."""
    erosion_m: float = Field(10.0, ge=0, le=1000)
    """Pixels nearer to the edge of the parcel than this are left out."""
    formats: tuple[ParcelFormat, ...] = Field(("parquet",), min_length=1)
    """Files to write."""


class Series(Section):
    """Series of bands, indices, leaf area and phenology to write, by `oso series` or beside a map.

    The map does not depend on it.
    """

    variables: tuple[SeriesVariable, ...] = Field(("NDVI",), min_length=1)
    """Bands, indices, and LAI, FAPAR, FCOVER. The bands that they need stand in `imagery.bands`."""
    dates: Literal["grid", "raw"] = "grid"
    """grid: gap-filled on the dates of `season`. raw: clear observations on the days of the images,
    nothing filled."""
    quality: bool = True
    """Also write the number of clear dates and the distance to the nearest of them, in days."""
    smoothing: Smoothing = Field(Smoothing(), json_schema_extra=_or_word)
    """Gap-filling and smoothing of the dates. Samples and map always use linear."""
    biophysical: Biophysical = Biophysical()
    """Leaf area and its kin."""
    phenology: Phenology | None = None
    """Dates and values of the growing seasons; none without this section."""
    monthly: tuple[MonthlyKind, ...] = ()
    """Monthly composites of the clear observations of each variable."""
    statistics: tuple[StatisticName, ...] = ()
    """Statistics over the dates of each variable."""
    formats: tuple[SeriesFormat, ...] = ("netcdf",)
    """Files to write of each tile. Blocks are written in any case."""
    chunks: Literal["maps", "series"] = "maps"
    """Chunks of NetCDF and Zarr: whole dates, or whole series of a few pixels."""
    parcels: Parcels | None = None
    """Series per parcel; none without this section."""

    @model_validator(mode="after")
    def _consistent(self) -> Series:
        for key in ("variables", "monthly", "statistics", "formats"):
            if twice := doubles(getattr(self, key)):
                raise ValueError(f"{key} names {twice} more than once")
        if self.phenology is not None and self.dates == "raw":
            raise ValueError("phenology: needs gap-filled series, dates: grid; found dates: raw")
        if self.phenology is not None and self.phenology.variable not in self.variables:
            raise ValueError(
                f"phenology.variable: found {self.phenology.variable}, "
                f"allowed: one of variables, {', '.join(self.variables)}"
            )
        return self

    @property
    def biophysical_variables(self) -> tuple[str, ...]:
        """Those of the variables that networks estimate."""
        return tuple(name for name in self.variables if name in BIOPHYSICAL)
