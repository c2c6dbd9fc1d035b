"""The inputs of a nation: files of full size that hold a patch, and databases true to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import yaml
from affine import Affine
from odc.geo.geobox import GeoBox

from bench import rehearsal
from oso_pipeline.imagery.header import read_header
from oso_pipeline.simulation.national import databases
from oso_pipeline.simulation.national.nation import (
    NationSpec,
    ground,
    passes,
    places_of_departments,
)
from oso_pipeline.simulation.national.regions import regions
from oso_pipeline.simulation.national.sparse_tiff import Placed, sparse_tiff
from oso_pipeline.simulation.national.write_nation import write_nation

NATIONAL = Path(__file__).resolve().parents[2] / "configs" / "national.yaml"
TILES = tuple(yaml.safe_load(NATIONAL.read_text(encoding="utf-8"))["imagery"]["tiles"])
SMALL = NationSpec(("31TCL",), patch_px=96, departments=1, squares=1)


@pytest.mark.parametrize(("around", "elsewhere"), [(3, 3), (7, None), (0, None)])
def test_gdal_reads_a_patch_and_what_lies_around(
    tmp_path: Path, around: int, elsewhere: int | None
) -> None:
    grid = GeoBox((50, 40), Affine(10, 0, 300000, 0, -10, 4900020), "EPSG:32631")
    image = np.random.default_rng(1).integers(0, 200, (12, 10)).astype("uint8")
    path = tmp_path / "file.tif"
    sparse_tiff(path, Placed(image, 20, 16, around, elsewhere), grid)
    expected = np.full((50, 40), elsewhere or 0)
    expected[20:32] = around
    expected[20:32, 16:26] = image
    with rasterio.open(path) as file:
        assert file.transform == grid.affine
        assert file.block_shapes == [(1, 40)]
        np.testing.assert_array_equal(file.read(1), expected)
    assert read_header(path).shape == (50, 40)
    assert path.stat().st_size < 2_000


def test_departments_lie_apart_from_all_patches_and_from_each_other() -> None:
    spec = NationSpec(TILES)
    side = 2_500.0 * spec.squares
    boxes = [shapely.box(x, y, x + side, y + side) for x, y in places_of_departments(spec)]
    assert len(boxes) == spec.departments
    patches = shapely.union_all([ground(spec.patch(tile)) for tile in TILES])
    assert not any(box.intersects(patches) for box in boxes)
    assert shapely.union_all(boxes).area == pytest.approx(side**2 * len(boxes))


def test_every_patch_lies_in_regions_that_are_valid_and_share_no_ground() -> None:
    spec = NationSpec(TILES)
    found = regions(spec)
    assert len(found) == 10
    assert found.is_valid.all()
    whole = found.geometry.union_all()
    assert whole.area == pytest.approx(found.area.sum())
    patches = np.array([ground(spec.patch(tile)) for tile in TILES])
    assert shapely.covers(whole, patches).all()
    assert min(shapely.intersects(region, patches).sum() for region in found.geometry) >= 8


def test_a_spec_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(ValueError, match="different"):
        NationSpec(("31TCL", "31TCL"))
    with pytest.raises(ValueError, match="at least 12"):
        NationSpec(("31TCL",), dates=11)
    with pytest.raises(ValueError, match="1 departments fit, not 2"):
        places_of_departments(NationSpec(("31TCL",), departments=2))


@pytest.fixture(scope="module")
def nation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nation")
    written = [*write_nation(folder, SMALL, workers=1)]
    assert len(written) == 6
    return folder


@pytest.mark.slow
def test_what_is_there_is_not_written_again(nation: Path) -> None:
    products = nation / "products" / "T31TCL"
    before = {path: path.stat().st_mtime_ns for path in products.rglob("*")}
    assert [*write_nation(nation, SMALL, workers=1)] == []
    assert {path: path.stat().st_mtime_ns for path in products.rglob("*")} == before
    assert not (nation / "unfinished").exists()


@pytest.mark.slow
def test_products_have_the_size_of_a_tile_and_show_the_patch_alone(nation: Path) -> None:
    products = sorted((nation / "products" / "T31TCL").iterdir())
    assert len(products) == SMALL.dates == len(passes(SMALL.world("31TCL")))
    corner, end = SMALL.corner_px, SMALL.corner_px + SMALL.patch_px
    for product in products[:2]:
        assert len([*product.rglob("*.tif")]) == 10 + 8
        (band,) = product.glob("*_FRE_B8.tif")
        (mask,) = product.glob("MASKS/*_CLM_R1.tif")
        with rasterio.open(mask) as file:
            assert file.shape == (10_980, 10_980)
            hidden = file.read(1) != 0
        hidden[corner:end, corner:end] = True
        assert hidden.all()
        with rasterio.open(band) as file:
            assert file.read(1, window=((corner, end), (corner, end))).max() > 500


@pytest.mark.slow
def test_the_pipeline_finds_no_fault_before_it_runs(nation: Path, tmp_path: Path) -> None:
    (tmp_path / "inputs").symlink_to(nation)
    config = tmp_path / "rehearsal.yaml"
    config.write_text(yaml.safe_dump(rehearsal.configuration(SMALL, False)), encoding="utf-8")
    command = [sys.executable, "-m", "oso_pipeline.cli", "check", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"tile 31TCL: {SMALL.dates} products" in done.stdout + done.stderr


@pytest.mark.slow
def test_parcels_have_the_crop_that_the_images_show(nation: Path) -> None:
    (path,) = (nation / "rpg").rglob("*.gpkg")
    parcels = gpd.read_file(path)
    # Some come twice, as in real deliveries, with all that is theirs.
    twice = parcels[parcels.duplicated("id_parcel", keep=False)]
    assert len(twice) < 0.05 * len(parcels)
    assert twice.groupby("id_parcel")["code_cultu"].nunique().max() == 1
    patch = ground(SMALL.patch("31TCL")).buffer(-100)
    inside = parcels[parcels.within(patch) & parcels.is_valid & (parcels.code_cultu != "NR")]
    middles = inside.representative_point()
    codes = SMALL.world("31TCL").class_at(middles.x.to_numpy(), middles.y.to_numpy())
    grass = inside["code_cultu"].isin(["PPH", "PRL", "PTR", "LUZ"]).to_numpy()
    assert len(inside) > 5
    np.testing.assert_array_equal(grass, codes == 211)
    names = {path.name[:4] for path in (nation / "bdtopo").rglob("BDTOPO_*")}
    assert names
    assert len([*(nation / "bdtopo").rglob("BATIMENT.shp")]) == 2
    assert databases.departments(SMALL)[0].name == "D001"
