"""Caps per class: no class fills memory and time because a database maps all of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.reference.split.balanced_draw import balanced_draw, draw_up_to
from oso_pipeline.reference.split.split import polygon_table


@dataclass(frozen=True, slots=True)
class Caps:
    """The most of a class that is kept; None keeps all.

    Parameters
    ----------
    max_polygons
        Number of polygons.
    max_hectares
        Hectares; drawn among the pieces of polygons, so that a few large polygons do not
        use up the share of the others.
    seed
        Seed of the run.
    """

    max_polygons: int | None
    max_hectares: float | None
    seed: int


def within_caps(parts: pd.DataFrame, caps: Caps) -> npt.NDArray[np.bool_]:
    """Return which pieces are kept, shape ``(parts,)``: a spatially balanced sample.

    Parameters
    ----------
    parts
        As of `oso_pipeline.reference.split.split.add_split`.
    caps
        The most of a class.
    """
    kept = np.ones(len(parts), dtype=bool)
    if caps.max_polygons is not None:
        polygons = polygon_table(parts)
        for code in np.unique(polygons["code"]):
            some = polygons[polygons["code"] == code]
            seed = derived_seed(caps.seed, "cap", "polygons", int(code))
            x, y = some["x"].to_numpy(), some["y"].to_numpy()
            drawn = balanced_draw(x, y, caps.max_polygons, seed)
            kept &= ~parts["polygon_id"].isin(some.index[~drawn]).to_numpy()
    if caps.max_hectares is not None:
        order = np.lexsort(tuple(parts[name] for name in ("y", "x", "polygon_id")))
        codes = parts["code"].to_numpy()
        for code in np.unique(codes):
            rows = order[(codes[order] == code) & kept[order]]
            seed = derived_seed(caps.seed, "cap", "hectares", int(code))
            x, y, areas = (parts[name].to_numpy()[rows] for name in ("x", "y", "area_m2"))
            drawn = draw_up_to(x, y, areas, caps.max_hectares * 10_000, seed)
            kept[rows[~drawn]] = False
    return kept
