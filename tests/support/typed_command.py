"""The command as a user types it, in this process."""

from __future__ import annotations

from collections.abc import Callable

Oso = Callable[..., str]
"""Takes the expected exit code and the arguments; returns what is said."""
