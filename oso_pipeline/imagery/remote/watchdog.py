"""A watchdog for connections: at a moment that is set, it shuts them down.

A timeout of a socket begins again with each byte, so a server that drips headers holds a request
for ever. Nothing in the thread that reads can end that: another one has to.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress


class TooSlow(TimeoutError):
    """A connection that was shut down as its time was over."""


class Guard:
    """The time that one connection has.

    Parameters
    ----------
    within_s
        Seconds that the whole request has, with its answer; None sets no limit.

    Notes
    -----
    The guard owns a duplicate of the descriptor: to shut it down ends the connection, also while
    another object wraps it in TLS, and never one that got the same number later.
    """

    def __init__(self, within_s: float | None) -> None:
        self._last_s = None if within_s is None else time.monotonic() + within_s
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self._limit_s: float | None = self._last_s
        self.fired = False

    @property
    def left_s(self) -> float | None:
        """Seconds until the whole request is given up; None without a limit."""
        return None if self._last_s is None else self._last_s - time.monotonic()

    @property
    def due_s(self) -> float | None:
        """Reading of the monotonic clock at which the connection is shut down."""
        return self._limit_s

    def hold(self, connection: socket.socket) -> None:
        """Guard a connection from now on; a guard holds one at a time."""
        with self._lock:
            self._drop()
            self._handle = connection.dup()
        _DOG.look_after(self)

    def step(self, seconds: float | None) -> None:
        """Limit the next step of the request; None leaves the limit of the whole alone."""
        limit = None if seconds is None else time.monotonic() + seconds
        known = [one for one in (limit, self._last_s) if one is not None]
        self._limit_s = min(known, default=None)
        if limit is not None and self._handle is not None:
            _DOG.look_after(self)

    def check(self) -> None:
        """Raise where the watchdog ended the connection.

        Raises
        ------
        TooSlow
            Then what was read is not whole.
        """
        left = self.left_s
        if self.fired or (left is not None and left <= 0):
            raise TooSlow("the server took too long")

    def release(self) -> None:
        """Leave the connection to its owner."""
        with self._lock:
            self._drop()
        _DOG.forget(self)

    def fire(self) -> None:
        """End the connection: who reads from it gets an error or its end at once."""
        with self._lock:
            if self._handle is not None:
                self.fired = True
                with suppress(OSError):
                    self._handle.shutdown(socket.SHUT_RDWR)
                self._drop()

    def _drop(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None


class _Watchdog:
    """One thread that waits for the earliest of all guards; it ends when there are none."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._guards: set[Guard] = set()
        self._is_awake = False
        self._next_s: float | None = None
        os.register_at_fork(after_in_child=self._begin_again)

    def look_after(self, guard: Guard) -> None:
        """Watch a guard whose limit is new."""
        due = guard.due_s
        if due is None:
            return
        with self._changed:
            self._guards.add(guard)
            if self._is_awake:
                if self._next_s is None or due < self._next_s:  # else it looks in time anyway
                    self._changed.notify()
            else:
                self._is_awake = True
                threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def forget(self, guard: Guard) -> None:
        """Watch a guard no longer."""
        with self._changed:
            self._guards.discard(guard)

    def _watch(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                dues = {guard: guard.due_s for guard in self._guards}
                over = [guard for guard, due in dues.items() if due is not None and due <= now]
                self._guards.difference_update(over)
                if not over:
                    next_s = min((due for due in dues.values() if due is not None), default=None)
                    self._next_s = next_s
                    woken = self._changed.wait(_LINGER_S if next_s is None else next_s - now)
                    if next_s is None and not woken and not self._guards:
                        self._is_awake = False
                        return
            for guard in over:
                guard.fire()

    def _begin_again(self) -> None:
        self._changed = threading.Condition()
        self._guards = set()
        self._is_awake = False
        self._next_s = None


_LINGER_S = 5.0
"""How long the thread waits for another connection before it ends."""
_DOG = _Watchdog()
