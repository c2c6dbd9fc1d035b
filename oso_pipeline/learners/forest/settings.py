"""Settings of random forests: the keys of section ``learning`` of kind ``forest``."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from oso_pipeline.config.learning import LearnerSettings

Splitter = Literal["best", "extra"]
"""Thresholds that a node looks at."""

Vote = Literal["hard", "soft"]
"""Contribution of a tree: one vote for the largest class of the leaf, or its shares."""


class ForestSettings(LearnerSettings):
    """A random forest, compiled from training to the map."""

    adaptable: ClassVar[bool] = True

    kind: Literal["forest"] = "forest"
    """The learner."""
    n_trees: int = Field(100, ge=1, le=2000)
    """Number of trees."""
    max_depth: int = Field(25, ge=1, le=60)
    """Maximum depth of a tree."""
    min_samples_leaf: int = Field(5, ge=1)
    """Minimum number of samples in a leaf."""
    max_features: Literal["sqrt", "log2"] | Annotated[float, Field(gt=0, le=1)] = "sqrt"
    """Features tried at each split."""
    splitter: Splitter = "best"
    """best: the best threshold of each feature tried, each tree on a bootstrap sample (random
    forest). extra: a random threshold of each feature tried, the best of these, each tree on all
    samples (extremely randomised trees); trains faster, has more nodes."""
    engine: Literal["histogram", "sklearn"] = "histogram"
    """Engine that grows the trees. histogram: compiled, splits between at most 256 bins per
    feature; several times faster. sklearn: scikit-learn, splits between all values."""
    vote: Vote = "hard"
    """hard: each tree has one vote, for the largest class of the leaf; confidence is the share of
    the trees. soft: each tree votes with the class shares of its leaf; confidence is their mean, as
    the probability of scikit-learn. A model can be used with both."""

    @model_serializer(mode="wrap")
    def _as_ever(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave the best splits out: keys are what they were before there was a choice."""
        content: dict[str, Any] = handler(self)
        if content.get("splitter") == "best":
            del content["splitter"]
        return content
