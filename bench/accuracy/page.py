"""The tables of docs/accuracy.md, put between the marks of the page, and the figures beside it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bench import PROJECT, RESULTS
from oso_pipeline.core import machine
from oso_pipeline.core.wording import counted, duration
from oso_pipeline.studies.learners.page import (
    classes_table,
    described,
    gain,
    markdown,
    parts_table,
    points,
    scores_table,
)
from oso_pipeline.studies.learners.result import LearnerComparison
from oso_pipeline.studies.learners.scores import MACRO_F1, OVERALL

PAGE = PROJECT / "docs" / "accuracy.md"
FIGURES = RESULTS / "accuracy.json"
_MARK = "written by make accuracy-report"


def write(results: Sequence[LearnerComparison], facts: Mapping[str, Any]) -> None:
    """Write the figures and the tables of the page."""
    content = {
        **facts,
        "commit": _commit(),
        "cores": machine.cores(),
        "data": [one.to_json() for one in results],
    }
    FIGURES.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    for name, table in tables(results, facts).items():
        begin, end = f"<!-- {name}: {_MARK} -->", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n\n{table}\n\n{end}{after}"
    PAGE.write_text(text, encoding="utf-8")


def tables(results: Sequence[LearnerComparison], facts: Mapping[str, Any]) -> dict[str, str]:
    """Return every table of the page by its name."""
    seeds, took = results[0].seeds, duration(sum(facts["seconds"]))
    when = (
        f"*{counted(seeds, 'seed')}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit "
        f"`{_commit()}`, {took} of processes on a machine of {machine.cores()} cores.*"
    )
    missing = [f"Not compared: {text}." for text in facts["missing"]]
    parts = {"gains": "\n\n".join([when, markdown(gains_table(results)), *missing])}
    for one in results:
        lines = [described(one), ""]
        for plan in one.plans:
            lines += [f"**{plan.name}**", "", markdown(scores_table(plan)), ""]
            if plan.entries[0].parts:
                lines += [markdown(parts_table(plan)), ""]
        parts[one.name] = "\n".join([*lines, "**F-score of the classes**", "", _classes(one)])
    return parts


def gains_table(results: Sequence[LearnerComparison]) -> list[list[str]]:
    """Return a row per entry: gains on whole polygons, a pair of columns for each set of data."""
    first = results[0].plans[0].entries
    head = ["learner", *(f"{one.name}, {score}" for one in results for score in ("OA", "F1"))]
    rows = []
    for number, entry in enumerate(first):
        cells = []
        for one in results:
            own = one.plans[0].entry(entry.name)
            cells += [
                gain(own, score) if number else points(own.scores[score])
                for score in (OVERALL, MACRO_F1)
            ]
        rows.append([entry.name, *cells])
    return [head, *rows]


def _classes(one: LearnerComparison) -> str:
    return markdown(classes_table(one))


def _commit() -> str:
    command = ["git", "-C", str(PROJECT), "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
