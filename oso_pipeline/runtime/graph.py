"""The tasks of a run as a dask graph, for a dask client that this package did not start."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from uuid import uuid4

from oso_pipeline.config import Config
from oso_pipeline.core.errors import (
    InputDataError,
    OsoWarning,
    Problem,
    Problems,
    RunFailed,
    UnknownName,
)
from oso_pipeline.runtime import runner, session
from oso_pipeline.runtime.checks import drivers
from oso_pipeline.runtime.executors.dask_worker import require_run_folder
from oso_pipeline.runtime.executors.packed_task import PackedTask
from oso_pipeline.runtime.folder.lock import RunLock, require_unlocked
from oso_pipeline.runtime.planner import Planner, StagePlan
from oso_pipeline.runtime.ready_tasks import makers_of, plans_together
from oso_pipeline.runtime.selection import Selection
from oso_pipeline.tasks.stage import Stage
from oso_pipeline.tasks.task import TaskResult
from oso_pipeline.tasks.worker import do

if TYPE_CHECKING:
    from dask.delayed import Delayed

_ONE_AT_A_TIME = Lock()
"""A task measures and limits its whole process, so those of one process follow each other."""


class TaskFailed(RunFailed):
    """A task of a graph has failed; tasks that need its output are not done.

    Parameters
    ----------
    result
        Message of the task.
    """

    def __init__(self, result: TaskResult) -> None:
        message = f"task {result.stage} {result.name} failed: {result.error}"
        hint = "correct the cause, then compute `graph` again: it holds what is left"
        super().__init__(Problem("E-RUN-TASK", message, None, hint))
        self.result = result

    def __reduce__(self) -> tuple[type[TaskFailed], tuple[TaskResult]]:
        """Return how the error travels from a worker to the client."""
        return type(self), (self.result,)


def graph(
    config: Config | str | os.PathLike[str], stages: str | Sequence[str] | None = None
) -> list[Delayed]:
    """Return what is to do of a run as a dask graph, for any dask scheduler to compute.

    A node does one task and commits its files as `run` does; its value is a `TaskResult`. An edge
    goes to a task from each task that makes its inputs. Tasks whose files are committed are left
    out, so the list is empty when nothing is left to do.

    A stage whose tasks depend on files that are not there yet cannot be in the same graph: blocks,
    for example, follow from the inventory. Without `stages` the graph ends before the first such
    stage. Compute it and call `graph` again, until it is empty::

        while nodes := graph(config):
            dask.compute(*nodes)

    The function checks the configuration and its input, and prepares the run folder. The folder is
    not locked while the graph is computed: do not start `oso run` or compute a second graph of the
    same folder beside it. A node refuses to work while `oso run` holds the folder.

    Parameters
    ----------
    config
        The configuration, or the path of its YAML file.
    stages
        Names of the stages to do, or one name; what they need of other stages has to be committed.
        None for all stages that can be planned now.

    Returns
    -------
    list of dask.delayed.Delayed
        One node per task, in the order of the stages. They share one graph.

    Raises
    ------
    ConfigError, InputDataError, EnvironmentFailure
        If the configuration, its input or the machine does not allow the run; if other stages have
        to be computed first (``E-GRAPH-FIRST``, which names them); if a run works in the folder
        (``E-RUN-LOCK``).
    UnknownName
        If there is no such stage (``E-NAME-STAGE``).

    Notes
    -----
    Computing a node raises `TaskFailed` if its task fails. `dask.compute` then ends;
    ``client.compute(nodes)`` goes on with all tasks that do not need the failed one. Either way,
    what is committed stays, and a new graph holds the rest.

    Examples
    --------
    >>> import dask
    >>> import oso_pipeline as oso
    >>> config = oso.load_config("demo/one_year.yaml", {"run_dir": "graph_run"})
    >>> nodes = oso.graph(config, stages="inventory")
    >>> [result.status for result in dask.compute(*nodes)]
    ['done', 'done']
    """
    if not isinstance(config, Config):
        config = session.read(Path(config))
    planner = session.planner_of(config)
    names = [stages] if isinstance(stages, str) else stages
    wanted = None if names is None else _stages_of(planner, names)
    drivers.require_drivers()
    last = None if wanted is None else wanted[-1].name
    for warning in session.checked(planner, Selection(until=last)).warnings:
        warnings.warn(str(warning), OsoWarning, stacklevel=2)
    runner.prepare_folder(config.run_dir)
    with RunLock(config.run_dir, recipe=config.recipe_id):
        runner.begin(config)
        planner.forget()
        plans = _next_plans(planner) if wanted is None else _plans_of(planner, wanted)
    return nodes_of(plans, config.runtime.memory_per_worker_bytes)


def nodes_of(plans: Sequence[StagePlan], memory_bytes: float | None = None) -> list[Delayed]:
    """Return a node for each task to do of stages that can be planned together.

    Parameters
    ----------
    plans
        The stages, in the order of the flow.
    memory_bytes
        Memory that the process of a worker may use.
    """
    from dask.delayed import Delayed
    from dask.highlevelgraph import HighLevelGraph

    tasks = [task for plan in plans for task in plan.todo]
    token = (
        uuid4().hex
    )  # a graph of the same tasks is computed again, though a client keeps this one
    keys = [(f"{task.stage}-{token}", task.name) for task in tasks]
    layer = {
        key: (do_node, PackedTask.of(task), memory_bytes, [keys[one] for one in sorted(makers)])
        for key, task, makers in zip(keys, tasks, makers_of(tasks), strict=True)
    }
    # `delayed` would give each node a graph of its own, with all layers before it: 2,000 tasks
    # took 16 s and 280 MB that way, and 0.01 s as one layer.
    name = f"oso-{token}"
    whole = HighLevelGraph.from_collections(name, layer)
    return [Delayed(key, whole, layer=name) for key in keys]


def do_node(packed: PackedTask, memory_bytes: float | None, makers: list[TaskResult]) -> TaskResult:
    """Do a task on a worker, unless its files are committed: schedulers repeat tasks.

    Parameters
    ----------
    packed
        The task.
    memory_bytes
        Memory that this process may use.
    makers
        Results of the tasks that make its inputs; only their end counts.

    Raises
    ------
    TaskFailed
        If the task has failed.
    EnvironmentFailure
        If this worker has another version of the software or does not see the run folder, or if
        a run works in the folder.
    """
    task = packed.unpacked()
    require_run_folder(task)
    require_unlocked(task.run_dir)
    with _ONE_AT_A_TIME:
        record = task.commit_record()
        if record is not None:
            return TaskResult(task.stage, task.name, "done", summary=record.get("summary", {}))
        result = do(task, memory_bytes)
    if result.status == "failed":
        raise TaskFailed(result)
    return result


def _stages_of(planner: Planner, names: Iterable[str]) -> list[Stage]:
    """Return the stages of these names in the order of the flow."""
    wanted, known = set(names), [stage.name for stage in planner.stages]
    unknown = sorted(wanted.difference(known))
    if unknown or not wanted:
        found = f"no stage is called {', '.join(unknown)}" if unknown else "no stage is named"
        hint = f"name some of {', '.join(known)}"
        raise UnknownName(Problem("E-NAME-STAGE", found, None, hint))
    return [stage for stage in planner.stages if stage.name in wanted]


def _next_plans(planner: Planner) -> list[StagePlan]:
    """Return the first stages with something to do, as many as can be planned together."""
    left = list(planner.stages)
    while left:
        plans = plans_together(planner, left, Selection())
        if any(plan.todo for plan in plans):
            return plans
        del left[: len(plans)]
    return []


def _plans_of(planner: Planner, wanted: Sequence[Stage]) -> list[StagePlan]:
    """Return the plans of some stages, or raise if others have to be computed first."""
    plans: list[StagePlan] = []
    unfinished: list[str] = []
    problems = Problems()
    for stage in planner.stages[: planner.stages.index(wanted[-1]) + 1]:
        plan = planner.plan(stage)
        if stage in wanted:
            plans.append(plan)
            if plan.todo and (first := _done_first(planner, stage, unfinished, wanted)):
                names = ", ".join(first)
                problems.error(
                    "E-GRAPH-FIRST",
                    f"stage {stage.name} cannot be in this graph: {names} must be computed first",
                    planner.run_dir,
                    f"compute graph(config, stages=[{', '.join(map(repr, first))}]), then ask for "
                    f"{stage.name} again; without `stages`, graph(config) gives the next step",
                )
        if plan.todo and (stage in wanted or not stage.optional):
            unfinished.append(stage.name)
    problems.raise_errors(InputDataError)
    return plans


def _done_first(
    planner: Planner, stage: Stage, unfinished: Sequence[str], wanted: Sequence[Stage]
) -> list[str]:
    """Return the unfinished stages that a stage cannot share a graph with."""
    beside = {one.name for one in wanted}
    if planner.config.map.allow_partial:  # holes of the stages before are part of its plan
        return [name for name in unfinished if name in beside]
    read = {one.name for one in planner.upstream(stage)} - beside
    planned_from = unfinished if stage.plans_from is None else stage.plans_from
    return [name for name in unfinished if name in read or name in planned_from]
