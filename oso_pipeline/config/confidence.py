"""Section ``confidence``: calibrated probability, class sets, unknown ground."""

from __future__ import annotations

from pydantic import Field, field_validator

from oso_pipeline.config.section import Section

CONFIDENCE_BANDS = ("probability", "set_size", "out_of_domain")
"""Bands that need calibrated models."""


class Confidence(Section):
    """Calibration of the models on training polygons that they have not seen."""

    folds: int = Field(4, ge=2, le=20)
    """Parts of the training polygons; each is predicted by a model of the others. Training takes
    this many times longer."""
    level: float = Field(0.9, ge=0.5, le=0.99)
    """Probability that the class set of a pixel contains its class, for the band set_size; a
    multiple of 0.01."""

    @field_validator("level")
    @classmethod
    def _in_percent(cls, value: float) -> float:
        if abs(100 * value - round(100 * value)) > 1e-6:
            raise ValueError(f"found {value}, allowed: a multiple of 0.01, for example 0.9")
        return value

    @property
    def percent(self) -> int:
        """The level in percent."""
        return round(100 * self.level)
