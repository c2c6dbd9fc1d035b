"""A task on its way to a worker, which may have another installation.

Dask sees bytes. It would unpack a task on arrival, and a worker that lacks a class loses its
connection over that, again and again, without a word. Here the worker looks at the version first,
and what it cannot read is the result of the task.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from distributed.protocol.pickle import dumps, loads

from oso_pipeline import __version__
from oso_pipeline.core.errors import EnvironmentFailure, Problem
from oso_pipeline.tasks.task import Task

_SAME = "start workers and run with the same installation, plug-ins included"


@dataclass(frozen=True, slots=True)
class PackedTask:
    """A task as bytes, in the form in which dask sends all objects.

    Parameters
    ----------
    stage, name
        Of the task.
    version
        Version of the software that planned it.
    content
        The task.
    """

    stage: str
    name: str
    version: str
    content: bytes

    @classmethod
    def of(cls, task: Task) -> PackedTask:
        """Return a task of this version as bytes."""
        return cls(task.stage, task.name, __version__, dumps(task))

    def unpacked(self) -> Task:
        """Return the task.

        Raises
        ------
        EnvironmentFailure
            If another version packed it (``E-CLUSTER-VERSION``), or it cannot be read here, for
            lack of a package or because it is damaged (``E-CLUSTER-CODE``).
        """
        host = socket.gethostname()
        if self.version != __version__:
            raise EnvironmentFailure(
                Problem(
                    "E-CLUSTER-VERSION",
                    f"worker has version {__version__} of oso_pipeline, task {self.stage} "
                    f"{self.name} was planned by version {self.version}",
                    host,
                    _SAME,
                )
            )
        try:
            task: Task = loads(self.content)
        except Exception as error:
            message = f"task {self.stage} {self.name} cannot be read by its worker: {error}"
            raise EnvironmentFailure(Problem("E-CLUSTER-CODE", message, host, _SAME)) from error
        return task
