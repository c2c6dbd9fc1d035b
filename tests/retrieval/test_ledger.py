"""The ledger: one line a record, whatever happens to the writers."""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oso_pipeline.core.errors import EnvironmentFailure
from oso_pipeline.imagery.fetch_ledger import (
    FetchedFile,
    LedgerReader,
    Record,
    ledger_path,
    missing_of,
    read_ledger,
)
from oso_pipeline.retrieval.ledger import Ledger, records_added

AT = datetime(2026, 12, 1, 8, tzinfo=UTC)
ONE = Record(
    "fetched",
    AT,
    "P1",
    "muscate",
    "31TCJ",
    datetime(2018, 1, 2, 10, 54, 35, 457_000, tzinfo=UTC),
    ("S2A", "31TCJ", "1"),
    (1, 4, 0),
    "geodes",
    "urn:1",
    "d50110" + "0" * 32,
    12,
    "T31TCJ/P1.zip",
    (FetchedFile("P1.zip", 12, "0" * 64),),
    "",
)


def test_a_record_survives_its_line() -> None:
    assert Record.from_line(ONE.to_line()) == ONE
    assert Record.from_line(replace(ONE, files=(), path="", rank=()).to_line()) is not None


@given(st.data())
def test_a_damaged_line_is_never_believed(data: st.DataObject) -> None:
    line = bytearray(ONE.to_line().rstrip(b"\n"))
    place = data.draw(st.integers(0, len(line) - 1))
    bit = data.draw(st.integers(0, 7))
    line[place] ^= 1 << bit
    found = Record.from_line(bytes(line))
    # A capital letter in the checksum of the line is the same checksum.
    assert found is None or found == ONE


@given(st.binary(max_size=60))
def test_a_line_of_anything_is_no_crash(line: bytes) -> None:
    assert Record.from_line(line) is None


def test_a_path_that_leaves_the_folder_is_not_believed() -> None:
    assert Record.from_line(replace(ONE, path="../../etc/passwd").to_line()) is None


def test_torn_and_damaged_lines_are_counted_and_skipped(tmp_path: Path) -> None:
    path = ledger_path(tmp_path)
    ledger = Ledger(path)
    ledger.append(ONE)
    with path.open("ab") as stream:
        stream.write(b"\0" * 20 + b"\n" + replace(ONE, product_id="torn").to_line()[:40])
    ledger.append(replace(ONE, product_id="P2"))
    history = read_ledger(tmp_path)
    assert {key[1] for key in history.latest} == {"P1", "P2"}
    assert history.n_damaged == 2
    assert ledger.history().n_damaged == 2


def test_a_line_without_end_is_left_to_who_writes_it(tmp_path: Path) -> None:
    path = ledger_path(tmp_path)
    Ledger(path).append(ONE)
    line = replace(ONE, product_id="P2").to_line()
    reader = LedgerReader(path)
    with path.open("ab", buffering=0) as stream:
        stream.write(line[:50])
        reader.refresh()
        assert len(reader.history.latest) == 1
        stream.write(line[50:])
    reader.refresh()
    assert len(reader.history.latest) == 2
    assert not reader.history.n_damaged


def test_no_ledger_is_no_fault(tmp_path: Path) -> None:
    assert not read_ledger(tmp_path).latest


def test_seen_does_not_hide_what_is_known(tmp_path: Path) -> None:
    ledger = Ledger(ledger_path(tmp_path))
    ledger.append(replace(ONE, state="seen", entry="urn:1"), ONE)
    ledger.append(replace(ONE, state="seen", entry="urn:2"))
    history = ledger.history()
    assert history.latest[ONE.key].state == "fetched"
    seen = [replace(ONE, state="seen", entry=f"urn:{n}") for n in (1, 2, 3)]
    assert [one.entry for one in records_added(history, seen)] == ["urn:3"]


def test_missing_are_those_wanted_and_not_there() -> None:
    with_states = [
        replace(ONE, product_id=state, state=state)
        for state in ("seen", "wanted", "waiting", "failed", "quarantined", "flagged", "replaced")
    ]
    reader = LedgerReader(Path("none"))
    for one in (*with_states, replace(ONE, tile="31TDJ", state="failed")):
        reader.history.add(one)
    found = missing_of([reader.history], ["31TCJ"], date(2018, 1, 1), date(2018, 12, 31))
    assert [one.product_id for one in found] == ["failed", "quarantined", "waiting", "wanted"]
    assert not missing_of([reader.history], ["31TCJ"], date(2019, 1, 1), date(2019, 12, 31))


def test_a_history_of_one_tile_holds_nothing_of_others(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    other = replace(ONE, state="waiting", tile="30TYP", product_id="other")
    ledger.append(replace(ONE, state="seen"), other)
    history = ledger.history(("muscate", "30TYP"))
    assert [one.product_id for one in history.latest.values()] == ["other"]
    assert not history.entries
    assert len(history.waiting_since) == 1
    assert ledger.history(("safe", "30TYP")).latest == {}


def test_a_wait_counts_from_its_first_record() -> None:
    reader = LedgerReader(Path("none"))
    later = datetime(2026, 12, 2, tzinfo=UTC)
    for one in (replace(ONE, state="waiting"), replace(ONE, state="waiting", at=later)):
        reader.history.add(one)
    assert reader.history.waiting_since[ONE.key] == AT


def _write_many(path: Path, name: str) -> None:
    ledger = Ledger(path)
    for number in range(40):
        ledger.append(replace(ONE, product_id=f"{name}{number}"))


def test_two_processes_share_a_ledger(tmp_path: Path) -> None:
    path = ledger_path(tmp_path)
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_many, args=(path, name)) for name in "ab"]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    history = read_ledger(tmp_path)
    assert len(history.latest) == 80
    assert not history.n_damaged


def test_lines_that_the_disk_takes_in_part_are_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ledger_path(tmp_path)
    ledger = Ledger(path)
    ledger.append(ONE)
    before, write = path.read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda handle, content: write(handle, content[:30]))
    with pytest.raises(EnvironmentFailure, match="E-DISK"):
        ledger.append(replace(ONE, product_id="P2"))
    assert path.read_bytes() == before
