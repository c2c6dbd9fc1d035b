"""`oso fetch --reference` from end to end, against lists on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import yaml
from support.atom_lists import HERE, AtomLists, Listed, packed
from support.file_server import FileServer, Reply, file_server
from support.typed_command import Oso

TITLE = "RPG_2-0__SHP_LAMB93_R76-2018_2018-01-01"
ARCHIVE = packed(TITLE, "PARCELLES_GRAPHIQUES", b"geometry" * 100_000)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


def config_of(folder: Path, server: FileServer, **retrieval: object) -> Path:
    listed = Listed(TITLE, {f"{TITLE}.zip": ARCHIVE}, HERE)
    address = AtomLists(server).serve("RPG", [listed])
    table = {"reference": {"rpg": {"address": address, "limits": {"requests_per_minute": None}}}}
    (folder / "own.yaml").write_text(yaml.safe_dump(table), encoding="utf-8")
    content = {
        "year": 2018,
        "season": {"start": "2018-01-01", "end": "2018-12-31"},
        "imagery": {"paths": ["products"], "tiles": ["31TCJ"]},
        "reference": {
            "sources": [{"kind": "rpg", "path": "rpg", "year": 2018}, {"path": "mine.gpkg"}]
        },
        "retrieval": {"keep_free_gb": 0, "providers_file": "own.yaml", **retrieval},
    }
    path = folder / "oso.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_databases_are_shown_then_fetched_then_there(
    oso: Oso, server: FileServer, tmp_path: Path
) -> None:
    config = config_of(tmp_path, server)
    said = oso(0, "fetch", config, "--reference", "--dry-run")
    assert f"to fetch: {TITLE}, 3.2 MB, from 127.0.0.1" in said
    assert "yours to get: vector" in said
    assert not (tmp_path / "rpg").exists()
    planned = json.loads(oso(0, "fetch", config, "--reference", "--dry-run", "--json"))
    assert planned["editions"][0]["zone"] == "R76"
    said = oso(0, "fetch", config, "--reference")
    assert f"{TITLE}: 4 files, 3.2 MB" in said
    assert "1 delivery fetched, 0 there, 0 left" in said
    assert (tmp_path / "rpg" / TITLE / "oso_fetch.json").is_file()
    (ended,) = map(json.loads, oso(0, "fetch", config, "--reference", "--json").splitlines())
    assert (ended["kind"], ended["fetched"], ended["there"], ended["left"]) == ("ended", 0, 1, [])


def test_what_is_left_is_exit_code_75(oso: Oso, server: FileServer, tmp_path: Path) -> None:
    config = config_of(tmp_path, server, reference={"regions": [76, 99]})
    said = oso(75, "fetch", config, "--reference")
    assert "left [E-FETCH-EDITION] rpg is not offered for R99; there is R76" in said
    assert "1 delivery fetched, 0 there, 1 left" in said
    said = oso(75, "fetch", config, "--reference", "--dry-run")
    assert "there: rpg 2018 R76" in said


def test_a_limit_leaves_the_rest(oso: Oso, server: FileServer, tmp_path: Path) -> None:
    config = config_of(tmp_path, server)
    said = oso(75, "fetch", config, "--reference", "--max-gb", "0.001")
    assert "left [W-FETCH-LIMIT]" in said
    assert "0 deliveries fetched" in said


def test_a_terminated_download_is_continued(oso: Oso, server: FileServer, tmp_path: Path) -> None:
    config = config_of(tmp_path, server)
    server.replies.extend([Reply(), Reply(), Reply(cut=len(ARCHIVE) // 2)])

    def end(path: str, headers: dict[str, str]) -> None:
        if path.endswith(".zip") and "range" in headers:
            os.kill(os.getpid(), signal.SIGTERM)

    server.check = end
    said = oso(143, "fetch", config, "--reference")
    assert "run the same command again" in said
    assert not (tmp_path / "rpg" / TITLE).exists()
    server.check = None
    oso(0, "fetch", config, "--reference")
    assert server.ranges[-1] is not None
    assert (tmp_path / "rpg" / TITLE).is_dir()


@pytest.mark.parametrize("option", [("--until", "2018-05-01"), ("--provider", "x"), ("--offline",)])
def test_options_of_images_are_refused(
    oso: Oso, server: FileServer, tmp_path: Path, option: tuple[str, ...]
) -> None:
    assert "--reference" in oso(2, "fetch", config_of(tmp_path, server), "--reference", *option)


@pytest.mark.slow
def test_killed_again_and_again_it_ends_whole(server: FileServer, tmp_path: Path) -> None:
    """Whatever is seen in the folder of the source at any moment is a whole delivery."""
    config = config_of(tmp_path, server)
    server.usual = Reply(pause_s=0.004, piece=1 << 14)
    random, n_kills = Random(7), 0
    command = [sys.executable, "-m", "oso_pipeline.cli", "fetch", str(config), "--reference"]
    for _ in range(30):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=1.0 + 2.0 * random.random())
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            n_kills += 1
        seen = [one.name for one in (tmp_path / "rpg").glob("[!.]*")]
        assert seen in ([], [TITLE])
    assert process.returncode == 0
    assert n_kills > 0
    folder = tmp_path / "rpg" / TITLE
    record = json.loads((folder / "oso_fetch.json").read_text())
    for one in record["files"]:
        content = (folder / one["name"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (one["size"], one["sha256"])
    assert [*(tmp_path / "rpg" / ".oso_fetch" / "unpacking").iterdir()] == []
