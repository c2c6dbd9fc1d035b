"""Forests of past years made to serve the year to be mapped, where that helps."""

from oso_pipeline.learning.adaptation.estimator import METHODS, AdaptedForestClassifier
from oso_pipeline.learning.adaptation.options import AdaptationOptions
from oso_pipeline.learning.adaptation.record import (
    AdaptationRecord,
    GateRecord,
    Profiles,
    ShiftRecord,
)
from oso_pipeline.learning.adaptation.space import SeriesSpace

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
