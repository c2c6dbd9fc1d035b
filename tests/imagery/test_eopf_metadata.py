"""The metadata of a real EOPF product, and those that the simulation writes beside them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numcodecs import Blosc
from support.eopf_factory import write
from support.safe_factory import FACTS

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.core.tiles import Tile
from oso_pipeline.imagery.acquisition import Acquisition, Skipped
from oso_pipeline.imagery.eopf.angles import VIEWS, read_angles
from oso_pipeline.imagery.eopf.arrays import ARRAYS, array_of, check_numbers
from oso_pipeline.imagery.eopf.metadata import Metadata, parse_metadata
from oso_pipeline.imagery.eopf.search import products_at
from oso_pipeline.imagery.eopf.settings import EopfSettings
from oso_pipeline.imagery.header import read_header
from oso_pipeline.imagery.metadata_file import MetadataError
from oso_pipeline.imagery.protocol import Request
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.sen2cor.candidates import candidate_of
from oso_pipeline.imagery.sen2cor.names import parse_product_name
from oso_pipeline.imagery.zarr.array import ArrayInfo, Documents, gdal_name, parse_array
from oso_pipeline.imagery.zarr.store import FolderStore

NAME = "S2A_MSIL2A_20251008T100041_N0511_R122_T32TQM_20251008T122613"
SETTINGS = EopfSettings()


@pytest.fixture(scope="module")
def real(shared_data: Path) -> dict[str, Any]:
    """The documents of the real product by their file names."""
    path = shared_data / "sensor_samples" / "eopf_zarr" / f"{NAME}.zarr.json"
    documents: dict[str, Any] = {}

    def add(node: dict[str, Any], place: str) -> None:
        documents[f"{place}.zattrs"] = node["attributes"]
        rest = {key: value for key, value in node.items() if key not in ("attributes", "members")}
        documents[f"{place}{'.zarray' if 'shape' in node else '.zgroup'}"] = rest
        for name, member in node.get("members", {}).items():
            add(member, f"{place}{name}/")

    add(json.loads(path.read_text(encoding="utf-8")), "")
    return documents


def store_of(folder: Path, documents: dict[str, Any]) -> Path:
    """Write a store without chunks."""
    product = folder / f"{NAME}.zarr"
    product.mkdir()
    (product / ".zgroup").write_text('{"zarr_format": 2}')
    content = {"zarr_consolidated_format": 1, "metadata": documents}
    (product / ".zmetadata").write_text(json.dumps(content))
    return product


def add_chunks(product: Path, documents: dict[str, Any], array: str) -> None:
    """Write the chunks of an array, all of one number, as zarr-python writes them."""
    content = documents[f"{array}/.zarray"]
    codec = Blosc.from_config({k: v for k, v in content["compressor"].items() if k != "id"})
    counts = [range(-(-n // c)) for n, c in zip(content["shape"], content["chunks"], strict=True)]
    if len(counts) == 1:
        axis, side = array[-1], 10 if "r10m" in array else 20
        x0, y0 = Tile("32TQM").origin
        centres = side * (np.arange(content["shape"][0]) + 0.5)
        values = (x0 + centres if axis == "x" else y0 - centres).astype(content["dtype"])
        names = ["0"]
    else:
        number = 1500 if "reflect" in array else 0.04 if "cams" in array else 4
        values = np.full(content["chunks"], number, content["dtype"])
        names = [f"{row}.{column}" for row in counts[0] for column in counts[1]]
    encoded = codec.encode(np.ascontiguousarray(values))
    (product / array).mkdir(parents=True)
    for name in names:
        (product / array / name).write_bytes(encoded)


def test_the_root_says_what_the_json_says(real: dict[str, Any]) -> None:
    said = real[".zattrs"]["stac_discovery"]["properties"]
    metadata = parse_metadata(real[".zattrs"])
    assert metadata.name == parse_product_name(NAME)
    assert metadata == Metadata(
        name=metadata.name,
        level="L2A",
        platform="S2A",
        sensed=datetime(2025, 10, 8, 10, 0, 41, 24_000, tzinfo=UTC),
        generated=datetime(2025, 10, 8, 12, 26, 13, tzinfo=UTC),
        baseline="05.11",
        tile="32TQM",
        epsg=32632,
        cloud_percent=said["eo:cloud_cover"],
        orbit=122,
        processor="Sentinel-2 IPF",
        processor_version=None,  # the product has a blank
        aerosol=0.07715,
        sun_zenith_deg=pytest.approx(49.3049375691464),
    )


def test_the_safe_product_of_the_acquisition_is_the_same_observation(
    real: dict[str, Any], tmp_path: Path
) -> None:
    (found,) = products_at(store_of(tmp_path, real))
    name = parse_product_name(f"{NAME}.SAFE")
    assert name is not None
    safe = candidate_of("safe", tmp_path, name)
    assert (found.product_id, found.tile) == (safe.product_id, safe.tile)
    assert (found.observation, found.rank) == (safe.observation, safe.rank)
    assert (found.acquired, found.platform) == (safe.acquired, safe.platform)


def test_every_array_has_the_grid_of_the_tile_and_its_scale(real: dict[str, Any]) -> None:
    infos = {}
    for band in SENTINEL2.names:
        array = array_of(band)
        infos[band] = parse_array(array, real[f"{array}/.zarray"], real[f"{array}/.zattrs"])
    numbers = check_numbers(infos, (5, 11), Path(), problems := Problems())
    assert not list(problems)
    assert numbers is not None
    for band in SENTINEL2.bands:
        said = real[f"{array_of(band.name)}/.zattrs"]
        found = numbers[band.name]
        assert (found.scale, found.offset) == (said["scale_factor"], said["add_offset"])
        assert (found.scale, found.offset, found.nodata) == (1e-4, -0.1, 0)
        assert found.saturated == said["valid_max"] == 65_535


def test_the_bands_are_those_of_the_wavelengths_that_the_product_states(
    real: dict[str, Any],
) -> None:
    described = real[".zattrs"]["stac_discovery"]["properties"]["bands"]
    stated = {one["name"]: one["center_wavelength"] for one in described}
    for band in SENTINEL2.bands:
        name = array_of(band.name).rpartition("/")[2]
        assert stated[name] == pytest.approx(band.wavelength_nm, abs=8)


def test_without_chunks_the_product_is_incomplete(real: dict[str, Any], tmp_path: Path) -> None:
    store_of(tmp_path, real)
    found = opened(tmp_path, "skip")
    assert isinstance(found, Skipped)
    assert found.reason == "incomplete"
    assert "measurements/reflectance/r10m/b02: 4 of 4 chunks are missing (0.0, 0.1, 1.0 ...)" in (
        found.detail
    )
    assert "l2a_classification/r20m/scl: 1 of 1 chunks are missing (0.0)" in found.detail


def test_with_chunks_of_its_sizes_it_is_read(real: dict[str, Any], tmp_path: Path) -> None:
    product = store_of(tmp_path, real)
    groups = {array.rpartition("/")[0] for array in ARRAYS}
    for array in (*ARRAYS, *(f"{group}/{axis}" for group in groups for axis in "xy")):
        add_chunks(product, real, array)
    dust = "conditions/meteorology/cams/duaod550"
    add_chunks(product, real, dust)
    (product / dust / ".zarray").write_text(json.dumps(real[f"{dust}/.zarray"]))
    found = opened(tmp_path, "error")
    assert isinstance(found, Acquisition)
    assert (found.product_id, found.tile, found.version) == (NAME, "32TQM", "05.11")
    assert found.processing.described == (
        "Sentinel-2 IPF, baseline 05.11, orbit 122, sun zenith 49°, AOD 0.08, "
        "forecast of aerosols (dust 0.04)"
    )
    grid = Tile("32TQM").geobox()
    for asset in found.assets:
        header = read_header(asset.href)
        zoom = asset.resolution_m // 10
        assert (header.shape[0] * zoom, header.epsg) == (grid.shape[0], 32632)
        assert (header.transform.c, header.transform.f) == (grid.affine.c, grid.affine.f)
        assert header.block_shape == (5490, 5490)
    with rasterio.open(found.bands["B2"].href, driver="Zarr") as source:
        assert (
            source.read(1, window=((10_970, 10_980), (10_970, 10_980))).tolist()
            == [[1500] * 10] * 10
        )
        assert tuple(source.transform)[:6] == tuple(grid.affine)[:6]


def test_the_angles_of_the_real_layout_are_read(real: dict[str, Any], tmp_path: Path) -> None:
    """The array as its real metadata say, encoded by a library that is not ours."""
    product, array = store_of(tmp_path, real), real[f"{VIEWS}/.zarray"]
    assert array["shape"] == [13, 2]
    assert read_angles(Documents(FolderStore(product))) is None  # no chunk
    views = np.column_stack([np.linspace(5, 6, 13), np.linspace(100, 106, 13)])
    codec = Blosc.from_config({k: v for k, v in array["compressor"].items() if k != "id"})
    (product / VIEWS).mkdir(parents=True)
    (product / VIEWS / ".zarray").write_text(json.dumps(array))
    (product / VIEWS / "0.0").write_bytes(codec.encode(views.astype(array["dtype"])))
    found = read_angles(Documents(FolderStore(product)))
    assert found is not None
    assert found.sun_zenith_deg == pytest.approx(49.3049375691464)
    assert found.sun_azimuth_deg == pytest.approx(163.595949089503)
    assert (found.view_zenith_deg, found.view_azimuth_deg) == pytest.approx((5.5, 103.0))


def opened(folder: Path, incomplete: Any) -> Acquisition | Skipped | None:
    request = Request("32TQM", SENTINEL2.names, incomplete, "oso", (SETTINGS,))
    (candidate,) = products_at(next(folder.glob("*.zarr")))
    problems = Problems()
    reader = Readers.of([SETTINGS])["eopf"]
    product = reader.open(candidate, folder / "extracted", request, problems)
    assert product is not None, problems
    if isinstance(product, Skipped):
        return product
    found = product.read(request, problems)
    assert found is not None, [str(one) for one in problems]
    return found


def test_the_simulation_writes_what_the_real_product_has(
    real: dict[str, Any], tmp_path: Path
) -> None:
    product = write(tmp_path, tile="32TQM", grid=Tile("32TQM").geobox(16), platform="S2A")
    made = json.loads((product / ".zmetadata").read_text())["metadata"]
    assert set(made) <= set(real)
    for array in (*ARRAYS, *(name[:-8] for name in made if name.endswith("aod550/.zarray"))):
        for own, theirs in (
            (made[f"{array}/.zarray"], real[f"{array}/.zarray"]),
            (made[f"{array}/.zattrs"], real[f"{array}/.zattrs"]),
        ):
            assert set(own) <= set(theirs)
            assert all(type(own[key]) is type(theirs[key]) for key in own)
        own, theirs = made[f"{array}/.zarray"], real[f"{array}/.zarray"]
        same = ("compressor", "dtype", "fill_value", "dimension_separator", "filters", "order")
        assert {key: own[key] for key in same} == {key: theirs[key] for key in same}
    for part in ("stac_discovery", "other_metadata"):
        assert set(made[".zattrs"][part]) <= set(real[".zattrs"][part])
    said = real[".zattrs"]["stac_discovery"]["properties"]
    properties = made[".zattrs"]["stac_discovery"]["properties"]
    assert set(properties) <= set(said)
    assert all(type(properties[key]) is type(said[key]) for key in properties)


def metadata(**changes: Any) -> Metadata:
    said = {"platform": "sentinel-2b", **changes}
    return parse_metadata({"stac_discovery": {"properties": said}})


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"platform": "Sentinel-2C"}, "platform", "S2C"),
        ({"platform": "landsat-8"}, "platform", None),
        ({"platform": ["sentinel-2a"]}, "platform", None),
        ({"eopf:baseline": 5.11}, "baseline", "5.11"),
        ({"eopf:baseline": "null"}, "baseline", None),
        ({"eo:cloud_cover": "12"}, "cloud_percent", None),
        ({"eo:cloud_cover": float("nan")}, "cloud_percent", None),
        ({"eo:cloud_cover": True}, "cloud_percent", None),
        ({"sat:relative_orbit": 51.0}, "orbit", 51),
        ({"sat:relative_orbit": 51.5}, "orbit", None),
        ({"start_datetime": "yesterday"}, "sensed", None),
        ({"datetime": "2018-01-05T10:54:35Z"}, "sensed", FACTS.sensed),
        ({"proj:code": "EPSG:32631"}, "epsg", 32631),
        ({"proj:epsg": {}}, "epsg", None),
        ({"processing:software": {"Sen2Cor": "2.11"}}, "processor_version", "2.11"),
        ({"processing:software": "Sen2Cor"}, "processor", None),
        ({"processing:software": {"A": {}}}, "processor_version", None),
    ],
)
def test_values_of_another_type_are_not_stated(
    changes: dict[str, Any], field: str, value: Any
) -> None:
    assert getattr(metadata(**changes), field) == value


@pytest.mark.parametrize("attributes", [{}, {"stac_discovery": None}, {"stac_discovery": []}])
def test_a_root_without_an_item_is_refused(attributes: dict[str, Any]) -> None:
    with pytest.raises(MetadataError, match="no object `stac_discovery`"):
        parse_metadata(attributes)


INFO = ArrayInfo(
    "r10m/b02", (16, 16), (8, 8), np.dtype("<u2"), 0.0, "blosc",
    attributes={"scale_factor": 1e-4, "add_offset": -0.1},
)  # fmt: skip
FLOATS = replace(INFO, dtype=np.dtype("<f4"), fill=float("nan"), attributes={})


@pytest.mark.parametrize(
    ("info", "baseline", "expected"),
    [
        (INFO, (5, 11), (1e-4, -0.1, 0, 65535)),
        (INFO, None, (1e-4, -0.1, 0, 65535)),  # the attribute decides, not the baseline
        (INFO, (2, 12), (1e-4, -0.1, 0, 65535)),
        (replace(INFO, attributes={"scale_factor": 1e-4}), (2, 12), (1e-4, 0, 0, 65535)),
        (
            replace(INFO, attributes={"_eopf_attrs": dict(INFO.attributes)}),
            (5, 11),
            (1e-4, -0.1, 0, 65535),
        ),
        (replace(INFO, dtype=np.dtype("<i2")), (5, 11), (1e-4, -0.1, 0, None)),
        (FLOATS, (5, 11), (1.0, 0.0, None, None)),
        (replace(FLOATS, attributes={"_FillValue": 0}), (5, 11), (1.0, 0.0, 0, None)),
        (replace(FLOATS, attributes={"_FillValue": "NaN"}), (5, 11), (1.0, 0.0, None, None)),
        (replace(FLOATS, attributes=INFO.attributes), (5, 11), (1e-4, -0.1, None, None)),
    ],
)
def test_scale_and_offset_are_attributes(
    info: ArrayInfo, baseline: tuple[int, int] | None, expected: tuple[Any, ...]
) -> None:
    found = check_numbers({"B2": info}, baseline, Path(), problems := Problems())
    assert not list(problems)
    assert found is not None
    one = found["B2"]
    assert (one.scale, one.offset, one.nodata, one.saturated) == expected


def with_attributes(**changes: Any) -> ArrayInfo:
    return replace(INFO, attributes={**INFO.attributes, **changes})


@pytest.mark.parametrize(
    ("info", "baseline", "code", "said"),
    [
        (with_attributes(scale_factor=None), (5, 11), "E-IMAGE-SCALE", "scale_factor is missing"),
        (with_attributes(scale_factor=0), (5, 11), "E-IMAGE-SCALE", "is 0, expected"),
        (with_attributes(scale_factor="1e-4"), (5, 11), "E-IMAGE-SCALE", "is 1e-4, expected"),
        (with_attributes(scale_factor=float("nan")), (5, 11), "E-IMAGE-SCALE", "is nan"),
        (with_attributes(add_offset=None), (5, 11), "E-IMAGE-BOA-OFFSET", "of baseline 05.11"),
        (with_attributes(add_offset=None), None, "E-IMAGE-BOA-OFFSET", "of baseline unknown"),
        (with_attributes(add_offset="x"), (5, 11), "E-IMAGE-BOA-OFFSET", "is x, expected"),
        (replace(INFO, fill=None), (5, 11), "E-IMAGE-NODATA", "fill value is None"),
        (replace(INFO, fill=float("nan")), (5, 11), "E-IMAGE-NODATA", "fill value is nan"),
        (with_attributes(fill_value=0.5), (5, 11), "E-IMAGE-NODATA", "fill value is 0.5"),
        (
            with_attributes(fill_value=65535), (5, 11), "E-IMAGE-NODATA",
            "is 0 in .zarray and 65535 in the attributes",
        ),
    ],
)  # fmt: skip
def test_numbers_that_cannot_be_read(
    info: ArrayInfo, baseline: tuple[int, int] | None, code: str, said: str
) -> None:
    bands = {"B2": info, "B3": replace(info, name="r10m/b03"), "B4": INFO}
    problems = Problems()
    assert check_numbers(bands, baseline, Path("P.zarr"), problems) is None
    (error,) = problems.errors
    assert (error.code, error.where) == (code, "P.zarr")
    assert said in error.message
    assert "B2 (r10m/b02), B3 (r10m/b03)" in error.message
    assert error.hint


def test_metadata_beside_the_arrays_count_where_they_are_not_together(tmp_path: Path) -> None:
    product = write(tmp_path)
    together = Documents(FolderStore(product))
    expected = [together.attributes(), *(together.array(array) for array in ARRAYS)]
    (product / ".zmetadata").unlink()
    alone = Documents(FolderStore(product))
    assert [alone.attributes(), *(alone.array(array) for array in ARRAYS)] == expected
    assert read_header(gdal_name(alone.store, array_of("B2"))).shape == (16, 16)
