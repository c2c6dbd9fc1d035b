"""Settings of random forests: the keys of section ``learning`` of kind ``forest``."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from oso_pipeline.config.learning import LearnerSettings

Splitter = Literal["best", "extra"]
"""Thresholds that a node looks at."""

Vote = Literal["hard", "soft"]
"""Contribution of a tree: one vote for the largest class of the leaf, or its shares."""


FEW_SAMPLES = 500
"""With fewer samples of some class, single samples may have leaves of their own."""
LEAF_OF_MANY = 5


class Grown(NamedTuple):
    """How the trees of a forest are grown."""

    splitter: Splitter
    leaf: int


class ForestSettings(LearnerSettings):
    """A random forest, compiled from training to the map."""

    adaptable: ClassVar[bool] = True

    kind: Literal["forest"] = "forest"
    """The learner."""
    n_trees: int = Field(100, ge=1, le=2000)
    """Number of trees."""
    max_depth: int = Field(25, ge=1, le=60)
    """Maximum depth of a tree."""
    min_samples_leaf: Annotated[int, Field(ge=1)] | Literal["auto"] = 5
    """Minimum number of samples in a leaf. auto: 1 where some class has fewer than 500 samples or
    splits are random, else 5."""
    max_features: Literal["sqrt", "log2"] | Annotated[float, Field(gt=0, le=1)] = "sqrt"
    """Features tried at each split."""
    splitter: Splitter | Literal["auto"] = "best"
    """best: the best threshold of each feature tried, each tree on a bootstrap sample (random
    forest). extra: a random threshold of each feature tried, the best of these, each tree on all
    samples (extremely randomised trees); trains as fast, has more nodes. auto: extra where some
    class has fewer than 500 samples, `min_samples_leaf` is auto and every sample counts alike;
    else best."""
    engine: Literal["histogram", "sklearn"] = "histogram"
    """Engine that grows the trees. histogram: compiled, splits between at most 256 bins per
    feature; several times faster. sklearn: scikit-learn, splits between all values."""
    vote: Vote = "hard"
    """hard: each tree has one vote, for the largest class of the leaf; confidence is the share of
    the trees. soft: each tree votes with the class shares of its leaf; confidence is their mean, as
    the probability of scikit-learn. A model can be used with both."""

    def grown(self, smallest: int, alike: bool) -> Grown:
        """Return the splits and the leaf of a forest.

        Parameters
        ----------
        smallest
            Samples of the rarest class.
        alike
            Whether all samples may be given to every tree: they have no weights, and nobody asks
            for trees that have not seen a sample.
        """
        few, splitter, leaf = smallest < FEW_SAMPLES, self.splitter, self.min_samples_leaf
        if splitter == "auto":
            splitter = "extra" if few and alike and leaf == "auto" else "best"
        if leaf == "auto":
            leaf = 1 if few or splitter == "extra" else LEAF_OF_MANY
        return Grown(splitter, leaf)

    @model_serializer(mode="wrap")
    def _as_ever(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave the best splits out: keys are what they were before there was a choice."""
        content: dict[str, Any] = handler(self)
        if content.get("splitter") == "best":
            del content["splitter"]
        return content
