"""The mean of learners as a learner."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from oso_pipeline.config.learning import LearnerSettings
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.learners.mean.classifier import MeanClassifier, MemberClassifier
from oso_pipeline.learners.mean.settings import KIND, MeanSettings
from oso_pipeline.learners.protocol import Extent, Learner, Need, TrainingData
from oso_pipeline.learners.registry import late_settings, learner_of

_SECONDS_PER_CLASS = 5e-9
"""To add the probability of a class of a pixel, and to find the largest sum; measured."""


class MeanLearner:
    """Trains each member on the same pixels, with a seed of its own."""

    kind = KIND
    classifier = MeanClassifier
    late_settings = frozenset({"weights"})

    def fit(
        self, data: TrainingData, settings: MeanSettings, seed: int, threads: int = 1
    ) -> MeanClassifier:
        """Train one member after the other."""
        members = []
        for number, one in enumerate(settings.members):
            own = derived_seed(seed, KIND, number)
            late = late_settings(one)
            made = learner_of(one.kind).fit(data, one, own, threads)
            members.append(MemberClassifier(made.with_settings(late), late))
        return MeanClassifier(tuple(members), settings.weights)

    def training_need(self, extent: Extent, settings: MeanSettings) -> Need:
        """Return the sum of the members in time and disk space, the largest of them in memory."""
        needs = _needs(settings, lambda learner, one: learner.training_need(extent, one))
        return Need(
            seconds=sum(one.seconds for one in needs),
            fixed_bytes=max(one.fixed_bytes for one in needs),
            disk_bytes=sum(one.disk_bytes for one in needs),
        )

    def classifying_need(self, extent: Extent, settings: MeanSettings) -> Need:
        """Return the sum of the members; all are in memory, and one computes at a time."""
        needs = _needs(settings, lambda learner, one: learner.classifying_need(extent, one))
        adding = len(needs) * extent.classes * _SECONDS_PER_CLASS
        return Need(
            seconds=sum(one.seconds for one in needs) + adding,
            fixed_bytes=sum(one.fixed_bytes for one in needs),
            # The probabilities of a member, and their sum, in float64.
            pixel_bytes=max(one.pixel_bytes for one in needs) + 16 * extent.classes,
        )

    def software(self, settings: MeanSettings) -> Sequence[str]:
        """Return the distributions of all members."""
        found = (learner_of(one.kind).software(one) for one in settings.members)
        return tuple(dict.fromkeys(name for names in found for name in names))


LEARNER = MeanLearner()
"""The member of the plug-in."""


def _needs(settings: MeanSettings, need: Callable[[Learner, LearnerSettings], Need]) -> list[Need]:
    return [need(learner_of(one.kind), one) for one in settings.members]
