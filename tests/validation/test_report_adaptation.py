"""The report's section on adaptation: what the record of each model says, drawn and safe."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.report_tools import EVIL, make_tables, page_of, record, with_record

from oso_pipeline.report.charts import bar_chart, line_chart


def section_of(text: str) -> str:
    return text[text.index("Adaptation") : text.index("Warnings")]


def test_decision_statistics_classes_and_warnings_are_shown(tmp_path: Path) -> None:
    page = page_of(with_record(tmp_path, record().to_json()))
    section = section_of(page.text)
    for text in (
        "Stratum all: adapted with method student",
        "Gate auto: the seasons are 11.6 days apart.",
        "11.6 days", "4 days", "0.123", "0.034", "0.05",
        "Two views agree on the class of 87.6 %",
        "few unlabelled samples",
        "+11.6 days, standard deviation 2.5",
        "1\u202f111", "2\u202f222", "past years and pseudo-labels", "year of the map",
        "30.0 %", "22.0 %",
        "total variation of 0.080",
        "Never predicted, as no past year has them: 34",
    ):  # fmt: skip
        assert text in section, text
    assert page.tags.count("svg") == 3  # posterior, NDVI, and B4 folded up
    assert "is an accuracy" in section


def test_a_closed_gate_says_that_nothing_changed(tmp_path: Path) -> None:
    closed = replace(record(adapted=False), pseudo_labels={}, shift=None, profiles=())
    page = page_of(with_record(tmp_path, closed.to_json()))
    section = section_of(page.text)
    assert "not adapted: the forest of the past years makes the map" in section
    assert "pseudo-labels" not in section.split("Learnt from")[1]
    assert "svg" not in page.tags


def test_what_is_not_known_is_a_dash(tmp_path: Path) -> None:
    gate = replace(record().gate, shift_days=None, discrepancy=None, confidence_drop=None)
    unknown = replace(record(), gate=gate, agreement=None, total_variation=None)
    section = section_of(page_of(with_record(tmp_path, unknown.to_json())).text)
    assert section.count("–") >= 3
    assert "total variation" not in section
    assert "None" not in section.replace("None of the figures", "")


def test_texts_of_the_record_are_escaped(tmp_path: Path) -> None:
    gate = replace(record().gate, reason=EVIL, mode=EVIL)
    evil = replace(
        record(), method=EVIL, gate=gate, warnings=(EVIL,), never_predicted=(EVIL,),
        profiles=(replace(record().profiles[0], name=EVIL),),
    )  # fmt: skip
    page = page_of(with_record(tmp_path, evil.to_json()))
    assert page.text.count(EVIL) >= 5
    assert EVIL not in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [None, {}, {"gate": 3}, "text", {"method": "student"}])
def test_runs_without_a_readable_record_have_no_section(tmp_path: Path, content: Any) -> None:
    page = page_of(with_record(tmp_path, content))
    assert "Gate" not in page.text
    assert "Reference and training" in page.text


def test_a_run_of_one_season_has_no_section(tmp_path: Path) -> None:
    make_tables(tmp_path)
    assert "Gate" not in page_of(tmp_path).text


def test_lines_run_through_their_values() -> None:
    chart = line_chart("x", (0, 10, 20), {"a": (0.0, 1.0, 4.0), "b": (4.0, 4.0, 4.0)})
    points = np.array([pair.split(",") for pair in chart.lines[0].points.split()], float)
    np.testing.assert_allclose(points[:, 0], np.linspace(chart.left, chart.right, 3), atol=0.1)
    share = (chart.bottom - points[:, 1]) / (chart.bottom - chart.top)
    np.testing.assert_allclose(share, [0, 0.25, 1], atol=0.01)
    assert [tick.text for tick in chart.y_ticks] == ["0", "1", "2", "3", "4"]


def test_flat_lines_and_gaps_can_be_drawn() -> None:
    chart = line_chart("x", (0, 1, 2), {"a": (2.0, float("nan"), 2.0)})
    assert len(chart.lines[0].points.split()) == 2
    assert "nan" not in json.dumps([line.points for line in chart.lines])


def test_bars_are_as_high_as_their_shares() -> None:
    chart = bar_chart("x", (-5, 0, 5), (0.25, 0.5, 0.25), 0.0)
    points = np.array([pair.split(",") for pair in chart.lines[0].points.split()], float)
    heights = (chart.bottom - points[:, 1]).reshape(3, 4).max(axis=1)
    np.testing.assert_allclose(heights, (chart.bottom - chart.top) * np.array([0.5, 1, 0.5]))
    assert chart.mark == pytest.approx((chart.left + chart.right) / 2)
