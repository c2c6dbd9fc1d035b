"""A run folder for tests of the report, and a reader of the page that checks it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import rasterio
import shapely
from rasterio.transform import from_origin

from oso_pipeline.adaptation.record import (
    AdaptationRecord,
    GateRecord,
    Profiles,
    ShiftRecord,
)
from oso_pipeline.core.commit import publish_json, write_sidecar
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.imagery.processing import Processing
from oso_pipeline.report.stage import ReportJob
from oso_pipeline.tasks.job import Inputs
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do
from oso_pipeline.validation.accuracy import Method, Predictions, assess

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
            "platform": "S2A",
            "version": None if month == 3 else "2.2",
            "status": "skipped" if month == 3 else "used",
            "reason": "metadata only" if month == 3 else None,
            "detail": f"no bands in the folder {name}" if month == 3 else None,
            "cloud_percent": None if month == 3 else 5.0 * month,
            **Processing(sun_zenith_deg=float(20 + month), cams=month > 6).to_row(),
        }
        for month in range(1, 13)
    ]
    (folder / "inventory").mkdir(parents=True)
    pd.DataFrame(rows).to_parquet(folder / "inventory/31TCJ.parquet")
    warning = f"warning[W-IMAGE-VERSIONS] two versions of one product {name}"
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
        function="oso_pipeline.report.stage:make_report",
        run_dir=folder,
        outputs=("report.html",),
        job=ReportJob(
            name=name,
            year=2018,
            tiles=(),
            nomenclature=nomenclature,
            config="0" * 64,
            stages={stage: Inputs(stage, tuple(paths)) for stage, paths in OUTPUTS.items()},
        ),
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


MODEL = "models/run0/all/model.json"
DAYS = tuple(range(0, 360, 10))


def record(adapted: bool = True) -> AdaptationRecord:
    wave = np.sin(np.array(DAYS) / 60)
    profiles = [
        Profiles(
            name, DAYS,
            tuple((wave * size).tolist()), tuple((wave * size + 1).tolist()),
            tuple((wave * size + 2).tolist()),
        )
        for name, size in (("B4", 300), ("NDVI", 900))
    ]  # fmt: skip
    return AdaptationRecord(
        method="student",
        gate=GateRecord("auto", adapted, "the seasons are 11.6 days apart", 11.6, 0.123,
                        0.034, 4.0, 0.2, 0.05, 0.6, 321, 30),
        source_samples=12_345, target_samples=20_000, anchor_samples=4_321,
        shift=ShiftRecord(11.6, 2.5, (5.0, 10.0, 15.0, 20.0), (0.1, 0.5, 0.3, 0.1)),
        agreement=0.876,
        proportions_before={"11": 0.30, "12": 0.20, "31": 0.50},
        proportions_after={"11": 0.22, "12": 0.28, "31": 0.50},
        total_variation=0.08,
        pseudo_labels={"11": 1111, "12": 2222},
        perennial_from_target=("31",),
        never_predicted=("34",),
        profiles=tuple(profiles),
        warnings=("few unlabelled samples",),
    )  # fmt: skip


def with_record(folder: Path, content: Any) -> Path:
    make_tables(folder)
    publish_json(folder / MODEL, {"format": 3, "adaptation": content})
    commit(folder / MODEL, {"variant": "run0", "stratum": "all", "pixels": {"11": 5000}})
    return folder
