"""Whether the area of interest meets the tiles, and if not, why that may be."""

from __future__ import annotations

import numpy as np

from oso_pipeline.config.model import Config
from oso_pipeline.core.errors import Problems
from oso_pipeline.vectors.area_of_interest import read_outline
from oso_pipeline.vectors.whereabouts import Ground, Subject, elsewhere

_AREA = Subject(
    "the area of interest lies",
    "it covers",
    "it meets",
    "choose tiles that the area meets (imagery.tiles), or correct map.area",
)


def check_area(config: Config) -> Problems:
    """Check that the area of interest can be used and meets one of the tiles.

    Besides the problems of `read_outline`: an area outside all tiles (``E-PLACE-OUTSIDE``), and
    one whose coordinates would meet a tile if they were swapped or of another system
    (``E-PLACE-COORDINATES``).
    """
    problems = Problems()
    area = config.map.area
    outline = None if area is None else read_outline(area, problems)
    if area is None or outline is None:
        return problems
    ground = Ground(config.imagery.tiles, config.map.epsg)
    shapes = np.array([outline.geometry], dtype=object)
    if not ground.meets(shapes, outline.crs):
        found = elsewhere(shapes, outline.crs, _AREA, ground)
        problems.error(f"E-{found.code}", found.message, area.path, found.hint)
    return problems
