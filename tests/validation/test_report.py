"""The report: complete, self-contained, safe and robust."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from PIL import Image
from rasterio.transform import from_origin

from oso_pipeline.core.commit import publish_json, write_sidecar
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.core.task import Task, do
from oso_pipeline.validation.accuracy import Method, Predictions, assess
from oso_pipeline.validation.pictures import polygon_picture

OSO17 = load_nomenclature("oso17")
EVIL = "<script>alert('x')</script>"
OUTPUTS = {
    "inventory": ["inventory/31TCJ.parquet"],
    "reference": ["reference.parquet"],
    "samples": ["samples/31TCJ.parquet"],
    "labels": ["labels/run0/all.parquet"],
    "train": ["models/run0/all/model.json"],
    "predict": ["blocks/31TCJ/a.tif", "blocks/31TCJ/b.tif"],
    "mosaic": [f"maps/OCS_2018{end}.tif" for end in ("", "_confidence", "_validity")],
    "validate": ["validation/accuracy.json"],
    "independent": ["validation/independent/accuracy.json"],
}
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Checks that tags are balanced and collects what the page would load."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        for name, value in attrs:
            assert not name.startswith("on")
            if name in ("src", "href", "action", "data", "poster", "srcset"):
                self.addresses.append(value or "")
            assert "url(" not in (value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def commit(path: Path, summary: dict[str, Any]) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")
    write_sidecar(path, {"key": "k", "summary": summary})


def write_map(path: Path, values: np.ndarray, nodata: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = values.shape
    profile = {"driver": "GTiff", "height": rows, "width": columns, "count": 1}
    profile |= {"dtype": values.dtype, "crs": "EPSG:2154", "nodata": nodata}
    with rasterio.open(path, "w", transform=from_origin(5e5, 6e6, 10, 10), **profile) as target:
        target.write(values, 1)


def make_maps(folder: Path, classes: np.ndarray, **facts: Any) -> None:
    generator = np.random.default_rng(0)
    confidence = np.where(classes, generator.integers(20, 101, classes.shape), 0)
    validity = np.where(classes, generator.integers(5, 30, classes.shape), 65535)
    layers = (classes.astype(np.uint8), confidence.astype(np.uint8), validity.astype(np.uint16))
    names = ("class", "confidence", "validity")
    for path, values, name in zip(OUTPUTS["mosaic"], layers, names, strict=True):
        write_map(folder / path, values, 65535 if name == "validity" else 0)
        summary: dict[str, Any] = {"layer": name, "shape": list(classes.shape), "missing_pixels": 0}
        if name == "class":
            codes, counts = np.unique(classes[classes > 0], return_counts=True)
            pairs = zip(codes.tolist(), counts.tolist(), strict=True)
            summary |= {"hectares": {str(code): count / 100 for code, count in pairs}, **facts}
        commit(folder / path, summary)


def patchwork(codes: tuple[int, ...], rows: int = 320, columns: int = 440) -> np.ndarray:
    generator = np.random.default_rng(1)
    fields = generator.choice(codes, (rows // 20 + 1, columns // 20 + 1))
    values = np.kron(fields, np.ones((20, 20), int))[:rows, :columns]
    y, x = np.mgrid[:rows, :columns]
    values[
        (y - rows / 2) ** 2 / (rows / 2) ** 2 + (x - columns / 2) ** 2 / (columns / 2) ** 2 > 1
    ] = 0
    return values


def make_accuracy(folder: Path, nomenclature: Nomenclature, runs: int = 1) -> None:
    predictions = []
    for run in range(runs):
        generator = np.random.default_rng(run)
        polygon = np.repeat(np.arange(400), 12)
        code = np.array(nomenclature.codes)[polygon % 15]
        wrong = generator.random(polygon.size) < generator.beta(0.5, 3, 400)[polygon]
        other = generator.choice(nomenclature.codes[:16], polygon.size)
        predicted = np.where(wrong, other, code)
        excluded = {"no_clear_date": 17}
        predictions.append(Predictions(f"run{run}", polygon, code, predicted, excluded))
    found = assess(predictions, Method(nomenclature, 200, 0.95, 0, folds=False))
    for path in ("validation/accuracy.json", "validation/independent/accuracy.json"):
        publish_json(folder / path, found | {"design": f"design of {path}"})
        commit(folder / path, {})


def make_tables(folder: Path, name: str = "") -> None:
    rows = [
        {
            "product_id": f"SENTINEL2A_2018{month:02}05-105528-000_L2A_T31TCJ_C_V2-2{name}",
            "acquired": pd.Timestamp(f"2018-{month:02}-05 10:55:28", tz="UTC"),
            "status": "skipped" if month == 3 else "used",
            "reason": "metadata only" if month == 3 else None,
            "detail": f"no bands in the folder {name}" if month == 3 else None,
            "cloud_percent": None if month == 3 else 5.0 * month,
        }
        for month in range(1, 13)
    ]
    (folder / "inventory").mkdir(parents=True)
    pd.DataFrame(rows).to_parquet(folder / "inventory/31TCJ.parquet")
    warning = f"warning[W-INPUT-023] two versions of one product {name}"
    commit(folder / "inventory/31TCJ.parquet", {"warnings": [warning]})
    figures = {"count": 1234, "hectares": 1500.0}
    entry = {
        "polygons_read": 1234,
        "polygons": 900,
        "hectares": 1234.5,
        "reasons": {},
        "sources": {f"RPG 2018{name}": {"read": figures, "kept": figures, "too small": figures}},
    }
    counts = {"11": {"count": 1234, "hectares": 1500.0}, "12": {"count": 9, "hectares": 1.5}}
    reference = {
        "polygons": 900,
        "classes": {"11": entry, "12": entry},
        "reasons": {"read": counts, "eroded away": counts},
        "splits": {"split_0": {"train": {"polygons": 630, "hectares": 900.0}}},
        "left_out": {f"parcels{name}.gpkg": {"grass": 3}},
        "warnings": [],
    }
    write_polygons(folder / "reference.parquet")
    commit(folder / "reference.parquet", reference)
    commit(folder / "samples/31TCJ.parquet", {"tile": "31TCJ"})
    doubted = {"polygon_id": 4711, "code": 11, "likely_code": 12, "given": 0.03, "likely": 0.9}
    classes = {"11": {"polygons": 40, "doubted": 3, "excluded": 1, "likely": {"12": 3}}}
    check = {"variant": "run0", "stratum": "all", "polygons": 900, "doubted": 3, "excluded": 1}
    commit(folder / "labels/run0/all.parquet", {**check, "classes": classes, "worst": [doubted]})
    model = {"variant": "run0", "stratum": "all", "pixels": {"11": 5000, "12": 4000}}
    commit(folder / "models/run0/all/model.json", {**model, "trees": 100, "nodes": 9})
    log = [
        {"event": "stage_begins", "stage": "predict"},
        {"stage": "predict", "task": "a", "status": "done", "seconds": 2.5, "peak_rss_mb": 410},
        {"stage": "predict", "task": "b", "status": "failed", "seconds": 1.0, "peak_rss_mb": 20},
    ]
    lines = "\n".join(json.dumps(line) for line in log)
    (folder / "log.jsonl").write_text(lines + '\n{"cut', encoding="utf-8")
    (folder / "config.yaml").write_text(f"name: demo\nnote: {name}\n", encoding="utf-8")
    publish_json(
        folder / "run.json",
        {"run_id": "0123456789ab", "python": "3.11.9", "software": {"numpy": "2.1"}},
    )


def write_polygons(path: Path) -> None:
    """Write squares of two classes in a row."""
    squares = [shapely.box(x, 0, x + 50, 100) for x in range(0, 1000, 100)]
    codes = pd.Series([11, 12] * 5, dtype="int32")
    geopandas.GeoDataFrame({"code": codes}, geometry=squares, crs="EPSG:2154").to_parquet(path)


def report_task(folder: Path, nomenclature: Nomenclature = OSO17, name: str = "demo") -> Task:
    return Task(
        stage="report",
        name="report",
        function="oso_pipeline.validation.report_stage:make_report",
        run_dir=folder,
        outputs=("report.html",),
        params={"name": name, "year": 2018, "nomenclature": nomenclature.to_json(), "tiles": []},
        options=OUTPUTS,
    )


def page_of(folder: Path, nomenclature: Nomenclature = OSO17, name: str = "demo") -> Page:
    result = do(report_task(folder, nomenclature, name))
    assert result.status == "done", result.error
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert all(image.get("alt") for image in page.images)
    return page


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
        "W-INPUT-023",
        "17 validation pixels left out: no clear date",
        "2 degrees of freedom",
        "design of validation/accuracy.json",
        "Independent validation",
        "design of validation/independent/accuracy.json",
        "Where the polygons lie",
        "RPG 2018",
        "too small 1\u202f234",
        "3 of 900 polygons are likely labelled wrong; 1 of them",
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


def test_rows_18_26_29_quality_of_the_series_is_shown(full: Path) -> None:
    counts = {"classified": 900, "nodata": 100, "insufficient": 150, "long_gap": 40, "clipped": 7}
    for path in OUTPUTS["predict"]:
        commit(full / path, counts)
    page = page_of(full)
    assert "of 2\u202f000 pixels, 200 (10.0 %) have no clear date" in page.text
    assert "300 (15.0 %) have fewer than two" in page.text
    for code in ("W-INPUT-018", "W-INPUT-026", "W-INPUT-027", "W-INPUT-029"):
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


def test_report_of_a_damaged_map_says_so(full: Path) -> None:
    path = full / OUTPUTS["mosaic"][1]
    path.write_bytes(bytes(100))
    write_sidecar(path, {"summary": {}})
    page = page_of(full)
    assert len(page.images) == 3
    assert "no picture of OCS_2018_confidence.tif" in page.text
