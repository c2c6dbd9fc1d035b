"""Directions of sun and sensor, as the metadata of an acquisition state them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import atan2, cos, degrees, fsum, isfinite, radians, sin
from typing import TYPE_CHECKING, Protocol, TypeGuard, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from oso_pipeline.imagery.acquisition import Acquisition
    from oso_pipeline.imagery.protocol import Candidate, Reader

BANDS_OF_NETWORKS = ("B3", "B4", "B5", "B6", "B7", "B8A", "B11", "B12")
"""Bands whose mean view angles are averaged: those that the biophysical networks take."""


@dataclass(frozen=True, slots=True)
class Angles:
    """Mean directions of a scene, in degrees.

    Parameters
    ----------
    sun_zenith_deg, view_zenith_deg
        From the vertical.
    sun_azimuth_deg, view_azimuth_deg
        From north over east, towards the sun and towards the sensor.
    """

    sun_zenith_deg: float
    sun_azimuth_deg: float
    view_zenith_deg: float
    view_azimuth_deg: float

    @property
    def cosines(self) -> npt.NDArray[np.float64]:
        """Cosines of view zenith, sun zenith and relative azimuth, float64, shape ``(3,)``."""
        azimuth = self.sun_azimuth_deg - self.view_azimuth_deg
        angles = (self.view_zenith_deg, self.sun_zenith_deg, azimuth)
        return np.array([cos(radians(angle)) for angle in angles])

    @property
    def is_possible(self) -> bool:
        """Whether sun and sensor are above the horizon and all angles are finite numbers."""
        azimuths = (self.sun_azimuth_deg, self.view_azimuth_deg)
        zeniths = (self.sun_zenith_deg, self.view_zenith_deg)
        return all(0 <= one < 90 for one in zeniths) and all(0 <= one <= 360 for one in azimuths)

    def to_json(self) -> dict[str, float]:
        """Return the angles by name."""
        return {
            "sun_zenith_deg": self.sun_zenith_deg,
            "sun_azimuth_deg": self.sun_azimuth_deg,
            "view_zenith_deg": self.view_zenith_deg,
            "view_azimuth_deg": self.view_azimuth_deg,
        }

    @classmethod
    def from_json(cls, content: dict[str, float]) -> Angles:
        """Return what :meth:`to_json` wrote."""
        return cls(**content)


@runtime_checkable
class StatesAngles(Protocol):
    """A reader whose products may state angles; see the protocol of readers."""

    def angles(self, acquisition: Acquisition) -> Angles | None:
        """Return the angles of an acquisition; None where its metadata state none."""
        ...


Direction = tuple[float | None, float | None]
"""Zenith and azimuth in degrees; None for what is not stated."""


def angles_of(sun: Direction, views: Iterable[Direction]) -> Angles | None:
    """Return mean angles from what metadata state; None where that does not suffice.

    Parameters
    ----------
    sun
        Direction to the sun.
    views
        Directions to the sensor, of each band or of the scene. Those that are not finite numbers
        are left out. Zenith angles are averaged as numbers, azimuths as directions: those of some
        bands may lie on the other side of north.

    Examples
    --------
    >>> found = angles_of((30.0, 160.0), [(5.0, 350.0), (5.0, 10.0), (None, None)])
    >>> round(found.view_zenith_deg, 2), round(found.view_azimuth_deg, 2) % 360
    (5.0, 0.0)
    >>> angles_of((30.0, None), [(5.0, 350.0)]) is None
    True
    """
    known = [view for view in views if _is_known(view)]
    if not known or not _is_known(sun):
        return None
    east = sum(sin(radians(azimuth)) for _, azimuth in known)
    north = sum(cos(radians(azimuth)) for _, azimuth in known)
    return Angles(
        float(sun[0]),
        float(sun[1]) % 360,
        fsum(zenith for zenith, _ in known) / len(known),
        degrees(atan2(east, north)) % 360,
    )


def stated_angles(reader: Reader, acquisition: Acquisition) -> Angles | None:
    """Return the angles that a reader states; None where it has no such member."""
    return reader.angles(acquisition) if isinstance(reader, StatesAngles) else None


def product_among(candidates: Sequence[Candidate], acquisition: Acquisition) -> Candidate | None:
    """Return the product of an acquisition among those at its path; None where it is not clear.

    Metadata may name a product otherwise than its files do; then tile and time tell which it is.
    """
    named = [one for one in candidates if one.product_id == acquisition.product_id]
    second = acquisition.acquired.replace(microsecond=0)
    alike = [
        one
        for one in candidates
        if one.tile in (None, acquisition.tile) and one.acquired.replace(microsecond=0) == second
    ]
    found = named or alike or candidates
    return found[0] if len(found) == 1 else None


def _is_known(direction: Direction) -> TypeGuard[tuple[float, float]]:
    zenith, azimuth = direction
    if zenith is None or azimuth is None:
        return False
    return isfinite(zenith) and isfinite(azimuth) and 0 <= zenith < 90
