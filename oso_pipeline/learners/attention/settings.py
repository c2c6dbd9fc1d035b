"""Settings of attention over dates: the keys of section ``learning`` of kind ``attention``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from oso_pipeline.config.learning import LearnerSettings


class AttentionSettings(LearnerSettings):
    """A small network that attends to the dates of the series; training needs the extra `deep`."""

    kind: Literal["attention"] = "attention"
    """The learner."""
    members: int = Field(3, ge=1, le=20)
    """Networks, each with its own start; their probabilities are averaged. Time grows in step, in
    training and per pixel."""
    heads: int = Field(16, ge=4, le=64, multiple_of=4)
    """Attention heads: weightings of the dates that a network learns; a multiple of 4."""
    width: int = Field(128, ge=16, le=1024)
    """Numbers that describe a series after attention; a multiple of 4 `heads`."""
    hidden: tuple[int, ...] = Field((128, 64), min_length=2, max_length=2)
    """Neurons of the two layers between them and the classes, from 4 to 1024, multiples of 4."""
    epochs: int = Field(40, ge=1, le=1000)
    """Passes over the training pixels, at most."""
    batch: int = Field(64, ge=8, le=65536)
    """Pixels of a step at least; large sets are taken in larger steps, see `steps`."""
    steps: int = Field(1000, ge=1)
    """Steps of a pass at most."""
    learning_rate: float = Field(2e-3, gt=0, le=1)
    """Highest learning rate; it rises over the first tenth of the steps and falls to 0."""
    hold_out: float = Field(0.1, ge=0, le=0.5)
    """Share of the polygons that each network is not trained on, other ones for each: the pass that
    predicts them best is kept. 0: the last."""
    class_weights: Literal["none", "root", "full"] = "none"
    """How much rare classes count more: not; by the root of their rarity; all classes alike."""

    @model_validator(mode="after")
    def _width_is_shared_by_heads(self) -> AttentionSettings:
        if self.width % (4 * self.heads):
            found = f"width is {self.width} with {self.heads} heads"
            raise ValueError(f"{found}, expected a multiple of {4 * self.heads}")
        if not all(4 <= size <= 1024 and size % 4 == 0 for size in self.hidden):
            raise ValueError(f"hidden is {list(self.hidden)}, expected multiples of 4 up to 1024")
        return self
