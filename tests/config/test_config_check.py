"""Paths, run folder, nomenclature and size of blocks (matrix rows 58, 59 and 62)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.minimal_config import MINIMAL_YAML

from oso_pipeline.config.check import check_block, check_paths
from oso_pipeline.config.loader import load_config
from oso_pipeline.config.model import Config


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "products").mkdir()
    (tmp_path / "reference.gpkg").write_bytes(b"x")
    return with_keys(tmp_path)


def with_keys(folder: Path, *overrides: str) -> Config:
    path = folder / "mine.yaml"
    path.write_text(
        MINIMAL_YAML + "".join(f"{line}\n" for line in overrides),
        encoding="utf-8",
    )
    return load_config(path, (), {})


def found(config: Config) -> list[tuple[str, str]]:
    return [(problem.code, problem.message) for problem in check_paths(config)]


def test_good_paths_have_no_findings(config: Config) -> None:
    assert found(config) == []


def test_row_58_missing_wrong_kind_and_nomenclature_at_once(tmp_path: Path, config: Config) -> None:
    (tmp_path / "products").rmdir()
    (tmp_path / "products").write_bytes(b"a file")
    (tmp_path / "reference.gpkg").unlink()
    bad = with_keys(tmp_path, "nomenclature: own.csv", "strata: {path: deep/er.shp, field: f}")
    messages = {message.split(":")[0]: (code, message) for code, message in found(bad)}
    assert {code for code, _ in messages.values()} == {
        "E-PATH-KIND",
        "E-PATH-MISSING",
        "E-PATH-READ",
    }
    assert messages["imagery.paths[0]"][1].endswith("found a file, expected a folder")
    assert str(tmp_path / "reference.gpkg") in messages["reference.sources[0].path"][1]
    assert messages["strata.path"][1].endswith(f"the part that exists is {tmp_path}")
    assert len(messages) == 4
    assert any(str(tmp_path / "own.csv") in str(problem.where) for problem in check_paths(bad))


def test_row_58_crosswalk_is_a_folder(tmp_path: Path, config: Config) -> None:
    text = (tmp_path / "mine.yaml").read_text().replace("gpkg}", "gpkg, crosswalk: products}")
    (tmp_path / "mine.yaml").write_text(text)
    assert found(load_config(tmp_path / "mine.yaml", (), {})) == [
        ("E-PATH-KIND", "reference.sources[0].crosswalk: found a folder, expected a file")
    ]


def test_row_58_no_permission(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "products").chmod(0)
    if os.access(tmp_path / "products", os.R_OK):  # the superuser may read everything
        monkeypatch.setattr(
            os, "access", lambda path, mode: not (mode & os.R_OK and "products" in str(path))
        )
    try:
        assert ("E-PATH-PERMISSION", "imagery.paths[0]: no permission to read the folder") in found(
            config
        )
    finally:
        (tmp_path / "products").chmod(0o755)


@pytest.mark.parametrize(
    ("run_dir", "words"),
    [
        ("products", "run_dir: is the same folder as imagery.paths[0]"),
        ("products/runs/a", "run_dir: lies inside imagery.paths[0]"),
        ("link/a", "run_dir: lies inside imagery.paths[0]"),
        ("reference.gpkg", "run_dir: is the same as reference.sources[0].path"),
    ],
)
def test_row_59_run_folder_among_the_input(
    run_dir: str, words: str, config: Config, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "products")
    findings = found(with_keys(tmp_path, f"run_dir: {run_dir}"))
    assert findings[0][0] == "E-RUN-INSIDE"
    assert findings[0][1].startswith(words)


def test_row_58_run_folder_is_a_file(config: Config, tmp_path: Path) -> None:
    assert found(with_keys(tmp_path, "run_dir: mine.yaml")) == [
        ("E-PATH-KIND", "run_dir: found a file, expected a folder")
    ]


def test_row_62_block_larger_than_memory(config: Config, tmp_path: Path) -> None:
    big = with_keys(tmp_path, "runtime: {block_pixels: 1000000, memory_per_worker_gb: 1}")
    (problem,) = check_block(big, 250_000, 2.41e9)
    assert problem.code == "E-BLOCK-MEMORY"
    assert "1000000 pixels need workers of about 2.5 GB" in problem.message
    assert "runtime.block_pixels to 250000 or less" in str(problem.hint)
    assert "runtime.memory_per_worker_gb to 2.5" in str(problem.hint)
    fitting = with_keys(tmp_path, "runtime: {block_pixels: 250000, memory_per_worker_gb: 1}")
    assert len(check_block(fitting, 250_000, 1e9)) == 0
    assert len(check_block(config, 250_000, 1e9)) == 0


@pytest.mark.parametrize("address", ["https://host.org/images", "s3://bucket/images"])
def test_3_6_an_address_on_the_web_is_no_path(tmp_path: Path, config: Config, address: str) -> None:
    imagery = config.imagery.model_copy(update={"paths": (tmp_path / address,)})
    (problem,) = check_paths(config.model_copy(update={"imagery": imagery})).errors
    assert f"imagery.paths[0]: {address} is an address on the web, expected a path" in str(problem)
    assert "remote: true" in str(problem)
