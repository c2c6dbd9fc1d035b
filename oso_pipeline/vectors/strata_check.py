"""Whether strata can be used and cover the tiles, before anything is learnt in them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import shapely
from pyproj import CRS

from oso_pipeline.config.model import Config, Strata
from oso_pipeline.core.errors import Problem, Problems
from oso_pipeline.vectors.strata import file_of, read_strata
from oso_pipeline.vectors.vector_schema import State, state_of
from oso_pipeline.vectors.whereabouts import Ground, Subject, box_text, elsewhere

_SHOWN = 10
_STRATA = Subject(
    "the strata lie",
    "they cover",
    "they meet",
    "choose tiles that lie in strata (imagery.tiles), or give the regions of these tiles",
)


def check_strata(config: Config) -> Problems:
    """Check that regions can be read, and that every tile meets one.

    Besides the problems of `read_strata`: all tiles outside (``E-PLACE-OUTSIDE``, or
    ``E-PLACE-COORDINATES``), some of them (``W-STRATA-COVER``). A file that is not
    there is left to the check of paths.
    """
    strata = config.strata
    if strata is None:
        return Problems()
    try:
        state = state_of(file_of(strata).files)
    except OSError:
        return Problems()
    return Problems(_found(strata, Ground(config.imagery.tiles, config.map.epsg), state))


@lru_cache(maxsize=4)
def _found(strata: Strata, ground: Ground, state: State) -> tuple[Problem, ...]:
    problems = Problems()
    regions = read_strata(strata, ground.epsg, problems)
    if regions is None:
        return tuple(problems)
    shapes, crs = np.asarray(regions.geometry), CRS.from_epsg(ground.epsg)
    if not ground.meets(shapes, crs):
        found = elsewhere(*_as_written(strata, shapes, crs), _STRATA, ground)
        problems.error(f"E-{found.code}", found.message, strata.path, found.hint)
        return tuple(problems)
    apart = [tile for tile in ground.tiles if not Ground((tile,), ground.epsg).meets(shapes, crs)]
    if apart:
        more = f" and {len(apart) - _SHOWN} more" if len(apart) > _SHOWN else ""
        problems.warn(
            "W-STRATA-COVER",
            f"tiles {', '.join(apart[:_SHOWN])}{more} lie outside all strata, which cover "
            f"{box_text(shapes)} in EPSG:{ground.epsg}: nothing is mapped there",
            strata.path,
            "give regions for these tiles, or take the tiles out of imagery.tiles",
        )
    return tuple(problems)


def _as_written(strata: Strata, shapes: np.ndarray, crs: CRS) -> tuple[np.ndarray, CRS]:
    """Return the shapes of regions in the coordinates of their file, and its system."""
    frame = file_of(strata).read([], Problems())
    if frame is None or frame.crs is None:
        return shapes, crs
    own = np.asarray(frame.geometry)
    return own[~(shapely.is_missing(own) | shapely.is_empty(own))], CRS(frame.crs)
