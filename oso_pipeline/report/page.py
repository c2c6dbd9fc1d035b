"""The report: one HTML page that needs neither network nor scripts.

Everything shown is collected here from what the stages committed; how it looks is in
``templates/report.html.j2``, which escapes every value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from oso_pipeline import __version__
from oso_pipeline.core.nomenclature import LandCoverClass, Nomenclature
from oso_pipeline.prediction.series_quality import (
    LONG_GAP_DAYS,
    quality_warnings,
    total_quality,
)
from oso_pipeline.report.adaptation import adaptation_section
from oso_pipeline.report.pictures import map_pictures, scale_gradient
from oso_pipeline.report.reference import reference_section
from oso_pipeline.tasks.run_files import RunFiles
from oso_pipeline.tasks.section import Section
from oso_pipeline.tasks.stage import warnings_of

_TEMPLATES = Path(__file__).parent / "templates"
_MOST_WARNINGS = 200
_SCORES = (("precision", "Precision"), ("recall", "Recall"), ("f_score", "F-score"))


def render(files: RunFiles, sections: Sequence[Section] = ()) -> str:
    """Return the page; parts that the run folder lacks are left out or said to be missing.

    `sections` are those that stages contribute by themselves.
    """
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
        "reference": reference_section(files),
        "independent": _independent(files),
        "adaptation": adaptation_section(files),
        "tiles": _inventory(files),
        "sections": sections,
        "timings": _timings(files.folder / "log.jsonl"),
        **maps,
        "quality": quality,
        "long_gap_days": LONG_GAP_DAYS,
        "warnings": _warnings(files, accuracy, [*maps["map_problems"], *quality_warnings(quality)]),
    }
    return environment.get_template("report.html.j2").render(content)


def _independent(files: RunFiles) -> dict[str, Any]:
    """Return the accuracy by a set of the user; empty where there is none."""
    done = files.committed("independent")
    content = files.json("validation/independent/accuracy.json") if done else {}
    if not content:
        return {}
    maps = content.get("compared_maps", [])
    classes = [
        {"class": one, "f_scores": [of["f_score"].get(str(one.code), {}) for of in maps]}
        for one in files.nomenclature.classes
        if content["classes"].get(str(one.code), {}).get("pixels")
    ]
    levels = _levels(files.nomenclature, content)
    return {"content": content, "levels": levels, "maps": maps, "classes": classes}


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


def _inventory(files: RunFiles) -> list[dict[str, Any]]:
    """Return the products of each tile, used or skipped and why."""
    tiles = []
    columns = ("product_id", "acquired", "status", "reason", "detail", "cloud_percent")
    seasons = (("inventory", ""), ("past_inventory", "past season "))
    found = [(path, name) for stage, name in seasons for path in files.committed(stage)]
    for path, season in found:
        table = pd.read_parquet(path, columns=list(columns)).sort_values(["acquired", "product_id"])
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        used = sum(row["status"] == "used" for row in rows)
        name = f"{path.stem}, {season}{path.parents[1].name}" if season else path.stem
        tiles.append({"tile": name, "rows": rows, "used": used, "skipped": len(rows) - used})
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
    for stage in files.outputs:
        texts += warnings_of(files.summaries(stage))
    texts += warnings_of([accuracy])
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
