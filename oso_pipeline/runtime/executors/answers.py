"""Results of tasks, sent by the workers without a request.

To fetch a result costs dask's scheduler as much as the task did, and to wait for the first of all
tasks in flight costs the more the more there are. So a worker sends the result as an event, on the
connection that reports the end of the task. An event can be lost with its worker; then the task
is known to have ended all the same, and its result is fetched.
"""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING, Any

from distributed import get_worker
from distributed.protocol.pickle import dumps, loads

from oso_pipeline.tasks.task import TaskResult

if TYPE_CHECKING:
    from distributed import Client


def answer(topic: str, results: list[TaskResult]) -> None:
    """Send results from the worker that has them, with the key of their task on the scheduler."""
    worker = get_worker()
    content = dumps((worker.get_current_task(), results))
    # As `Worker.log_event`, but without waking the stream: the result goes in one message with the
    # end of the task, which follows at once.
    worker.batched_stream.buffer.append({"op": "log-event", "topic": topic, "msg": content})


class Answers:
    """The results that workers send to a client.

    Parameters
    ----------
    client
        Connected to the scheduler.
    topic
        Topic of the events.
    """

    def __init__(self, client: Client, topic: str) -> None:
        self.client = client
        self.topic = topic
        self._come: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def subscribe(self) -> None:
        """Subscribe to the results; an earlier subscription ends."""
        self.client.subscribe_topic(self.topic, lambda event: self._come.put(event[1]))

    def wait(self, seconds: float, more_s: float = 0.0) -> dict[Any, list[TaskResult]]:
        """Return the results that have come, by key on the scheduler.

        Parameters
        ----------
        seconds
            Longest wait for the first.
        more_s
            Wait for others after it: to take them one by one costs more.
        """
        found: dict[Any, list[TaskResult]] = {}
        try:
            found |= [loads(self._come.get(timeout=seconds))]
            time.sleep(more_s)
            while True:
                found |= [loads(self._come.get_nowait())]
        except queue.Empty:
            return found
