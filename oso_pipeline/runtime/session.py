"""What the commands have in common: load a run, plan it, run it, tell how it went."""

from __future__ import annotations

import json
import socket
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.config import Config
from oso_pipeline.config.check import check_paths
from oso_pipeline.config.loader import load_config
from oso_pipeline.config.seasons import has_labels
from oso_pipeline.core.errors import (
    ConfigError,
    ExitCode,
    InputDataError,
    Problem,
)
from oso_pipeline.imagery.season_check import check_seasons
from oso_pipeline.runtime import progress, runner
from oso_pipeline.runtime.calibration import NOMINAL, remembered
from oso_pipeline.runtime.checks import drivers as preflight
from oso_pipeline.runtime.executors import SerialExecutor, executor_of, n_workers
from oso_pipeline.runtime.folder import verification
from oso_pipeline.runtime.folder.lock import RunLock
from oso_pipeline.runtime.folder.status import ProgressFile
from oso_pipeline.runtime.folder.stragglers import StragglerWatch
from oso_pipeline.runtime.forecast import Forecast, Ledger
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.runner import Outcome, Selection
from oso_pipeline.runtime.stages import STAGES
from oso_pipeline.runtime.stopping import OutOfTime, Terminated
from oso_pipeline.runtime.tables import ledger_table
from oso_pipeline.runtime.terminal import err, out
from oso_pipeline.vectors.area_check import check_area


def load(path: Path, overrides: list[str] | None) -> Config:
    """Load a configuration, check the paths it names and the area; every problem is reported."""
    config = load_config(path, overrides or ())
    problems = check_paths(config)
    for warning in problems.warnings:
        err.print(str(warning), markup=False)
    # A file that is not there is missing input; everything else is a mistake in the config.
    missing = all(error.code == "E-INPUT-058" for error in problems.errors)
    problems.raise_errors(InputDataError if missing else ConfigError)
    check_area(config).raise_errors(InputDataError)
    check_seasons(config).raise_errors(InputDataError)
    return config


def config_of(run_folder: Path) -> Path:
    """Return the configuration that a run left in its folder, or the YAML file given instead.

    Raises
    ------
    InputDataError
        If there is nothing at `run_folder`, or a folder that no run has written.
    """
    path = run_folder / "config.yaml" if run_folder.is_dir() else run_folder
    submitted = run_folder / "batch" / "config.yaml"
    if not path.exists() and submitted.exists():  # no job has begun yet
        return submitted
    if not path.exists():
        found = "the folder holds no config.yaml" if run_folder.is_dir() else "there is nothing"
        raise InputDataError(
            Problem(
                "E-INPUT-058",
                f"no run: {found}, expected the folder of a run or its YAML file",
                str(run_folder),
                "`oso check CONFIG` names the run folder of a configuration; `oso run` makes it",
            )
        )
    return path


def planner_of(config: Config) -> Planner:
    """Return the planner of all stages."""
    return Planner(config, STAGES)


def forecast_of(config: Config, workers: int | None = None) -> Forecast:
    """Return what to expect on this machine, or on that of the estimates."""
    return Forecast(remembered() or NOMINAL, n_workers(config, workers))


@dataclass(frozen=True)
class Manner:
    """How a run is run and shown.

    Parameters
    ----------
    workers
        Worker processes; None as configured.
    json_log
        JSON lines instead of bars and tables.
    serial
        In this process, whatever is configured.
    wait_lock_s
        Wait so long for another run in the folder to end.
    break_lock
        Take the run folder away from whoever holds it.
    """

    workers: int | None = None
    json_log: bool = False
    serial: bool = False
    wait_lock_s: float = 0
    break_lock: bool = False


def run(planner: Planner, selection: Selection, manner: Manner) -> Outcome:
    """Run what is missing, show and log it, and compare it with what was expected.

    Raises
    ------
    SystemExit
        On Ctrl-C, SIGTERM, and where what ran at SIGUSR1 had to be dropped; the same command
        goes on with the run.
    """
    preflight.require_drivers()
    memory = planner.config.runtime.memory_per_worker_bytes
    executor = (
        SerialExecutor(memory) if manner.serial else executor_of(planner.config, manner.workers)
    )
    bars = progress.BarProgress(out) if sys.stdout.isatty() and not manner.json_log else None
    shown = bars or (
        progress.JsonProgress(sys.stdout) if manner.json_log else progress.PlainProgress(sys.stdout)
    )
    log = progress.LogFile(planner.run_dir, selection.shard)
    told = ProgressFile(planner.run_dir, selection.shard)
    lock = RunLock(planner.run_dir, selection.shard, manner.wait_lock_s, manner.break_lock)
    ledger = Ledger(forecast_of(planner.config, manner.workers))
    slow = StragglerWatch(
        planner.run_dir,
        planner.config.runtime.task_deadline_s,
        [log, shown],
        host=socket.gethostname() if selection.shard else None,
    )
    try:
        with bars or nullcontext(), slow:
            observers: list[runner.Observer] = [log, ledger, told, slow, shown]
            outcome = runner.run(planner, executor, observers, selection, lock)
    except KeyboardInterrupt:
        err.print("interrupted; run the same command again to go on")
        sys.exit(ExitCode.INTERRUPTED)
    except Terminated:
        err.print("terminated; run the same command again to go on")
        sys.exit(ExitCode.TERMINATED)
    except OutOfTime:
        err.print("stopped, what was running is dropped; run the same command again to go on")
        sys.exit(ExitCode.SOME_LEFT)
    if ledger.expected:
        log.needs(ledger.as_json())
        if not manner.json_log:
            out.print(ledger_table(ledger))
    return outcome


def verify(run_folder: Path, repair: bool) -> verification.Verification:
    """Compare a run folder with its commits; withdraw those that do not hold, where asked to.

    Raises
    ------
    InputDataError
        If no run has written the folder.
    EnvironmentFailure
        If commits are to be withdrawn while a run works there.
    """
    folder = run_folder if run_folder.is_dir() else load_config(run_folder).run_dir
    config_of(folder)  # refuses what is no run folder
    if not repair:
        return verification.verify_run(folder)
    with RunLock(folder):
        found = verification.verify_run(folder)
        verification.repair(found)
    return found


def print_outcome(config: Config, outcome: Outcome) -> None:
    """Say what failed, where the products are and how accurate the map is."""
    # Cells that meet the same flaw of a file say the same.
    alike: dict[str | None, list[str]] = {}
    for failure in outcome.failures:
        alike.setdefault(failure.error, []).append(f"{failure.stage} {failure.name}")
    for error, names in [*alike.items()][:20]:
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        err.print(f"{names[0]}{others} failed:\n{error}", markup=False)
    if outcome.waiting:
        out.print(outcome.waiting)
    if outcome.stopped:
        out.print("stopped before all was done; run the same command again to go on")
    if not outcome.failures:
        redone = f"{outcome.done} tasks done" if outcome.done else "nothing had to be redone"
        out.print(f"{redone}, {outcome.up_to_date} were up to date")
    for label, name in (("map", f"maps/OCS_{config.year}.tif"), ("report", "report.html")):
        path = config.run_dir / name
        if path.exists():
            out.print(f"{label}: {path}")
    if not outcome.failures:
        _print_accuracy(config)


def _print_accuracy(config: Config) -> None:
    """Say how accurate the map is, and how other maps compare."""
    folder, judged = config.run_dir / "validation", [("independent/", "the independent set")]
    if has_labels(config):
        judged.insert(0, ("", "held-out polygons"))
    else:
        out.print(f"no label of {config.year} is known: no polygon was held out to judge the map")
    for name, units in judged:
        path = folder / f"{name}accuracy.json"
        if not path.exists():
            continue
        content = json.loads(path.read_text(encoding="utf-8"))
        overall = content["overall_accuracy"]
        low, high = overall["low"], overall["high"]
        interval = "" if low is None else f" ({low:.3f} to {high:.3f})"
        out.print(f"overall accuracy on {units}: {overall['estimate']:.3f}{interval}")
        for other in content.get("compared_maps", ()):
            gain = other["difference"]
            ends = "" if gain["low"] is None else f" ({gain['low']:+.3f} to {gain['high']:+.3f})"
            out.print(
                f"  {other['name']}: {other['overall_accuracy']['other']:.3f} there, this map "
                f"{other['overall_accuracy']['run']:.3f}: {gain['estimate']:+.3f}{ends}"
            )
