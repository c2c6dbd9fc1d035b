"""Settings of the mean of learners: the keys of section ``learning`` of kind ``mean``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from oso_pipeline.config.learning import DEFAULT_KIND, OF_NO_LEARNER, LearnerSettings
from oso_pipeline.config.plugin_section import OfPlugins

KIND = "mean"
Member = Annotated[LearnerSettings, OfPlugins("learners", DEFAULT_KIND, without=(KIND,))]
"""Settings of a learner of any other kind; forest if `kind` is absent."""


class MeanSettings(LearnerSettings):
    """The mean of the probabilities of several learners."""

    model_config = ConfigDict(defer_build=True)

    kind: Literal["mean"] = "mean"
    """The learner."""
    members: tuple[Member, ...] = Field(min_length=1)
    """The learners, each with the keys of `learning` of its kind; all but `mean`."""
    weights: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    """Weight of each member, above 0; equal weights by default. A model can be used with others."""

    @model_validator(mode="after")
    def _consistent(self) -> MeanSettings:
        if self.weights is not None and len(self.weights) != len(self.members):
            raise ValueError(
                f"learning.weights: found {len(self.weights)}, expected one for each of the "
                f"{len(self.members)} members"
            )
        given = sorted(set(OF_NO_LEARNER) & {key for one in self.members for key in _set(one)})
        if given:
            raise ValueError(
                f"learning.members: {', '.join(given)} cannot be set of a member; set it in "
                "learning itself"
            )
        return self


def _set(member: LearnerSettings) -> set[str]:
    """Return the keys that differ from their defaults."""
    return {key for key in OF_NO_LEARNER if getattr(member, key)}
