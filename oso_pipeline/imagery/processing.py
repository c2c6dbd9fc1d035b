"""How a product was made: what its metadata tell of the processing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Processing:
    """What a product tells of its processing; None where it does not say.

    Parameters
    ----------
    processor
        Name of the processor, ``Sen2Cor``.
    processor_version
        Its version, ``2.11``; the version of the product where the processor has none.
    baseline
        Processing baseline with a point, ``05.11``.
    cams
        Whether the atmospheric correction used the aerosol types of CAMS.
    aerosol_optical_depth
        Mean over the scene at 550 nm.
    sun_zenith_deg
        Mean over the scene, degrees.
    relative_orbit
        Of the satellite, 1-143.
    aerosols
        Mean optical depth at 550 nm of a forecast that comes with the product, by species and in
        ``total``; the correction need not have used it.
    """

    processor: str | None = None
    processor_version: str | None = None
    baseline: str | None = None
    cams: bool | None = None
    aerosol_optical_depth: float | None = None
    sun_zenith_deg: float | None = None
    relative_orbit: int | None = None
    aerosols: Mapping[str, float] | None = None

    @property
    def described(self) -> str:
        """What is known, for a table: ``Sen2Cor 2.11, baseline 05.11, CAMS, orbit 51``."""
        made = " ".join(filter(None, (self.processor, self.processor_version)))
        numbers = {
            "baseline {}": self.baseline,
            "orbit {:.0f}": self.relative_orbit,
            "sun zenith {:.0f}°": self.sun_zenith_deg,
            "AOD {:.2f}": self.aerosol_optical_depth,
        }
        cams = {None: "", True: "CAMS", False: "without CAMS"}[self.cams]
        known = [text.format(value) for text, value in numbers.items() if value is not None]
        if self.aerosols:
            species = ", ".join(f"{name} {depth:.2f}" for name, depth in self.aerosols.items())
            known.append(f"forecast of aerosols ({species})")
        return ", ".join(filter(None, (made, cams, *known)))

    def updated(self, other: Processing | None) -> Processing:
        """Return this with what another one says in place of what this says."""
        said = {} if other is None else {k: v for k, v in asdict(other).items() if v is not None}
        return replace(self, **said)

    def to_row(self) -> dict[str, Any]:
        """Return the columns of the inventory."""
        aerosols = None if self.aerosols is None else json.dumps(self.aerosols)
        return {**asdict(self), "aerosols": aerosols}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Processing:
        """Return what :meth:`to_row` wrote."""
        stated = {name: row[name] for name in COLUMNS if name != "aerosols"}
        aerosols = row.get("aerosols")  # not in inventories of earlier versions
        return cls(**stated, aerosols=None if aerosols is None else json.loads(aerosols))


COLUMNS = tuple(field.name for field in fields(Processing))
"""Columns of the inventory that tell how a product was made."""

UNSTATED = Processing()
"""That of a product which does not say how it was made."""
