"""What the ledger of `oso fetch` knows to be missing: in checks, inventories and keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.inventories import Context, make_config, run
from support.muscate_factory import Muscate

from oso_pipeline.config import Config
from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.fetch_ledger import Record, ledger_path
from oso_pipeline.imagery.muscate.names import parse_product_name
from oso_pipeline.imagery.muscate.product import candidate_of
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.search import find_products
from oso_pipeline.imagery.season_check import check_products
from oso_pipeline.imagery.stage import STAGE

NAME = "SENTINEL2A_2018{}-105435-457_L2A_T31TCJ_C_V{}"
THERE, ON_TAPE, FAILED = (
    NAME.format("0105", "2-2"),
    NAME.format("0110", "2-2"),
    NAME.format("0120", "2-2"),
)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder with one product and a ledger that knows of three."""
    folder = tmp_path / "images"
    Muscate(THERE).write(folder)
    write(folder, record(THERE, "failed", "status 503"))
    write(folder, record(ON_TAPE, "waiting", "geodes says so"))
    write(folder, record(FAILED, "failed", "geodes: status 503"))
    return folder


def record(name: str, state: str, reason: str = "") -> Record:
    parsed = parse_product_name(name)
    assert parsed is not None
    candidate = candidate_of(Path(name), parsed)
    return Record(
        state,  # type: ignore[arg-type]
        datetime(2026, 12, 1, tzinfo=UTC),
        name,
        "muscate",
        "31TCJ",
        parsed.acquired,
        candidate.observation,
        candidate.rank,
        "geodes",
        reason=reason,
    )


def write(folder: Path, one: Record) -> None:
    path = ledger_path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        stream.write(one.to_line())


def checked(config: Config) -> Problems:
    problems = Problems()
    findings = find_products(config.imagery.paths, Readers.of(config.imagery.readers), problems)
    problems.extend(check_products(config, findings))
    return problems


def test_a_check_names_what_is_missing_and_why(images: Path) -> None:
    problems = checked(make_config(images.parent))
    (line,) = [note for note in problems.notes if note.startswith("ledger of oso fetch:")]
    assert "2 products are missing" in line
    (found,) = [one for one in problems.warnings if one.code == "W-FETCH-MISSING"]
    assert "on tape" in found.message
    assert "status 503" in found.message
    assert found.hint is not None
    assert "oso fetch" in found.hint


def test_a_folder_without_a_ledger_says_nothing(tmp_path: Path) -> None:
    Muscate(THERE).write(tmp_path / "images")
    problems = checked(make_config(tmp_path))
    assert not [note for note in problems.notes if "ledger" in note]
    assert not [one for one in problems.warnings if "FETCH" in one.code]


def test_a_damaged_ledger_is_a_warning(images: Path) -> None:
    with ledger_path(images).open("ab") as stream:
        stream.write(b"torn\n")
    codes = [one.code for one in checked(make_config(images.parent)).warnings]
    assert {"W-FETCH-LEDGER", "W-FETCH-MISSING"} <= set(codes)


@pytest.mark.fault(
    row=36,
    injected="a ledger with products that no portal gave",
    outcome="the inventory lists what is missing and why; the run takes what is there",
)
def test_the_inventory_lists_what_is_missing(images: Path) -> None:
    inventory, summary = run(make_config(images.parent))
    missing = [one for one in inventory.skipped if one.reason == "not_fetched"]
    assert [one.product_id for one in missing] == [ON_TAPE, FAILED]
    assert "on tape" in missing[0].detail
    assert (summary["found"], summary["skipped"]) == (1, {"not_fetched": 2})
    assert any("W-FETCH-MISSING" in text for text in summary["warnings"])


def test_the_ledger_changes_no_key_but_the_listing(images: Path) -> None:
    config = make_config(images.parent)
    run(config)
    (before,) = STAGE.plan(Context(config))
    assert before.state().status == "done"
    write(images, record(NAME.format("0301", "2-2"), "wanted"))
    (after,) = STAGE.plan(Context(config))
    assert after.key == before.key
    assert after.state().status == "outdated"
    run(config)
    (again,) = STAGE.plan(Context(config))
    assert again.state().status == "done"


def test_what_lies_in_the_folder_is_not_missing_whoever_put_it_there(images: Path) -> None:
    Muscate(ON_TAPE).write(images)
    Muscate(NAME.format("0120", "3-0")).write(images)  # newer than what failed
    problems = checked(make_config(images.parent))
    assert not [one for one in problems.warnings if one.code == "W-FETCH-MISSING"]
    assert any("nothing that it knows of is missing" in note for note in problems.notes)


def test_products_of_other_days_and_tiles_are_not_missing(images: Path) -> None:
    ledger_path(images).unlink()
    late = replace(record(ON_TAPE, "failed"), acquired=datetime(2020, 5, 1, tzinfo=UTC))
    write(images, late)
    write(images, replace(record(FAILED, "failed"), tile="31TDJ"))
    problems = checked(make_config(images.parent))
    assert not [one for one in problems.warnings if one.code == "W-FETCH-MISSING"]
