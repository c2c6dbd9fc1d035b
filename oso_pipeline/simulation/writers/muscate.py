"""Writes a scene as a Theia/MUSCATE Sentinel-2 L2A product, folder or zip.

Files, names and encodings follow the format of the real products, in the variants that
exist: see :class:`Make`. The same product gives the same bytes.
"""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS

from oso_pipeline.simulation.world.scene import NODATA, Scene
from oso_pipeline.simulation.writers.muscate_metadata import ProductFacts, flags_xml, metadata_xml

Encoding = Literal["strips", "tiled", "repackaged"]

_MASKS = {
    "cloud": "CLM",
    "edge": "EDG",
    "saturation": "SAT",
    "geophysics": "MG2",
    "vapour": "IAB",
    "defect": "DFP",
}
"""Names of the masks of a scene in a product."""

CREATION: dict[Encoding, dict[str, Any]] = {
    # As MAJA writes: no creation option.
    "strips": {},
    # As later packaging compresses.
    "tiled": {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"},
    # As some archives repackage: with the no-data tag that MAJA leaves out.
    "repackaged": {
        "tiled": True, "blockxsize": 64, "blockysize": 64,
        "compress": "deflate", "predictor": 2, "nodata": NODATA,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Make:
    """Variants of products, as real deliveries differ.

    Parameters
    ----------
    profile
        C (complet), H (hybrid) or D (distributed).
    version
        Product version as ``2.2``.
    encoding
        Layout of the GeoTIFF files.
    zipped
        Deliver as a zip with the product's folder at its top.
    with_sre
        Hold SRE beside FRE.
    with_optional
        Hold the files that readers must not require: ATB, IAB, DFP, quicklook.
    without
        Bands whose FRE files are absent, though the metadata list them.
    without_fre
        The slope correction was off: only SRE.
    truncated
        Bands whose FRE files are cut in half.
    """

    profile: Literal["C", "H", "D"] = "C"
    version: str = "2.2"
    encoding: Encoding = "strips"
    zipped: bool = False
    with_sre: bool = False
    with_optional: bool = True
    without: tuple[str, ...] = ()
    without_fre: bool = False
    truncated: tuple[str, ...] = ()

    @property
    def is_old(self) -> bool:
        """Whether the metadata are written as up to version 1.94 of the products."""
        return float(self.version) < 1.95


def product_id(platform: str, acquired: datetime, tile: str, make: Make, level: str = "L2A") -> str:
    """Return the name of a product, for example ``SENTINEL2A_20180114-110938-000_L2A_...``."""
    moment = f"{acquired:%Y%m%d-%H%M%S}-{acquired.microsecond // 1000:03d}"
    version = make.version.replace(".", "-")
    return f"{platform}_{moment}_{level}_T{tile}_{make.profile}_V{version}"


def write_product(folder: Path, facts: ProductFacts, scene: Scene | None, make: Make) -> Path:
    """Write a product.

    Parameters
    ----------
    folder
        Where the product's folder or zip is put.
    facts
        Values of the metadata.
    scene
        Its content; None writes the metadata only, as for images that are nearly all cloud.
    make
        The variant.

    Returns
    -------
    Path
        The product's folder, or its zip.
    """
    product = write_texts(folder, facts, _content(facts, scene, make), make)
    if scene is not None:
        with rasterio.Env(GDAL_PAM_ENABLED=False, GDAL_NUM_THREADS=1):
            _write_images(product, facts, scene, make)
            _write_masks(product, facts, scene, make)
            if make.with_optional:
                _write_quicklook(product, facts, scene)
    return zipped(product) if make.zipped else product


def write_texts(folder: Path, facts: ProductFacts, content: tuple[str, ...], make: Make) -> Path:
    """Begin a product: write its metadata and flags, and return its folder.

    Parameters
    ----------
    folder
        Where the product's folder is put.
    facts, content
        Values of the metadata, and the kinds of files that they list; without any, the scene is
        not valid.
    make
        The variant.
    """
    product = folder / facts.product_id
    (product / "DATA").mkdir(parents=True)
    flags = flags_xml(facts, is_valid=bool(content), with_slope=not make.without_fre)
    (product / "DATA" / f"{facts.product_id}_JPI_ALL.xml").write_text(flags, encoding="utf-8")
    metadata = metadata_xml(facts, content=content, is_old=make.is_old)
    (product / f"{facts.product_id}_MTD_ALL.xml").write_text(metadata, encoding="utf-8")
    return product


def _content(facts: ProductFacts, scene: Scene | None, make: Make) -> tuple[str, ...]:
    """Return the kinds of files of the product, as the suffixes in their names."""
    if scene is None:
        return ()
    images = ("SRE",) if make.without_fre else ("SRE", "FRE") if make.with_sre else ("FRE",)
    optional = ("ATB", "IAO" if make.is_old else "IAB") if make.with_optional else ()
    return (*images, *optional, "CLM", "EDG", "SAT", "MG2")


def _write_images(product: Path, facts: ProductFacts, scene: Scene, make: Make) -> None:
    for band, image in scene.bands.items():
        kinds = {"FRE": image}
        if make.with_sre or make.without_fre:
            # Without the correction for slopes the ground looks darker here, brighter there.
            slope = 1 + 0.05 * np.sin(np.arange(image.shape[0]) * 7.0 / image.shape[0])[:, None]
            flat = np.rint(image * slope).astype(np.int16)
            kinds["SRE"] = np.where(image == NODATA, image, flat)
        for kind, pixels in kinds.items():
            if kind == "FRE" and (band in make.without or make.without_fre):
                continue
            path = product / f"{facts.product_id}_{kind}_{band}.tif"
            write_geotiff(path, pixels, facts.grid, CREATION[make.encoding])
            if kind == "FRE" and band in make.truncated:
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if make.with_optional:
        for group, air in scene.atmosphere.items():
            path = product / f"{facts.product_id}_ATB_{group}.tif"
            write_geotiff(path, air, facts.grid, {"interleave": "band"})


def _write_masks(product: Path, facts: ProductFacts, scene: Scene, make: Make) -> None:
    (product / "MASKS").mkdir()
    creation = {} if make.encoding == "strips" else {"compress": "deflate"}
    for name, mask in scene.masks.items():
        kind, group = _MASKS[name.partition("_")[0]], name.partition("_")[2]
        if kind in ("IAB", "DFP"):
            if not make.with_optional or (kind == "DFP" and make.is_old):
                continue
            kind = "IAO" if make.is_old else kind
        write_geotiff(
            product / "MASKS" / f"{facts.product_id}_{kind}_{group}.tif", mask, facts.grid, creation
        )


def _write_quicklook(product: Path, facts: ProductFacts, scene: Scene) -> None:
    picture = np.stack([scene.bands[band][::2, ::2] for band in ("B4", "B3", "B2")])
    picture = np.clip(picture / 12, 0, 255).astype(np.uint8)
    path = product / f"{facts.product_id}_QKL_ALL.jpg"
    shape = {"count": 3, "height": picture.shape[1], "width": picture.shape[2], "dtype": "uint8"}
    shape["transform"] = facts.grid.affine @ Affine.scale(2)
    with rasterio.MemoryFile() as memory:
        with memory.open(driver="JPEG", **shape) as picture_file:
            picture_file.write(picture)
        path.write_bytes(memory.read())


def write_geotiff(
    path: Path, pixels: npt.NDArray[Any], grid: GeoBox, creation: dict[str, Any]
) -> None:
    """Write a GeoTIFF on the 10 m `grid` of a product, or on its 20 m half."""
    bands = pixels[None] if pixels.ndim == 2 else pixels
    count, rows, columns = bands.shape
    zoom = grid.shape[0] // rows
    profile = {
        "driver": "GTiff", "count": count, "height": rows, "width": columns,
        "dtype": bands.dtype.name, "crs": _crs(int(grid.crs.to_epsg())),
        "transform": grid.affine @ Affine.scale(zoom), **creation,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(bands)


@cache
def _crs(epsg: int) -> CRS:
    return CRS.from_epsg(epsg)


def zipped(product: Path) -> Path:
    """Replace the product's folder by a zip that holds it; dates are fixed."""
    path = product.with_name(f"{product.name}.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(product.rglob("*")):
            if file.is_file():
                member = zipfile.ZipInfo(f"{product.name}/{file.relative_to(product).as_posix()}")
                member.compress_type = zipfile.ZIP_DEFLATED
                member.external_attr = 0o644 << 16
                archive.writestr(member, file.read_bytes(), compresslevel=1)
    shutil.rmtree(product)
    return path
