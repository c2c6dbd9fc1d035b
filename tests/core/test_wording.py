"""One and many, and warnings that differ in nothing but a number (4.4)."""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import oso_pipeline
from oso_pipeline.cli.progress import headline
from oso_pipeline.core.wording import counted, grouped
from oso_pipeline.studies.adaptation.comparison_tables import gap_share
from oso_pipeline.studies.adaptation.evaluate import ComparisonRequest, as_markdown

ROOT = Path(oso_pipeline.__file__).parent


def test_4_4_thirty_values_of_one_warning_are_one_line() -> None:
    texts = [f"the proportions moved by {0.2 + n / 100:.2f}, more than 0.2" for n in range(1, 31)]
    found = grouped(["before", *texts, "after"])
    assert found == [
        "before",
        "the proportions moved by 0.21 to 0.50, more than 0.2 (30 values, first 0.21)",
        "after",
    ]


@given(
    st.lists(
        st.sampled_from(["a 1", "a 2", "b 1", "1,000 c", "-5 c", "1.2.3 c", "no number", "a b"])
    )
)
def test_4_4_every_text_is_shown_or_counted(texts: list[str]) -> None:
    found = grouped(texts)
    assert sum(int((re.findall(r"\((\d+) values", t) or ["1"])[0]) for t in found) == len({*texts})
    assert grouped(found[:1]) == found[:1]


@pytest.mark.parametrize(("seeds", "words"), [(1, ": 1 seed, "), (5, ": 5 seeds, ")])
def test_4_4_one_seed_is_a_seed(seeds: int, words: str) -> None:
    page = as_markdown(
        summary(kind="year", gap=10.0, gain=5.0, warnings=30), ComparisonRequest(("a",), seeds)
    )
    assert words in page
    assert "1 sample of past years" in page
    lines = [line for line in page.splitlines() if line.startswith("* ")]
    assert lines == ["* moved by 0.30 to 0.59: look at it (30 values, first 0.30)"]


@pytest.mark.parametrize(
    ("kind", "gap", "gain", "shown"),
    [
        ("placebo", 5.0, -5.65, ""),
        ("year", 5.0, -5.65, "0 (loses)"),
        ("year", 5.0, 2.5, "50"),
        ("year", 1.0, 2.5, ""),
    ],
)
def test_4_4_a_placebo_has_no_gap_to_recover(
    kind: str, gap: float, gain: float, shown: str
) -> None:
    one = summary(kind, gap, gain)
    assert gap_share(one.methods["a"], one) == shown


def summary(kind: str, gap: float, gain: float, warnings: int = 0) -> Any:
    nothing = SimpleNamespace(low=None, high=None)
    adapted = SimpleNamespace(
        overall=gain, interval=nothing, mcnemar=SimpleNamespace(better=1, worse=2, p_value=0.5)
    )
    scores = SimpleNamespace(overall=70.0, macro_f1=60.0, annual=50.0)
    texts = [f"moved by {0.3 + n / 100:.2f}: look at it" for n in range(warnings)]
    method = SimpleNamespace(
        adapted=adapted, scores=scores, gated=False, warnings=texts, gain=lambda _: adapted
    )
    return SimpleNamespace(
        name="2016 -> 2018", kind=kind, gap=gap, upper_bound=scores, baseline=scores,
        methods={"a": method}, n_source=1, n_target=2, classes={1: "wheat", 2: "maize"},
    )  # fmt: skip


def test_4_4_lines_of_a_run_count_one_and_many() -> None:
    class Reasons(dict[str, int]):
        def most_common(self, n: int) -> list[tuple[str, int]]:
            return [*self.items()][:n]

    plan: Any = SimpleNamespace(
        name="toy", todo=[1, 2, 3], tasks=[1, 2, 3], reasons=Reasons(new=2, changed=1)
    )
    assert headline(plan) == "toy: 3 of 3 to do (2: new and 1 other reason)"
    assert [counted(n, "task") for n in (0, 1, 2)] == ["0 tasks", "1 task", "2 tasks"]


def test_4_4_no_headline_counts_by_a_plain_plural() -> None:
    """What `gather` says on the terminal goes through `counted`, or is of one of many."""
    plain = re.compile(r'headline = f"\{[^}]*\} [a-z]+s\b')
    stream = io.StringIO()
    for path in ROOT.rglob("*.py"):
        stream.writelines(f"{path}: {found}\n" for found in plain.findall(path.read_text()))
    assert stream.getvalue() == ""


RETIRED = re.compile(
    r"(?<![A-Za-z])(anew|asked|contenders?|crews?|deals?|dealt|heeds?|judg(?:e|es|ed|ing)|lanes?"
    r"|lattices?|manners?|mend(?:s|ed|ing)?|nought|rooms?|strangers?|tally|tallies"
    r"|tend(?:s|ed|ing)?|told|verdicts?|whence|wish(?:es|ed)?)(?![a-z])",
    re.IGNORECASE,
)
"""Words that names, sentences and messages do without; a reader of English would stumble."""
WRITTEN_TO_FILES = {
    "judged": ("coverage.py", "accuracy.py", "accuracy_tables.py", "formats.md"),  # accuracy.json
    "strangers": ("stage.py",),  # in the keys of inventories
    "wish": ("evaluate.py",),  # evaluation/adaptation.json
    "told": ("script.py",),  # a variable of batch scripts, equal from version to version
    "lanes": ("bdtopo.py",),  # seed of the simulated roads
}
"""Retired words that stay in the files named: other versions read or compare them."""
SOURCES = (
    "oso_pipeline", "bench", "configs", "docs", "notebooks",
    "README.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml",
)  # fmt: skip


def test_retired_words_stay_out_of_code_docs_and_messages() -> None:
    found = []
    for source in SOURCES:
        top = ROOT.parent / source
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.suffix not in {".py", ".md", ".yaml", ".j2", ".ipynb", ".toml", ""}:
                continue
            if path.is_relative_to(ROOT.parent / "bench" / "work"):
                continue  # what the bench has built
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            for match in RETIRED.finditer(text):
                if path.name not in WRITTEN_TO_FILES.get(match[1].lower(), ()):
                    line = text.count("\n", 0, match.start()) + 1
                    found.append(f"{path.relative_to(ROOT.parent)}:{line}: {match[1]}")
    assert not found, "\n".join(found)
