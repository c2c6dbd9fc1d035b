"""Check that the map of a rehearsal follows from its inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from pyproj import Transformer
from rasterio.windows import Window, from_bounds
from rio_cogeo import cog_validate

from oso_pipeline.simulation.national.nation import NationSpec, ground
from oso_pipeline.simulation.world.world import MAP_EPSG

LEAST_ACCURACY, LEAST_AGREEMENT = 0.75, 0.999
"""Of pixels with a class, those that have the true one; of all pixels of the patches, those that
have a class exactly where an image shows them."""
_POINTS = 2_000
_INSIDE_M = 60.0


def examined(run_dir: Path, products: Path, spec: NationSpec) -> dict[str, Any]:
    """Return what is found of the map, the validation and the report of a run.

    Raises
    ------
    SystemExit
        If something is not as it has to be; all of it is said.
    """
    maps = sorted((run_dir / "maps").glob("*.tif"))
    faults = [f"{path.name}: {error}" for path in maps for error in _faults_of_cog(path)]
    (classes,) = [path for path in maps if path.stem == f"OCS_{spec.year}"]
    found = _compared(classes, products, spec)
    accuracy = json.loads((run_dir / "validation" / "accuracy.json").read_text("utf-8"))
    found["held_out_accuracy"] = round(accuracy["overall_accuracy"]["estimate"], 3)
    if found["true_share"] < LEAST_ACCURACY or found["held_out_accuracy"] < LEAST_ACCURACY:
        faults.append(f"the map is less accurate than {LEAST_ACCURACY}: {found}")
    if found["agreement"] < LEAST_AGREEMENT:
        faults.append(f"clear ground has no class, or other ground has one: {found}")
    if found["classified_pixels"] > 1.01 * found["patch_pixels"]:
        faults.append(f"there are classes where no image shows anything: {found}")
    if not (run_dir / "report.html").is_file():
        faults.append("there is no report")
    if faults:
        raise SystemExit("the rehearsal failed:\n" + "\n".join(faults))
    return found


def _compared(path: Path, products: Path, spec: NationSpec) -> dict[str, Any]:
    """Compare the map with the land of all patches, and with what the images show of it."""
    rng = np.random.default_rng(spec.seed)
    true = known = agreed = points = 0
    with rasterio.open(path) as file:
        outline = shapely.box(*file.bounds)
        for tile in spec.tiles:
            patch = ground(spec.patch(tile))
            if not outline.covers(patch):
                raise SystemExit(f"the rehearsal failed: the map does not reach tile {tile}")
            inner = patch.buffer(-_INSIDE_M)
            window = from_bounds(*inner.bounds, file.transform).round_offsets().round_lengths()
            x, y, mapped = _drawn(file.read(1, window=window), file.window_transform(window), rng)
            inside = shapely.contains_xy(inner, x, y)
            expected = spec.world(tile).class_at(x[inside], y[inside])
            points += expected.size
            seen = _seen(products / f"T{tile}", spec, tile, (x[inside], y[inside]))
            agreed += int(np.count_nonzero((mapped[inside] > 0) == seen))
            known += int(np.count_nonzero(mapped[inside]))
            true += int(np.count_nonzero(mapped[inside] == expected))
        classified = sum(
            int(np.count_nonzero(file.read(1, window=window))) for window in _rows_of(file)
        )
    return {
        "map_pixels": int(np.prod(file.shape)),
        "patch_pixels": len(spec.tiles) * spec.patch_px**2,
        "classified_pixels": classified,
        "agreement": round(agreed / points, 5),
        "true_share": round(true / max(known, 1), 3),
    }


def _drawn(
    pixels: np.ndarray, transform: Any, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return coordinates and values of some pixels."""
    rows, columns = (rng.integers(0, size, _POINTS) for size in pixels.shape)
    x, y = transform @ (columns + 0.5, rows + 0.5)
    return x, y, pixels[rows, columns]


def _seen(
    products: Path, spec: NationSpec, tile: str, places: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return which places of a patch the masks of some product leave clear."""
    corner, size = spec.corner_px, spec.patch_px
    window = Window(corner, corner, size, size)
    clear = np.zeros((size, size), bool)
    for product in products.iterdir():
        hidden = np.zeros((size, size), bool)
        for name in ("CLM", "EDG", "SAT"):
            (mask,) = product.glob(f"MASKS/*_{name}_R1.tif")
            with rasterio.open(mask) as file:
                hidden |= file.read(1, window=window) != 0
        clear |= ~hidden
    grid = spec.patch(tile)
    there = Transformer.from_crs(MAP_EPSG, grid.crs.epsg, always_xy=True).transform(*places)
    columns, rows = ~grid.affine @ there
    return clear[rows.astype(int), columns.astype(int)]


def _rows_of(file: Any) -> list[Window]:
    step = 16 * file.block_shapes[0][0]
    return [
        Window(0, row, file.width, min(step, file.height - row))
        for row in range(0, file.height, step)
    ]


def _faults_of_cog(path: Path) -> list[str]:
    is_valid, errors, warnings = cog_validate(path)
    return [*errors, *warnings] or ([] if is_valid else ["is not a valid COG"])
