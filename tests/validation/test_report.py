"""The report: complete, self-contained, safe and robust."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.report_tools import (
    EVIL,
    OSO17,
    OUTPUTS,
    commit,
    make_accuracy,
    make_maps,
    make_tables,
    page_of,
    patchwork,
    write_polygons,
)

from oso_pipeline.core.commit import publish_json, write_sidecar
from oso_pipeline.report.accuracy import reliability_chart
from oso_pipeline.report.pictures import polygon_picture
from oso_pipeline.validation.calibration import Forecasts, reliability


@pytest.fixture
def full(tmp_path: Path) -> Path:
    make_tables(tmp_path)
    make_maps(tmp_path, patchwork(OSO17.codes))
    make_accuracy(tmp_path, OSO17, runs=3)
    return tmp_path


def test_report_shows_every_part_and_loads_nothing(full: Path) -> None:
    page = page_of(full)
    assert len(page.images) == 4
    accuracy = json.loads((full / "validation/accuracy.json").read_text(encoding="utf-8"))
    estimate = accuracy["overall_accuracy"]["estimate"]
    for text in (
        f"{100 * estimate:.1f} %",
        "Confusion matrix",
        "Level 1",
        "summer crops",
        "culture d'été",
        "skipped: metadata only",
        "no bands in the folder",
        "eroded away",
        "W-IMAGE-VERSIONS",
        "17 validation pixels left out: no clear date",
        "2 degrees of freedom",
        "design of validation/accuracy.json",
        "Independent validation",
        "design of validation/independent/accuracy.json",
        "Where the polygons lie",
        "RPG 2018",
        "too small 1\u202f234",
        "3 of 900 labels are to be looked at; 1 of these polygons",
        "4711",
        "predict",
        "410 MB",
        "note: ",
        "0123456789ab",
        "numpy 2.1",
    ):
        assert text in page.text, text
    assert page.text.index("read1") < page.text.index("eroded away")
    assert (full / "report.html").stat().st_size < 2_000_000


def test_calibrated_models_show_their_reliability(full: Path) -> None:
    assert "Calibration error" not in page_of(full).text
    rng = np.random.default_rng(0)
    share = rng.uniform(0.3, 1, 500)
    forecasts = Forecasts(share, rng.random(500) < share**2, np.arange(500))
    sure, table = (
        reliability(forecasts, 0),
        reliability(replace(forecasts, probability=share**2), 0),
    )
    path = full / "validation/accuracy.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    publish_json(path, {**content, "calibration": {"share": sure, "probability": table}})
    commit(path, {})
    text = page_of(full).text
    for figure in (f"Calibration error{sure['error']:.3f}{table['error']:.3f}", "Brier score"):
        assert figure in text
    chart = reliability_chart({"share": sure, "probability": table})
    assert [line.name for line in chart.lines] == ["aligned", "source", "target"]


def test_rows_18_26_29_quality_of_the_series_is_shown(full: Path) -> None:
    counts = {"classified": 900, "nodata": 100, "insufficient": 150, "long_gap": 40, "clipped": 7}
    for path in OUTPUTS["predict"]:
        commit(full / path, counts)
    page = page_of(full)
    assert "of 2\u202f000 pixels, 200 (10.0 %) have no clear date" in page.text
    assert "300 (15.0 %) have fewer than two" in page.text
    for code in ("W-SERIES-CLIPPED", "W-SERIES-FEW-DATES", "W-SERIES-NO-DATE", "W-SERIES-GAP"):
        assert code in page.text


def test_names_from_data_are_escaped(tmp_path: Path) -> None:
    evil = replace(
        OSO17, classes=tuple(replace(c, name_fr=EVIL, name_en=EVIL) for c in OSO17.classes)
    )
    make_tables(tmp_path, EVIL)
    make_maps(tmp_path, patchwork(OSO17.codes))
    make_accuracy(tmp_path, evil)
    page = page_of(tmp_path, evil, EVIL)
    assert page.text.count(EVIL) > 20
    assert EVIL not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_other_maps_are_shown_beside_this_one(full: Path) -> None:
    path = full / "validation/independent/accuracy.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    other = {
        "name": f"2017 {EVIL}", "pixels": 900, "polygons": 40,
        "overall_accuracy": {"run": 0.934, "other": 0.901},
        "difference": {"estimate": 0.033, "low": 0.011, "high": 0.052},
        "only_run_right": 37, "only_other_right": 7,
        "f_score": {"11": {"run": 0.876, "other": 0.765}},
    }  # fmt: skip
    publish_json(path, content | {"compared_maps": [other]})
    commit(path, {})
    page = page_of(full)
    for text in ("Against other maps", EVIL, "90.1 %", "+3.3 points", "+1.1 to +5.2", "76.5 %"):
        assert text in page.text, text
    assert EVIL not in (full / "report.html").read_text(encoding="utf-8")


def test_report_of_an_empty_run_folder(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert "No map was made yet" in page.text
    assert "Accuracy was not measured yet" in page.text
    assert not page.images


@pytest.mark.parametrize("code", [0, 211])
def test_report_of_a_map_of_one_class_or_none(tmp_path: Path, code: int) -> None:
    make_maps(tmp_path, np.full((30, 5), code))
    page = page_of(tmp_path)
    assert len(page.images) == (3 if code else 1)
    assert ("grassland" in page.text) == (code == 211)


def test_report_says_that_a_map_is_partial(tmp_path: Path) -> None:
    make_maps(tmp_path, patchwork((11, 12)), missing_pixels=1234, missing_blocks=2)
    assert "1\u202f234 pixels in 2 blocks are missing" in page_of(tmp_path).text


def test_polygons_are_drawn_in_the_colours_of_their_classes(tmp_path: Path) -> None:
    write_polygons(tmp_path / "reference.parquet")
    picture = polygon_picture(tmp_path / "reference.parquet", OSO17, max_px=95)
    assert picture is not None
    assert (picture.width, picture.height, picture.metres) == (95, 10, 10.0)
    assert picture.codes == (11, 12)
    png = base64.b64decode(picture.uri.removeprefix("data:image/png;base64,"))
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    table = OSO17.colour_table()
    assert tuple(pixels[5, 3]) == tuple(table[11])
    assert tuple(pixels[5, 13]) == tuple(table[12])
    assert pixels[5, 7, 3] == 0  # between two of them


def test_3_9_report_of_a_damaged_map_says_so(full: Path) -> None:
    path = full / OUTPUTS["mosaic"][1]
    path.write_bytes(bytes(100))
    write_sidecar(path, {"summary": {}})
    page = page_of(full)
    assert len(page.images) == 3
    assert "not in the report: picture of OCS_2018_confidence.tif: Rasterio" in page.text
