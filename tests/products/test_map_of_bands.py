"""Bands beside class, confidence and validity: from the block files to the map."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rio_cogeo import cog_validate

from oso_pipeline.core.errors import ExitCode
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.prediction.band_request import BandRequest
from oso_pipeline.prediction.bands import Band
from oso_pipeline.products.overviews import halved
from oso_pipeline.tasks.worker import do

World = Any
OSO = load_nomenclature("oso17")
SECTION = {
    "bands": ["probabilities", "second_class", "margin"],
    "legends": {
        "level1": "parents",
        "wet": {code: 300 if code == 51 else 7 for code in OSO.codes},
    },
}
LARGE = {**SECTION, "resolution_m": 2.0}
"""With overviews."""


def maker(number: int, band: Band) -> Callable[..., Any]:
    """Return a band that follows from class, confidence and validity alone."""
    codes = {"": OSO.codes, "level1": (100, 110, 120, 170), "wet": (7, 300), None: range(101)}
    values = np.array(codes[band.legend], np.uint16)

    def make(code: Any, confidence: Any, validity: Any) -> Any:
        mixed = values[(code * 7 + confidence * 3 + validity + 31 * number) % len(values)]
        return np.where(validity % 11 == 0, band.nodata, mixed).astype(np.uint16)

    return make


@pytest.fixture
def request_of_bands(world: World) -> BandRequest:
    found = BandRequest.of(world.config(map=SECTION))
    assert found is not None
    return found


def made(
    world: World, request: BandRequest, block_px: int, section: Any = SECTION
) -> dict[str, Any]:
    tasks = world.predict_tasks(block_px, request)
    more = {band.name: maker(number, band) for number, band in enumerate(request.bands)}
    world.commit(tasks, more=more)
    tasks = world.plan(tasks, map=section).all_made()
    assert list(tasks)[3:] == [
        "probabilities", "second_class", "margin", "legend_level1", "legend_level1_confidence",
        "legend_wet", "legend_wet_confidence",
    ]  # fmt: skip
    return tasks


def test_bands_lie_on_the_map_as_the_classes_do(
    world: World, request_of_bands: BandRequest
) -> None:
    tasks = made(world, request_of_bands, 40, LARGE)
    basic = {}
    for name in ("class", "confidence", "validity"):
        with rasterio.open(tasks[name].output()) as source:
            basic[name] = source.read(1).astype(np.int64)
    there = basic["class"] > 0
    files = {band.file for band in request_of_bands.bands}
    for file in files:
        path = tasks[file].output()
        bands = [(n, b) for n, b in enumerate(request_of_bands.bands) if b.file == file]
        assert path.name == f"OCS_2018_{file}.tif"
        assert cog_validate(path, strict=True)[0]
        with rasterio.open(path) as source:
            assert source.count == len(bands)
            assert source.nodata == bands[0][1].nodata
            assert source.tags()["OSO_LAYER"] == file
            assert source.dtypes[0] == ("uint16" if file == "legend_wet" else "uint8")
            assert len(source.overviews(1)) >= 1
            for index, (number, band) in enumerate(bands, start=1):
                values = source.read(index)
                expected = maker(number, band)(*(basic[name] for name in basic))
                assert np.array_equal(values, np.where(there, expected, band.nodata)), band.name
                with rasterio.open(path, OVERVIEW_LEVEL=0) as overview:
                    half = halved(values, band.nodata, Resampling[band.overviews])
                    assert np.array_equal(overview.read(index), half)


def test_names_colours_and_styles(world: World, request_of_bands: BandRequest) -> None:
    tasks = made(world, request_of_bands, 40)
    with rasterio.open(tasks["probabilities"].output()) as source:
        assert source.descriptions[0] == "probability of summer crops (11), percent"
        assert len(source.descriptions) == len(OSO.codes)
        assert source.interleaving.name == "band"
    with rasterio.open(tasks["second_class"].output()) as source:
        assert source.colormap(1)[211] == (0xAA, 0xAA, 0x00, 255)
    with rasterio.open(tasks["legend_level1"].output()) as source:
        assert source.colormap(1)[110] == (0xFF, 0xCB, 0x7F, 255)
        number = int((source.read(1) == 110).sum())
    style, table = (path.read_text() for path in map(tasks["legend_level1"].output, (1, 2)))
    labels = [one.get("label") for one in ET.fromstring(style).iter("paletteEntry")]
    assert "Annual crops" in labels
    rows = [[cell.text for cell in row] for row in ET.fromstring(table).iter("Row")]
    assert [row[1] for row in rows if row[0] == "110"] == [str(number)]
    grey = ET.fromstring(tasks["probabilities"].output(1).read_text())
    assert (grey.findtext(".//minValue"), grey.findtext(".//maxValue")) == ("0", "100")


@pytest.mark.slow
def test_bytes_do_not_depend_on_blocks(tmp_path: Path, world_in: Callable[[Path], World]) -> None:
    contents = []
    for block_px in (40, 64):
        world = world_in(tmp_path / str(block_px))
        request = BandRequest.of(world.config(map=SECTION))
        assert request is not None
        tasks = made(world, request, block_px)
        contents.append({name: task.output().read_bytes() for name, task in tasks.items()})
    assert contents[0] == contents[1]


def test_more_bands_outdate_blocks_and_say_so(world: World, request_of_bands: BandRequest) -> None:
    before, after = (world.predict_tasks(40, one)[0] for one in (None, request_of_bands))
    assert "bands" not in before.recipe["params"]
    assert after.recipe["params"].keys() - before.recipe["params"].keys() == {"bands"}
    fewer = world.plan(world.predict_tasks(40)).cells[0]
    more = world.plan(world.predict_tasks(40, request_of_bands), map=SECTION).cells[0]
    assert more.cost.memory_bytes > fewer.cost.memory_bytes
    assert more.cost.bytes_written > 3 * fewer.cost.bytes_written


def test_a_percentage_above_100_is_refused(world: World) -> None:
    section = {"bands": ["margin"]}
    request = BandRequest.of(world.config(map=section))
    tasks = world.predict_tasks(40, request)
    world.commit(tasks, more={"margin": lambda code, confidence, validity: confidence + 101})
    (cell,) = world.plan(tasks, map=section).cells
    result = do(cell)
    assert result.status == "failed"
    assert result.exit_code == ExitCode.INPUT
    assert "E-MAP-VALUES" in str(result.error)
