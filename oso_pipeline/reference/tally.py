"""What happened to the polygons on their way, counted per reason and class."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

READ = "read"
KEPT = "kept"
NO_GEOMETRY = "no geometry"
REPAIRED = "repaired"
NO_AREA = "no area after repair"
OFF_THE_MAP = "cannot be projected to the map"
DUPLICATE = "duplicate"
ERODED_AWAY = "eroded away"
TOO_SMALL = "too small"
CONFLICT = "overlap with another class"
DOUBLE = "overlap within the class"
NO_STRATUM = "outside every stratum"
RARE = "class too rare"


@dataclass
class PrepareReport:
    """Counts and areas by reason and class.

    An entry counts the rows concerned at that step: features for what concerns whole
    features, parts of polygons after erosion. Where geometry was cut (overlaps, strata) the
    area is the area removed and the count that of the polygons touched.
    """

    _entries: dict[tuple[str, int], tuple[int, float]] = field(default_factory=dict)

    def add(
        self,
        reason: str,
        codes: npt.NDArray[np.int32],
        areas_m2: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Count one row per element of `codes`, shape ``(n,)``, with its area in m2."""
        areas = np.zeros(len(codes)) if areas_m2 is None else areas_m2
        for code in np.unique(codes):
            chosen = codes == code
            count, area = self._entries.get((reason, int(code)), (0, 0.0))
            total = area + float(areas[chosen].sum())
            self._entries[reason, int(code)] = count + int(chosen.sum()), total

    def count(self, reason: str, code: int | None = None) -> int:
        """Return how many rows a reason concerned, of one class or of all."""
        return sum(
            count
            for (r, c), (count, _) in self._entries.items()
            if r == reason and code in (None, c)
        )

    def area_m2(self, reason: str, code: int | None = None) -> float:
        """Return the area in m2 a reason concerned, of one class or of all."""
        return sum(
            area for (r, c), (_, area) in self._entries.items() if r == reason and code in (None, c)
        )

    def reasons(self, code: int) -> dict[str, int]:
        """Return the counts of one class by reason, in the order of the steps."""
        return {reason: count for (reason, c), (count, _) in self._entries.items() if c == code}

    def to_json(self) -> dict[str, Any]:
        """Return ``{reason: {code: {count, hectares}}}``, in the order of the steps."""
        result: dict[str, Any] = {}
        for (reason, code), (count, area) in self._entries.items():
            entry = {"count": count, "hectares": round(area / 10_000, 4)}
            result.setdefault(reason, {})[str(code)] = entry
        return result
