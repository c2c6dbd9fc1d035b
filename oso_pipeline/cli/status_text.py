"""How far a run is, as text."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import datetime

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from oso_pipeline.cli.terminal_tables import pace
from oso_pipeline.core.wording import duration
from oso_pipeline.runtime.folder.status import Status, Watch, Worker
from oso_pipeline.tasks.heartbeat import Heartbeat

SHOWN = 20
"""Tasks under way and failures named at most; the rest is counted."""


def lines(status: Status, why: bool) -> Iterator[str]:
    """Give what there is to say, stage by stage, then who works, on what, and what failed."""
    for plan in status.plans:
        counts = ", ".join(f"{plan.count(s)} {s}" for s in ("done", "new", "outdated"))
        yield f"{plan.name:<10} {counts}"
        if why:
            for reason, count in plan.reasons.most_common():
                yield f"           {count}: {reason}"
    yield from _at_work(status)
    for beat in status.heartbeats[:SHOWN]:
        slow = beat in status.slow
        beside = f", slow: its peers took {duration(status.slow[beat])}" if slow else ""
        yield f"under way: {_task(beat)}{beside}"
    if len(status.heartbeats) > SHOWN:
        yield f"under way: {len(status.heartbeats) - SHOWN} more"
    yield from _failures(status)


def watch(look: Watch, why: bool, every_s: float, console: Console) -> None:
    """Show the status again and again until the run is complete.

    On a terminal in place; elsewhere as lines, with the time before each.
    """
    if not sys.stdout.isatty():
        while True:
            status = look.look()
            console.print(f"--- {datetime.now():%Y-%m-%d %H:%M:%S}", markup=False)
            for line in lines(status, why):
                console.print(line, markup=False)
            if status.is_complete:
                return
            time.sleep(every_s)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            status = look.look()
            live.update(Group(*(Text(line) for line in lines(status, why))), refresh=True)
            if status.is_complete:
                return
            time.sleep(every_s)


def _at_work(status: Status) -> Iterator[str]:
    for worker in status.workers:
        yield f"{'at work' if worker.alive else 'lost'}: {worker.holder}{_how_far(worker)}"
    progresses = [w.progress for w in status.workers if w.alive and w.progress is not None]
    if not progresses:
        if not status.workers and any(plan.todo for plan in status.plans):
            yield "nobody is at work"
        return
    rate = sum(progress.rate for progress in progresses)
    known = [progress.left_s for progress in progresses if progress.left_s is not None]
    stages = ", ".join(sorted({progress.stage for progress in progresses}))
    left = f", about {duration(max(known))} left of {stages}" if known else ""
    if rate:
        yield f"together {pace(1, 1 / rate)}{left}"


def _how_far(worker: Worker) -> str:
    progress = worker.progress
    silent = f", last sign of life {duration(worker.silent_s)} ago"
    if progress is None:
        return silent
    failed = f", {progress.failed} failed" if progress.failed else ""
    return f": {progress.stage} {progress.ended}/{progress.todo}{failed}{silent}"


def _task(beat: Heartbeat) -> str:
    since = duration(max(0.0, time.time() - beat.since))
    return f"{beat.stage} {beat.task} on {beat.host}, process {beat.pid}, for {since}"


def _failures(status: Status) -> Iterator[str]:
    alike: dict[str, list[str]] = {}
    for (stage, task), error in status.failures.items():
        alike.setdefault(error, []).append(f"{stage} {task}")
    for error, names in [*alike.items()][:SHOWN]:
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        # The last line of a traceback names the error, the first line of a message.
        said = error.strip().splitlines()
        yield f"failed: {names[0]}{others}: {said[-1 if said[0].startswith('Traceback') else 0]}"
    if len(alike) > SHOWN:
        yield f"failed: {len(alike) - SHOWN} other errors, see the log"
