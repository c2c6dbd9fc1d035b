"""Workers of a scheduler that somebody else started."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from oso_pipeline.config.cluster import ExistingCluster
from oso_pipeline.core.errors import EnvironmentFailure, Problem
from oso_pipeline.runtime.executors import settings
from oso_pipeline.runtime.executors.dask_base import DaskExecutor
from oso_pipeline.runtime.executors.tls import security_of

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 30


class ExistingExecutor(DaskExecutor):
    """Runs tasks on the workers of a scheduler at a given address.

    Scheduler and workers stay when the run ends.

    Parameters
    ----------
    cluster
        Where the scheduler is.
    deadline_s
        A task that keeps a worker longer is given up and its worker replaced.
    memory_bytes
        Memory limit of a worker.
    """

    SIZE_EVERY_S = 5.0

    def __init__(
        self, cluster: ExistingCluster, deadline_s: float, memory_bytes: float | None = None
    ) -> None:
        super().__init__(deadline_s, 60 * cluster.no_workers_timeout_min, memory_bytes)
        self.cluster = cluster
        self._size = 0
        self._requested = 0.0

    def expected_workers(self) -> int:
        """Return how many workers are connected."""
        if self._client is not None and time.monotonic() - self._requested > self.SIZE_EVERY_S:
            self._size = len(self._client.nthreads())
            self._requested = time.monotonic()
        return self._size

    def _start(self) -> Client:
        from distributed import Client

        settings.apply()
        security = security_of(self.cluster.tls) if self.cluster.tls is not None else None
        address = self.cluster.address
        try:
            return Client(address, security=security, timeout=CONNECT_S)
        except OSError as error:
            raise EnvironmentFailure(
                Problem(
                    "E-CLUSTER-ADDRESS",
                    f"no dask scheduler answers at {address} within {CONNECT_S} s: {error}",
                    None,
                    "check that it runs, and with the keys that `runtime.cluster.tls` names",
                )
            ) from error

    def _nobody(self, seconds: float) -> Problem:
        return Problem(
            "E-CLUSTER-WORKERS",
            f"the scheduler at {self.cluster.address} has had no worker for {seconds:.0f} s",
            None,
            "start workers, or give them longer by `runtime.cluster.no_workers_timeout_min`",
        )
