"""The table of an experiment: differences with paired intervals, times by key, escaped texts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.toy_world import World

from oso_pipeline.runtime.executors import SerialExecutor
from oso_pipeline.runtime.reuse import begin_with_equal
from oso_pipeline.runtime.runner import Selection, run
from oso_pipeline.studies.experiment.result import ExperimentResult, Row, as_markdown, write
from oso_pipeline.studies.experiment.times import Cost, Taken, TaskTimes, TimeKeeper
from oso_pipeline.studies.held_out import HeldOut, Resampling, gain_of, paired_interval
from oso_pipeline.validation.intervals import UNDEFINED, Interval

EVIL = "<b>evil</b>|"


def held_out(right: list[int], pixels: list[int]) -> HeldOut:
    share = sum(right) / sum(pixels)
    overall: dict[str, float | None] = {"estimate": share, "low": None, "high": None}
    return HeldOut(overall, dict(enumerate(right)), dict(enumerate(pixels)))


def test_the_interval_of_a_difference_is_that_of_a_paired_bootstrap() -> None:
    rng = np.random.default_rng(3)
    pixels = rng.integers(5, 40, 60)
    first = rng.binomial(pixels, 0.8)
    second = first + rng.binomial(pixels - first, 0.3)  # right where the first is, and elsewhere
    one, other = held_out([*second], [*pixels]), held_out([*first], [*pixels])
    found = paired_interval(one, other, gain_of, Resampling(1500, 0.95, 0))
    gain = (second.sum() - first.sum()) / pixels.sum()
    # The delta method for a ratio of sums over polygons.
    errors = second - first - gain * pixels
    error = np.sqrt(len(pixels) * np.var(errors, ddof=1)) / pixels.sum()
    assert found.low == pytest.approx(gain - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(gain + 1.96 * error, abs=0.2 * error)
    few = held_out([1] * 9, [2] * 9)
    assert paired_interval(few, few, gain_of, Resampling(50, 0.95, 0)) == UNDEFINED


@pytest.fixture
def result() -> ExperimentResult:
    overall: dict[str, float | None] = {"estimate": 0.9, "low": 0.85, "high": 0.94}
    known = {"cost": Cost(3600, 7200, 1800), "map_core_seconds": 3600.0, "overall": overall}
    rows = (
        Row("first", {}, Path("a"), **known),  # type: ignore[arg-type]
        Row(
            "gains",
            {"x": EVIL},
            Path("b"),
            overall,
            0.02,
            True,
            Interval(0.01, 0.03),
            Cost(unknown=1),
        ),
        Row("elsewhere", {"seed": 3}, Path("c"), overall, -0.01, False),
        Row("broken", {"learning.n_trees": 5}, Path("d")),
    )
    return ExperimentResult("trees", rows, 0.5)


def test_a_table_tells_what_is_known(result: ExperimentResult) -> None:
    lines = as_markdown(result).splitlines()
    assert lines[2].split(" | ")[-1] == "price |"
    first, gains, elsewhere, broken = lines[4:8]
    assert first == (
        "| first | 0.900 (0.850 to 0.940) | - | 120 min | 30 min | 60 min | 60 min | 1.50 |"
    )
    assert "| +0.020 (+0.010 to +0.030) | at least 0.0 s |" in gains
    assert gains.endswith("| - |"), "the price of a part that is not known"
    assert "| -0.010 (other polygons) |" in elsewhere
    assert broken.startswith("| broken | failed | - |")
    frame = result.to_frame()
    assert frame.loc["gains", "difference_low"] == 0.01
    assert frame.loc["first", "price"] == 1.5
    assert frame.loc["broken"].isna()["overall_accuracy"]


def test_files_hold_every_variant_and_the_page_escapes(
    result: ExperimentResult, tmp_path: Path
) -> None:
    files = write(result, tmp_path)
    assert [path.name for path in files] == [f"experiment.{end}" for end in ("json", "md", "html")]
    content = json.loads(files[0].read_text())
    assert [row["name"] for row in content["variants"]] == ["first", "gains", "elsewhere", "broken"]
    assert EVIL not in files[2].read_text(encoding="utf-8")
    page = files[2].read_text(encoding="utf-8")
    assert page.count('<circle class="dot"') == page.count('<line class="whisker"') == 3
    assert "overall accuracy, 0.850 to 0.940" in page


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_another_run_made_under_the_same_key_is_taken(world: World, tmp_path: Path) -> None:
    world.run()
    first = world.run_dir
    world.run_dir, world.values = tmp_path / "second", [3, 4, 5]
    world.run(seed=1)
    assert (
        begin_with_equal(world.planner(), world.planner().stages, [tmp_path / "none", first]) == 2
    )
    assert (world.run_dir / "numbers/3.txt").samefile(first / "numbers/3.txt")
    planner = world.planner()
    assert [task.name for task in planner.plan(planner.stages[0]).todo] == ["n5"]
    assert world.run().done == 2, "the number that no run has, and the total"
    assert (first / "total.txt").read_text() == "20"
    assert begin_with_equal(world.planner(), world.planner().stages, [first]) == 0


def test_times_are_kept_by_key_and_shared_ones_told_apart(world: World, tmp_path: Path) -> None:
    times = TaskTimes.load(tmp_path / "times.json")
    run(world.planner(), SerialExecutor(), [TimeKeeper(times, "a")], Selection())
    tasks = [task for stage in world.planner().stages for task in world.planner().tasks(stage.name)]
    again = TaskTimes.load(tmp_path / "times.json")
    assert again.taken == times.taken
    assert set(again.taken) == {task.key for task in tasks}
    again.taken = {
        tasks[0].key: {"b": Taken(100, 200), "a": Taken(1, 2)},
        tasks[1].key: {"b": Taken(10, 20)},
    }
    assert again.cost_of("a", tasks) == Cost(11, 22, 20, 3)
    (tmp_path / "times.json").write_text('{"x": 3, "y": {"run": 1}, "z": {"run": {}}}')
    assert TaskTimes.load(tmp_path / "times.json").taken == {}


def test_times_of_a_run_before_come_from_its_log(world: World, tmp_path: Path) -> None:
    world.run()
    (tasks,) = [world.planner().tasks("numbers")]
    line = {"event": "task_ended", "stage": "numbers", "status": "done", "cpu_seconds": 2}
    records = [line | {"task": name, "seconds": 3} for name in ("n1", "n2")]
    odd = ["no JSON", '{"event": 1}', "[]", json.dumps(line | {"task": "n3", "seconds": "x"})]
    (world.run_dir / "log.jsonl").write_text("\n".join([*map(json.dumps, records), *odd]))
    times = TaskTimes(tmp_path / "times.json")
    (world.run_dir / "numbers" / "2.txt.json").unlink()
    times.learn(world.run_dir, tasks)
    assert times.taken == {tasks[0].key: {"": Taken(2, 3)}}
