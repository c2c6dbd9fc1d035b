"""Files and folders that are moved to where they become visible, all or nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from oso_pipeline.core.commit import publish_file, publish_folder
from oso_pipeline.core.errors import EnvironmentFailure


def tree(folder: Path, text: str) -> Path:
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.txt").write_text(text)
    (folder / "b.txt").write_text(text)
    return folder


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


@pytest.fixture
def other_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse renames out of the folder ``source``, as between file systems."""
    rename = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if "source" in self.parts and "final" in Path(target).parts:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", replace)


def publish_both(tmp_path: Path) -> None:
    source, final = tmp_path / "source", tmp_path / "final" / "place"
    for text in ("old", "new"):
        source.mkdir(exist_ok=True)
        (source / "one.zip").write_text(text)
        publish_file(source / "one.zip", final / "one.zip")
        publish_folder(tree(source / "tree", text), final / "tree", tmp_path / f"aside {text}")
        assert contents(final) == {
            "one.zip": text, "tree/deep/a.txt": text, "tree/b.txt": text,
        }  # fmt: skip
        if (source / "tree").exists():  # of another file system; the caller removes it
            (source / "tree").rename(tmp_path / f"rest {text}")
    assert not list(source.iterdir())
    assert set(contents(tmp_path / "aside new").values()) == {"old"}
    assert not list(final.glob(".*"))


def test_they_are_moved(tmp_path: Path) -> None:
    publish_both(tmp_path)


@pytest.mark.usefixtures("other_file_system")
def test_they_are_copied_first_between_file_systems(tmp_path: Path) -> None:
    publish_both(tmp_path)


def test_a_refusal_names_the_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    source = tree(tmp_path / "source", "x")
    for publish in (
        lambda final: publish_file(source / "b.txt", final),
        lambda final: publish_folder(source, final, tmp_path / "aside"),
    ):
        with pytest.raises(EnvironmentFailure, match="E-DISK") as raised:
            publish(tmp_path / "file" / "final")
        assert str(tmp_path / "file" / "final") in str(raised.value)
    assert contents(source) == {"deep/a.txt": "x", "b.txt": "x"}
