"""The tasks of a run as a dask graph: same files as by the executors, in honest steps."""

from __future__ import annotations

import pickle
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import dask
import pytest
from dask.delayed import Delayed
from support.chained_stages import KnownNumbers, Pairs, Sheet
from support.minimal_config import minimal_config
from support.toy_world import World

from oso_pipeline.core.errors import EnvironmentFailure, InputDataError, RunFailed, UnknownName
from oso_pipeline.runtime import graph as graphs
from oso_pipeline.runtime.executors import SerialExecutor
from oso_pipeline.runtime.folder.lock import RunLock
from oso_pipeline.runtime.graph import TaskFailed, graph
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.runner import Selection, run


class LateSheet(Sheet):
    """Can only be planned when the pairs are there."""

    plans_from = ("pairs",)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)

    def planner_of(config: object) -> Planner:
        stages = [KnownNumbers(world.values, world.trouble), Pairs(), LateSheet()]
        return Planner(config, stages)  # type: ignore[arg-type]

    monkeypatch.setattr(graphs.session, "planner_of", planner_of)
    monkeypatch.setattr(graphs.session, "checked", lambda *_: SimpleNamespace(warnings=()))
    return world


def compute(nodes: list[Delayed], scheduler: str = "sync") -> list[str]:
    """Compute nodes; return the names of their tasks."""
    return [result.name for result in dask.compute(*nodes, scheduler=scheduler)]


def files(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*.txt")}


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
def test_a_graph_ends_where_a_plan_needs_files_and_the_next_goes_on(
    world: World, scheduler: str
) -> None:
    config = minimal_config(world.run_dir)
    first = graph(config)
    assert all(isinstance(node, Delayed) for node in first)
    assert sorted(compute(first, scheduler)) == ["n1", "n2", "n3", "n4", "p0", "p1"]
    assert compute(graph(config), scheduler) == ["all"]
    assert graph(config) == []
    planner, plain = graphs.session.planner_of(config), world.run_dir.parent / "plain"
    assert all(not planner.plan(stage).todo for stage in planner.stages)
    executed = graphs.session.planner_of(minimal_config(plain))
    run(executed, SerialExecutor(), [], Selection())
    assert files(world.run_dir) == files(plain) != {}


def test_an_edge_leads_from_each_maker_of_an_input(world: World) -> None:
    nodes = graph(minimal_config(world.run_dir))
    (layer,) = nodes[0].dask.layers.values()
    names = {key: key[1] for key in layer}
    edges = {
        names[key]: sorted(names[one] for one in found)
        for key, found in nodes[0].dask.get_all_dependencies().items()
    }
    assert edges == {
        **{f"n{n}": [] for n in (1, 2, 3, 4)},
        "p0": ["n1", "n2"],
        "p1": ["n3", "n4"],
    }
    assert nodes[0].dask is nodes[-1].dask, "a graph per node would grow with its square"


def test_what_needs_a_failed_task_is_not_done_and_a_new_graph_holds_it(world: World) -> None:
    (world.trouble / "bad-2").touch()
    config = minimal_config(world.run_dir)
    nodes = graph(config)
    with pytest.raises(TaskFailed, match=r"task numbers n2 failed: .*number 2 is bad") as caught:
        compute(nodes)
    assert isinstance(caught.value, RunFailed)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.result.name, str(again)) == ("n2", str(caught.value))
    assert compute(nodes[2:4] + nodes[5:]) == ["n3", "n4", "p1"]
    (world.trouble / "bad-2").unlink()
    left = compute(graph(config))
    assert {"n2", "p0"} <= set(left)
    assert {"n3", "n4", "p1"}.isdisjoint(left)


def test_a_node_whose_files_are_committed_does_not_work_again(world: World) -> None:
    nodes = graph(minimal_config(world.run_dir))
    compute(nodes)
    before = (world.run_dir / "numbers" / "1.txt").stat()
    compute(nodes)  # as a scheduler does that lost a worker with its results
    after = (world.run_dir / "numbers" / "1.txt").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    ("stages", "first", "done"),
    [
        ("pairs", "numbers", ()),
        (["pairs", "sheet"], "numbers", ()),
        (["numbers", "pairs", "sheet"], "pairs", ()),
        ("sheet", "pairs", ("numbers",)),
    ],
)
def test_stages_that_must_wait_name_what_to_compute_first(
    world: World, stages: str | list[str], first: str, done: tuple[str, ...]
) -> None:
    config = minimal_config(world.run_dir)
    for name in done:
        compute(graph(config, name))
    with pytest.raises(InputDataError, match="E-GRAPH-FIRST") as caught:
        graph(config, stages)
    assert f"{first} must be computed first" in str(caught.value)
    assert f"graph(config, stages=['{first}'])" in str(caught.value)


def test_stages_are_given_by_name(world: World) -> None:
    config = minimal_config(world.run_dir)
    assert compute(graph(config, "numbers")) == ["n1", "n2", "n3", "n4"]
    assert compute(graph(config, ["pairs"])) == ["p0", "p1"]
    assert graph(config, ["numbers", "pairs"]) == []
    with pytest.raises(UnknownName, match=r"no stage is called blocks.*\n.*numbers, pairs, sheet"):
        graph(config, ["sheet", "blocks"])
    with pytest.raises(UnknownName, match="E-NAME-STAGE"):
        graph(config, [])


def test_where_holes_are_accepted_each_stage_is_a_graph(world: World) -> None:
    (world.trouble / "bad-2").touch()
    config = minimal_config(world.run_dir, map={"allow_partial": True})
    for node in graph(config):
        with suppress(TaskFailed):
            compute([node])
    assert [node.key[1] for node in graph(config)] == ["n2"]
    assert [node.key[1] for node in graph(config, "pairs")] == ["p0", "p1"]
    with pytest.raises(InputDataError, match="numbers must be computed first"):
        graph(config, ["numbers", "pairs"])


def test_two_at_a_time_are_refused(world: World) -> None:
    config = minimal_config(world.run_dir)
    nodes = graph(config)
    with RunLock(world.run_dir):
        with pytest.raises(EnvironmentFailure, match="E-RUN-LOCK"):
            graph(config)
        with pytest.raises(EnvironmentFailure, match="E-RUN-LOCK"):
            compute(nodes)
    assert len(compute(nodes)) == 6
