"""The rasters a map consists of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from rasterio.enums import Resampling

from oso_pipeline.core.nomenclature import Nomenclature

RasterType = Literal["uint8", "uint16"]


@dataclass(frozen=True, slots=True)
class MapLayer:
    """A raster of the map.

    Parameters
    ----------
    name
        Also the name of the band in the block files.
    suffix
        Suffix of ``OCS_<year>`` in the file name.
    dtype
        Type of the raster; None where it follows from the nomenclature.
    nodata
        Value outside the tiles and in holes.
    overviews
        How the overviews are made.
    description
        Description of the band.
    """

    name: str
    suffix: str
    dtype: RasterType | None
    nodata: int
    overviews: Resampling
    description: str


CLASS = MapLayer(
    "class",
    "",
    None,
    0,
    Resampling.mode,  # any other way but nearest invents classes
    "land-cover class",
)
CONFIDENCE = MapLayer(
    "confidence",
    "_confidence",
    "uint8",
    0,  # a pixel with a class has the votes of one tree at least
    Resampling.average,
    "confidence: share of the votes of the trees for the class, percent",
)
VALIDITY = MapLayer(
    "validity",
    "_validity",
    "uint16",  # a season of two satellites may have more than 255 clear dates
    65535,  # 0 means something else: seen, but never clear
    Resampling.average,
    "validity: number of clear dates",
)
LAYERS: dict[str, MapLayer] = {layer.name: layer for layer in (CLASS, CONFIDENCE, VALIDITY)}


@dataclass(frozen=True, slots=True)
class PixelType:
    """Pixel type of a layer, without names and colours.

    Parameters
    ----------
    band
        Name of the band in the block files.
    dtype
        Type of the raster.
    nodata
        Value outside the tiles and in holes.
    overviews
        How the overviews are made: ``mode`` or ``average``.
    """

    band: str
    dtype: RasterType
    nodata: int
    overviews: str

    @classmethod
    def of(cls, layer: MapLayer, nomenclature: Nomenclature) -> PixelType:
        """Return the pixels of a layer of a map with these classes."""
        dtype = layer.dtype or nomenclature.raster_dtype
        return cls(layer.name, dtype, layer.nodata, layer.overviews.name)

    def to_json(self) -> dict[str, str | int]:
        """Return the fields as JSON values, for the parameters of a task."""
        return asdict(self)


def map_path(year: int, layer: MapLayer) -> str:
    """Return the path of a layer relative to the run folder, for example ``maps/OCS_2018.tif``."""
    return f"maps/OCS_{year}{layer.suffix}.tif"
