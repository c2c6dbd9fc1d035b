"""The reader of docs/write_your_own_reader.md, as a package that this one knows nothing of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasterio import Affine
from support import ROOT
from support.muscate_factory import Muscate, rewrite, write_raster
from support.outside_package import files_of_page, install, python_with, write_files

PAGE = "write_your_own_reader.md"
NAME = "31TCJ_20180{month}05"
COARSE = np.arange(1, 5, dtype=np.uint16).repeat(16).reshape(8, 8) * 1000


def write_product(images: Path, name: str, clouds: int = 0) -> Path:
    """Write a product of 16 x 16 pixels whose numbers are those of baseline 04.00."""
    folder, fine = images / name, np.full((16, 16), 1500, np.uint16)
    folder.mkdir(parents=True)
    fine[0, 0] = 0
    mask = np.zeros((16, 16), np.uint8)
    mask[1] = clouds
    for file, values, size in (("B4", fine, 10), ("B11", COARSE, 20), ("mask", mask, 10)):
        transform = Affine(size, 0, 300_000, 0, -size, 4_900_020)
        write_raster(folder / f"{file}.tif", values, transform, 32631)
    return folder


def write_config(site: Path, kind: str = "plain") -> Path:
    path = site / "config.yaml"
    path.write_text(
        f"""year: 2018
season: {{start: 2018-01-05, end: 2018-02-05, step_days: 31}}
imagery:
  paths: [images]
  tiles: [31TCJ]
  bands: [B4, B11]
  readers:
    - kind: {kind}
      offset: -0.1
features: {{indices: []}}
reference: {{sources: [{{path: none.gpkg}}]}}
"""
    )
    return path


READ = """
from oso_pipeline import open_stack
from oso_pipeline.core.errors import OsoError
try:
    stack = open_stack("config.yaml", "31TCJ", flat=True).compute()
    print(*stack.feature.values)
    for row, column in ((0, 0), (1, 0), (15, 15)):
        print(*stack.values[:, row, column])
except OsoError as error:
    print(error)
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    place = tmp_path / "site"
    write_files(place, files_of_page(PAGE))
    assert 'plain = "plain_reader:PLUGIN"' in (ROOT / "docs" / PAGE).read_text("utf-8")
    install(place, "plain_reader", "readers", {"plain": "plain_reader:PLUGIN"})
    write_product(place / "images", NAME.format(month=1), clouds=2)
    write_product(place / "images", NAME.format(month=2))
    write_config(place)
    return place


def said(site: Path) -> str:
    done = python_with(site, "-c", READ)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_tile_is_read_with_it(site: Path) -> None:
    names, *pixels = said(site).splitlines()
    assert names == "B4_20180105 B11_20180105 B4_20180205 B11_20180205"
    assert pixels == [
        "-10000 -10000 -10000 -10000",  # no data in one band, told before the offset
        "500 0 500 0",  # under a cloud in January
        "500 3000 500 3000",
    ]


def test_it_keeps_the_contract(site: Path) -> None:
    write_product(site / "tests" / "samples", "31TCJ_20180105")
    test = site / "tests" / "test_plain_reader.py"
    test.write_text(test.read_text().replace('"B4", "B8", "B11"', '"B4", "B11"'))
    done = python_with(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test))
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_an_unknown_kind_names_the_installed_ones_and_the_place(site: Path) -> None:
    write_config(site, "plane")
    text = said(site)
    assert (
        "imagery.readers[0].kind: found 'plane', allowed: muscate, safe, l3a, stac, eopf, plain"
        in text
    )
    assert "config.yaml:8:13" in text
    assert "did you mean plain?" in text


@pytest.mark.slow
def test_a_band_that_is_missing_leaves_the_date_out(site: Path) -> None:
    (site / "images" / NAME.format(month=2) / "B4.tif").unlink()
    assert said(site).splitlines()[-1] == "500 3000 500 3000"
    (site / "images" / NAME.format(month=1) / "B4.tif").unlink()
    assert "E-TILE-NO-IMAGE" in said(site)


@pytest.mark.slow
def test_files_of_unlike_sizes_are_refused(site: Path) -> None:
    rewrite(site / "images" / NAME.format(month=1) / "mask.tif", shape=(8, 8))
    config = write_config(site)
    config.write_text(config.read_text().replace("  tiles:", "  incomplete: error\n  tiles:"))
    text = said(site)
    assert "E-IMAGE-SIZE" in text
    assert "mask.tif" in text


@pytest.mark.slow
def test_readers_stand_side_by_side(site: Path) -> None:
    Muscate("SENTINEL2A_20180115-105435-457_L2A_T31TCJ_C_V2-2").write(site / "images")
    config = write_config(site)
    config.write_text(config.read_text().replace("  readers:", "  readers:\n    - kind: muscate"))
    assert said(site).splitlines()[-1].split()[0] == "500"


@pytest.mark.slow
def test_a_setting_that_is_not_a_key_of_the_kind_is_refused(site: Path) -> None:
    config = write_config(site)
    config.write_text(config.read_text().replace("offset: -0.1", "reflectance: SRE"))
    text = said(site)
    assert "imagery.readers[0].reflectance: not a key of kind plain" in text
    assert "reflectance is a key of kind muscate" in text
