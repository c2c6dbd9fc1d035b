"""A part of the report that fails says so in its place; all else is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.report_tools import (
    EVIL,
    OSO17,
    OUTPUTS,
    Page,
    commit,
    make_accuracy,
    make_maps,
    make_tables,
    page_of,
    patchwork,
    report_task,
)

from oso_pipeline.core.commit import publish_json, read_sidecar, sidecar_of
from oso_pipeline.report import adaptation, page
from oso_pipeline.report.stage import STAGE
from oso_pipeline.tasks.run_files import RunFiles
from oso_pipeline.tasks.section import Section
from oso_pipeline.tasks.worker import do

HEADINGS = {
    "headline": "Figures",
    "_map": "The map",
    "accuracy_content": "Accuracy",
    "independent_content": "Independent validation",
    "adaptation_section": "Adaptation",
    "warnings_content": "Warnings",
    "reference_section": "Reference and training",
    "images_section": "Images",
    "_timings": "Timings",
}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("full")
    make_tables(folder)
    make_accuracy(folder, OSO17)
    return folder


def broken(*_: Any, **__: Any) -> Any:
    raise KeyError(EVIL)


@pytest.mark.parametrize("function", HEADINGS)
def test_3_9_one_part_that_fails_does_not_suppress_the_others(
    full: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    monkeypatch.setattr(page, function, broken)
    result = do(report_task(full))
    assert result.status == "done", result.error
    text = (full / "report.html").read_text(encoding="utf-8")
    assert EVIL not in text
    shown = Page(text).text
    assert "This part could not be made: KeyError" in shown
    for name, heading in HEADINGS.items():
        if name not in ("headline", "adaptation_section"):
            assert heading in shown, heading
    assert shown.count("could not be made") == 1
    # The stage tells it, on the terminal and in the log.
    (warning,) = STAGE.gather((report_task(full),)).warnings
    assert warning.startswith(f"warning[W-REPORT-PART] not in the report: {HEADINGS[function]}")
    if function != "warnings_content":
        assert warning.split("\n")[0] in shown


def test_3_9_committed_files_of_another_shape_are_no_end_of_the_page(tmp_path: Path) -> None:
    make_tables(tmp_path)
    make_maps(tmp_path, patchwork(OSO17.codes, 60, 60))
    make_accuracy(tmp_path, OSO17)
    publish_json(tmp_path / "validation/accuracy.json", {"classes": 3, "design": []})
    commit(tmp_path / "validation/accuracy.json", {})
    found = page_of(tmp_path)
    assert "This part could not be made" in found.text
    assert len(found.images) == 4
    assert "design of validation/independent/accuracy.json" in found.text


def sections(files: RunFiles) -> Section:
    return Section("Made", ("It is here.",))


def test_3_9_a_section_of_a_stage_that_fails_leaves_the_others(full: Path) -> None:
    task = report_task(full)
    names = (f"{__name__}:broken", f"{__name__}:sections")
    result = do(replace(task, job=replace(task.job, sections=names)))
    assert result.status == "done", result.error
    shown = Page((full / "report.html").read_text(encoding="utf-8")).text
    assert "It is here." in shown
    assert f"Section of {names[0]}" in shown
    assert "This part could not be made: KeyError" in shown


def test_3_9_a_chart_that_fails_is_left_out_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from support.report_tools import record, with_record

    monkeypatch.setattr(adaptation, "line_chart", broken)
    shown = page_of(with_record(tmp_path, record().to_json())).text
    assert "adapted with method student" in shown
    assert "Shift of the season: +11.6 days" in shown
    assert "not in the report: chart of NDVI" in shown


@pytest.mark.parametrize("stage", ["independent", "validate"])
def test_3_9_the_page_says_why_an_optional_part_failed(tmp_path: Path, stage: str) -> None:
    make_tables(tmp_path)
    make_accuracy(tmp_path, OSO17)
    # What other settings left in the folder is not shown as if it were of this run.
    task = report_task(tmp_path)
    task = replace(task, job=replace(task.job, missing=(OUTPUTS[stage][0],)))
    failed = {"event": "task_ended", "stage": stage, "task": stage, "status": "failed"}
    failed |= {"seconds": 1.0, "error": f"error[E-VECTOR-COLUMN] no column 'crop' {EVIL}"}
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write("\n" + json.dumps(failed) + "\n")
    assert do(task).status == "done"
    shown = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    ours, other = (
        OUTPUTS[stage][0],
        OUTPUTS["independent" if stage == "validate" else "validate"][0],
    )
    assert "error[E-VECTOR-COLUMN] no column 'crop'" in shown
    assert "could not be" in shown
    assert f"design of {other}" in shown
    assert f"design of {ours}" not in shown


def test_3_8_one_output_that_is_missing_takes_no_other_of_its_stage(tmp_path: Path) -> None:
    make_tables(tmp_path)
    make_maps(tmp_path, patchwork((1, 2, 3), 40, 40))

    def pictures(*missing: str) -> int:
        task = report_task(tmp_path)
        assert do(replace(task, job=replace(task.job, missing=missing or None))).status == "done"
        return len(Page((tmp_path / "report.html").read_text(encoding="utf-8")).images)

    assert pictures() > 1
    assert pictures(OUTPUTS["mosaic"][2]) == pictures() - 1


def test_3_9_the_page_is_made_again_when_the_part_is_there(tmp_path: Path) -> None:
    task = report_task(tmp_path)
    without = replace(task, job=replace(task.job, missing=(OUTPUTS["independent"][0],)))
    assert without.key != task.key
    assert "missing" not in task.job.params, "a page with all parts keeps its key"


def test_3_7_the_page_says_not_evaluated_and_never_zero_per_cent(tmp_path: Path) -> None:
    make_tables(tmp_path)
    make_accuracy(tmp_path, OSO17)  # the last two classes are predicted or not, never held out
    path = tmp_path / "validation/accuracy.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    lacking = [code for code, one in content["classes"].items() if not one["pixels"]]
    assert len(lacking) == 2
    shown = " ".join(page_of(tmp_path).text.split())
    assert "over 15 of 17 classes" in shown
    assert f"Not evaluated by held-out polygons: {lacking[0]} " in shown
    assert "not evaluated: no validation polygon of this class" in shown
    assert " 0.0 %" not in shown
    # Accuracies of earlier versions are shown in the same way.
    for code in lacking:
        content["classes"][code] |= {"precision": 0.0, "f_score": 0.0}
        del content["classes"][code]["not_judged"]
    for level in (content, content["level1"]):
        del level["covers"]
    publish_json(path, content)
    commit(path, {})
    again = " ".join(page_of(tmp_path).text.split())
    assert "over 15 of 17 classes" in again
    assert " 0.0 %" not in again


def test_3_7_what_a_past_year_gave_stands_beside_the_accuracy(tmp_path: Path) -> None:
    scores = {"overall": 91.25, "macro_f1": 80.0, "annual": 84.4, "f1": {}}
    found = {
        "name": "2016 -> 2017", "kind": "year", "classes": {"11": "a", "12": "b"},
        "methods": {"student": {"scores": scores}},
    }  # fmt: skip
    publish_json(tmp_path / "evaluation/adaptation.json", {"settings": [found]})
    task = report_task(tmp_path)
    from oso_pipeline.tasks.job import Input

    evaluation = Input("digest", "evaluation/adaptation.json")
    assert do(replace(task, job=replace(task.job, evaluation=evaluation, method="student")))
    shown = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "91.2 %" in shown
    assert "2016 -> 2017, labels hidden, over all 2 classes; annual classes alone 84.4 %" in shown


def test_3_15_warnings_of_two_years_say_of_which(tmp_path: Path) -> None:
    task = report_task(tmp_path)
    past = "past/2017/reference.parquet"
    for path, count in (("reference.parquet", 4), (past, 5)):
        commit(tmp_path / path, {"warnings": [f"warning[W-GEOMETRY-INVALID] repaired: {count}"]})
    stages = {
        **task.job.stages,
        "past_reference": replace(task.job.stages["reference"], paths=(past,)),
    }
    assert do(replace(task, job=replace(task.job, stages=stages))).status == "done"
    shown = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "season 2018: warning[W-GEOMETRY-INVALID] repaired: 4" in shown
    assert "season 2017: warning[W-GEOMETRY-INVALID] repaired: 5" in shown
    assert sidecar_of(tmp_path / "report.html").exists()


def test_3_15_the_page_shows_the_books_down_to_what_evaluates_the_map(tmp_path: Path) -> None:
    make_tables(tmp_path)
    make_accuracy(tmp_path, OSO17)  # evaluated by 400 polygons
    record = read_sidecar(tmp_path / "reference.parquet")
    assert record is not None
    sides = {
        "train": {"polygons": 300, "hectares": 40.0},
        "validation": {"polygons": 410, "hectares": 60.0},
    }
    books = [
        {"step": "read", "polygons": 900, "in_part": 0, "hectares": 150.0},
        {"step": "eroded away", "polygons": -190, "in_part": 7, "hectares": -30.0},
        {"step": "taken by erosion", "polygons": 0, "in_part": 0, "hectares": -20.0},
        {"step": "kept", "polygons": 710, "in_part": 0, "hectares": 100.0},
    ]  # fmt: skip
    commit(
        tmp_path / "reference.parquet",
        record["summary"] | {"polygons": 710, "books": books, "splits": {"split_0": sides}},
    )
    shown = " ".join(page_of(tmp_path).text.split())
    order = (
        "read900150.00", "eroded away-190-30.007", "kept710100.00",
        "of these in split_0: training30040.00", "of these in split_0: held out41060.00",
        "held out, with pixels that evaluate the map400", "or none that was drawn10",
    )  # fmt: skip
    places = [shown.index(text) for text in order]
    assert places == sorted(places)
    assert "Evaluated by400held-out polygons with 4" in shown


def test_3_5_classes_of_past_years_alone_stand_in_the_table(tmp_path: Path) -> None:
    make_tables(tmp_path)
    task = report_task(tmp_path)
    past = "past/2017/reference.parquet"
    kept = {"polygons": 55, "polygons_read": 60, "hectares": 3.0, "sources": {}}
    commit(tmp_path / past, {"classes": {"31": kept}, "warnings": []})
    of_2017 = replace(task.job.stages["reference"], paths=(past,))
    stages = {**task.job.stages, "past_reference": of_2017}
    assert do(replace(task, job=replace(task.job, stages=stages))).status == "done"
    shown = " ".join(Page((tmp_path / "report.html").read_text(encoding="utf-8")).text.split())
    assert "Polygons kept, past years" in shown
    name = next(one for one in OSO17.classes if one.code == 31).name_en
    assert name in shown[: shown.index("What happened to the polygons")]
