"""The report: one HTML page that needs neither network nor scripts.

Everything shown is collected here and beside from what the stages committed; how it looks is in
``templates/``, where every value is escaped. Each part is made by itself: one that fails says so
in its place, and the page stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from oso_pipeline import __version__
from oso_pipeline.core.regular_files import read_regular
from oso_pipeline.imagery.passes_check import Expected
from oso_pipeline.prediction.series_quality import (
    LONG_GAP_DAYS,
    quality_warnings,
    total_quality,
)
from oso_pipeline.report.accuracy import accuracy_content, headline, independent_content
from oso_pipeline.report.adaptation import adaptation_section
from oso_pipeline.report.images import images_section
from oso_pipeline.report.parts import Parts
from oso_pipeline.report.pictures import map_pictures, scale_gradient
from oso_pipeline.report.reference import reference_section
from oso_pipeline.report.warnings import warnings_content
from oso_pipeline.tasks.run_files import RunFiles

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Contributions:
    """Input of the page.

    Parameters
    ----------
    sections
        Functions of stages that make a section, as ``package.module:function``.
    evaluation
        Results of `oso evaluate-adaptation` in the run folder, relative to it; None for none.
    method
        Method of adaptation of the run.
    expected
        Of which days images are expected.
    """

    sections: Sequence[str] = ()
    evaluation: str | None = None
    method: str | None = None
    expected: Expected | None = None


@dataclass(frozen=True)
class Page:
    """The page, and warnings about its parts."""

    text: str
    warnings: tuple[str, ...]


def render(files: RunFiles, others: Contributions | None = None) -> Page:
    """Return the page; parts that the run folder lacks are left out or said to be missing."""
    others = others or Contributions()
    parts = Parts(_environment())
    headlines = partial(headline, files, others.evaluation, others.method)
    of_images: list[str] = []
    made = {
        "cards": parts.made("cards", "Figures", headlines),
        "map": parts.made("map", "The map", lambda: _map(files, parts)),
        "accuracy": parts.made("accuracy", "Accuracy", lambda: accuracy_content(files)),
        "independent": parts.made(
            "independent", "Independent validation", lambda: independent_content(files)
        ),
        "adaptation": parts.made("adaptation", "Adaptation", lambda: _adaptation(files, parts)),
        "reference": parts.made(
            "reference", "Reference and training", lambda: {"reference": reference_section(files)}
        ),
        "images": parts.made("images", "Images", lambda: _images(files, others, of_images)),
        "sections": Markup("").join(
            _section(files, parts, *one) for one in enumerate(others.sections, 1)
        ),
        "timings": parts.made("timings", "Timings", lambda: {"timings": _timings(files)}),
    }
    # Last, since it lists problems of the other parts.
    texts = [*map(str, parts.problems), *of_images]
    made["warnings"] = parts.made("warnings", "Warnings", lambda: _warnings(files, texts))
    content = {
        "name": files.name,
        "year": files.year,
        "as_of": files.as_of,
        "run": files.json("run.json"),
        "version": __version__,
        "config": _text(files.folder / "config.yaml"),
        "nomenclature": files.nomenclature.name,
        "parts": made,
    }
    text = parts.environment.get_template("report.html.j2").render(content)
    return Page(text, tuple(map(str, parts.problems)))


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=_percent, whole=_whole, amount=_amount)
    return environment


def _section(files: RunFiles, parts: Parts, number: int, function: str) -> Markup:
    """Return the section of a stage; nothing where it has nothing to show."""
    name, heading = f"stage-{number}", f"Section of {function}"
    try:
        section = resolve_name(function)(files)
    except Exception as error:  # noqa: BLE001  (no section may take the others with it)
        failure = {"name": name, "heading": heading, "reason": parts.failed(heading, error)}
        return parts.made(name, heading, lambda: failure, "failed")
    if section is None:
        return Markup("")
    content = {"section": section, "number": number}
    return parts.made(name, section.heading, lambda: content, "stage_section")


def _warnings(files: RunFiles, problems: Sequence[str]) -> dict[str, Any]:
    quality = quality_warnings(total_quality(files.summaries("predict")))
    return warnings_content(files, [*problems, *quality])


def _adaptation(files: RunFiles, parts: Parts) -> dict[str, Any]:
    return {"adaptation": adaptation_section(files, parts.failed), "year": files.year}


def _images(files: RunFiles, others: Contributions, warnings: list[str]) -> dict[str, Any]:
    """Return the content of the section; its `warnings` are for the section of all of them."""
    quality = total_quality(files.summaries("predict"))
    images = images_section(files, others.expected)
    warnings += images.pop("warnings")
    return {
        **images,
        "quality": quality,
        "long_gap_days": LONG_GAP_DAYS,
        "as_of": files.as_of,
    }


def _map(files: RunFiles, parts: Parts) -> dict[str, Any]:
    """Return pictures, legend and areas of the layers that were committed."""
    committed = {path.name: path for path in files.committed_files("mosaic")}
    names = {layer: f"OCS_{files.year}{suffix}.tif" for layer, suffix in _LAYERS.items()}
    paths = {layer: committed[name] for layer, name in names.items() if name in committed}
    if "class" not in paths:
        return {"pictures": {}, "legend": [], "map_facts": {}, "partial": None}
    missing = {layer: paths["class"].with_name(f"{layer}.missing") for layer in _LAYERS}
    present = {**missing, **paths}
    pictures = map_pictures(present, files.nomenclature, parts.failed)
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
        "gradient": scale_gradient(),
        "map_facts": facts,
        "partial": partial,
    }


_LAYERS = {"class": "", "confidence": "_confidence", "validity": "_validity"}
"""Layers with a picture, and how their files are called."""


def _timings(files: RunFiles) -> list[dict[str, Any]]:
    """Sum up the log per stage, in the order in which stages first appear."""
    stages: dict[str, dict[str, Any]] = {}
    for entry in files.log():
        if "stage" not in entry or "seconds" not in entry:
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


def _text(path: Path) -> str:
    try:
        return read_regular(path).decode("utf-8", "replace")
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
    return _whole(value) if abs(value) >= 1000 else f"{value:.2f}"
