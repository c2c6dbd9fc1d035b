"""What the soak takes for a proper end of a run."""

from __future__ import annotations

import pytest
from soak import is_allowed
from soak_run import ATTACKS, Ended


@pytest.mark.parametrize(
    ("attack", "code", "struck", "allowed"),
    [
        ("hook segfault", -11, 1, True),  # the driver writes files too, and met it there
        ("hook segfault", -11, 0, False),
        ("hook segfault", -9, 1, False),
        ("hook kill", -9, 1, True),
        ("SIGKILL to the driver", -9, 1, True),
        ("SIGKILL to workers", -9, 1, False),
        ("pause", -9, 1, False),
        ("hook stale", 1, 1, False),
        ("hook stale", 6, 1, True),
        ("file size", 0, 0, True),
    ],
)
def test_a_run_may_die_only_of_what_was_done_to_it(
    attack: str, code: int, struck: int, allowed: bool
) -> None:
    assert attack in ATTACKS
    assert is_allowed(attack, Ended(code, "", {attack: struck})) is allowed
