"""Writes a scene as a Sentinel-2 L2A product of Sen2Cor in the SAFE format, folder or zip.

Images are lossless JPEG 2000, as the archives have them. The same product gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.simulation.world.scene import NODATA, Scene
from oso_pipeline.simulation.writers.muscate import zipped
from oso_pipeline.simulation.writers.safe_metadata import (
    SafeFacts,
    image_code,
    product_xml,
    resolution_m,
    tile_xml,
)

SATURATED = 65_535
"""Number of a pixel whose detector was saturated."""

_CLOUD, _SHADOW, _CIRRUS = 1 << 1, (1 << 5) | (1 << 6), 1 << 7
_LOSSLESS = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}


def write_safe(
    folder: Path, facts: SafeFacts, scene: Scene, name: str | None = None, as_zip: bool = False
) -> Path:
    """Write a product.

    Parameters
    ----------
    folder
        Where the product's folder or zip is put.
    facts
        Values of the metadata.
    scene
        Its content.
    name
        Name of the folder; by default that of the product with ``.SAFE``.
    as_zip
        Deliver as a zip with the product's folder at its top.

    Returns
    -------
    Path
        The product's folder, or its zip.
    """
    product = folder / (name or f"{facts.product_id}.SAFE")
    granule = product / "GRANULE" / facts.granule
    images: dict[str, npt.NDArray[Any]] = dict(stored_bands(scene, facts.offset))
    images["SCL"] = classification(scene)
    with rasterio.Env(GDAL_PAM_ENABLED=False, GDAL_NUM_THREADS=1):
        paths = [_write(granule, facts, band, pixels) for band, pixels in images.items()]
    listed = [path.relative_to(product).with_suffix("").as_posix() for path in paths]
    (product / "MTD_MSIL2A.xml").write_text(product_xml(facts, listed), encoding="utf-8")
    (granule / "MTD_TL.xml").write_text(tile_xml(facts), encoding="utf-8")
    return zipped(product) if as_zip else product


def stored_bands(scene: Scene, offset: int) -> Mapping[str, npt.NDArray[np.uint16]]:
    """Return the bands of a scene as the format stores them.

    Numbers are reflectances less the offset, at least 1: 0 stands for no data, and 65535 for a
    saturated detector.
    """
    stored = {}
    for resolution, group in ((10, "R1"), (20, "R2")):
        for bit, band in enumerate(SENTINEL2.at(resolution)):
            reflectance = scene.bands[band].astype(np.int32)
            numbers = np.maximum(reflectance - offset, 1)
            saturated = (scene.masks[f"saturation_{group}"] >> bit) & 1 > 0
            numbers[saturated] = SATURATED
            numbers[reflectance == NODATA] = 0
            stored[band] = numbers.astype(np.uint16)
    return stored


def classification(scene: Scene) -> npt.NDArray[np.uint8]:
    """Return the scene classification (SCL) of a scene at 20 m.

    It hides what the cloud and edge masks of the scene hide, so that products of both families
    show the same pixels.
    """
    cloud, edge = scene.masks["cloud_R2"], scene.masks["edge_R2"]
    geophysics = scene.masks["geophysics_R2"]
    red, infrared = (scene.bands[band][::2, ::2].astype(np.int32) for band in ("B4", "B8"))
    classes = np.where(10 * infrared > 15 * red, 4, 5).astype(np.uint8)
    classes[(geophysics & (1 << 4)) > 0] = 2
    classes[(geophysics & 1) > 0] = 6
    classes[(geophysics & (1 << 2)) > 0] = 11
    classes[cloud > 0] = 8
    classes[(cloud & _CIRRUS) > 0] = 10
    classes[(cloud & _SHADOW) > 0] = 3
    classes[(cloud & _CLOUD) > 0] = 9
    classes[edge > 0] = 0
    return classes


def write_jp2(path: Path, pixels: npt.NDArray[Any], grid: GeoBox, block: int = 1024) -> None:
    """Write one band as lossless JPEG 2000 in blocks, with the coordinate system inside."""
    rows, columns = pixels.shape
    profile = {
        "count": 1, "height": rows, "width": columns, "dtype": pixels.dtype.name,
        "crs": grid.crs.to_wkt(), "transform": grid.affine, **_LOSSLESS,
        "BLOCKXSIZE": block, "BLOCKYSIZE": block,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels, 1)


def _write(granule: Path, facts: SafeFacts, name: str, pixels: npt.NDArray[Any]) -> Path:
    resolution = resolution_m(name)
    folder = granule / "IMG_DATA" / f"R{resolution}m"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{facts.stem}_{image_code(name)}_{resolution}m.jp2"
    affine = facts.grid.affine @ Affine.scale(resolution // 10)
    write_jp2(path, pixels, GeoBox(pixels.shape, affine, facts.grid.crs))
    return path
