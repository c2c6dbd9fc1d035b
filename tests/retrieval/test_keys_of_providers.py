"""Keys: from the environment or a private file, checked, and never shown."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path

import pytest

from oso_pipeline.core.errors import ConfigError
from oso_pipeline.retrieval.access.keys import Keys

SECRET = "s3cret-value-of-the-test"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "keys", f"# keys\n\nGEODES_API_KEY={SECRET}\nexport USER = 'a b'\n")


def write(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as raised:
        Keys.of(path, {})
    assert {problem.code for problem in raised.value.problems} == {"E-FETCH-KEYS"}
    assert all(problem.hint and problem.where for problem in raised.value.problems)
    assert SECRET not in str(raised.value)
    return str(raised.value)


def test_a_file_of_keys(file: Path) -> None:
    keys = Keys.of(file, {})
    assert keys.get("GEODES_API_KEY") == SECRET
    assert keys.get("USER") == "a b"
    assert keys.get("OTHER") is None
    assert keys.missing(["USER", "OTHER"]) == ["OTHER"]


def test_the_environment_comes_first(file: Path) -> None:
    assert Keys.of(file, {"GEODES_API_KEY": "mine"}).get("GEODES_API_KEY") == "mine"
    assert Keys.of(file, {"GEODES_API_KEY": ""}).get("GEODES_API_KEY") == SECRET
    assert Keys.of(None, {"A": "1"}).get("A") == "1"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o777, 0o610])
def test_a_file_that_others_may_use(file: Path, mode: int) -> None:
    file.chmod(mode)
    text = refused(file)
    assert f"{mode:03o}" in text
    assert "chmod 600" in text


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_its_owner(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert Keys.of(file, {}).get("GEODES_API_KEY") == SECRET


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{SECRET}\n", "keys:1"),
        (f"A=1\n\nKEY {SECRET}\n", "keys:3"),
        (f"A={SECRET}\nA={SECRET}\n", "A stands twice"),
        ("A=\n", "the value of A is empty"),
        (f"A={SECRET}\x07x\n", "cannot be printed"),
        (f"A={SECRET}\xff\n".encode("latin-1"), "not UTF-8"),
        ("#" * 70_000, "larger than"),
    ],
)
def test_lines_that_are_wrong(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert message in refused(write(tmp_path / "keys", text))


def test_all_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    text = refused(write(tmp_path / "keys", "one\ntwo\nA=1\nA=2\n", 0o644))
    assert text.count("E-FETCH-KEYS") == 4


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "missing")
    assert "folder" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "regular" in refused(tmp_path / "pipe")


def test_keys_are_never_shown(file: Path) -> None:
    keys = Keys.of(file, {"OTHER_KEY": "another-secret"})
    for text in (repr(keys), str(keys), f"{keys}", str(vars(keys).keys())):
        assert SECRET not in text
        assert "another-secret" not in text
    with pytest.raises(TypeError):
        pickle.dumps(keys)
    with pytest.raises(TypeError):
        copy.copy(keys)
