"""The section `retrieval` in `oso check`: all that is wrong at once, with what to do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from support.minimal_config import MINIMAL_YAML

from oso_pipeline.config.loader import load_config
from oso_pipeline.config.model import Config
from oso_pipeline.core.errors import ConfigError, OsoError, Problem
from oso_pipeline.retrieval.checks import check_retrieval
from oso_pipeline.runtime import session

Make = Callable[..., Config]


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    (tmp_path / "products").mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**13, 0, 10**13))

    def made(section: str = "{max_gb: 100}") -> Config:
        path = tmp_path / "mine.yaml"
        path.write_text(f"{MINIMAL_YAML}retrieval: {section}\n", encoding="utf-8")
        return load_config(path, (), {})

    return made


def found(config: Config, **environ: str) -> dict[str, Problem]:
    return {problem.code: problem for problem in check_retrieval(config, environ)}


READY = {"GEODES_API_KEY": "a", "TLD_ACCESS_KEY": "b", "TLD_SECRET_KEY": "c"}
EVERY = {
    **READY, "CDSE_USER": "d", "CDSE_PASSWORD": "e", "CDSE_S3_KEY": "f", "CDSE_S3_SECRET": "g",
}  # fmt: skip


def test_a_section_that_is_right(make: Make) -> None:
    problems = check_retrieval(make(), EVERY)
    assert list(problems) == []
    assert "oso fetch gets muscate products from geodes, theia" in problems.notes
    assert "oso fetch gets safe products from copernicus, copernicus-s3" in problems.notes


def test_without_the_section_nothing_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINIMAL_YAML, encoding="utf-8")
    assert list(check_retrieval(load_config(path, (), {}), {})) == []


def test_missing_keys_are_warnings(make: Make) -> None:
    problems = check_retrieval(make("{providers: [geodes, theia]}"), {"TLD_ACCESS_KEY": "b"})
    assert [one.code for one in problems] == ["W-FETCH-NO-KEY", "W-FETCH-NO-KEY", "W-FETCH-NO-KEY"]
    text = " ".join(one.message for one in problems)
    assert "GEODES_API_KEY" in text
    assert "TLD_SECRET_KEY" in text
    assert "TLD_ACCESS_KEY" not in text


def test_unknown_providers(make: Make) -> None:
    problem = found(make("{providers: [geodse]}"), **EVERY)["E-FETCH-PROVIDER"]
    assert problem.hint == "did you mean geodes?"


def test_a_file_of_keys_that_others_can_read(make: Make, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("GEODES_API_KEY=secret-of-the-test\n")
    keys.chmod(0o644)
    problem = found(make("{keys_file: keys}"))["E-FETCH-KEYS"]
    assert problem.where == str(keys)
    assert "chmod 600" in (problem.hint or "")
    keys.chmod(0o600)
    assert found(make("{keys_file: keys, providers: [geodes]}")) == {}


def test_a_file_of_providers_with_a_typo(make: Make, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("geodes: {colections: {}}\n")
    problem = found(make("{providers_file: own.yaml}"), **EVERY)["E-CONFIG-KEY"]
    assert problem.message == "geodes.colections: unknown key"
    assert problem.where == f"{tmp_path / 'own.yaml'}:1:10"


def test_a_table_of_databases_with_a_typo(make: Make, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("reference:\n  rpg: {adress: x}\n", encoding="utf-8")
    problem = found(make("{providers_file: own.yaml}"), **EVERY)["E-CONFIG-KEY"]
    assert "adress" in problem.message
    assert "own.yaml:2" in (problem.where or "")


def test_a_folder_that_no_run_searches(make: Make, tmp_path: Path) -> None:
    problem = found(make("{into: elsewhere}"), **EVERY)["E-FETCH-FOLDER"]
    assert str(tmp_path / "elsewhere") in problem.message
    assert found(make("{into: products/fetched}"), **EVERY) == {}
    (tmp_path / "products" / "away").symlink_to(tmp_path)
    assert "E-FETCH-FOLDER" in found(make("{into: products/away}"), **EVERY)


def test_a_folder_that_cannot_be_written(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    products = tmp_path / "products"
    products.chmod(0o500)
    if os.access(products, os.W_OK):  # the superuser may write everywhere
        monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    try:
        problem = found(make(), **EVERY)["E-PATH-PERMISSION"]
    finally:
        products.chmod(0o755)
    assert str(products) in problem.message


def test_a_file_in_place_of_the_folder(make: Make, tmp_path: Path) -> None:
    (tmp_path / "products" / "a").write_text("")
    assert "E-PATH-KIND" in found(make("{into: products/a}"), **EVERY)


def test_a_full_disk(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**13, 0, 15 * 10**9))
    problem = found(make(), **EVERY)["W-FETCH-DISK"]
    assert "15.0 GB are free" in problem.message
    assert found(make("{keep_free_gb: 10}"), **EVERY) == {}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{provider: [geodes]}", "retrieval.provider: unknown key"),
        ("{providers: [geodes, geodes]}", "names geodes more than once"),
        ("{max_gb: 0}", "retrieval.max_gb"),
        ("{keep_free_gb: -1}", "retrieval.keep_free_gb"),
        ("{into: 3}", "retrieval.into"),
    ],
)
def test_values_that_are_refused(make: Make, section: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        make(section)
    assert message in str(raised.value)


def test_paths_are_relative_to_the_file(make: Make, tmp_path: Path) -> None:
    section = make("{into: products, keys_file: k, providers_file: p}").retrieval
    assert (section.into, section.keys_file, section.providers_file) == (
        tmp_path / "products", tmp_path / "k", tmp_path / "p",
    )  # fmt: skip


def test_the_section_has_no_part_in_the_ids_of_a_run(make: Make) -> None:
    plain, other = make("{}"), make("{max_gb: 3, providers: [geodes], into: products/a}")
    assert plain.run_id == other.run_id
    assert plain.recipe_id == other.recipe_id
    assert plain.science() == other.science()


def test_oso_check_says_it_beside_what_else_is_wrong(make: Make, tmp_path: Path) -> None:
    make("{providers: [geodse]}")
    with pytest.raises(OsoError) as raised:
        session.load(tmp_path / "mine.yaml", with_retrieval=True)
    assert {"E-FETCH-PROVIDER", "E-PATH-MISSING"} <= {one.code for one in raised.value.problems}
    with pytest.raises(OsoError) as raised:
        session.load(tmp_path / "mine.yaml")
    codes = {one.code for one in raised.value.problems}
    assert "E-FETCH-PROVIDER" not in codes, "no run needs a provider"
