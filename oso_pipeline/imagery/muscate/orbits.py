"""From the absolute orbit that the metadata state to the relative orbit."""

from __future__ import annotations

from datetime import UTC, datetime

ORBITS = 143
"""Orbits of a cycle of 10 days."""

_SHIFT = {"S2A": 3, "S2B": 117}
"""Relative minus absolute orbit, modulo 143: of products from 2015 to 2023 that name both."""
_S2A_MOVED = datetime(2025, 1, 1, tzinfo=UTC)
"""Sentinel-2A left its place beside Sentinel-2B early in 2025, and its shift changed."""


def relative_orbit(platform: str, orbit: int | None, acquired: datetime) -> int | None:
    """Return the relative orbit of an absolute one, None where the shift is not known.

    Parameters
    ----------
    platform
        ``S2A``, ``S2B`` ...
    orbit
        Absolute number of the orbit.
    acquired
        Date and time, UTC.

    Examples
    --------
    >>> relative_orbit("S2A", 19029, datetime(2019, 2, 12, tzinfo=UTC))
    13
    """
    shift = _SHIFT.get(platform)
    if orbit is None or shift is None or (platform == "S2A" and acquired >= _S2A_MOVED):
        return None
    return (orbit + shift - 1) % ORBITS + 1
