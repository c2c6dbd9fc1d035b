"""`oso fetch` from end to end, against a portal on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.portal import Fault, Mixture, lying_portal, season
from support.portal.evaluate import evaluate
from support.typed_command import Oso

from oso_pipeline.imagery.fetch_ledger import read_ledger

LIMITS = {"silence_s": 2.0, "connect_s": 2.0, "search_s": 5.0, "download_s": 20.0}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the keys that the portal wants."""
    monkeypatch.setenv("GEODES_API_KEY", "key-of-the-test")


def config_of(folder: Path, family: str = "muscate", **retrieval: object) -> Path:
    """Write a configuration that fetches into ``products`` beside it."""
    content = {
        "year": 2018,
        "season": {"start": "2018-01-01", "end": "2018-12-31"},
        "imagery": {"paths": ["products"], "tiles": ["31TCJ"], "readers": [{"kind": family}]},
        "reference": {"sources": [{"path": "reference.gpkg"}]},
        "retrieval": {"keep_free_gb": 0, "pauses_s": [0], **retrieval},
    }
    path = folder / "oso.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_a_season_is_fetched_verified_and_recorded(oso: Oso, tmp_path: Path) -> None:
    products = list(season(number=4))
    with lying_portal(["geodes"], products, limits=LIMITS) as portal:
        table = portal.write_table(tmp_path / "portals.yaml")
        config = config_of(tmp_path, providers=["geodes"], providers_file=str(table))
        planned = json.loads(oso(0, "fetch", config, "--dry-run", "--json"))
        assert len(planned["products"]) == 4
        assert not (tmp_path / "products" / "T31TCJ").exists()
        said = oso(0, "fetch", config)
        assert "4 products fetched" in said
        evaluated = evaluate(tmp_path / "products", products, portal.store)
        assert (len(evaluated.right), evaluated.wrong, evaluated.lost) == (4, [], [])
        again = oso(0, "fetch", config)
        assert "0 products fetched" in again
        assert "4 were there" in again
    log = (tmp_path / "products" / ".oso_fetch" / "log.jsonl").read_text(encoding="utf-8")
    assert "key-of-the-test" not in log
    kinds = [json.loads(line)["kind"] for line in log.splitlines()]
    assert kinds.count("fetched") == 4


def test_offline_a_mirror_folder_serves(oso: Oso, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror" / "T31TCJ"
    mirror.mkdir(parents=True)
    products = season(number=2)
    for product in products:
        (mirror / product.archive).write_bytes(product.content())
    collections = {"muscate": {"id": "mirror"}}
    table = {"disk": {"protocol": "mirror", "address": "mirror", "collections": collections}}
    file = tmp_path / "own.yaml"
    file.write_text(yaml.safe_dump(table), encoding="utf-8")
    config = config_of(tmp_path, providers=["disk"], providers_file=str(file))
    assert "2 products fetched" in oso(0, "fetch", config, "--offline")
    found = {path.name for path in (tmp_path / "products" / "T31TCJ").iterdir()}
    assert found == {product.archive for product in products}


@pytest.mark.fault(
    row=36,
    injected="no portal answers",
    outcome="exit 75; what is not known of which provider; no key is shown",
)
def test_with_every_portal_down_what_is_left_is_named(oso: Oso, tmp_path: Path) -> None:
    table = tmp_path / "portals.yaml"
    table.write_text(
        "geodes: {address: 'http://127.0.0.1:1/api/stac', hosts: [127.0.0.1], "
        "limits: {search_s: 0.3}}\n"
    )
    config = config_of(tmp_path, providers=["geodes"], providers_file=str(table))
    said = oso(75, "fetch", config)
    assert "it is not known what geodes offers of 31TCJ" in said
    assert "fix:" in said
    assert "key-of-the-test" not in said


@pytest.mark.fault(
    row=36,
    injected="`--offline` after a search",
    outcome="what is needed and missing, from the disk",
)
def test_a_campaign_begins_from_the_disk_with_the_portal_down(oso: Oso, tmp_path: Path) -> None:
    products = list(season(number=3))
    with lying_portal(["geodes"], products, limits=LIMITS) as portal:
        table = portal.write_table(tmp_path / "portals.yaml")
        config = config_of(tmp_path, providers=["geodes"], providers_file=str(table))
        oso(0, "fetch", config, "--dry-run")
    planned = oso(0, "fetch", config, "--offline", "--dry-run")
    assert "3 products" in planned
    said = oso(75, "fetch", config, "--offline")
    assert "[W-FETCH-UNUSED] 3 products are left" in said
    missing = read_ledger(tmp_path / "products").missing()
    assert [one.state for one in missing] == ["wanted"] * 3


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_ends_it_cleanly_and_the_next_goes_on(
    oso: Oso, tmp_path: Path, number: int, code: int, word: str
) -> None:
    products = list(season(number=3, size_bytes=200_000))
    with lying_portal(["geodes"], products, limits=LIMITS, bytes_per_s=1_000_000) as portal:
        table = portal.write_table(tmp_path / "portals.yaml")
        config = config_of(tmp_path, providers=["geodes"], providers_file=str(table))
        parts = tmp_path / "products" / ".oso_fetch" / "parts"
        sender = threading.Thread(target=_when_half_has_come, args=(parts, number), daemon=True)
        sender.start()
        said = oso(code, "fetch", config)
        assert f"{word}; run the same command again to go on" in said
        before = sum(portal.record.good_bytes.values())
        oso(0, "fetch", config)
        evaluated = evaluate(tmp_path / "products", products, portal.store)
        assert len(evaluated.right) == 3
        whole = sum(map(len, (portal.true_content(one) for one in products)))
        assert sum(portal.record.good_bytes.values()) < whole + before / 2, "parts are continued"


def _when_half_has_come(parts: Path, number: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if sum(path.stat().st_size for path in parts.rglob("*.part")) > 100_000:
            os.kill(os.getpid(), number)
            return
        time.sleep(0.01)


@pytest.mark.slow
def test_one_process_takes_what_another_one_leaves(oso: Oso, tmp_path: Path) -> None:
    products = list(season(number=6))
    with lying_portal(["geodes"], products, limits=LIMITS, bytes_per_s=200_000) as portal:
        table = portal.write_table(tmp_path / "portals.yaml")
        config = config_of(tmp_path, providers=["geodes"], providers_file=str(table))
        command = [sys.executable, "-m", "oso_pipeline.cli", "fetch", str(config)]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        other = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
        while not (tmp_path / "products" / ".oso_fetch" / "ledger.jsonl").exists():
            assert other.poll() is None
            time.sleep(0.01)
        oso(0, "fetch", config)
        assert other.wait(60) == 0
        evaluated = evaluate(tmp_path / "products", products, portal.store)
        assert (len(evaluated.right), evaluated.wrong) == (6, [])
        asked = [path for path in portal.record.paths() if "/download/" in path]
        assert len(asked) == 6, "no product was downloaded twice"


REFUSED = [
    (["--provider", "geods"], {}, 3, ("E-FETCH-PROVIDER", "did you mean geodes?")),
    (["--until", "2017-06-01"], {}, 3, ("E-FETCH-UNTIL", "2017-06-01", "fix:")),
    (["--until", "01.06.2018"], {}, 2, ("--until",)),
    ([], {"into": "elsewhere"}, 3, ("E-FETCH-FOLDER", "imagery.paths")),
    ([], {"providers_file": "missing.yaml"}, 3, ("missing.yaml",)),
    ([], {"provider": ["geodes"]}, 3, ("E-CONFIG-KEY", "providers")),
    ([], {"providers_file": "typo.yaml"}, 3, ("E-CONFIG-KEY", "typo.yaml:1", "adress")),
    ([], {"keys_file": "loose.txt"}, 3, ("E-FETCH-KEYS", "chmod 600")),
]


@pytest.mark.parametrize(("options", "section", "code", "words"), REFUSED)
def test_mistakes_are_refused_before_anything_is_requested(
    oso: Oso, tmp_path: Path, options: list[str], section: dict[str, Any], code: int, words: Any
) -> None:
    (tmp_path / "typo.yaml").write_text("geodes: {adress: 'https://here.test'}\n")
    (tmp_path / "loose.txt").write_text("GEODES_API_KEY=secret-in-a-file\n")
    (tmp_path / "loose.txt").chmod(0o644)
    said = oso(code, "fetch", config_of(tmp_path, **section), *options)
    for word in words:
        assert word in said
    assert "secret-in-a-file" not in said


def test_no_key_for_any_provider_is_an_error_at_once(
    oso: Oso, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GEODES_API_KEY")
    said = oso(3, "fetch", config_of(tmp_path, providers=["geodes"]))
    assert "GEODES_API_KEY is not set" in said


def test_a_reader_that_nobody_has_products_for_is_an_error(oso: Oso, tmp_path: Path) -> None:
    said = oso(3, "fetch", config_of(tmp_path, "eopf", providers=["geodes"]))
    assert "E-FETCH-FAMILY" in said
    assert "muscate" in said


def test_a_target_that_cannot_be_made_is_an_error_of_the_environment(
    oso: Oso, tmp_path: Path
) -> None:
    config = config_of(tmp_path)
    config.write_text(config.read_text().replace("- products", "- /proc/self/products"))
    said = oso(6, "fetch", config, "--provider", "geodes")
    assert "E-FOLDER" in said


def test_a_disk_that_would_be_full_is_an_error_of_the_environment(oso: Oso, tmp_path: Path) -> None:
    with lying_portal(["geodes"], list(season(number=2)), limits=LIMITS) as portal:
        table = portal.write_table(tmp_path / "portals.yaml")
        config = config_of(
            tmp_path, providers=["geodes"], providers_file=str(table), keep_free_gb=1e9
        )
        said = oso(6, "fetch", config)
    assert "error[E-DISK] 2 products are left" in said
    assert "keep_free_gb" in said


def test_a_collection_of_another_name_is_named(oso: Oso, tmp_path: Path) -> None:
    mixture = Mixture.only(Fault.COLLECTION_RENAMED)
    with lying_portal(["geodes"], list(season(number=2)), mixture, limits=LIMITS) as portal:
        table = portal.write_table(tmp_path / "portals.yaml")
        config = config_of(tmp_path, providers=["geodes"], providers_file=str(table))
        said = oso(75, "fetch", config)
    assert "E-FETCH-COLLECTION" in said
    assert "retrieval.providers_file" in said


def test_events_are_lines_of_json(oso: Oso, tmp_path: Path) -> None:
    with lying_portal(["geodes"], list(season(number=2)), limits=LIMITS) as portal:
        table = portal.write_table(tmp_path / "portals.yaml")
        config = config_of(tmp_path, providers=["geodes"], providers_file=str(table))
        said = oso(75, "fetch", config, "--json", "--max-gb", "0.00002")
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert {"searched", "fetched", "held", "ended"} <= {line["kind"] for line in lines}
    outcome = lines[-1]
    assert outcome["kind"] == "outcome"
    assert outcome["fetched"] == len(outcome["left"]) == 1
    assert outcome["left"][0]["code"] == "W-FETCH-LIMIT"


def test_days_after_until_are_left_for_later(oso: Oso, tmp_path: Path) -> None:
    with lying_portal(["geodes"], list(season(number=4)), limits=LIMITS) as portal:
        table = portal.write_table(tmp_path / "portals.yaml")
        config = config_of(tmp_path, providers=["geodes"], providers_file=str(table))
        said = oso(0, "fetch", config, "--until", "2018-05-01")
    assert "2 products fetched" in said
