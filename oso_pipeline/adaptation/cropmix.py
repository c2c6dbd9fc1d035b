"""Method ``cropmix``, for comparison only: annual classes from past years, the others from now.

Measured to do harm: the year becomes the mark of a class, since all that was imaged in the
target year looks perennial. Offered to be measured against.
"""

from __future__ import annotations

import numpy as np

from oso_pipeline.adaptation.diagnosis import Diagnosis
from oso_pipeline.adaptation.domains import Domains, Labelled, Trainer
from oso_pipeline.adaptation.methods import Adapted


def cropmix(domains: Domains, diagnosis: Diagnosis, trainer: Trainer) -> Adapted:
    """Train on both years, each class from one of them."""
    past = past_of_cropmix(domains)
    features = np.concatenate([past.features, domains.anchors.features])
    codes = np.concatenate([past.codes, domains.anchors.codes])
    return Adapted(
        trainer.bagged("cropmix", features, codes).forest, without_past=anchored(domains)
    )


def past_of_cropmix(domains: Domains) -> Labelled:
    """Return the past samples of all classes without anchors."""
    return domains.source.where(~np.isin(domains.source.codes, anchored(domains)))


def anchored(domains: Domains) -> tuple[int, ...]:
    """Return the perennial classes that have anchors."""
    return tuple(sorted(set(domains.anchors.codes.tolist()) & domains.perennial))
