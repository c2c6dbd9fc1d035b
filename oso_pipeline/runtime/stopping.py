"""Signals that end a run: at once, or after the running tasks."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Terminated(BaseException):
    """The process received SIGTERM and ends at once."""


class OutOfTime(BaseException):
    """Tasks that ran when the end was announced (SIGUSR1) did not end in time."""


class Stop:
    """Whether the end was announced, as batch systems do some minutes before the walltime.

    SIGUSR1 announces it: no further task begins. Those that run may end within `grace_s`;
    then they are dropped, as after SIGTERM and Ctrl-C.
    """

    def __init__(self, grace_s: float) -> None:
        self.grace_s = grace_s
        self.announced = False
        self._end: type[BaseException] | None = None

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Handle SIGUSR1, SIGTERM and Ctrl-C while the body runs.

        In another thread than the main one Python allows no handlers: then nothing is handled.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers: dict[int, Callable[[int, FrameType | None], Any]] = {
            signal.SIGUSR1: self._announce,
            signal.SIGALRM: self._ends_with(OutOfTime),
            signal.SIGTERM: self._ends_with(Terminated),
            signal.SIGINT: self._ends_with(KeyboardInterrupt),
        }
        before = {number: signal.signal(number, handlers[number]) for number in handlers}
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)

    def raise_if_stopped(self) -> None:
        """Raise a pending request to end that a signal handler could not raise.

        Python ignores what a signal raises inside of a finaliser or a callback of C code.
        """
        if self._end is not None:
            raise self._end

    def _ends_with(self, kind: type[BaseException]) -> Callable[[int, FrameType | None], Any]:
        def end(number: int, frame: FrameType | None) -> Any:
            self._end = kind
            raise kind

        return end

    def _announce(self, number: int, frame: FrameType | None) -> None:
        if not self.announced:
            self.announced = True
            signal.setitimer(signal.ITIMER_REAL, self.grace_s)
