"""Asking all catalogues for all needs, one thread for each provider."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.access.session import Session
from oso_pipeline.retrieval.catalogues.protocol import Catalogue
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.offers import Answered, Need
from oso_pipeline.retrieval.provider_table import Provider


@dataclass(frozen=True, eq=False)
class Portal:
    """A provider with all that is needed to use it.

    Parameters
    ----------
    name, provider
        As in the table of providers.
    session
        Sends its requests.
    catalogue
        Its catalogue.
    unused
        Why nothing is downloaded from it, so that it is only searched; empty where it is used.
    """

    name: str
    provider: Provider
    session: Session
    catalogue: Catalogue
    unused: str = ""


Answers = Mapping[str, Answered | Failure]
"""Answers to one need, by the names of the providers."""


class Searches:
    """Searches that go on; `request` and `ready` are called from one thread.

    Parameters
    ----------
    portals
        The providers.
    order
        Names of providers by family.
    changed
        Set with each answer.
    clock
        Seconds that only go on.
    """

    def __init__(
        self,
        portals: Mapping[str, Portal],
        order: Mapping[str, Iterable[str]],
        changed: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._portals = portals
        self._order = {family: tuple(names) for family, names in order.items()}
        self._clock = clock
        self._answered = changed
        self._changed = threading.Condition()
        self._queues: dict[str, deque[Need]] = {name: deque() for name in portals}
        self._answers: dict[Need, dict[str, Answered | Failure]] = {}
        self._is_closed = False

    @property
    def n_open(self) -> int:
        """How many needs are searched for."""
        with self._changed:
            return len(self._answers)

    def start(self) -> None:
        """Start the threads; they end with the process, or after `close`."""
        for portal in self._portals.values():
            name = f"search {portal.name}"
            threading.Thread(target=self._work, args=(portal,), name=name, daemon=True).start()

    def request(self, needs: Iterable[Need]) -> None:
        """Search for needs, unless that is done just now."""
        with self._changed:
            for need in needs:
                if need in self._answers:
                    continue
                self._answers[need] = {}
                for name in self._order.get(need.family, ()):
                    self._queues[name].append(need)
            self._changed.notify_all()

    def ready(self) -> list[tuple[Need, Answers]]:
        """Return, once, the needs to which all providers have answered, or failed to."""
        with self._changed:
            done: list[tuple[Need, Answers]] = [
                (need, answers)
                for need, answers in self._answers.items()
                if len(answers) == len(self._order.get(need.family, ()))
            ]
            for need, _ in done:
                del self._answers[need]
            return done

    def close(self) -> None:
        """Begin no other search."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _work(self, portal: Portal) -> None:
        queue = self._queues[portal.name]
        while True:
            with self._changed:
                while not queue and not self._is_closed:
                    self._changed.wait()
                if self._is_closed:
                    return
                need = queue.popleft()
            answer = self._ask(portal, need)
            with self._changed:
                if need in self._answers:
                    self._answers[need][portal.name] = answer
            self._answered.set()

    def _ask(self, portal: Portal, need: Need) -> Answered | Failure:
        deadline = Deadline.after(portal.provider.limits.search_s, self._clock)
        try:
            return portal.catalogue.search(need, deadline)
        except Failure as failure:
            return failure
        except Exception as error:  # noqa: BLE001  (a fault of one catalogue ends no campaign)
            text = f"the answer cannot be understood: {type(error).__name__}: {error}"
            return Failure("E-FETCH-SERVER", text, portal.provider.address)
