"""Why a pixel got its class: what is said equals map, images and truth of the simulated world."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from PIL import Image
from support.inventories import make_config
from support.inventories import run as inventory_run
from support.muscate_factory import Muscate
from support.pipeline_tools import stdout_of
from support.typed_command import Oso

import oso_pipeline as oso_package
from oso_pipeline.core.commit import read_sidecar, write_sidecar
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.imagery.inventory import read_inventory, write_inventory
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.simulation import WorldSpec
from oso_pipeline.simulation.world.schedule import ORBITS, overpasses
from oso_pipeline.simulation.world.sky import look_up
from oso_pipeline.simulation.world.world import World
from oso_pipeline.studies.explain.explanation import PixelExplanation
from oso_pipeline.studies.explain.images import PixelReader, readers_of, uses_of
from oso_pipeline.studies.explain.parts import (
    Answer,
    ClassSeries,
    ClassVotes,
    Flag,
    ImageUse,
    Label,
    ModelUsed,
    NearPolygon,
    PixelSeries,
    Place,
    VariableSeries,
)
from oso_pipeline.studies.explain.picture import save_picture, svg_of
from oso_pipeline.timeseries.reading.reader import ReadSpec

MAIZE, GRASS = Label(11, "summer <crops>"), Label(211, "grassland")
DAYS = (date(2018, 5, 1), date(2018, 6, 1))


def made_by_hand() -> PixelExplanation:
    means = (
        ClassSeries(MAIZE, 30, (200.0, 700.0), (50.0, 60.0)),
        ClassSeries(GRASS, 40, (500.0, 600.0), (10.0, 10.0)),
    )
    return PixelExplanation(
        "toy",
        2018,
        Place(499205.0, 7350605.0, 2154, 0.5, 53.25, 83, 129, "31UCU", 79, 49, "r00000c00000"),
        Answer(MAIZE, 75, 1),
        (ClassVotes(MAIZE, 15, 0.75), ClassVotes(GRASS, 5, 0.25)),
        ModelUsed("all", "run0", "forest", {"trees": 20}, "share of the votes", False),
        (
            ImageUse("A", date(2018, 5, 6), "S2A", True, "clear", ""),
            ImageUse("B", date(2018, 5, 11), "S2B", False, "cloud", "CLM_R1 is 3"),
            ImageUse("C", None, "", False, "packed", ""),
        ),
        PixelSeries(
            DAYS, (date(2018, 5, 6),), (VariableSeries("NDVI", 0.001, (312,), (312, 312), means),)
        ),
        (NearPolygon(7, 12.3, GRASS, "train", "rpg", MAIZE),),
        (Flag("few_dates", "only 1 clear date"),),
        ("polygons: none",),
    )


def test_the_text_says_it_all() -> None:
    text = made_by_hand().to_text()
    assert str(made_by_hand()) == text
    for line in (
        "11 summer <crops>, confidence 75 %, 1 clear date",
        "  ! only 1 clear date",
        "map toy of 2018, row 83 column 129",
        "  tile 31UCU, row 79, column 49, block r00000c00000",
        "model run0/all: forest, 20 trees",
        "  #####                5 votes, 25.0 %  211 grassland",
        "images of the tile: 1 used, 2 hidden",
        "  2018-05-06 S2A used   clear",
        "  2018-05-11 S2B hidden cloud (CLM_R1 is 3)",
        "  no date    -   hidden packed",
        "  2018-05-06     0.312",
        "  2018-06-01               0.312                 0.700                 0.600",
        "  211 grassland, 12 m away, train, rpg, polygon 7; label doubted, 11 summer <crops> is "
        "more likely",
        "  polygons: none",
    ):
        assert line in text.splitlines()


def test_json_holds_the_same() -> None:
    found = made_by_hand()
    content = json.loads(json.dumps(found.to_json()))
    assert content["format"] == 1
    assert content["answer"] == {
        "label": {"code": 11, "name": "summer <crops>"},
        "confidence": 75,
        "validity": 1,
    }
    assert content["images"][1]["day"] == "2018-05-11"
    assert content["series"]["variables"][0]["classes"][1]["mean"] == [500.0, 600.0]
    assert found.runner_up == GRASS


@pytest.mark.slow
def test_pictures_are_sound_and_the_same_each_time(tmp_path: Path) -> None:
    found = made_by_hand()
    save_picture(found, tmp_path / "one.PNG")
    with Image.open(tmp_path / "one.PNG") as picture:
        assert picture.format == "PNG"
        assert 600 < picture.size[0] < 1200
    save_picture(found, tmp_path / "one.svg")
    save_picture(found, tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert "summer &lt;crops&gt;" in found._repr_html_()
    root = ET.fromstring(svg_of(replace(found, series=None, votes=())))
    assert root.tag.endswith("svg")
    with pytest.raises(InputDataError, match="E-EXPLAIN-PICTURE"):
        save_picture(found, tmp_path / "one.gif")


@pytest.mark.parametrize(
    "arguments",
    [("1",), (), ("1", "2", "--lonlat", "1", "2"), ("--lonlat", "1", "2", "--crs", "x")],
)
def test_a_place_is_named_once(oso: Oso, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert "--lonlat" in oso(2, "explain", tmp_path, *arguments)


def test_every_reader_says_what_hides_a_pixel() -> None:
    from oso_pipeline.config.model import Imagery

    readers = Readers.of(Imagery.model_fields["readers"].get_default(call_default_factory=True))
    said = [readers.meaning(family, "CLM_R1", 0) for family in readers.families]
    assert len(said) >= 4
    assert None not in said
    assert readers.meaning("landsat", "QA", 1) is None


def test_each_image_has_its_reason(tmp_path: Path) -> None:
    def write(when: str, **changes: Any) -> None:
        name = f"SENTINEL2A_{when}-457_L2A_T31TCJ_C_V2-2"
        Muscate(name, **changes).write(tmp_path / "images")

    write("20180105-105435")
    write("20180105-105451")
    write("20180115-105435", mask_values={"CLM": 3})
    write("20180125-105435", mask_values={"CLM": 33})
    write("20180204-105435", mask_values={"EDG": 1})
    write("20180214-105435", mask_values={"SAT": 8})
    write("20180224-105435", values={"B4": -10_000})
    write("20180306-105435", values=dict.fromkeys(("B4", "B8", "B11"), 0))
    write("20180316-105435")
    write("20160105-105435")
    config = make_config(tmp_path, bands=("B4", "B8", "B11"))
    inventory, _ = inventory_run(config)
    gone = tmp_path / "images" / "SENTINEL2A_20180316-105435-457_L2A_T31TCJ_C_V2-2"
    reader = PixelReader(inventory, ReadSpec.of(config), 5, 7)
    assert [one.reason for one in uses_of(reader, None)][4] == "hidden by CLM_R1"
    shutil.rmtree(gone)
    found = {
        image.product_id.split("_")[1][:15]: (image.reason, image.detail)
        for image in uses_of(reader, readers_of(config.imagery.readers))
    }
    assert found.pop("20180316-105435")[0] == "cannot be read"
    assert found.pop("20160105-105435")[0] == "outside the season and its margin"
    assert found == {
        "20180105-105435": ("clear", ""),
        "20180105-105451": ("another image of the day counts", ""),
        "20180115-105435": ("cloud", "CLM_R1 is 3"),
        "20180125-105435": ("cloud shadow", "CLM_R1 is 33"),
        "20180204-105435": ("outside the swath", "EDG_R1 is 1"),
        "20180214-105435": ("saturated (B8)", "SAT_R1 is 8"),
        "20180224-105435": ("no data", "in B4"),
        "20180306-105435": ("blank: 0 in every band", ""),
    }


@pytest.fixture
def copied(small_run: Path, tmp_path: Path) -> Path:
    """Return a copy of the small run that a test may change."""
    shutil.copytree(small_run.parent / "run", tmp_path / "run")
    return tmp_path / "run"


def places(folder: Path, number: int) -> list[tuple[float, float, int, int]]:
    """Return places in pixels of the map with their rows and columns, some near the middle."""
    with rasterio.open(folder / "maps" / "OCS_2018.tif") as source:
        rows, columns = np.nonzero(source.read(1))
        chosen = np.random.default_rng(3).choice(len(rows), number, replace=False)
        return [
            (*source.xy(rows[one], columns[one]), int(rows[one]), int(columns[one]))
            for one in chosen
        ]


@pytest.mark.slow
def test_what_is_said_equals_map_model_and_truth(small_run: Path) -> None:
    folder = small_run.parent / "run"
    run = oso_package.open_run(folder)
    layers = {}
    for name in ("", "_confidence", "_validity"):
        with rasterio.open(folder / "maps" / f"OCS_2018{name}.tif") as source:
            layers[name] = source.read(1)
    world = World(WorldSpec(size_px=128, dates_per_orbit=16, partial_dates=4))
    passes = {f"{p.acquired:%Y%m%d-%H}": p for o in ORBITS for p in overpasses(world, o)}
    samples, trees = run.samples, run.model("all").classifier.facts["trees"]
    reasons, tiles = set(), set()
    for x, y, row, column in places(folder, 12):
        found = oso_package.explain_pixel(run, x + 3, y - 3)
        place = found.place
        assert (place.map_row, place.map_column) == (row, column)
        answer = found.answer
        assert [answer.label.code, answer.confidence, answer.validity] == [
            int(layer[row, column]) for layer in layers.values()
        ]
        assert not {"outdated", "images_gone"} & {flag.code for flag in found.flags}
        votes = [one.votes for one in found.votes if one.votes is not None]
        assert sum(votes) == trees
        best = found.votes[0]
        assert best.votes == max(votes)
        assert answer.confidence == int(100 * max(votes) / int(trees) + 0.5)
        tied = [one.label.code for one in found.votes if one.votes == max(votes)]
        assert answer.label.code == min(tied)
        assert len(found.used) == answer.validity
        for image in found.images:
            stamp = image.product_id.split("_")[1][: len("20180414-11")]
            halves = [one for one in found.images if f"_{stamp}" in one.product_id]
            sky = look_up(world, place.tile, passes[stamp])
            bits = int(sky.cloud_bits[place.row // 2, place.column // 2])
            edge = bool(sky.edge[place.row // 2, place.column // 2])
            reasons.add(image.reason)
            if image.used:
                assert not bits
                assert not edge
            elif image.detail.startswith("CLM_R1"):
                assert image.detail == f"CLM_R1 is {bits}"
                assert ("shadow" in image.reason) == bool(bits & 96)
                assert ("cirrus" in image.reason) == bool(bits & 128)
            elif image.reason == "outside the swath":
                assert edge or len(halves) == 2  # a pass that is delivered in two parts
        assert found.series is not None
        series = found.series.main
        own = samples[(samples["code"] == answer.label.code) & (samples["split_0"] == "train")]
        names = [f"NDVI_{day:%Y%m%d}" for day in found.series.days]
        shown = next(one for one in series.classes if one.label == answer.label)
        assert shown.samples == len(own)
        np.testing.assert_allclose(shown.mean, own[names].mean().to_numpy(), atol=0.051)
        np.testing.assert_allclose(shown.deviation, own[names].std(ddof=0).to_numpy(), atol=0.051)
        tiles.add(place.tile)
    assert tiles == {"30UYD", "31UCU"}
    assert {"clear", "cloud", "cloud shadow", "outside the swath"} <= reasons


@pytest.mark.slow
def test_the_series_is_that_of_the_stack(small_run: Path) -> None:
    run = oso_package.open_run(small_run.parent / "run")
    x, y, *_ = places(run.folder, 1)[0]
    found = oso_package.explain_pixel(run, x, y)
    assert found.series is not None
    stack = oso_package.open_stack(run.config, found.place.tile, flat=True)
    pixel = stack.isel(y=found.place.row, x=found.place.column).load()
    for variable in found.series.variables:
        names = [f"{variable.name}_{day:%Y%m%d}" for day in found.series.days]
        assert pixel.sel(feature=names).to_numpy().tolist() == list(variable.filled)
    days = pd.to_datetime([str(day) for day in found.series.days])
    seen = pd.to_datetime([str(day) for day in found.series.observed_days])
    main = next(one for one in found.series.variables if one.name == "B8")
    expected = np.interp(days.asi8, seen.asi8, np.array(main.observed, float))
    np.testing.assert_allclose(main.filled, expected, atol=0.51)


@pytest.mark.slow
def test_polygons_are_the_nearest(small_run: Path) -> None:
    run = oso_package.open_run(small_run.parent / "run")
    reference = run.reference
    for x, y, *_ in places(run.folder, 3):
        found = oso_package.explain_pixel(run, x, y)
        distances = reference.distance(shapely.Point(x, y))
        nearest = distances.groupby(reference["polygon_id"]).min().nsmallest(5)
        listed = {one.polygon_id: one.distance_m for one in found.polygons}
        assert {*nearest.index} <= {*listed}
        assert [*listed.values()] == sorted(listed.values())
        np.testing.assert_allclose([listed[one] for one in nearest.index], nearest, atol=0.051)
        own = distances[reference["code"] == found.answer.label.code].min()
        mine = [one.distance_m for one in found.polygons if one.label == found.answer.label]
        assert min(mine) == pytest.approx(own, abs=0.051)
        for one in found.polygons:
            rows = reference[reference["polygon_id"] == one.polygon_id]
            assert one.side in set(rows["split_0"])


@pytest.mark.slow
def test_degrees_and_other_systems_lead_to_the_same_pixel(small_run: Path, tmp_path: Path) -> None:
    x, y, *_ = places(small_run.parent / "run", 1)[0]
    run = oso_package.open_run(small_run)
    found = oso_package.explain_pixel(run, x, y)
    place = found.place
    said = json.loads(
        stdout_of("explain", small_run, "--lonlat", place.longitude, place.latitude, "--json")
    )
    assert said == json.loads(json.dumps(found.to_json()))
    utm = geopandas.GeoSeries([shapely.Point(x, y)], crs=2154).to_crs(32631)[0]
    arguments = (utm.x, utm.y, "--crs", "EPSG:32631", "--picture", tmp_path / "why.svg")
    assert stdout_of("explain", small_run.parent / "run", *arguments).rstrip() == found.to_text()
    assert (tmp_path / "why.svg").exists()


@pytest.mark.slow
def test_places_without_an_explanation_are_named(oso: Oso, copied: Path) -> None:
    x, y, *_ = places(copied, 1)[0]
    said = oso(4, "explain", copied, 2.5, 46)
    assert "E-EXPLAIN-OUTSIDE" in said
    assert "expected x 497910 to 500000" in said
    assert "--lonlat" in said
    assert "E-EXPLAIN-CRS" in oso(4, "explain", copied, x, y, "--crs", "EPSG:99")
    far = shapely.box(x + 500, y + 500, x + 600, y + 600)
    area = copied.parent / "area.gpkg"
    geopandas.GeoDataFrame(geometry=[far], crs=2154).to_file(area)
    add(copied, f"map: {{area: {{path: {area}}}}}\n", "map:")
    assert "E-EXPLAIN-AREA" in oso(4, "explain", copied, x, y)
    area.unlink()
    assert "area of the map" in oso_package.explain_pixel(copied, x, y).missing[0]
    shutil.copy(copied / "config.before", copied / "config.yaml")
    shutil.rmtree(copied / "blocks")
    assert oso_package.explain_pixel(copied, x, y).place.block == ""
    shutil.rmtree(copied / "maps")
    assert "E-EXPLAIN-NOT-PREDICTED" in oso(4, "explain", copied, x, y)
    shutil.rmtree(copied / "inventory")
    assert "E-RUN-MISSING" in oso(4, "explain", copied, x, y)


def add(folder: Path, text: str, section: str) -> None:
    """Put a section in place of that of the configuration of a run."""
    path = folder / "config.yaml"
    shutil.copy(path, folder / "config.before")
    kept, inside = [], False
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        inside = line.startswith(section) or (inside and line[0] in " -")
        if not inside:
            kept.append(line)
    path.write_text("".join(kept) + text, encoding="utf-8")


@pytest.mark.slow
def test_without_images_or_models_the_rest_is_said(copied: Path) -> None:
    x, y, *_ = places(copied, 1)[0]
    whole = oso_package.explain_pixel(copied, x, y)
    for path in (copied / "inventory").glob("*.parquet"):
        listed = read_inventory(path)
        moved = [
            replace(
                one,
                bands={n: replace(a, href=f"{a.href}.gone") for n, a in one.bands.items()},
            )
            for one in listed.acquisitions
        ]
        record = read_sidecar(path) or {}
        write_inventory(path, replace(listed, acquisitions=tuple(moved)))
        kept = {name: value for name, value in record.items() if name not in ("sha256", "size")}
        write_sidecar(path, kept)
    found = oso_package.explain_pixel(copied, x, y)
    assert (found.answer, found.place) == (whole.answer, whole.place)
    assert found.series is None
    assert found.votes == ()
    assert {one.polygon_id for one in found.polygons} <= {o.polygon_id for o in whole.polygons}
    assert "images_gone" in {flag.code for flag in found.flags}
    assert "vanished" in found.missing[0]
    assert "what cannot be said" in found.to_text()
    shutil.rmtree(copied / "models")
    shutil.rmtree(copied / "samples")
    (copied / "reference.parquet").unlink()
    found = oso_package.explain_pixel(copied, x, y)
    assert found.model is None
    assert found.polygons == ()
    assert any("model" in text for text in found.missing)
    assert any("reference" in text for text in found.missing)


@pytest.mark.slow
def test_strata_and_given_models_are_said(copied: Path) -> None:
    x, y, *_ = places(copied, 1)[0]
    strata = copied.parent / "strata.gpkg"
    far = shapely.box(x + 100, y - 1000, x + 5000, y + 1000)
    geopandas.GeoDataFrame({"name": ["east"]}, geometry=[far], crs=2154).to_file(strata)
    add(copied, f"strata: {{path: {strata}, field: name}}\n", "strata:")
    found = oso_package.explain_pixel(copied, x, y)
    assert "outside_strata" in {flag.code for flag in found.flags}
    assert found.model is None
    assert found.series is not None
    found = oso_package.explain_pixel(copied, x + 110, y)
    assert any("stratum east" in text for text in found.missing)
    strata.unlink()
    assert "stratum, votes" in oso_package.explain_pixel(copied, x, y).missing[0]
    shutil.copy(copied / "config.before", copied / "config.yaml")
    shutil.rmtree(copied / "samples")
    add(copied, f"learning: {{n_trees: 20, model: {copied / 'models' / 'run0'}}}\n", "learning:")
    found = oso_package.explain_pixel(copied, x, y)
    assert found.model is not None
    assert found.model.given
    assert found.votes
    assert "given_model" in {flag.code for flag in found.flags}
    assert any("mean series" in text for text in found.missing)


@pytest.mark.slow
def test_a_map_that_no_longer_follows_is_flagged(copied: Path) -> None:
    x, y, *_ = places(copied, 1)[0]
    place = oso_package.explain_pixel(copied, x, y).place
    for name in ("class", "confidence"):
        suffix = "" if name == "class" else "_confidence"
        path = copied / "maps" / f"OCS_2018{suffix}.tif"
        record = read_sidecar(path) or {}
        with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as target:
            values = target.read(1)
            values[place.map_row, place.map_column] = 31 if name == "class" else 1
            target.write(values, 1)
        write_sidecar(path, {k: v for k, v in record.items() if k not in ("sha256", "size")})
    found = oso_package.explain_pixel(copied, x, y)
    assert found.answer.label.code == 31
    assert "outdated" in {flag.code for flag in found.flags}
