"""Report section on the reference polygons and their labels."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from oso_pipeline.core.sides import TRAIN, VALIDATION
from oso_pipeline.report.accuracy import measured
from oso_pipeline.report.pictures import polygon_picture
from oso_pipeline.tasks.run_files import RunFiles

_KEPT_REASONS = ("read", "kept", "repaired")
_WORST = 20
_WORDS = {TRAIN: "training", VALIDATION: "held out"}


def reference_section(files: RunFiles) -> dict[str, Any]:
    """Return polygons and pixels per class, what was dropped and why, and the splits."""
    summary = next(iter(files.summaries("reference")), {})
    trained: dict[str, int] = defaultdict(int)
    models = files.summaries("train")
    map_variant = models[0].get("variant") if models else None
    for model in models:
        if model.get("variant") == map_variant:
            for code, pixels in model.get("pixels", {}).items():
                trained[code] += pixels
    past = files.summaries("past_reference")
    rows = _rows(files, summary.get("classes", {}), past, trained)
    return {
        "rows": rows,
        "past": bool(past),
        "reasons": [] if summary.get("books") else _reasons(summary),
        "books": [*summary.get("books", ()), *_sides(files, summary)],
        "left_out": summary.get("left_out", {}),
        "models": models,
        "map_variant": map_variant,
        "sources": _sources(rows),
        "labels": _labels(files),
        "where": _where(files),
    }


def _rows(
    files: RunFiles,
    classes: Mapping[str, Any],
    past: Sequence[Mapping[str, Any]],
    trained: Mapping[str, int],
) -> list[dict[str, Any]]:
    """Return one row per class that some season has polygons of."""
    nothing = {"polygons_read": 0, "polygons": 0, "hectares": 0.0, "sources": {}}
    rows = []
    for one in files.nomenclature.classes:
        code = str(one.code)
        earlier = sum(of["classes"].get(code, {}).get("polygons", 0) for of in past)
        if code in classes or earlier:
            known = classes.get(code, nothing)
            rows.append({"class": one, "trained": trained.get(code), "past": earlier, **known})
    return rows


def _reasons(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the events of polygons, whole or in part, also from earlier versions."""
    return [
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


def _sides(files: RunFiles, summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how the kept polygons are split, and which of those held out evaluate the map."""
    found = []
    evaluating = measured(files).get("polygons")
    for number, (column, sides) in enumerate(summary.get("splits", {}).items()):
        for side, amount in sides.items():
            found.append({"step": f"of these in {column}: {_WORDS.get(side, side)}", **amount})
        held_out = sides.get(VALIDATION, {}).get("polygons")
        if column == "fold":
            held_out = summary["polygons"]
        if number == 0 and evaluating is not None and held_out is not None:
            # The first split made the map; folds are all held out, one after the other.
            for words, polygons in (
                ("held out, with pixels that evaluate the map", evaluating),
                (
                    "held out, without: no clear pixel, or none that was drawn",
                    held_out - evaluating,
                ),
            ):
                found.append({"step": words, "polygons": polygons, "hectares": None})
    return found


def _sources(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per class and source: polygons read, kept, and lost by reason."""
    result = []
    for row in rows:
        for source, reasons in row.get("sources", {}).items():
            kept = reasons.get("kept", {})
            result.append(
                {
                    "class": row["class"],
                    "source": source,
                    "read": reasons.get("read", {}).get("count", 0),
                    "kept": kept.get("count", 0),
                    "hectares": kept.get("hectares", 0.0),
                    "lost": {r: n["count"] for r, n in reasons.items() if r not in _KEPT_REASONS},
                }
            )
    return result


def _labels(files: RunFiles) -> dict[str, Any]:
    """Return what the check of the labels found in the variant that makes the map."""
    checks = files.summaries("labels")
    checks = [check for check in checks if check.get("variant") == checks[0].get("variant")]
    known = {str(one.code): one for one in files.nomenclature.classes}
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    likely: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for check in checks:
        for code, found in check["classes"].items():
            counts[code].update({name: found[name] for name in ("polygons", "doubted")})
            likely[code].update(found["likely"])
    rows = [
        {
            "class": one,
            **counts[code],
            "likely": [{"class": known[c], "count": n} for c, n in likely[code].most_common()],
        }
        for code, one in known.items()
        if counts[code]["doubted"]
    ]
    worst = [
        {**one, "class": known[str(one["code"])], "likely_class": known[str(one["likely_code"])]}
        for check in checks
        for one in check["worst"]
    ]
    worst.sort(key=lambda one: one["given"] - one["likely"])
    totals = {name: sum(check[name] for check in checks) for name in _TOTALS}
    if not checks:
        return {}
    expected = checks[0].get("expected_share")
    return {**totals, "rows": rows, "worst": worst[:_WORST], "expected": expected}


_TOTALS = ("polygons", "doubted", "excluded")


def _where(files: RunFiles) -> Any:
    """Return a picture of the polygons kept; None where they cannot be read."""
    try:
        return polygon_picture(files.committed_files("reference")[0], files.nomenclature)
    except (IndexError, OSError, ValueError):  # not committed, vanished, damaged
        return None
