"""What the report says about the reference polygons and their labels."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from oso_pipeline.report.pictures import polygon_picture
from oso_pipeline.tasks.run_files import RunFiles

_KEPT_REASONS = ("read", "kept", "repaired")
_WORST = 20


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
        "sources": _sources(rows),
        "labels": _labels(files),
        "where": _where(files),
    }


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
    return {**totals, "rows": rows, "worst": worst[:_WORST]} if checks else {}


_TOTALS = ("polygons", "doubted", "excluded")


def _where(files: RunFiles) -> Any:
    """Return a picture of the polygons kept; None where they cannot be read."""
    try:
        return polygon_picture(files.committed("reference")[0], files.nomenclature)
    except (IndexError, OSError, ValueError):  # not committed, vanished, damaged
        return None
