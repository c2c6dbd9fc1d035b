"""How far a run is, for machines; docs/formats.md promises the keys."""

from __future__ import annotations

from typing import Any

from oso_pipeline.runtime.folder.status import Progress, Status, Worker


def content(status: Status, why: bool) -> dict[str, Any]:
    """Return the state of a run as JSON values, with the reasons of stages if `why` is set."""
    return {
        "complete": status.is_complete,
        "stages": [
            {
                "name": plan.name,
                "tasks": len(plan.tasks),
                **{state: plan.count(state) for state in ("done", "new", "outdated")},
                **({"reasons": dict(plan.reasons)} if why else {}),
            }
            for plan in status.plans
        ],
        "workers": [_worker(worker) for worker in status.workers],
        "under_way": [
            {
                "stage": beat.stage,
                "task": beat.task,
                "host": beat.host,
                "pid": beat.pid,
                "since": beat.since,
                "slow": beat in status.slow,
            }
            for beat in status.heartbeats
        ],
        "failures": [
            {"stage": stage, "task": task, "error": error}
            for (stage, task), error in status.failures.items()
        ],
    }


def _worker(worker: Worker) -> dict[str, Any]:
    holder = worker.holder
    return {
        "role": holder.role,
        "host": holder.host,
        "pid": holder.pid,
        "job": holder.job,
        "alive": worker.alive,
        "silent_s": round(worker.silent_s, 1),
        "progress": None if worker.progress is None else _progress(worker.progress),
    }


def _progress(progress: Progress) -> dict[str, Any]:
    return {
        "stage": progress.stage,
        "todo": progress.todo,
        "ended": progress.ended,
        "failed": progress.failed,
        "seconds": round(progress.seconds, 1),
    }
