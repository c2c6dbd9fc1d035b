"""Writes a scene as a Theia monthly synthesis of Sentinel-2 (L3A), folder or zip.

Names, natures and encodings are those that WASP writes. The same product gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio

from oso_pipeline.simulation.world.scene import Scene
from oso_pipeline.simulation.writers.muscate import CREATION, Make, write_geotiff, zipped
from oso_pipeline.simulation.writers.muscate_metadata import ProductFacts, metadata_xml

NO_DATA, CLOUD, SNOW, WATER, LAND = range(5)
"""Values of the flags."""


def write_synthesis(folder: Path, facts: ProductFacts, scene: Scene, make: Make) -> Path:
    """Write a synthesis.

    Parameters
    ----------
    folder
        Where the product's folder or zip is put.
    facts
        Values of the metadata; its name is of level L3A.
    scene
        Its content, as if one clear date had all the weight.
    make
        The variant; ``repackaged`` is as the cloud-optimised files that WASP can write.

    Returns
    -------
    Path
        The product's folder, or its zip.
    """
    name = facts.product_id
    product = folder / name
    (product / "MASKS").mkdir(parents=True)
    text = metadata_xml(facts, content=("FRC", "FLG", "DTS", "WGT"), is_old=False)
    (product / f"{name}_MTD_ALL.xml").write_text(text, encoding="utf-8")
    with rasterio.Env(GDAL_PAM_ENABLED=False, GDAL_NUM_THREADS=1):
        for band, image in scene.bands.items():
            if band not in make.without:
                path = product / f"{name}_FRC_{band}.tif"
                write_geotiff(path, image, facts.grid, CREATION[make.encoding])
        for group in ("R1", "R2"):
            status = flags(scene, group)
            seen = status > CLOUD
            day = np.int16(facts.acquired.timetuple().tm_yday)
            masks = {
                "FLG": status,
                "DTS": np.where(seen, day, np.int16(0)),
                "WGT": np.where(seen, np.int16(1000), np.int16(0)),
            }
            for kind, mask in masks.items():
                path = product / "MASKS" / f"{name}_{kind}_{group}.tif"
                write_geotiff(path, mask, facts.grid, {"compress": "deflate"})
    return zipped(product) if make.zipped else product


def flags(scene: Scene, group: str) -> npt.NDArray[np.uint8]:
    """Return the flags of a scene at 10 m (``R1``) or 20 m (``R2``).

    They hide what the cloud and edge masks of the scene hide, so that both levels show the same
    pixels.
    """
    geophysics = scene.masks[f"geophysics_{group}"]
    status = np.full(geophysics.shape, LAND, np.uint8)
    status[(geophysics & 1) > 0] = WATER
    status[(geophysics & (1 << 2)) > 0] = SNOW
    status[scene.masks[f"cloud_{group}"] > 0] = CLOUD
    status[scene.masks[f"edge_{group}"] > 0] = NO_DATA
    return status
