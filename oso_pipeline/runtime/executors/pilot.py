"""Workers in jobs of a batch system that this process submits, watches and replaces."""

from __future__ import annotations

import logging
import math
import shlex
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from oso_pipeline.config.cluster import PilotCluster
from oso_pipeline.config.runtime import Runtime
from oso_pipeline.core.errors import EnvironmentFailure, Problem
from oso_pipeline.runtime.executors import queues, settings, tls
from oso_pipeline.runtime.executors.dask_base import DaskExecutor

if TYPE_CHECKING:
    from dask_jobqueue.core import JobQueueCluster
    from distributed import Client

log = logging.getLogger(__name__)

OVERHEAD_GB = 0.25
"""Memory of the process that supervises a worker."""
REFUSALS = 3
"""Number of consecutive refused submissions after which the run ends."""
DEATH_TIMEOUT_S = 120
"""Time after which a worker without a scheduler ends."""


class PilotExecutor(DaskExecutor):
    """Runs tasks on workers in jobs of Slurm or PBS.

    The scheduler lives in this process. The number of jobs in the queue is kept by looking at
    the queue: one that has expired, was cancelled or failed is submitted again for as long as
    there is work. Jobs are cancelled at the end, however it comes; those of a driver that was
    killed end by themselves when they miss its scheduler.

    Parameters
    ----------
    cluster
        The jobs.
    runtime
        Memory of a worker and deadline of a task.
    run_dir
        The run folder; gets the logs of the jobs in ``jobs/``.
    """

    CHECK_EVERY_S = 10.0

    def __init__(self, cluster: PilotCluster, runtime: Runtime, run_dir: Path) -> None:
        super().__init__(
            runtime.task_deadline_s,
            60 * cluster.no_workers_timeout_min,
            runtime.memory_per_worker_bytes,
        )
        self.cluster = cluster
        self.memory_gb = runtime.memory_per_worker_gb
        self.log_dir = run_dir / "jobs"
        self.queue = queues.QUEUES[cluster.system]
        self._jobs: JobQueueCluster | None = None
        self._checked = 0.0

    def __exit__(self, *error: object) -> None:
        try:
            super().__exit__(*error)
        finally:
            if self._jobs is not None:
                self._jobs.close(timeout=60)

    def expected_workers(self) -> int:
        """Return how many workers there are once all jobs run."""
        return self.cluster.jobs * self.cluster.workers_per_job

    def check_workers(self, working: int) -> None:
        """Replace the jobs that are gone; see `DaskExecutor.check_workers`."""
        super().check_workers(working)
        if self._jobs is None or time.monotonic() - self._checked < self.CHECK_EVERY_S:
            return
        self._checked = time.monotonic()
        if len(self._jobs.refusals) >= REFUSALS:
            raise EnvironmentFailure(self._refused(self._jobs.refusals[-1]))
        alive = self.queue.alive()
        if alive is None:  # the batch system does not answer; the next query may answer
            return
        gone = [name for name, job in self._jobs.workers.items() if job.job_id not in alive]
        if gone:
            log.info("jobs gone from the queue: %s; submitting others", ", ".join(map(str, gone)))
            with suppress(RuntimeError):  # of a submission that was refused, which is counted
                self._jobs.sync(self._jobs.scale_down, gone)
        self._jobs.scale(jobs=self.cluster.jobs)

    def _start(self) -> Client:
        from distributed import Client

        if problems := queues.queue_problems(self.cluster.system):
            raise EnvironmentFailure(*problems)
        # A node that dies takes the tasks of all its workers with it, through no fault of theirs.
        settings.apply(allowed_failures=5, no_workers_timeout=None)
        if self.cluster.dashboard:
            settings.serve_pages()
        self.log_dir.mkdir(parents=True, exist_ok=True)
        self._jobs = self._submitter()
        self._jobs.scale(jobs=self.cluster.jobs)
        self._checked = time.monotonic()
        client = Client(self._jobs)
        settings.be_patient(self._jobs.scheduler, self.expected_workers())
        return client

    def _submitter(self) -> JobQueueCluster:
        cluster = self.cluster
        security = tls.security_of(cluster.tls) if cluster.tls is not None else None
        where = {"interface": cluster.interface} if cluster.interface else {"host": cluster.host}
        scheduler = {
            **where,
            "dashboard": cluster.dashboard,
            "dashboard_address": "127.0.0.1:8787" if cluster.dashboard else "127.0.0.1:0",
            "protocol": "tls://" if security is not None else "tcp://",
        }
        return cluster_class(cluster.system)(
            security=security,
            scheduler_options=scheduler,
            silence_logs="critical",
            **self.job_options(),
        )

    def job_options(self) -> dict[str, Any]:
        """Return what the script of a job is made of, as dask-jobqueue names it."""
        cluster = self.cluster
        total_gb = self.memory_gb * cluster.workers_per_job
        return {
            "cores": cluster.workers_per_job,
            "processes": cluster.workers_per_job,
            "memory": f"{total_gb}GiB",
            "queue": cluster.queue,
            "account": cluster.account,
            "walltime": cluster.walltime,
            "job_name": "oso-worker",
            "python": shlex.quote(sys.executable),
            "local_directory": f'"{cluster.scratch}"',
            "death_timeout": DEATH_TIMEOUT_S,
            "worker_extra_args": lifetime_arguments(cluster),
            "job_script_prologue": prologue(cluster),
            "interface": cluster.interface,
            **self._directives(total_gb + OVERHEAD_GB * cluster.workers_per_job),
        }

    def _directives(self, job_gb: float) -> dict[str, Any]:
        """Return the directives in the syntax of the batch system."""
        logs = f"{self.log_dir}/worker-%j.log"
        given = list(self.cluster.directives)
        megabytes = math.ceil(job_gb * 1024)
        if self.cluster.system == "slurm":
            output = [f'--output="{logs}"', "--open-mode=append", "--no-requeue"]
            return {"job_mem": f"{megabytes}M", "job_extra_directives": [*output, *given]}
        cores = self.cluster.workers_per_job
        output = ["-j oe", f"-o {shlex.quote(str(self.log_dir))}/", "-r n"]
        return {
            "resource_spec": f"select=1:ncpus={cores}:mem={megabytes}mb",
            "job_extra_directives": [*output, *given],
        }

    def _refused(self, words: str) -> Problem:
        return Problem(
            "E-CLUSTER-SUBMIT",
            f"{self.queue.submit} refused the jobs: {words}",
            None,
            "correct queue, account, walltime, memory or directives in `runtime.cluster`",
        )

    def _nobody(self, seconds: float) -> Problem:
        return Problem(
            "E-CLUSTER-WORKERS",
            f"the queue has given no worker for {seconds:.0f} s; {self.queue.describe()}",
            str(self.log_dir),
            "look at the queue and at the logs of the jobs; give it longer by "
            "`runtime.cluster.no_workers_timeout_min`",
        )


def cluster_class(system: str) -> type[JobQueueCluster]:
    """Return the class of dask-jobqueue for a batch system, with what it leaves open fixed.

    Raises
    ------
    EnvironmentFailure
        If dask-jobqueue is not installed.
    """
    # On import, dask-jobqueue puts a handler of its own in place of that for Ctrl-C.
    handler = signal.getsignal(signal.SIGINT)
    try:
        from dask_jobqueue import PBSCluster, SLURMCluster
    except ImportError as error:
        raise EnvironmentFailure(
            Problem(
                "E-CLUSTER-INSTALL",
                "the library dask-jobqueue is not installed",
                None,
                "pip install 'oso_pipeline[hpc]'",
            )
        ) from error
    finally:
        signal.signal(signal.SIGINT, handler)
    from distributed.core import Status

    base: Any = {"slurm": SLURMCluster, "pbs": PBSCluster}[system]

    class Job(base.job_cls):
        """A job that gets its keys by the environment, where odd paths do no harm."""

        def __init__(self, *args: Any, security: Any = None, **options: Any) -> None:
            super().__init__(*args, **options)

        async def _submit_job(self, script_filename: str) -> Any:
            try:
                answer = await super()._submit_job(script_filename)
            except RuntimeError as error:
                Cluster.refusals.append(str(error).partition("stderr:")[2].strip() or str(error))
                self.status = Status.failed  # or the cluster complains when it is closed
                raise
            Cluster.refusals.clear()
            return answer

    class Cluster(base):
        job_cls = Job
        refusals: ClassVar[list[str]] = []
        """Messages of the batch system to submissions since the last accepted one."""

    return Cluster


def lifetime_arguments(cluster: PilotCluster) -> list[str]:
    """Return how long the workers of a job live: less than it, and not all equally long."""
    margin_s = 60 * cluster.margin_min
    stagger_s = min(margin_s, 0.1 * cluster.walltime_s) / 2
    lifetime_s = cluster.walltime_s - margin_s - stagger_s
    return [f"--lifetime {lifetime_s:.0f}s", f"--lifetime-stagger {stagger_s:.0f}s"]


def prologue(cluster: PilotCluster) -> list[str]:
    """Return the lines of shell that set up a worker."""
    variables = settings.worker_environment()
    if cluster.tls is not None:
        variables |= tls.worker_variables(cluster.tls)
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return [*cluster.prologue, *exports]
