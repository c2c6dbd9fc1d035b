"""Stages that go together: a task begins when what it reads is there, and no later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from support import TESTS
from support.chained_stages import KnownNumbers, Pairs, Sheet
from support.minimal_config import minimal_config
from support.toy_world import World

from oso_pipeline.core.errors import ExitCode
from oso_pipeline.runtime.events import Event, StageEnded, StageStarted, TaskEnded
from oso_pipeline.runtime.executors import Executor, LocalExecutor, SerialExecutor
from oso_pipeline.runtime.outcome import Outcome
from oso_pipeline.runtime.planner import Planner, StagePlan
from oso_pipeline.runtime.ready_tasks import ReadyTasks
from oso_pipeline.runtime.runner import Selection, run
from oso_pipeline.runtime.stages import STAGES
from oso_pipeline.tasks.job import Input, Inputs, Job, reads
from oso_pipeline.tasks.stage import StageBase
from oso_pipeline.tasks.task import Cost, Task, TaskResult, TaskState


class Recorder:
    def __init__(self) -> None:
        self.ended: list[str] = []
        self.stages: list[str] = []
        self.blocked: dict[str, int] = {}

    def notice(self, event: Event) -> None:
        match event:
            case StageStarted(plan):
                self.stages.append(f"{plan.name} begins")
            case TaskEnded(result):
                self.ended.append(result.name)
            case StageEnded(plan):
                self.stages.append(f"{plan.name} ends")
                self.blocked[plan.name] = event.blocked


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def go(
    world: World, executor: Executor | None = None, **changes: object
) -> tuple[Outcome, Recorder]:
    stages = [KnownNumbers(world.values, world.trouble), Pairs(), Sheet()]
    planner, seen = Planner(minimal_config(world.run_dir, **changes), stages), Recorder()
    return run(planner, executor or SerialExecutor(), [seen], Selection()), seen


def sheet(world: World) -> int:
    return int((world.run_dir / "sheet" / "all.txt").read_text())


def test_a_task_begins_when_its_own_inputs_are_there(world: World) -> None:
    outcome, seen = go(world)
    assert (outcome.done, outcome.exit_code, sheet(world)) == (7, ExitCode.OK, 20)
    assert seen.stages == [
        *("numbers begins", "pairs begins", "numbers ends"),
        *("pairs ends", "sheet begins", "sheet ends"),
    ]
    again, seen = go(world)
    assert (again.done, again.up_to_date) == (0, 7)
    assert [line.split()[0] for line in seen.stages] == [
        *("numbers", "numbers", "pairs", "pairs", "sheet", "sheet")
    ]


def test_what_reads_a_failed_task_is_not_done_and_all_else_is(world: World) -> None:
    (world.trouble / "bad-2").touch()
    outcome, seen = go(world)
    assert outcome.done == 4, "three numbers and the pair of the last two"
    assert [failure.name for failure in outcome.failures] == ["n2"]
    assert (outcome.exit_code, outcome.stopped) == (ExitCode.INPUT, False)
    assert seen.blocked == {"numbers": 0, "pairs": 1}, "the sheet did not begin"
    assert not (world.run_dir / "sheet").exists()
    (world.trouble / "bad-2").unlink()
    outcome, _ = go(world)
    assert (outcome.done, outcome.up_to_date, sheet(world)) == (3, 4, 20)


def test_where_holes_are_accepted_stages_follow_each_other(world: World) -> None:
    (world.trouble / "bad-2").touch()
    outcome, seen = go(world, map={"allow_partial": True})
    assert [failure.name for failure in outcome.failures] == ["n2", "p0", "all"]
    assert seen.stages[:3] == ["numbers begins", "numbers ends", "pairs begins"]


@pytest.mark.slow
def test_workers_make_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}:{Path(__file__).parent}", prepend=":")
    world.values = list(range(20))
    outcome, _ = go(world, LocalExecutor(2, 60))
    assert (outcome.done, outcome.failures, sheet(world)) == (31, [], 2 * sum(range(20)))


def planned(stage: str, *tasks: Task) -> StagePlan:
    class One(StageBase):
        name = stage

    states = tuple(TaskState("new", "never made") for _ in tasks)
    return StagePlan(One(), tasks, states)


@dataclass(frozen=True, kw_only=True)
class ReadJob(Job):
    read: Input | Inputs | None = reads(default=None)


def task(stage: str, name: str, seconds: float, read: Input | Inputs | None = None) -> Task:
    cost = Cost(core_seconds=seconds)
    output = (f"{stage}/{name}/file",)
    return Task(stage, name, "nowhere:nothing", Path("run"), output, ReadJob(read=read), cost=cost)


def given(tasks: ReadyTasks) -> list[str]:
    """Return the tasks in the order in which one worker gets them."""
    names = []
    for one in tasks:
        assert one is not None
        names.append(one.name)
        tasks.ended(TaskResult(one.stage, one.name, "done"))
    return names


def test_the_longest_way_to_the_end_goes_first() -> None:
    short, long = task("train", "short", 1), task("train", "long", 5)
    blocks = [task("predict", f"b{n}", 10, Input.of(short)) for n in (1, 2)]
    plans = [planned("train", long, short), planned("predict", *blocks)]
    assert given(ReadyTasks(plans, lambda: False)) == ["short", "b1", "b2", "long"]


def test_a_folder_is_there_when_all_below_it_is() -> None:
    blocks = [task("predict", name, 1) for name in ("t1/a", "t1/b", "t2/a")]
    cell = task("cells", "c", 9, Inputs("key", ("predict/t1",)))
    tasks = ReadyTasks([planned("predict", *blocks), planned("cells", cell)], lambda: False)
    assert given(tasks) == ["t1/a", "t1/b", "c", "t2/a"]


def test_nothing_is_given_out_after_the_end_was_announced() -> None:
    told: list[bool] = []
    tasks = iter(
        ReadyTasks([planned("a", task("a", "1", 1), task("a", "2", 1))], lambda: bool(told))
    )
    assert next(tasks) is not None
    told.append(True)
    assert list(tasks) == []


def test_stages_say_whose_files_their_plans_need() -> None:
    names = [stage.name for stage in STAGES]
    for number, stage in enumerate(STAGES):
        looked_at = stage.plans_from
        assert looked_at is None or set(looked_at) <= set(names[:number]), stage.name
