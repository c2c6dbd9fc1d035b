"""Real pixels of Flanders give the same map from products of every family."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.families import WRITERS, write_families
from support.pipeline_tools import digests, oso

CONFIG = """\
year: 2018
nomenclature: {data}/reference/nomenclature.csv
run_dir: {folder}/run
season: {{start: 2018-03-15, end: 2018-10-15, step_days: 10}}
imagery: {{paths: [{products}], tiles: [31UDS], margin_days: 20}}
reference:
  erosion_m: 10
  min_polygons: 2
  rare_classes: drop
  min_area_m2: 0
  sources:
    - {{path: {data}/reference/parcels.gpkg, code_field: crop_code, year: 2018}}
sampling: {{max_train_pixels: null}}
label_check: {{enabled: false}}
learning: {{n_trees: 50, min_samples_leaf: 1}}
validation: {{bootstrap: 100}}
runtime: {{executor: serial}}
"""


def map_of(folder: Path, data: Path, products: Path) -> dict[str, str]:
    """Run on some products and return the digests of all layers of the map."""
    folder.mkdir()
    config = folder / "flanders.yaml"
    config.write_text(CONFIG.format(data=data, folder=folder, products=products))
    oso("run", config)
    return digests(folder / "run")


@pytest.fixture(scope="module")
def flanders(shared_data: Path) -> Path:
    return shared_data / "flanders_2018"


@pytest.fixture(scope="module")
def products(flanders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same observations in a folder for each family."""
    folder = tmp_path_factory.mktemp("families")
    write_families(flanders / "products", folder, tuple(WRITERS), ("201802", "201811"))
    return folder


@pytest.fixture(scope="module")
def expected(
    flanders: Path, products: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("muscate") / "run_of_muscate"
    return map_of(folder, flanders, products / "muscate")


@pytest.mark.slow
@pytest.mark.parametrize("family", [name for name in WRITERS if name != "muscate"])
def test_the_map_of_muscate_pixel_for_pixel(
    family: str, flanders: Path, products: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    assert {"OCS_2018.tif", "OCS_2018_confidence.tif", "OCS_2018_validity.tif"} <= expected.keys()
    assert map_of(tmp_path / family, flanders, products / family) == expected
