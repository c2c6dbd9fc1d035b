"""Writes a scene as Cloud Optimized GeoTIFFs with the STAC item of one of four catalogues.

Fields and keys are those of the catalogues; numbers and classification are those of a SAFE product.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.imagery.stac.providers import KEYS
from oso_pipeline.simulation.world.scene import QUANTIFICATION, Scene
from oso_pipeline.simulation.writers.safe import classification, stored_bands, write_jp2
from oso_pipeline.simulation.writers.safe_metadata import SafeFacts, resolution_m, tile_xml

Catalogue = Literal["earth-search-c1", "earth-search", "planetary-computer", "data-space"]
CATALOGUES: tuple[Catalogue, ...] = (
    "earth-search-c1", "earth-search", "planetary-computer", "data-space",
)  # fmt: skip

_KEYS = dict(zip(CATALOGUES, (KEYS[0], *KEYS), strict=True))
_COG = "image/tiff; application=geotiff; profile=cloud-optimized"


def write_item(
    folder: Path,
    facts: SafeFacts,
    scene: Scene,
    catalogue: Catalogue = "earth-search-c1",
    applied: bool = False,
) -> Path:
    """Write a product as images, with its item beside them.

    Parameters
    ----------
    folder
        Where the folder of the product is put.
    facts
        Values of the metadata.
    scene
        Its content.
    catalogue
        Whose fields and keys the item has; `data-space` has JPEG 2000, the others COGs.
    applied
        Whether the archive applied the offset to the numbers, as earth-search did to a part of
        its first collection of L2A.

    Returns
    -------
    Path
        The item; hrefs are relative to it.
    """
    identifier = _identifier(facts, catalogue)
    product = folder / identifier
    product.mkdir(parents=True)
    images: dict[str, npt.NDArray[Any]] = dict(stored_bands(scene, 0 if applied else facts.offset))
    images["SCL"] = classification(scene)
    assets = {}
    for name, pixels in images.items():
        grid = _grid(facts, name)
        key = _KEYS[catalogue][name]
        if catalogue == "data-space":
            path = product / f"{facts.stem}_{key}.jp2"
            write_jp2(path, pixels, grid)
        else:
            path = product / f"{_KEYS['planetary-computer'][name]}.tif"
            write_cog(path, pixels, grid)
        assets[key] = _asset(path.name, name, facts, catalogue)
    if catalogue == "planetary-computer":  # whose items state no direction to the sensor
        (product / "MTD_TL.xml").write_text(tile_xml(facts), encoding="utf-8")
        assets["granule-metadata"] = {"href": "./MTD_TL.xml", "type": "application/xml"}
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0" if catalogue == "data-space" else "1.0.0",
        "id": identifier,
        "collection": "sentinel-2-c1-l2a" if catalogue == "earth-search-c1" else "sentinel-2-l2a",
        "geometry": None,
        "properties": _properties(facts, catalogue, applied),
        "links": [],
        "assets": assets,
    }
    path = product / f"{identifier}.json"
    write_json(path, item)
    return path


def write_cog(path: Path, pixels: npt.NDArray[Any], grid: GeoBox) -> None:
    """Write one band as a Cloud Optimized GeoTIFF in deflated blocks, without a nodata tag."""
    rows, columns = pixels.shape
    profile = {
        "driver": "COG", "count": 1, "height": rows, "width": columns, "dtype": pixels.dtype.name,
        "crs": f"EPSG:{grid.crs.to_epsg()}", "transform": grid.affine, "blocksize": 512,
        "compress": "deflate", "predictor": "yes",
    }  # fmt: skip
    with rasterio.Env(GDAL_NUM_THREADS=1), rasterio.open(path, "w", **profile) as file:
        file.write(pixels, 1)


def write_collection(path: Path, items: Iterable[Path]) -> Path:
    """Write an item collection of items that lie below its folder, hrefs relative to it."""
    features = [_moved(item, path.parent) for item in items]
    write_json(path, {"type": "FeatureCollection", "features": features})
    return path


def write_table(path: Path, items: Iterable[Path]) -> Path:
    """Write a STAC-GeoParquet table of items that lie below its folder.

    As the specification says: a row per item, properties as columns, assets as a struct.
    """
    rows = []
    for content in (_moved(item, path.parent) for item in items):
        properties = content.pop("properties")
        row = {**content, **properties, "geometry": b"", "bbox": [0.0, 0.0, 0.0, 0.0]}
        row["datetime"] = datetime.fromisoformat(row["datetime"])
        rows.append(row)
    table = pa.Table.from_pylist(rows)
    version = json.dumps({"version": "1.1.0", "primary_column": "geometry", "columns": {}})
    pq.write_table(table.replace_schema_metadata({"geo": version}), path)
    return path


def write_catalogue(folder: Path, items: Iterable[Path]) -> Path:
    """Write a static catalogue: a catalogue, a collection below it, links to the items."""
    links = [{"rel": "item", "href": f"./{item.relative_to(folder).as_posix()}"} for item in items]
    own = "https://example.org/catalogue"
    collection = {
        "type": "Collection", "stac_version": "1.0.0", "id": "images", "description": "images",
        "license": "other", "extent": {},
        "links": [
            {"rel": "self", "href": f"{own}/collection.json"},
            {"rel": "root", "href": "./catalog.json"},
            {"rel": "parent", "href": "./catalog.json"},
            *links,
        ],
    }  # fmt: skip
    catalogue = {
        "type": "Catalog", "stac_version": "1.0.0", "id": "archive", "description": "archive",
        "links": [
            {"rel": "self", "href": f"{own}/catalog.json"},
            {"rel": "root", "href": "./catalog.json"},
            {"rel": "child", "href": "./collection.json"},
        ],
    }  # fmt: skip
    write_json(folder / "collection.json", collection)
    write_json(folder / "catalog.json", catalogue)
    return folder / "catalog.json"


def write_json(path: Path, content: object) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _moved(item: Path, folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(item.read_text(encoding="utf-8"))
    for asset in content["assets"].values():
        asset["href"] = (item.parent / asset["href"]).relative_to(folder).as_posix()
    return content


def _grid(facts: SafeFacts, name: str) -> GeoBox:
    zoom = resolution_m(name) // 10
    rows, columns = (size // zoom for size in facts.grid.shape)
    return GeoBox((rows, columns), facts.grid.affine @ Affine.scale(zoom), facts.grid.crs)


def _identifier(facts: SafeFacts, catalogue: Catalogue) -> str:
    match catalogue:
        case "earth-search-c1":
            return f"{facts.platform}_T{facts.tile}_{facts.sensed:%Y%m%dT%H%M%S}_L2A"
        case "earth-search":
            return f"{facts.platform}_{facts.tile}_{facts.sensed:%Y%m%d}_0_L2A"
        case "planetary-computer":
            return facts.product_id.replace(f"_N{facts.baseline.replace('.', '')}", "")
        case _:
            return facts.product_id


def _properties(facts: SafeFacts, catalogue: Catalogue, applied: bool) -> dict[str, Any]:
    strip = (
        f"{facts.platform}_OPER_MSI_L2A_DS_2BPS_{facts.generated:%Y%m%dT%H%M%S}"
        f"_S{facts.sensed:%Y%m%dT%H%M%S}_N{facts.baseline}"
    )
    made = f"{facts.generated:%Y-%m-%dT%H:%M:%S.%f}Z"
    epsg = facts.grid.crs.to_epsg()
    own: Mapping[str, Any]
    if catalogue == "data-space":
        own = {
            "grid:code": f"MGRS-{facts.tile}", "platform": _platform(facts),
            "product:type": "S2MSI2A", "processing:level": "L2",
            "processing:version": facts.baseline, "processing:datetime": made,
            "eopf:datastrip_id": strip, "sat:relative_orbit": facts.orbit, **_view(facts),
        }  # fmt: skip
    elif catalogue == "planetary-computer":
        own = {
            "s2:mgrs_tile": facts.tile, "platform": _platform(facts).title(),
            "s2:product_type": "S2MSI2A", "s2:processing_baseline": facts.baseline,
            "s2:generation_time": made, "s2:datastrip_id": strip, "proj:epsg": epsg,
            "s2:product_uri": f"{facts.product_id}.SAFE", "sat:relative_orbit": facts.orbit,
            "s2:mean_solar_zenith": facts.sun[0], "s2:mean_solar_azimuth": facts.sun[1],
        }  # fmt: skip
    else:
        own = {
            "grid:code": f"MGRS-{facts.tile}", "platform": _platform(facts),
            "s2:product_type": "S2MSI2A", "s2:processing_baseline": facts.baseline,
            "s2:generation_time": made, "s2:datastrip_id": strip, "proj:epsg": epsg,
            "s2:product_uri": f"{facts.product_id}.SAFE", **_view(facts),
        }  # fmt: skip
    if catalogue == "earth-search":
        own = {**own, "earthsearch:boa_offset_applied": applied}
    moment = f"{facts.sensed:%Y-%m-%dT%H:%M:%S.%f}Z"
    return {"datetime": moment, "eo:cloud_cover": facts.cloud_percent, **own}


def _view(facts: SafeFacts) -> dict[str, float]:
    """Return the angles as the extension ``view`` names them."""
    return {
        "view:sun_elevation": 90 - facts.sun[0], "view:sun_azimuth": facts.sun[1],
        "view:incidence_angle": facts.view[0], "view:azimuth": facts.view[1],
    }  # fmt: skip


def _asset(href: str, name: str, facts: SafeFacts, catalogue: Catalogue) -> dict[str, Any]:
    grid, resolution = _grid(facts, name), resolution_m(name)
    place = {"proj:shape": list(grid.shape), "proj:transform": list(grid.affine)[:6]}
    if catalogue == "planetary-computer":
        bands = [{"name": _KEYS[catalogue][name]}]
        return {"href": f"./{href}", "type": _COG, "roles": ["data"], "eo:bands": bands, **place}
    is_band = name in SENTINEL2.names
    numbers = {"scale": 1 / QUANTIFICATION, "offset": facts.offset / QUANTIFICATION}
    stated = numbers if is_band else {}
    kind = {"nodata": 0, "data_type": "uint16" if is_band else "uint8"}
    if catalogue == "data-space":
        return {
            "href": f"./{href}", "type": "image/jp2", "roles": ["data"], **place, **kind,
            "proj:code": f"EPSG:{facts.grid.crs.to_epsg()}", "gsd": resolution,
            **({"bands": [{"name": _KEYS["planetary-computer"][name]}]} if is_band else {}),
            **{f"raster:{key}": value for key, value in stated.items()},
        }  # fmt: skip
    raster = [{**kind, "spatial_resolution": resolution, **stated}]
    return {"href": f"./{href}", "type": _COG, "roles": ["data"], "raster:bands": raster, **place}


def _platform(facts: SafeFacts) -> str:
    return f"sentinel-2{facts.platform[-1].lower()}"
