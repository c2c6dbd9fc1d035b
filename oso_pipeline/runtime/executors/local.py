"""Workers on the cores of this machine."""

from __future__ import annotations

import logging
import multiprocessing
import time
from typing import TYPE_CHECKING

from oso_pipeline.core.errors import EnvironmentFailure, Problem
from oso_pipeline.runtime.executors import settings, tls
from oso_pipeline.runtime.executors.dask_base import DaskExecutor

if TYPE_CHECKING:
    from distributed import Client, LocalCluster, Nanny, Security

log = logging.getLogger(__name__)

STARTS = 3
"""How often the workers are started before the run gives up."""
END_S = 20.0
"""How long the workers may take to end."""


class LocalExecutor(DaskExecutor):
    """Runs tasks on a `distributed.LocalCluster`, one process per worker, on loopback only.

    All users of a machine share its loopback. So the processes talk by TLS, with keys that are
    made for this run and that nobody else has.

    Parameters
    ----------
    workers
        Number of worker processes.
    deadline_s
        A task that keeps a worker longer is given up and its worker replaced.
    dashboard
        Serve dask's dashboard on loopback.
    memory_bytes
        A worker that uses more is killed and replaced; by default its share of the machine.
    """

    def __init__(
        self,
        workers: int,
        deadline_s: float,
        dashboard: bool = False,
        memory_bytes: float | None = None,
    ) -> None:
        super().__init__(deadline_s, memory_bytes=memory_bytes)
        self.workers = workers
        self.dashboard = dashboard
        self._cluster: LocalCluster | None = None

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        if self._cluster is not None:
            _close(self._cluster)

    def expected_workers(self) -> int:
        """Return the number of worker processes; those that die are replaced."""
        return self.workers

    def check_workers(self, working: int) -> None:
        """Check the workers; see `DaskExecutor.check_workers`.

        Dask replaces a worker that dies, but gives it up for good if it dies once more before it
        is known, or takes long to start.
        """
        super().check_workers(working)
        if self._cluster is not None:
            self._cluster.loop.add_callback(_replace_given_up, self._cluster, self.workers)

    def _start(self) -> Client:
        from distributed import Client

        _require_semaphores()
        settings.apply()
        if self.dashboard:
            settings.serve_pages()
        self._cluster = self._workers(tls.temporary_security())
        client = Client(self._cluster)
        settings.be_patient(self._cluster.scheduler, self.workers)
        return client

    def _workers(self, security: Security) -> LocalCluster:
        """Start the workers.

        One that dies before it has said a word takes all others with it, and dask gives up; one
        that dies later is replaced. So the start is tried again.

        Raises
        ------
        EnvironmentFailure
            ``E-CLUSTER-START`` after `STARTS` attempts.
        """
        from distributed import LocalCluster

        for attempt in range(1, STARTS + 1):
            try:
                return LocalCluster(
                    n_workers=self.workers,
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=self.limits.memory_bytes or "auto",
                    host="127.0.0.1",
                    protocol="tls://",
                    security=security,
                    # Any free port: the scheduler serves HTTP on loopback even without dashboard.
                    dashboard_address="127.0.0.1:8787" if self.dashboard else "127.0.0.1:0",
                    scheduler_kwargs={"dashboard": self.dashboard},
                    worker_dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
            except RuntimeError as error:
                if attempt == STARTS:
                    raise EnvironmentFailure(_dead(error)) from error
        raise AssertionError("not reached")


def _replace_given_up(cluster: LocalCluster, workers: int) -> None:
    """Start the workers that dask has given up; runs in the loop of the cluster."""
    for name, nanny in list(cluster.workers.items()):
        if _has_given_up(nanny):
            del cluster.workers[name]
    if len(cluster.workers) < workers:
        cluster.scale(workers)


def _close(cluster: LocalCluster) -> None:
    """End the workers.

    Dask fails at that while it replaces a worker that has just died, so such a worker may come up
    first. By then every result is there: nothing depends on how the workers end.
    """
    deadline = time.monotonic() + END_S
    while _is_replacing(cluster) and time.monotonic() < deadline:
        time.sleep(0.1)
    try:
        cluster.close(timeout=END_S)
    except Exception as error:  # noqa: BLE001 - no result depends on how workers end
        log.warning("the workers did not end in order: %s: %s", type(error).__name__, error)


def _is_replacing(cluster: LocalCluster) -> bool:
    """Return whether the process of a worker is gone and its successor has not begun."""
    nannies = [nanny for nanny in cluster.workers.values() if not _has_given_up(nanny)]
    return any(getattr(nanny, "pid", None) is None for nanny in nannies)


def _has_given_up(nanny: Nanny) -> bool:
    """Return whether what starts a worker again has ended itself."""
    return nanny.status.name in ("closing", "closed", "failed")


def _require_semaphores() -> None:
    """Refuse to start where processes cannot be started for lack of shared memory.

    The processes themselves would die of it without a word.

    Raises
    ------
    EnvironmentFailure
        ``E-CLUSTER-START`` with what the system says.
    """
    try:
        multiprocessing.get_context("spawn").Lock()
    except (OSError, ImportError) as error:
        raise EnvironmentFailure(
            Problem(
                "E-CLUSTER-START",
                f"workers cannot be started, as the system gives no semaphore: {error}",
                "/dev/shm",
                "make this folder writable (containers: `--shm-size`, a tmpfs); "
                "`--cluster serial` does without",
            )
        ) from error


def _dead(error: BaseException) -> Problem:
    """Return the error of workers that do not start, with its cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    return Problem(
        "E-CLUSTER-START",
        f"workers died while they started, {STARTS} times: {error}",
        None,
        "check what kills them, most likely a memory limit; `--cluster serial` shows errors",
    )
