"""The report: one HTML page that needs neither network nor scripts.

Everything shown is collected here from what the stages committed; how it looks is in
``templates/report.html.j2``, which escapes every value.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from oso_pipeline import __version__
from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.core.nomenclature import LandCoverClass, Nomenclature
from oso_pipeline.prediction.series_quality import (
    LONG_GAP_DAYS,
    quality_warnings,
    total_quality,
)
from oso_pipeline.validation.pictures import map_pictures, scale_gradient

_TEMPLATES = Path(__file__).parent / "templates"
_MOST_WARNINGS = 200
_SCORES = (("precision", "Precision"), ("recall", "Recall"), ("f_score", "F-score"))


@dataclass(frozen=True)
class RunFiles:
    """Where to find what a run made.

    Parameters
    ----------
    folder
        The run folder.
    name, year
        Name of the run and year of the map.
    nomenclature
        Classes of the map.
    outputs
        First output of each task by stage, relative to `folder`.
    tiles
        The tiles asked for, whether they have products or not.
    """

    folder: Path
    name: str
    year: int
    nomenclature: Nomenclature
    outputs: Mapping[str, Sequence[str]]
    tiles: tuple[str, ...] = ()

    def summaries(self, stage: str) -> list[dict[str, Any]]:
        """Return what the tasks of a stage reported when they committed."""
        records = (read_sidecar(self.folder / path) for path in self.outputs.get(stage, ()))
        return [record.get("summary") or {} for record in records if record is not None]

    def committed(self, stage: str) -> list[Path]:
        """Return the committed first outputs of a stage."""
        paths = [self.folder / path for path in self.outputs.get(stage, ())]
        return [path for path in paths if read_sidecar(path) is not None]

    def json(self, relative: str) -> dict[str, Any]:
        """Return a JSON file of the run folder; empty where there is none that can be read."""
        try:
            content = json.loads((self.folder / relative).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


def render(files: RunFiles) -> str:
    """Return the page; parts that the run folder lacks are left out or said to be missing."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=_percent, whole=_whole, amount=_amount)
    accuracy = files.json("validation/accuracy.json") if files.committed("validate") else {}
    maps = _maps(files)
    quality = total_quality(files.summaries("predict"))
    content = {
        "name": files.name,
        "year": files.year,
        "run": files.json("run.json"),
        "version": __version__,
        "config": _text(files.folder / "config.yaml"),
        "gradient": scale_gradient(),
        "accuracy": accuracy,
        "levels": _levels(files.nomenclature, accuracy),
        "nomenclature": files.nomenclature.name,
        "reference": _reference(files),
        "tiles": _inventory(files),
        "timings": _timings(files.folder / "log.jsonl"),
        **maps,
        "quality": quality,
        "long_gap_days": LONG_GAP_DAYS,
        "warnings": _warnings(files, accuracy, [*maps["map_problems"], *quality_warnings(quality)]),
    }
    return environment.get_template("report.html.j2").render(content)


def _maps(files: RunFiles) -> dict[str, Any]:
    """Return pictures, legend and areas of the layers that were committed."""
    paths = {_layer(path): path for path in files.committed("mosaic")}
    if "class" not in paths:
        return {"pictures": {}, "legend": [], "map_problems": [], "map_facts": {}, "partial": None}
    missing = {layer: paths["class"].with_name(f"{layer}.missing") for layer in _LAYERS}
    present = {**missing, **paths}
    pictures, problems = map_pictures(present, files.nomenclature)
    facts: dict[str, Any] = next(
        (s for s in files.summaries("mosaic") if s.get("layer") == "class"), {}
    )
    hectares = facts.get("hectares", {})
    total = sum(hectares.values())
    seen = pictures["class"].codes if "class" in pictures else ()
    legend = [
        {"class": one, "hectares": area, "share": area / total if area and total else None}
        for one in files.nomenclature.classes
        if (area := hectares.get(str(one.code))) or one.code in seen
    ]
    partial = facts.get("missing_pixels") or None
    return {
        "pictures": pictures,
        "legend": legend,
        "map_problems": problems,
        "map_facts": facts,
        "partial": partial,
    }


_LAYERS = ("class", "confidence", "validity")


def _layer(path: Path) -> str:
    return next((one for one in _LAYERS[1:] if path.stem.endswith(f"_{one}")), "class")


def _levels(nomenclature: Nomenclature, accuracy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return rows and matrix of each level of classes, ready to be shown."""
    levels = [("Classes", accuracy, nomenclature.classes)] if accuracy else []
    if accuracy.get("level1"):
        levels.append(("Level 1", accuracy["level1"], nomenclature.level1_classes))
    return [_level(*one) for one in levels]


def _level(
    title: str, content: Mapping[str, Any], classes: Sequence[LandCoverClass]
) -> dict[str, Any]:
    rows, absent = [], []
    for known in classes:
        one = content["classes"].get(str(known.code))
        if one is None:  # a parent without children
            continue
        if not one["pixels"] and not one["predicted_pixels"]:
            absent.append(known)
            continue
        scores = [
            {"name": label, "value": one[key], **one["intervals"][key]} for key, label in _SCORES
        ]
        rows.append({"class": known, "scores": scores, **one})
    return {
        "title": title,
        "rows": rows,
        "absent": absent,
        "overall": content["overall_accuracy"],
        "kappa": content["kappa"],
        "matrix": _matrix(content["confusion"], [row["class"] for row in rows]),
    }


def _matrix(
    confusion: Mapping[str, Any], classes: Sequence[LandCoverClass]
) -> list[dict[str, Any]]:
    """Return the rows of the matrix with the share of the row that each cell holds."""
    places = [confusion["codes"].index(one.code) for one in classes]
    rows = []
    for one, row_place in zip(classes, places, strict=True):
        counts = [confusion["counts"][row_place][column] for column in places]
        total = sum(counts)
        cells = [
            {"count": n, "share": n / total if total else 0.0, "right": column == row_place}
            for n, column in zip(counts, places, strict=True)
        ]
        rows.append({"class": one, "cells": cells, "total": total})
    return rows


def _reference(files: RunFiles) -> dict[str, Any]:
    """Return polygons and pixels per class, what was dropped and why, and the splits."""
    summary = next(iter(files.summaries("reference")), {})
    trained: dict[str, int] = defaultdict(int)
    models = files.summaries("train")
    map_variant = models[0].get("variant") if models else None
    for model in models:
        if model.get("variant") == map_variant:
            for code, pixels in model.get("pixels", {}).items():
                trained[code] += pixels
    classes = summary.get("classes", {})
    rows = [
        {"class": one, "trained": trained.get(str(one.code)), **classes[str(one.code)]}
        for one in files.nomenclature.classes
        if str(one.code) in classes
    ]
    reasons = [
        {
            "reason": reason,
            "count": sum(entry["count"] for entry in by_code.values()),
            "hectares": sum(entry["hectares"] for entry in by_code.values()),
        }
        # Sidecars sort their keys: put the beginning and the end back in their place.
        for reason, by_code in sorted(
            summary.get("reasons", {}).items(),
            key=lambda entry: (entry[0] != "read", entry[0] == "kept", entry[0]),
        )
    ]
    return {
        "polygons": summary.get("polygons"),
        "rows": rows,
        "reasons": reasons,
        "splits": summary.get("splits", {}),
        "left_out": summary.get("left_out", {}),
        "models": models,
        "map_variant": map_variant,
    }


def _inventory(files: RunFiles) -> list[dict[str, Any]]:
    """Return the products of each tile, used or skipped and why."""
    tiles = []
    columns = ("product_id", "acquired", "status", "reason", "detail", "cloud_percent")
    for path in files.committed("inventory"):
        table = pd.read_parquet(path, columns=list(columns)).sort_values(["acquired", "product_id"])
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        used = sum(row["status"] == "used" for row in rows)
        tiles.append({"tile": path.stem, "rows": rows, "used": used, "skipped": len(rows) - used})
    return tiles


def _timings(path: Path) -> list[dict[str, Any]]:
    """Sum up the log per stage, in the order in which stages first appear."""
    stages: dict[str, dict[str, Any]] = {}
    for line in _text(path).splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # the last line of a killed run may be cut
            continue
        if not isinstance(entry, dict) or "stage" not in entry or "seconds" not in entry:
            continue
        stage = stages.setdefault(
            entry["stage"],
            {"stage": entry["stage"], "tasks": 0, "failed": 0, "seconds": 0.0, "peak_mb": 0},
        )
        stage["tasks"] += 1
        stage["failed"] += entry.get("status") == "failed"
        stage["seconds"] += entry["seconds"]
        stage["peak_mb"] = max(stage["peak_mb"], entry.get("peak_rss_mb") or 0)
    return list(stages.values())


def _warnings(
    files: RunFiles, accuracy: Mapping[str, Any], problems: Sequence[str]
) -> dict[str, Any]:
    """Return distinct warnings of all stages; what exceeds a readable number is counted."""
    seen = {Path(path).stem for path in files.outputs.get("inventory", ())}
    texts = [
        f"warning[W-INPUT-030] tile {tile} has no product: the map has a hole there"
        for tile in files.tiles
        if tile not in seen
    ]
    texts += problems
    for stage in ("inventory", "reference", "samples", "train", "mosaic"):
        for summary in files.summaries(stage):
            found = summary.get("warnings", [])
            texts += [str(text) for text in found] if isinstance(found, list) else []
    texts += [f"warning[{one['code']}] {one['message']}" for one in accuracy.get("warnings", [])]
    distinct = list(dict.fromkeys(texts))
    return {"shown": distinct[:_MOST_WARNINGS], "more": max(0, len(distinct) - _MOST_WARNINGS)}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}".replace(",", "\u202f")


def _amount(value: float | None) -> str:
    """Return a number with digits that suit its size."""
    if value is None:
        return "–"
    return _whole(value) if value >= 100 else f"{value:.2f}"
