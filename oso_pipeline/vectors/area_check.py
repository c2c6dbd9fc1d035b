"""Whether the area of interest meets the tiles, and if not, why that may be."""

from __future__ import annotations

import shapely
from odc.geo.geobox import GeoBox
from pyproj import CRS

from oso_pipeline.config.model import Config
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.tiles import Tile
from oso_pipeline.vectors.area_of_interest import Outline, boxes_in, read_outline

_WGS84, _LAMBERT_93, _LAMBERT_2 = 4326, 2154, 27572
_REMEDY = "write x (east, longitude) before y (north, latitude), and name the right system"


def check_area(config: Config) -> Problems:
    """Check that the area of interest can be used and meets one of the tiles.

    Besides the problems of `read_outline`: an area outside all tiles (``E-INPUT-031``), and
    one whose coordinates would meet a tile if they were swapped or of another system
    (``E-INPUT-032``).
    """
    problems = Problems()
    area = config.map.area
    outline = None if area is None else read_outline(area, problems)
    if area is None or outline is None:
        return problems
    tiles = [Tile(name).geobox() for name in config.imagery.tiles]
    boxes = list(boxes_in(tiles, outline.crs))
    if any(shapely.intersects(outline.geometry, box) for box in boxes):
        return problems
    system = _name(outline.crs)
    message = f"the area of interest lies outside all tiles: it covers {_text(outline.geometry)} "
    if boxes:
        message += f"in {system}, the tiles {_text(shapely.union_all(boxes))}"
    else:
        tiles_box = shapely.union_all(list(boxes_in(tiles, CRS.from_epsg(config.map.epsg))))
        message += f"in {system}, the tiles {_text(tiles_box)} in EPSG:{config.map.epsg}"
    hint = "choose tiles that the area meets (imagery.tiles), or correct map.area"
    if why := _explanation(outline, tiles, config.map.epsg):
        problems.error("E-INPUT-032", f"{message}; {why}", area.path, _REMEDY)
    else:
        problems.error("E-INPUT-031", message, area.path, hint)
    return problems


def _explanation(outline: Outline, tiles: list[GeoBox], epsg: int) -> str | None:
    """Return how the coordinates would meet a tile, None if in no way that is known."""
    swapped = shapely.transform(outline.geometry, lambda xy: xy[:, ::-1])
    systems = [outline.crs] + [
        CRS.from_epsg(code)
        for code in (_WGS84, epsg, *(t.crs.epsg for t in tiles), _LAMBERT_93, _LAMBERT_2)
    ]
    for crs in systems:
        boxes = list(boxes_in(tiles, crs))
        for geometry, order in ((outline.geometry, "wrong"), (swapped, "swapped")):
            if any(shapely.intersects(geometry, box) for box in boxes):
                if order == "swapped":
                    return f"x and y look swapped: read as y, x in {_name(crs)} it meets a tile"
                return f"the system looks swapped: read in {_name(crs)} it meets a tile"
    return None


def _name(crs: CRS) -> str:
    code = crs.to_epsg()
    return crs.name if code is None else f"EPSG:{code}"


def _text(geometry: shapely.Geometry) -> str:
    left, bottom, right, top = (f"{value:.7g}" for value in geometry.bounds)
    return f"x {left} to {right}, y {bottom} to {top}"
