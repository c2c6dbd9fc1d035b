"""Forests of past years made to serve the year to be mapped, where that helps."""

from typing import TYPE_CHECKING, Any

from oso_pipeline.adaptation.options import AdaptationOptions
from oso_pipeline.adaptation.record import (
    AdaptationRecord,
    GateRecord,
    Profiles,
    ShiftRecord,
)
from oso_pipeline.adaptation.space import SeriesSpace

if TYPE_CHECKING:
    from oso_pipeline.adaptation.estimator import METHODS as METHODS
    from oso_pipeline.adaptation.estimator import (
        AdaptedForestClassifier as AdaptedForestClassifier,
    )

__all__ = [
    "METHODS",
    "AdaptationOptions",
    "AdaptationRecord",
    "AdaptedForestClassifier",
    "GateRecord",
    "Profiles",
    "SeriesSpace",
    "ShiftRecord",
]


def __getattr__(name: str) -> Any:
    # Importing scikit-learn takes a second, which a run without past seasons should not.
    if name in ("METHODS", "AdaptedForestClassifier"):
        from oso_pipeline.adaptation import estimator

        return getattr(estimator, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
