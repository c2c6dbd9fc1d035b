"""Write the figures of the soak into docs/reliability.md."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from fault_table import PAGE, ROOT, replaced

BEGIN = "<!-- soak: begin, written by `make soak` -->"
END = "<!-- soak: end -->"
FIGURES = ROOT / "bench" / "results" / "soak.json"


def section(figures: dict[str, object]) -> str:
    """Return the figures in Markdown."""
    faults, codes = figures["faults"], figures["exit_codes"]
    assert isinstance(faults, dict)
    assert isinstance(codes, dict)
    lost = figures["lost"]
    assert isinstance(lost, list)
    lines = [
        f"{figures['minutes']} minutes on {figures['cores']} core(s) at commit "
        f"`{figures['commit']}`, begun {figures['begun']}, seed {figures['seed']}; a clean run "
        f"took {figures['clean_run_seconds']} s.",
        "",
        f"**{figures['loops']} loops, {figures['attempts']} runs, {sum(faults.values())} faults; "
        f"{len(lost)} loops with an unexpected end.**",
        "",
        "| fault | times |",
        "|---|---|",
        *(f"| {name} | {times} |" for name, times in faults.items()),
        "",
        *(f"* {str(text).splitlines()[0]}" for text in lost),
        "",
        "Exit codes of the runs: " + ", ".join(f"{c}: {n}" for c, n in codes.items()) + ".",
    ]
    notes = figures.get("notes", [])
    assert isinstance(notes, list)
    return "\n".join([*lines, *(f"\n{note}" for note in notes)])


def write_figures(path: Path) -> None:
    """Keep the figures with those of the bench and write them into the page."""
    if path.resolve() != FIGURES.resolve():
        shutil.copyfile(path, FIGURES)
    text = section(json.loads(FIGURES.read_text(encoding="utf-8")))
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(replaced(page, BEGIN, END, text), encoding="utf-8")


if __name__ == "__main__":
    write_figures(FIGURES)
