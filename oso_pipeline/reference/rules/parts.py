"""Parts of rules: conditions on fields, and operations on polygons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from oso_pipeline.reference.rules.files import Condition, Geometry, Scalar
from oso_pipeline.vectors.values import normal_text


@dataclass(frozen=True)
class FieldTest:
    """Condition on one field.

    Parameters
    ----------
    values
        Texts by `normal_text`; empty where only numbers matter.
    absent
        Whether no value at all belongs to them.
    negated
        Whether they are the values that it must not hold.
    at_least, at_most
        Bounds of a number.
    """

    values: frozenset[str] = frozenset()
    absent: bool = False
    negated: bool = False
    at_least: float | None = None
    at_most: float | None = None

    @classmethod
    def of(cls, written: Scalar | Condition | tuple[Scalar, ...]) -> FieldTest:
        """Return the test of a rules file."""
        bounds: tuple[float | None, float | None] = (None, None)
        negated = False
        if isinstance(written, Condition):
            bounds = (written.at_least, written.at_most)
            negated = True
            written = written.other_than or ()
        values = written if isinstance(written, tuple) else (written,)
        texts = [normal_text(value) for value in values]
        known = frozenset(text for text in texts if text is not None)
        return cls(known, None in texts, negated, *bounds)

    def holds(self, value: object) -> bool:
        """Return whether a value passes."""
        text = normal_text(value)
        among = self.absent if text is None else text in self.values
        if among == self.negated:
            return False
        if self.at_least is None and self.at_most is None:
            return True
        try:
            number = float(str(value).replace(",", "."))
        except ValueError:
            return False
        low = -np.inf if self.at_least is None else self.at_least
        high = np.inf if self.at_most is None else self.at_most
        return bool(low <= number <= high)


@dataclass(frozen=True)
class Operation:
    """Operation on a polygon; metres None means ``reference.erosion_m``."""

    kind: Literal["erode", "buffer", "close", "none"] = "erode"
    metres: float | None = None
    half_of: str | None = None

    @classmethod
    def of(cls, written: Geometry | str | None) -> Operation:
        """Return the operation of a rules file."""
        if not isinstance(written, Geometry):
            return cls("none", 0.0) if written == "none" else cls()
        if written.close_m is not None:
            return cls("close", written.close_m)
        if written.buffer_m is not None:
            return cls("buffer", written.buffer_m, written.half_of)
        return cls("erode", written.erode_m)
