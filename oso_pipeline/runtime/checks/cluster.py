"""Check that the configured cluster can be used from here, before it is contacted."""

from __future__ import annotations

from oso_pipeline.config import Config
from oso_pipeline.config.cluster import PilotCluster, RemoteWorkers
from oso_pipeline.core.errors import Problems
from oso_pipeline.runtime.executors.queues import queue_problems
from oso_pipeline.runtime.executors.tls import check_keys


def key_problems(config: Config) -> Problems:
    """Find keys of the cluster that cannot be used (``E-CLUSTER-KEYS``)."""
    cluster = config.runtime.cluster
    if isinstance(cluster, RemoteWorkers) and cluster.tls is not None:
        return check_keys(cluster.tls)
    return Problems()


def submission_problems(config: Config) -> Problems:
    """Find that jobs cannot be submitted from here (``E-CLUSTER-QUEUE``), where they are to be.

    Whether a scheduler answers is seen when the run begins.
    """
    cluster = config.runtime.cluster
    return Problems(queue_problems(cluster.system) if isinstance(cluster, PilotCluster) else ())
