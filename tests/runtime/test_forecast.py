"""What a run is expected to take, and the speed of the machine behind it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.toy_stages import Total

from oso_pipeline.cli.terminal_tables import needs_table, plan_table, time_and_cost
from oso_pipeline.core.wording import duration
from oso_pipeline.runtime import calibration
from oso_pipeline.runtime.calibration import NOMINAL, Speed
from oso_pipeline.runtime.forecast import Forecast, Ledger
from oso_pipeline.runtime.planner import StagePlan
from oso_pipeline.runtime.simulated import SimulatedExecutor, wall_seconds
from oso_pipeline.tasks.task import Cost, Task, TaskResult, TaskState


class Beside(Total):
    """A stage whose plan needs nothing that others commit."""

    name = "beside"
    plans_from = ()


def task(number: int, cost: Cost) -> Task:
    return Task("predict", f"t{number}", "nowhere:nothing", Path("run"), (), cost=cost)


def plan_of(*costs: Cost) -> StagePlan:
    tasks = tuple(task(number, cost) for number, cost in enumerate(costs))
    return StagePlan(Total(), tasks, tuple(TaskState("new", "not done yet") for _ in tasks))


def test_the_machine_of_the_estimates_takes_what_they_say() -> None:
    cost = Cost(core_seconds=8.0, decode_seconds=5.0)
    assert NOMINAL.core_seconds(cost) == pytest.approx(8.0)


def test_decoding_and_computing_scale_apart() -> None:
    fast = Speed(2 * NOMINAL.decoded_bytes_per_s, NOMINAL.computed_pixels_per_s / 3, "here")
    assert fast.core_seconds(Cost(core_seconds=8.0, decode_seconds=5.0)) == pytest.approx(11.5)


@pytest.mark.parametrize(("workers", "expected"), [(1, 12.0), (2, 7.0), (4, 5.0)])
def test_the_time_is_that_of_tasks_which_workers_do_one_after_the_other(
    workers: int, expected: float
) -> None:
    plan = plan_of(Cost(core_seconds=3.0), Cost(core_seconds=5.0), Cost(core_seconds=4.0))
    forecast = Forecast(NOMINAL, workers)
    assert forecast.wall_seconds([plan]) == pytest.approx(expected, abs=0.02)
    held = forecast.core_hours_held([plan])
    assert held == pytest.approx(workers * expected / 3600, rel=0.01)
    said = time_and_cost([plan], forecast, 0.5)
    assert said[0].startswith(f"about {expected:.1f} s" if expected < 10 else "about 12 s")
    assert said[1].startswith(f"about {0.5 * held:.2f} at 0.5 a core-hour")
    assert len(time_and_cost([plan], forecast, None)) == 1


@pytest.mark.parametrize(("workers", "slower"), [(10, 1.0), (1000, 5.0)])
def test_one_driver_ends_where_workers_end_tasks_faster_than_it_hands_them_out(
    workers: int, slower: float
) -> None:
    plan = plan_of(*[Cost(core_seconds=2.0)] * 5000)
    executor = SimulatedExecutor(workers, lambda task: 2.0, driver_s=0.01)
    wall = wall_seconds([plan], executor)
    assert wall / (5000 * 2.0 / workers) == pytest.approx(slower, rel=0.1)


def test_a_stage_that_goes_with_another_fills_its_gaps() -> None:
    first = plan_of(Cost(core_seconds=5.0))
    second = plan_of(Cost(core_seconds=4.0))
    other = StagePlan(
        Beside(), tuple(replace(t, stage="beside") for t in second.tasks), second.states
    )
    assert Forecast(NOMINAL, 2).wall_seconds([first, other]) == pytest.approx(5.0, abs=0.02)
    apart = Forecast(NOMINAL, 2, beside=False)
    assert apart.wall_seconds([first, other]) == pytest.approx(9.0, abs=0.02)


def test_ledger_compares_expected_with_actual() -> None:
    plan = plan_of(Cost(memory_bytes=9_000_000, core_seconds=5.0), Cost(core_seconds=4.0))
    ledger = Ledger(Forecast(NOMINAL, 2))
    ledger.expect(plan)
    for number, seconds in enumerate((6.0, 1.0)):
        name = f"t{number}"
        ledger.add(
            TaskResult(
                plan.name, name, "done", cpu_seconds=seconds, peak_rss_bytes=7_000_000 + number
            )
        )
    needs = ledger.needs()
    assert {name: one.to_json() for name, one in needs.items()} == {
        plan.name: {
            "expected": {"tasks": 2, "core_seconds": 9.0, "memory_mb": 9},
            "actual": {"tasks": 2, "core_seconds": 7.0, "memory_mb": 7},
        }
    }
    assert needs_table(needs).row_count == plan_table([plan], ledger.forecast).row_count == 1


def test_measuring_gives_a_speed_that_later_plans_find(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(calibration, "_SECONDS_EACH", 0.05)
    monkeypatch.setattr(calibration, "_SAMPLES", 400)
    assert calibration.remembered() is None
    speed = calibration.measure()
    assert 1e6 < speed.decoded_bytes_per_s < 1e11
    assert 1e3 < speed.computed_pixels_per_s < 1e8
    calibration.remember(speed)
    assert calibration.remembered() == speed


def test_a_damaged_measurement_is_as_good_as_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calibration.remember(NOMINAL)
    (path,) = (tmp_path / "oso_pipeline").glob("speed-*.json")
    path.write_text(json.dumps({"speed": 3}), encoding="utf-8")
    assert calibration.remembered() is None


def test_durations_read_like_people_say_them() -> None:
    said = [duration(s) for s in (0.25, 61, 1800, 36_000)]
    assert said == ["0.2 s", "61 s", "30 min", "10.0 h"]
