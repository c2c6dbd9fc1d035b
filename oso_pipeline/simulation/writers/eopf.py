"""Writes a scene as a Sentinel-2 L2A product of ESA in the Zarr format of EOPF, folder or zip.

GDAL writes the chunks, compressed as in real products; groups and attributes are written here. The
same product gives the same bytes.
"""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning

from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.simulation.world.scene import Scene
from oso_pipeline.simulation.writers.eopf_metadata import array_attributes, root_attributes
from oso_pipeline.simulation.writers.muscate import zipped
from oso_pipeline.simulation.writers.safe import classification, stored_bands
from oso_pipeline.simulation.writers.safe_metadata import SafeFacts, image_code, resolution_m

CHUNK_PX = 5490
"""Rows and columns of a chunk of a real product, which of a smaller one are half of a tile."""

AEROSOLS = {
    "aod550": 0.15, "duaod550": 0.02, "ssaod550": 0.01, "omaod550": 0.04, "bcaod550": 0.01,
    "suaod550": 0.05,
}  # fmt: skip
"""The forecast of aerosols: optical depth by the names of CAMS, the same everywhere."""

_CAMS = "conditions/meteorology/cams"
_VIEWS = "conditions/geometry/mean_viewing_incidence_angles"
_BLOSC = {"COMPRESS": "BLOSC", "BLOSC_CNAME": "zstd", "BLOSC_CLEVEL": "3", "BLOSC_SHUFFLE": "BIT"}
_BIT_SHUFFLE = 2
_GROUP = {"zarr_format": 2}


def write_eopf(
    folder: Path, facts: SafeFacts, scene: Scene, name: str | None = None, as_zip: bool = False
) -> Path:
    """Write a product.

    Parameters
    ----------
    folder
        Where the product's folder or zip is put.
    facts
        Values of the metadata: those of the SAFE product from which it is converted.
    scene
        Its content.
    name
        Name of the folder; by default that of the product with ``.zarr``.
    as_zip
        Deliver as a zip with the product's folder at its top.

    Returns
    -------
    Path
        The product's folder, or its zip.
    """
    product = folder / (name or f"{facts.product_id}.zarr")
    product.mkdir(parents=True)
    documents: dict[str, Any] = {".zattrs": root_attributes(facts), ".zgroup": _GROUP}
    chunk = min(CHUNK_PX, -(-facts.grid.shape[0] // 2))
    images: dict[str, npt.NDArray[Any]] = {**stored_bands(scene, facts.offset)}
    images["SCL"] = classification(scene)
    for band, pixels in images.items():
        step = resolution_m(band)
        grid = GeoBox(pixels.shape, facts.grid.affine @ Affine.scale(step // 10), facts.grid.crs)
        offset = facts.offset if band in SENTINEL2.names else None
        array = array_path(band)
        documents[f"{array}/.zarray"] = _write_chunks(product / array, pixels, chunk)
        documents[f"{array}/.zattrs"] = array_attributes(grid, offset)
        for axis, values in _coordinates(grid).items():
            place = f"{array.rpartition('/')[0]}/{axis}"
            documents[f"{place}/.zarray"] = _write_axis(product / place, values)
            documents[f"{place}/.zattrs"] = {"_ARRAY_DIMENSIONS": [axis]}
    for species, depth in AEROSOLS.items():
        place = f"{_CAMS}/{species}"
        pixels = np.full((9, 9), depth, np.float32)
        documents[f"{place}/.zarray"] = _write_chunks(product / place, pixels, 9)
        documents[f"{place}/.zattrs"] = {"_ARRAY_DIMENSIONS": ["latitude", "longitude"]}
    views = np.tile(np.array(facts.view, dtype=np.float64), (13, 1))
    documents[f"{_VIEWS}/.zarray"] = _write_chunks(product / _VIEWS, views, 13)
    documents[f"{_VIEWS}/.zattrs"] = {"_ARRAY_DIMENSIONS": ["band", "angle"], "unit": "deg"}
    for place in {str(parent) for path in list(documents) for parent in Path(path).parents}:
        if place != "." and f"{place}/.zarray" not in documents:
            documents[f"{place}/.zgroup"], documents[f"{place}/.zattrs"] = _GROUP, {}
    write_documents(product, documents)
    return zipped(product) if as_zip else product


def array_path(band: str) -> str:
    """Return the array of a band, or of ``SCL``, below the root.

    Examples
    --------
    >>> array_path("B2")
    'measurements/reflectance/r10m/b02'
    """
    if band == "SCL":
        return "conditions/mask/l2a_classification/r20m/scl"
    return f"measurements/reflectance/r{resolution_m(band)}m/{image_code(band).lower()}"


def write_documents(product: Path, documents: dict[str, Any]) -> None:
    """Write metadata by their file names, each and all together."""
    for name, content in documents.items():
        path = product / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")
    together = {"metadata": documents, "zarr_consolidated_format": 1}
    text = json.dumps(together, indent=1, sort_keys=True)
    (product / ".zmetadata").write_text(text, encoding="utf-8")


def _write_chunks(folder: Path, pixels: npt.NDArray[Any], chunk: int) -> dict[str, Any]:
    """Write the chunks of an array; return its metadata as real products have them."""
    fill = {"uint16": 0, "uint8": None}.get(pixels.dtype.name, "NaN")
    rows, columns = pixels.shape
    # GDAL writes no chunk that holds nothing but its no data value; ESA writes all.
    unused = next(n for n in (254, 253) if not (pixels == n).all())
    profile = {
        "driver": "Zarr", "count": 1, "height": rows, "width": columns,
        "dtype": pixels.dtype.name, "nodata": int(unused), "FORMAT": "ZARR_V2",
        "ARRAY_NAME": "array", "BLOCKSIZE": f"{chunk},{chunk}", **_BLOSC,
    }  # fmt: skip
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=".gdal") as made:
        with warnings.catch_warnings(), rasterio.Env(GDAL_PAM_ENABLED=False, GDAL_NUM_THREADS=1):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(f"{made}/store", "w", **profile) as file:
                file.write(pixels, 1)
        shutil.move(f"{made}/store/array", folder)
    content: dict[str, Any] = json.loads((folder / ".zarray").read_text(encoding="utf-8"))
    content["compressor"]["shuffle"] = _BIT_SHUFFLE  # GDAL writes a word, the format has a number
    return {**content, "dimension_separator": ".", "fill_value": fill}


def _coordinates(grid: GeoBox) -> dict[str, npt.NDArray[np.int64]]:
    """Return the coordinates of the centres of columns and rows."""
    affine, (rows, columns) = grid.affine, grid.shape
    x = affine.c + affine.a * (np.arange(columns) + 0.5)
    y = affine.f + affine.e * (np.arange(rows) + 0.5)
    return {"x": x.astype(np.int64), "y": y.astype(np.int64)}


def _write_axis(folder: Path, values: npt.NDArray[np.int64]) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    values.astype("<i8").tofile(folder / "0")
    return {
        "chunks": [len(values)], "compressor": None, "dimension_separator": ".", "dtype": "<i8",
        "fill_value": None, "filters": None, "order": "C", "shape": [len(values)],
        "zarr_format": 2,
    }  # fmt: skip
