"""What was measured lies in `bench/results`, and pages show the same figures."""

from __future__ import annotations

import gzip
import json
import re

import pandas as pd
import pytest
from support import ROOT

from bench import RESULTS

MOST_BYTES = 200_000
"""Of one file: what is larger is written in a compact form."""


def test_docs_hold_pages_and_pictures_alone() -> None:
    files = [path for path in (ROOT / "docs").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".md", ".png", ".svg"}
    assert {path.name for path in RESULTS.iterdir() if path.stat().st_size > MOST_BYTES} == set()


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/*.md")), ids=lambda path: path.name)
def test_results_that_pages_link_to_are_there(path) -> None:
    links = re.findall(r"\]\((\.\./bench/results/[^)#]+)\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).is_file()] == []


def test_the_page_on_adaptation_shows_the_goals_of_the_results() -> None:
    with gzip.open(RESULTS / "adaptation.json.gz", "rt", encoding="utf-8") as stream:
        content = json.load(stream)
    page = (ROOT / "docs" / "adaptation.md").read_text(encoding="utf-8")
    for goal in content["goals"]:
        assert f"| {goal['measured']} | {goal['met']} |" in page
    assert f"commit `{content['commit']}`" in page
    classes = pd.read_csv(RESULTS / "adaptation_classes.csv")
    assert set(classes["setting"]) == {one["name"] for one in content["settings"]}
