"""Locks of a run folder: one driver, or shards of a job array beside each other.

A holder keeps a lock file and renews its time every few seconds. Where its process can be looked
for, that alone decides whether the lock is abandoned. A process on another machine, or in another
container of this one, cannot: there a lock is abandoned when it was not renewed for minutes. The
clock that counts is that of the file system, so those of the machines may differ.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from oso_pipeline.core.commit import temporary_beside
from oso_pipeline.core.errors import EnvironmentFailure, Problem
from oso_pipeline.runtime.folder.holder import Holder
from oso_pipeline.runtime.shard import Shard
from oso_pipeline.tasks.heartbeat import ACTIVITY

RENEW_S = 15.0
"""Seconds between two signs of life of a holder."""
SILENT_S = 180.0
"""Seconds without a sign of life after which a holder counts as dead."""


class RunLock:
    """Holds the run folder for a driver, or a shard's place in it.

    Of two drivers, and of a driver and a shard, the second is refused; different shards get
    along if they do the same tasks. An abandoned lock is taken over, so that the same command can
    simply be run again after a crash, here or on another node.

    Parameters
    ----------
    run_dir
        The run folder.
    shard
        The shard that works; None for a driver.
    patience_s
        Seconds to wait for the holder to end or to count as dead.
    seize
        Take the lock away from whoever holds it; a run that lost its lock stops.
    recipe
        Identifier of the tasks, as `Config.recipe_id`.
    """

    def __init__(
        self,
        run_dir: Path,
        shard: Shard | None = None,
        patience_s: float = 0,
        seize: bool = False,
        recipe: str = "",
    ) -> None:
        self.run_dir = run_dir
        self.path = lock_path(run_dir, shard)
        self.holder = Holder.here(shard, recipe)
        self.patience_s = patience_s
        self.seize = seize
        self.lost = False
        self._ended = threading.Event()

    def __enter__(self) -> RunLock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        waits_until = time.monotonic() + self.patience_s
        while (rival := self._try()) is not None:
            if time.monotonic() >= waits_until:
                raise _refusal(*rival, self.holder)
            time.sleep(min(2.0, max(0.05, waits_until - time.monotonic())))
        threading.Thread(target=self._renew, name="run-lock", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if Holder.read(self.path) == self.holder:
            self.path.unlink(missing_ok=True)

    def require_held(self) -> None:
        """Raise EnvironmentFailure if the lock was taken away (``--break-lock``)."""
        if self.lost:
            who = Holder.read(self.path) or "nobody"
            raise EnvironmentFailure(
                Problem(
                    "E-RUN-LOCK",
                    f"the run folder was taken away from this run; it now belongs to {who}",
                    str(self.path),
                    "committed files are kept; run the same command after the other run has ended",
                )
            )

    def _try(self) -> tuple[Path, Holder | None] | None:
        """Take the lock, or return the one in the way and who holds it."""
        made = _create(self.path, self.holder)
        if not made and self._clear(self.path):
            made = _create(self.path, self.holder)
        if not made:
            return self.path, Holder.read(self.path)
        # The second process sees the lock of the first: each checks after it has made its own.
        for other in self._rivals():
            if not self._clear(other):
                self.path.unlink(missing_ok=True)
                return other, Holder.read(other)
        return None

    def _rivals(self) -> list[Path]:
        driver = lock_path(self.run_dir, None)
        if self.path == driver:
            return sorted(shard_locks(self.run_dir))
        shards = [other for other in sorted(shard_locks(self.run_dir)) if self._differs(other)]
        return [driver, *shards] if driver.exists() else shards

    def _differs(self, path: Path) -> bool:
        """Return whether a shard does other tasks than this one."""
        return path != self.path and self.holder.differs_from(Holder.read(path))

    def _clear(self, path: Path) -> bool:
        """Remove a lock that is abandoned or to be seized; return whether it is gone."""
        holder = Holder.read(path)
        if not self.seize and not is_abandoned(path, holder):
            return False
        # Renamed first: of several that find it abandoned one gets it, and sees what it got.
        aside = temporary_beside(path)
        with suppress(FileNotFoundError):
            path.rename(aside)
            if Holder.read(aside) != holder:
                with suppress(OSError):
                    os.link(aside, path)
            aside.unlink(missing_ok=True)
        return not path.exists()

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_S):
            try:
                os.utime(self.path)
            except FileNotFoundError:
                self.lost = True
            except OSError:  # a file system that stalls is no reason to stop
                continue
            holder = Holder.read(self.path)
            self.lost = self.lost or (holder is not None and holder != self.holder)


def require_unlocked(run_dir: Path) -> None:
    """Raise EnvironmentFailure if a driver or a shard works in the run folder (``E-RUN-LOCK``)."""
    for path in (lock_path(run_dir, None), *shard_locks(run_dir)):
        holder = Holder.read(path)
        if path.exists() and not is_abandoned(path, holder):
            raise _refusal(path, holder, Holder.here(None, ""))


def lock_path(run_dir: Path, shard: Shard | None) -> Path:
    """Return where the lock of a driver or of a shard lies."""
    if shard is None:
        return run_dir / "run.lock"
    return run_dir / ACTIVITY / f"{file_stem(shard)}.lock"


def shard_locks(run_dir: Path) -> Iterator[Path]:
    """Yield the locks of shards that are there."""
    return (run_dir / ACTIVITY).glob("shard-*.lock")


def shard_logs(run_dir: Path) -> Iterator[Path]:
    """Yield the logs of shards that are there."""
    return (run_dir / ACTIVITY).glob("shard-*.jsonl")


def file_stem(shard: Shard | None) -> str:
    """Return the name that the files of a driver or of a shard have in common."""
    return "driver" if shard is None else f"shard-{shard.number:04d}-of-{shard.count:04d}"


def silence_s(path: Path) -> float | None:
    """Return how long ago a lock was renewed, by the clock of its file system.

    None where the lock is gone.
    """
    probe = temporary_beside(path)
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return None
    except OSError:  # a reader who may not write here
        return time.time() - path.stat().st_mtime
    finally:
        with suppress(OSError):
            probe.unlink()


def is_abandoned(path: Path, holder: Holder | None) -> bool:
    """Return whether a lock that lies at `path` does not count any more."""
    there = None if holder is None else holder.is_there()
    if holder is None or there is not None:
        return not there
    silent = silence_s(path)
    return silent is None or silent > SILENT_S


def _create(path: Path, holder: Holder) -> bool:
    """Make a lock file with its content in one step; return whether it was not there before."""
    draft = temporary_beside(path)
    draft.write_text(json.dumps(asdict(holder)), encoding="utf-8")
    try:
        os.link(draft, path)
        return True
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        return _create_in_two_steps(path, holder)
    finally:
        draft.unlink(missing_ok=True)


def _create_in_two_steps(path: Path, holder: Holder) -> bool:
    try:
        with path.open("x", encoding="utf-8") as stream:
            json.dump(asdict(holder), stream)
        return True
    except FileExistsError:
        return False


def _refusal(path: Path, holder: Holder | None, own: Holder) -> EnvironmentFailure:
    if holder and holder.shard and own.shard and own.differs_from(holder):
        return EnvironmentFailure(
            Problem(
                "E-RUN-SHARDS",
                f"{own.role} has a configuration of other tasks, {own.recipe}, than "
                f"{holder.role}, process {holder.pid} on {holder.host}, which works in this run "
                f"folder: {holder.recipe}",
                str(path),
                "give all shards the same configuration, or each configuration its own `run_dir`",
            )
        )
    who = str(holder) if holder else "an unknown process"
    return EnvironmentFailure(
        Problem(
            "E-RUN-LOCK",
            f"another run works in this folder: {who}",
            str(path),
            "wait for it to end (`--wait-lock SECONDS`); if it is certainly gone: `--break-lock`",
        )
    )
