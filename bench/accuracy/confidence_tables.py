"""Tables of docs/confidence.md, between its marks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench import PROJECT

PAGE = PROJECT / "docs" / "confidence.md"


def write_page(result: Mapping[str, Any]) -> None:
    """Put the tables between the marks of the page."""
    text = PAGE.read_text(encoding="utf-8")
    for name, table in tables(result).items():
        begin = f"<!-- {name}: written by python -m bench.accuracy.confidence -->"
        end = f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{table}\n{end}{after}"
    PAGE.write_text(text, encoding="utf-8")


def tables(result: Mapping[str, Any]) -> dict[str, str]:
    """Return the tables by name."""
    return {
        "calibration": _calibration(result["sets"]),
        "sets": _sets(result["sets"]),
        "unknown": _unknown(result["sets"]),
        "elsewhere": _elsewhere(result["sets"]),
    }


def _calibration(sets: Mapping[str, Any]) -> str:
    lines = [
        "| data | method | error | floor | error above floor | Brier score | mean probability | "
        "right |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in sets.items():
        for method, row in one.get("calibration", {}).items():
            lines.append(
                f"| {name} | {method} | {row['error']:.3f} | {row['floor']:.3f} | "
                f"{row['above']:.3f} ± {1.96 * row['above_se']:.3f} | {row['brier']:.3f} | "
                f"{row['mean_probability']:.3f} | {row['right']:.3f} |"
            )
    return "\n".join(lines)


def _sets(sets: Mapping[str, Any]) -> str:
    lines = [
        "| data | coverage | interval by chance | mean size | empty | lowest class | its p-value |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in sets.items():
        if "sets" not in one:
            continue
        row = one["sets"]
        code, worst = min(row["classes"].items(), key=lambda item: item[1]["chance"])
        lines.append(
            f"| {name} | {row['coverage']:.3f} | {row['low']:.3f} to {row['high']:.3f} | "
            f"{row['mean_size']:.2f} | {row['empty']:.3f} | {code}: {worst['coverage']:.3f} | "
            f"{worst['chance']:.3f} |"
        )
    return "\n".join(lines)


def _unknown(sets: Mapping[str, Any]) -> str:
    lines = [
        "| data | AUROC, mean over classes | lowest | highest | classes with 0.9 or more |",
        "|---|---|---|---|---|",
    ]
    for name, one in sets.items():
        if "unknown" not in one:
            continue
        areas = one["unknown"]["auroc"]
        low, high = min(areas, key=areas.__getitem__), max(areas, key=areas.__getitem__)
        lines.append(
            f"| {name} | {one['unknown']['mean']:.3f} | {areas[low]:.2f} ({low}) | "
            f"{areas[high]:.2f} ({high}) | "
            f"{sum(area >= 0.9 for area in areas.values())} of {len(areas)} |"
        )
    return "\n".join(lines)


def _elsewhere(sets: Mapping[str, Any]) -> str:
    lines = [
        "| data | left out | polygons | right | mean probability | error of the share | "
        "error, calibrated | floor | coverage of 90 % sets |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in sets.items():
        lines += [
            f"| {name} | {row['name']} | {row['polygons']} | {row['right']:.3f} | "
            f"{row['probability']:.3f} | {row['error_raw']:.3f} | {row['error']:.3f} | "
            f"{row['floor']:.3f} | {row['coverage']:.3f} |"
            for row in one.get("elsewhere", ())
        ]
    return "\n".join(lines)
