"""The rehearsal of France: what it counts, its table, and that it goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import rehearsal
from bench.rehearsal_figures import stages_of
from bench.rehearsal_run import Steps, Took


def ended(ts: str, task: str, status: str, seconds: float) -> str:
    return json.dumps({
        "ts": ts, "event": "task_ended", "stage": "predict", "task": task, "status": status,
        "seconds": seconds, "cpu_seconds": seconds / 2, "peak_rss_mb": 100 + int(seconds),
    })  # fmt: skip


def test_a_stage_is_summed_over_all_logs_and_a_task_counts_by_its_last_try(tmp_path: Path) -> None:
    (tmp_path / "activity").mkdir()
    (tmp_path / "log.jsonl").write_text(ended("2", "a", "done", 4.0) + "\n")
    (tmp_path / "activity" / "shard_1_2.jsonl").write_text(
        ended("1", "a", "failed", 8.0) + "\n" + ended("3", "b", "failed", 2.0) + "\n"
    )
    (tmp_path / "a.tif").write_bytes(bytes(100))
    sidecar = json.dumps({"recipe": {"stage": "predict"}})
    (tmp_path / "a.tif.json").write_text(sidecar)
    assert stages_of(tmp_path) == {
        "predict": {
            "tasks": 1, "failed": 1, "core_s": 7.0, "longest_s": 8.0, "peak_mb": 108,
            "files": 2, "size": 100 + len(sidecar),
        }
    }  # fmt: skip


def test_steps_that_are_done_are_not_done_again(tmp_path: Path) -> None:
    calls: list[str] = []

    def fail() -> None:
        calls.append("failed")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Steps(tmp_path, calls.append).call("one", fail)
    interrupted = Steps(tmp_path, calls.append)
    before = interrupted.took["one"].wall_s
    interrupted.call("one", lambda: calls.append("called"))
    assert interrupted.took["one"].wall_s > before
    Steps(tmp_path, calls.append).call("one", lambda: calls.append("again"))
    assert calls == ["one", "failed", "one", "called"]


@pytest.mark.slow
def test_a_command_that_fails_ends_the_rehearsal(tmp_path: Path) -> None:
    steps = Steps(tmp_path, lambda text: None)
    with pytest.raises(SystemExit, match="plan ended with code 3"):
        steps.oso("plan", ["plan", str(tmp_path / "absent.yaml")])
    assert Steps(tmp_path, lambda text: None).took["plan"].core_s > 0


def test_limits_are_kept() -> None:
    content = {
        "stages": {"predict": {"failed": 2}, "train": {"failed": 0}},
        "steps": {"plan": {"wall_s": 61.0, "peak_mb": 5}, "verify": {"wall_s": 900, "peak_mb": 5}},
        "inputs": {"size": 13e9},
        "run": {"size": 1e9},
    }
    assert rehearsal.too_much(content) == [
        "2 tasks of predict failed", "plan took 61 s and 5 MB", "inputs: 13.0 GB",
    ]  # fmt: skip


def test_few_tiles_lie_together_and_the_configuration_is_the_national_one() -> None:
    spec = rehearsal.specification(9)
    assert len(spec.tiles) == 9
    assert "31TCL" in spec.tiles
    content = rehearsal.configuration(spec, False)
    assert content["imagery"]["tiles"] == [*spec.tiles]
    assert [source["kind"] for source in content["reference"]["sources"]] == [
        "rpg",
        "bdtopo",
        "clc",
    ]
    assert content["season"] == {**content["season"], "step_days": 10}
    assert len(rehearsal.specification(None).tiles) == 89


def test_what_two_tries_took_is_added() -> None:
    assert Took(1.0, 2.0, 300).and_before(Took(4.0, 5.0, 200)) == Took(5.0, 7.0, 300)
