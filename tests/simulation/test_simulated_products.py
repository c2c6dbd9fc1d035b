"""The products of the simulated world, read back with rasterio and ElementTree alone."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio

from oso_pipeline.simulation import SimulatedWorld, WorldSpec, simulate
from oso_pipeline.simulation.world.schedule import main_orbit, orbit_number, overpasses
from oso_pipeline.simulation.world.sky import Overpass, shadow_shift
from oso_pipeline.simulation.world.world import World

NAME = re.compile(
    r"^(?P<plat>SENTINEL2[ABCDX])_(?P<date>\d{8})-(?P<time>\d{6})-(?P<ms>\d{3})_(?P<lvl>L2A)_"
    r"(?P<zone>T\d{2}[A-Z]{3})_(?P<prof>[CHD])_V(?P<maj>\d+)-(?P<min>\d+)$"
)
BANDS = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SimulatedWorld:
    return simulate(tmp_path_factory.mktemp("tiny"), WorldSpec.tiny())


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def folders(world: SimulatedWorld) -> list[Path]:
    return sorted(path for path in world.products.glob("T*/*") if path.is_dir())


def full_folders(world: SimulatedWorld) -> list[Path]:
    return [folder for folder in folders(world) if (folder / "MASKS").is_dir()]


def masks(world: SimulatedWorld, name: str) -> list[np.ndarray]:
    found = []
    for folder in full_folders(world):
        with rasterio.open(folder / "MASKS" / f"{folder.name}_{name}.tif") as file:
            found.append(file.read(1))
    return found


def text(root: ET.Element, path: str) -> str:
    found = root.findtext(path)
    assert found is not None, path
    return found.strip()


@pytest.mark.slow
def test_same_seed_same_bytes_other_seed_other_bytes(tiny: SimulatedWorld, tmp_path: Path) -> None:
    again = simulate(tmp_path / "again", WorldSpec.tiny())
    assert digests(again.products.parent) == digests(tiny.products.parent)
    other = simulate(tmp_path / "other", WorldSpec.tiny(seed=1))
    assert other.product_ids != tiny.product_ids


def test_a_world_is_not_written_over_another(tiny: SimulatedWorld) -> None:
    with pytest.raises(FileExistsError):
        simulate(tiny.products.parent, WorldSpec.tiny())


def test_names_hold_every_variant(tiny: SimulatedWorld) -> None:
    parts = [NAME.match(name) for name in tiny.product_ids]
    assert all(parts)
    found = [part.groupdict() for part in parts if part]
    assert {part["prof"] for part in found} == {"C", "H", "D"}
    assert {part["plat"] for part in found} == {"SENTINEL2A", "SENTINEL2B", "SENTINEL2C"}
    moments = Counter((part["zone"], part["date"], part["time"], part["ms"]) for part in found)
    assert sorted(moments.values())[-2:] == [2, 2]  # two versions of one image, in each tile
    days = Counter((zone, day) for zone, day, *_ in moments)
    assert max(days.values()) == 2  # two images of one day


def test_zips_hold_their_product_at_the_top(tiny: SimulatedWorld) -> None:
    archives = sorted(tiny.products.rglob("*.zip"))
    assert archives
    for path in archives:
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            assert {name.split("/")[0] for name in archive.namelist()} == {path.stem}


def test_a_nearly_cloudy_image_is_metadata_only(tiny: SimulatedWorld) -> None:
    empty = [folder for folder in folders(tiny) if not (folder / "MASKS").is_dir()]
    assert len(empty) == 2
    for folder in empty:
        root = ET.parse(folder / f"{folder.name}_MTD_ALL.xml").getroot()
        assert root.find(".//IMAGE_FILE") is None
        assert int(text(root, ".//QUALITY_INDEX[@name='CloudPercent']")) > 90
        assert "L2NOTV" in (folder / "DATA" / f"{folder.name}_JPI_ALL.xml").read_text()


def test_files_are_strips_or_tiles_on_the_grid_of_the_tile(tiny: SimulatedWorld) -> None:
    layouts, tags = set(), set()
    for folder in full_folders(tiny):
        for band in BANDS:
            with rasterio.open(folder / f"{folder.name}_FRE_{band}.tif") as file:
                layouts.add((file.profile["tiled"], file.compression is None))
                tags.add(file.nodata)
                zone = 32600 + int(folder.parent.name[1:3])
                size = 96 if band in ("B2", "B3", "B4", "B8") else 48
                assert file.dtypes == ("int16",)
                assert (file.shape, file.crs.to_epsg()) == ((size, size), zone)
                assert file.transform.f == 5_900_040
                assert file.transform.c == {32630: 699_960, 32631: 300_000}[zone]
    assert layouts == {(False, True), (True, False)}
    assert None in tags


def test_metadata_tell_what_is_there(tiny: SimulatedWorld) -> None:
    dotted, spaced, natures = set(), set(), set()
    for folder in full_folders(tiny):
        root = ET.parse(folder / f"{folder.name}_MTD_ALL.xml").getroot()
        assert text(root, "Product_Characteristics/PRODUCT_ID") == folder.name
        assert text(root, ".//REFLECTANCE_QUANTIFICATION_VALUE") == "10000"
        assert text(root, ".//SPECIAL_VALUE[@name='nodata']") == "-10000"
        images = [
            file
            for image in root.iter("Image")
            if text(image, "Image_Properties/NATURE") == "Flat_Reflectance"
            for file in image.iter("IMAGE_FILE")
        ]
        assert [image.get("band_id") for image in images] == list(BANDS)
        files = [*root.iter("IMAGE_FILE"), *root.iter("MASK_FILE")]
        for file in files:
            assert (folder / (file.text or "").strip()).is_file(), file.text
        bits = {int(file.get("bit_number", 1)) for file in files}
        assert bits == set(range(1, 9))  # counted from 1
        dotted.add((images[0].text or "").strip().startswith("./"))
        spaced.add((images[0].text or "").startswith("\n"))
        natures |= {text(mask, ".//NATURE") for mask in root.iter("Mask")}
    assert dotted == spaced == {True, False}
    assert {"Detailed_Cloud", "Cloud", "Tangent_Sun", "Edge", "Saturation"} <= natures


def test_every_mask_bit_occurs(tiny: SimulatedWorld) -> None:
    for name, expected in (
        ("CLM_R1", 0xFF), ("CLM_R2", 0xFF), ("MG2_R1", 0xFF), ("EDG_R1", 1),
        ("SAT_R1", 0b1111), ("SAT_R2", 0b111111),
    ):  # fmt: skip
        union = np.bitwise_or.reduce(
            [np.bitwise_or.reduce(m, axis=None) for m in masks(tiny, name)]
        )
        assert union == expected, name


def test_cloud_bits_agree_with_each_other(tiny: SimulatedWorld) -> None:
    values = np.unique(np.concatenate([mask.ravel() for mask in masks(tiny, "CLM_R1")]))
    bit = [(values >> n) & 1 for n in range(8)]
    np.testing.assert_array_equal(bit[0], bit[1] | bit[5] | bit[6])
    np.testing.assert_array_equal(bit[1], bit[2] | bit[3])
    assert 128 in values  # cirrus alone, which bit 0 does not tell
    assert 16 in values  # the thin rim of clouds alone


def test_outside_the_swath_no_band_has_data(tiny: SimulatedWorld) -> None:
    shares = []
    for folder in full_folders(tiny):
        for band in BANDS:
            group = "R1" if band in ("B2", "B3", "B4", "B8") else "R2"
            with rasterio.open(folder / "MASKS" / f"{folder.name}_EDG_{group}.tif") as file:
                edge = file.read(1) == 1
            with rasterio.open(folder / f"{folder.name}_FRE_{band}.tif") as file:
                np.testing.assert_array_equal(file.read(1) == -10_000, edge)
        shares.append(edge.mean())
    assert min(shares) < 0.1
    assert max(shares) > 0.3


def test_snow_is_marked_in_mg2_only(tiny: SimulatedWorld) -> None:
    snow = [(mg2 & 4) > 0 for mg2 in masks(tiny, "MG2_R1")]
    clear = [clm == 0 for clm in masks(tiny, "CLM_R1")]
    assert any((s & c).any() for s, c in zip(snow, clear, strict=True))


def test_shadows_fall_away_from_the_sun() -> None:
    world = World(WorldSpec.tiny())
    for overpass in overpasses(world, 94):
        zenith, azimuth = overpass.sun()
        assert 25 < zenith < 80
        assert 150 < azimuth < 180  # before noon: south-south-east
        east, north = shadow_shift(world, overpass)
        assert north > abs(east)
        assert east < 0


def test_faults_are_put_in_on_demand(tmp_path: Path) -> None:
    spec = WorldSpec.tiny(variants=("missing_fre", "missing_band", "truncated_band"))
    world = simulate(tmp_path / "w", spec)
    west = [folder for folder in full_folders(world) if folder.parent.name == "T30UYD"]
    counts = Counter(len(list(folder.glob("*_FRE_*.tif"))) for folder in west)
    assert counts[0] == 1
    assert counts[9] == 1
    broken = [path for folder in west for path in folder.glob("*_FRE_B4.tif") if not readable(path)]
    assert len(broken) == 1
    east = [folder for folder in full_folders(world) if folder.parent.name == "T31UCU"]
    assert {len(list(folder.glob("*_FRE_*.tif"))) for folder in east} == {10}


def readable(path: Path) -> bool:
    try:
        with rasterio.open(path) as file:
            file.read()
    except rasterio.errors.RasterioError:
        return False
    return True


def test_default_world_has_a_year_of_irregular_dates() -> None:
    world = World(WorldSpec())
    assert [main_orbit(world, tile) for tile in world.spec.tiles] == [94, 51]
    for orbit in (94, 51):
        passes = overpasses(world, orbit)
        days = np.array([p.acquired.toordinal() for p in passes])
        gaps = np.diff(days)
        assert 33 <= len(passes) <= 37
        assert set(gaps % 5) == {0}
        assert gaps.min() == 5
        assert 15 <= gaps.max() <= 25


def test_orbit_numbers_match_published_ones() -> None:
    # Sentinel-2A flew orbit 6626 (relative 51) on 2016-09-28 and 19968 (relative 94) on
    # 2019-04-19, as the metadata of real products tell.
    first = Overpass(datetime(2016, 9, 28, 10, 56, tzinfo=UTC), "SENTINEL2A", 51, 0.0)
    second = Overpass(datetime(2019, 4, 19, 11, 6, tzinfo=UTC), "SENTINEL2A", 94, 0.0)
    assert orbit_number(first) == 6626
    assert orbit_number(second) == 19968
