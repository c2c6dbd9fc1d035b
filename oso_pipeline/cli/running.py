"""Load a configuration and run it, shown on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from pathlib import Path

from oso_pipeline.cli.console import err, out
from oso_pipeline.cli.progress import BarProgress, JsonProgress, PlainProgress
from oso_pipeline.cli.terminal_tables import needs_table
from oso_pipeline.cli.warning_lines import WarningLines
from oso_pipeline.config import Config
from oso_pipeline.core.errors import ExitCode
from oso_pipeline.runtime import session
from oso_pipeline.runtime.events import Observer
from oso_pipeline.runtime.outcome import Outcome
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.runner import Selection
from oso_pipeline.runtime.stopping import OutOfTime, Terminated


def planner_to_look(run_folder: Path) -> Planner:
    """Return the planner of a run, also of another user; print the warnings."""
    return session.planner_of(warned(session.load_to_look(run_folder)).config)


def warned(loaded: session.Loaded) -> session.Loaded:
    """Print the warnings of a configuration that was checked."""
    for warning in loaded.warnings:
        err.print(str(warning), markup=False)
    return loaded


def load_planner(path: Path, overrides: list[str] | None = None) -> Planner:
    """Load and check a configuration, print its warnings, and return its planner."""
    return checked_planner(session.read(path, overrides))[0]


def checked_planner(
    config: Config, selection: Selection | None = None
) -> tuple[Planner, tuple[str, ...]]:
    """Check what is to be run of a configuration; return its planner and the warnings printed."""
    planner = session.planner_of(config)
    loaded = warned(session.checked(planner, selection))
    return planner, tuple(map(str, loaded.warnings))


def run_shown(
    planner: Planner,
    selection: Selection,
    options: session.RunOptions | None = None,
    warned: Collection[str] = (),
) -> Outcome:
    """Run a plan, with bars on a terminal and lines elsewhere; then warnings and what it took.

    Warnings in `warned` were shown before and are not repeated.

    Raises
    ------
    SystemExit
        On Ctrl-C, SIGTERM, and where what ran at SIGUSR1 had to be dropped.
    """
    bars = BarProgress(out) if sys.stdout.isatty() else None
    with bars or nullcontext():
        shown = [bars or PlainProgress(sys.stdout), WarningLines(warned)]
        outcome = _run(planner, selection, options, shown)
    if outcome.needs:
        out.print(needs_table(outcome.needs))
    return outcome


def run_as_json(
    planner: Planner, selection: Selection, options: session.RunOptions | None = None
) -> Outcome:
    """Run a plan, with a line of JSON for each event; otherwise as `run_shown`."""
    return _run(planner, selection, options, [JsonProgress(sys.stdout)])


def run_silently(
    planner: Planner,
    selection: Selection,
    options: session.RunOptions | None = None,
    observers: Sequence[Observer] = (),
) -> Outcome:
    """Run a plan and show nothing, but notify observers; otherwise as `run_shown`."""
    return _run(planner, selection, options, observers)


def _run(
    planner: Planner,
    selection: Selection,
    options: session.RunOptions | None,
    observers: Sequence[Observer],
) -> Outcome:
    try:
        return session.run(planner, selection, options, observers)
    except KeyboardInterrupt as error:
        raise _end("interrupted", ExitCode.INTERRUPTED) from error
    except Terminated as error:
        raise _end("terminated", ExitCode.TERMINATED) from error
    except OutOfTime as error:
        raise _end("stopped, what was running is dropped", ExitCode.SOME_LEFT) from error


def _end(why: str, code: ExitCode) -> SystemExit:
    err.print(f"{why}; run the same command again to go on")
    return SystemExit(int(code))
