"""A run that begins with the preparation of another one saves its work and disturbs neither."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from oso_pipeline.runtime.reuse import begin_with_preparation

PREPARED = {
    "reference.parquet",
    "reference.parquet.json",
    "reference/events/x.parquet",
    "samples/31UCU.parquet",
    "samples/unlabelled/31UCU.parquet",
    "past/2017/reference.parquet",
    "past/2017/samples/31UCU.parquet",
}
OWN = {"inventory/31UCU.parquet", "past/2017/inventory/31UCU.parquet", "maps/OCS.tif", "log.jsonl"}


@pytest.fixture
def other(tmp_path: Path) -> Path:
    folder = tmp_path / "other"
    for name in PREPARED | OWN | {"samples/.31UCU.parquet.host.1.ab.tmp"}:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_labels_and_samples_are_taken_once(other: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert begin_with_preparation(other, run) == len(PREPARED)
    assert files(run) == PREPARED | {"run.json"}
    assert begin_with_preparation(other, run) == 0


def test_what_the_run_has_stays_and_what_it_replaces_is_its_own(
    other: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    (run / "samples").mkdir(parents=True)
    (run / "samples" / "31UCU.parquet").write_text("mine")
    begin_with_preparation(other, run)
    assert (run / "samples" / "31UCU.parquet").read_text() == "mine"
    newer = run / ".reference.tmp"
    newer.write_text("newer")
    newer.replace(run / "reference.parquet")
    assert (other / "reference.parquet").read_text() == "reference.parquet"


def test_a_file_system_without_links_gets_copies(
    other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another device")

    monkeypatch.setattr(os, "link", refuse)
    run = tmp_path / "run"
    assert begin_with_preparation(other, run) == len(PREPARED)
    assert files(run) == PREPARED | {"run.json"}
    assert begin_with_preparation(other, run) == 0
    assert (run / "reference.parquet").read_text() == "reference.parquet"
    assert (run / "reference.parquet").stat().st_nlink == 1
