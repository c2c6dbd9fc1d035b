"""Write the figures of the fuzz into docs/reliability.md."""

from __future__ import annotations

import json
from typing import Any

from fault_table import PAGE, ROOT, replaced

BEGIN = "<!-- fuzz: begin, written by `make fuzz` -->"
END = "<!-- fuzz: end -->"
FIGURES = ROOT / "bench" / "results" / "fuzz.json"
_OUTCOMES = ("clean error", "same result", "reported", "another input", "forbidden")


def section(figures: dict[str, Any]) -> str:
    """Return the figures in Markdown."""
    lines = [
        f"{figures['minutes']} minutes on {figures['cores']} core(s) at commit "
        f"`{figures['commit']}`, seed {figures['seed']}.",
        "",
        f"**{figures['cases']} cases, {figures['whole_runs']} of them whole runs; "
        f"{len(figures['forbidden'])} forbidden outcomes.**",
        "",
        f"| kind of case | {' | '.join(_OUTCOMES)} |",
        f"|---|{'---|' * len(_OUTCOMES)}",
    ]
    for kind, outcomes in figures["by_kind"].items():
        counts = " | ".join(str(outcomes.get(one, 0)) for one in _OUTCOMES)
        lines.append(f"| {kind} | {counts} |")
    if figures["forbidden"]:
        lines += ["", *(f"* {text.splitlines()[0]}" for text in figures["forbidden"])]
    return "\n".join(lines)


def write_figures(figures: dict[str, Any]) -> None:
    """Keep the figures with those of the bench and write them into the page."""
    text = json.dumps(figures, indent=1, ensure_ascii=False) + "\n"
    FIGURES.write_text(text, encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(replaced(page, BEGIN, END, section(figures)), encoding="utf-8")
