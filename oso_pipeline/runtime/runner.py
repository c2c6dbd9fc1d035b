"""Run stages: only what is missing or outdated."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from oso_pipeline.config import Config
from oso_pipeline.core.commit import (
    publish_bytes,
    publish_json,
    sweep_temporaries,
    temporary_beside,
)
from oso_pipeline.core.errors import ConfigError, EnvironmentFailure, InputDataError, Problem
from oso_pipeline.runtime.checks.disk import refuse_full_disk
from oso_pipeline.runtime.checks.memory import refuse_memory
from oso_pipeline.runtime.events import Observer, RunEnded
from oso_pipeline.runtime.executors import Executor
from oso_pipeline.runtime.folder import ownership
from oso_pipeline.runtime.folder.lock import RunLock
from oso_pipeline.runtime.forecast import Forecast, Ledger
from oso_pipeline.runtime.outcome import Outcome
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.selection import Selection, concerned
from oso_pipeline.runtime.shard import Shard
from oso_pipeline.runtime.stage_runner import StageRunner
from oso_pipeline.runtime.stopping import Stop
from oso_pipeline.tasks.heartbeat import remove_heartbeats
from oso_pipeline.tasks.memory_guard import retry_given_up
from oso_pipeline.tasks.stage import Stage

__all__ = ["Selection", "concerned", "describe_run", "run"]


def run(
    planner: Planner,
    executor: Executor,
    observers: Sequence[Observer],
    selection: Selection,
    lock: RunLock | None = None,
    forecast: Forecast | None = None,
) -> Outcome:
    """Run the tasks that are missing or outdated and return the outcome.

    A failed task stops only the tasks that need its output. Stages that are planned from the
    outputs of its stage follow if that stage is optional, or the configuration accepts a partial
    map.

    Parameters
    ----------
    planner
        Plan of the run.
    executor
        Does the tasks.
    observers
        Notified of every event; their exceptions end the run.
    selection
        Which part of the plan to run.
    lock
        The one to hold, where it is not simply that of the run folder.
    forecast
        Where given, the outcome compares it with what each stage took.

    Raises
    ------
    ConfigError
        If the configuration does not allow one of the stages to be planned; nothing has run.
    InputDataError
        If a stage cannot be planned because its input is missing.
    EnvironmentFailure
        If the run folder is locked, cannot be written, or its disk has too little free space.
    KeyboardInterrupt
        On Ctrl-C.
    Terminated
        On SIGTERM.
    OutOfTime
        If what ran when SIGUSR1 announced the end did not end within the grace.
    """
    prepare_folder(planner.run_dir)
    recipe = planner.config.recipe_id
    held = lock or RunLock(planner.run_dir, selection.shard, recipe=recipe)
    stop = Stop(planner.config.runtime.stop_grace_s)
    stage_runner = StageRunner(planner, executor, observers, selection, held, stop)
    if forecast is not None:
        stage_runner.ledger = Ledger(forecast)
    with stop.handling_signals(), held:
        begin(planner.config, selection.shard)
        with executor:
            stages = _selected(planner, selection)
            _foresee(planner, stages, selection)
            stage_runner.run(stages)
        held.require_held()
    stage_runner.notify(RunEnded(stage_runner.outcome))
    return stage_runner.outcome


def _foresee(planner: Planner, stages: Sequence[Stage], selection: Selection) -> None:
    """Raise before any work if a stage to come could not be planned, held, or written.

    Input that is missing is left to the stage that meets it first, whose message is more precise.
    """
    with suppress(InputDataError):
        planner.tasks(stages[-1].name)
    refuse_memory(planner, stages)
    refuse_full_disk(planner, stages, selection.tiles)
    planner.forget()


def _selected(planner: Planner, selection: Selection) -> Sequence[Stage]:
    if selection.only is not None:
        planner.require_complete(planner.stage(selection.only))
    return concerned(planner, selection)


def describe_run(config: Config) -> None:
    """Write ``run.json``, which makes the folder that of a run, and ``config.yaml``."""
    software = ("oso_pipeline", "numpy", "numba", "scikit-learn", "rasterio", "geopandas", "dask")
    publish_json(
        config.run_dir / ownership.MARK,
        {
            "run_id": config.run_id,
            "name": config.name,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            "software": {name: version(name) for name in software},
        },
    )
    text = ownership.dump(config.model_dump(mode="json"))
    publish_bytes(config.run_dir / ownership.CONFIG, text.encode())


def begin(config: Config, shard: Shard | None = None) -> None:
    """Remove what runs before left behind, and describe this one; the folder is locked."""
    if shard is None:  # other shards write files just now
        sweep_temporaries(config.run_dir)
        remove_heartbeats(config.run_dir)
    retry_given_up(config.run_dir)
    describe_run(config)


def prepare_folder(run_dir: Path) -> None:
    """Make the run folder where it is missing.

    Raises
    ------
    ConfigError
        If the folder belongs to something else.
    EnvironmentFailure
        If it cannot be written.
    """
    ownership.check_own(run_dir).raise_errors(ConfigError)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        probe = temporary_beside(run_dir / "probe")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise EnvironmentFailure(
            Problem(
                "E-RUN-FOLDER",
                f"the run folder cannot be written: {error}",
                str(run_dir),
                "set `run_dir` to a folder that you may write",
            )
        ) from error
