"""Method ``cropmix+classifmix``, for comparison only: ``cropmix`` and the baseline's map."""

from __future__ import annotations

import numpy as np

from oso_pipeline.adaptation.cropmix import anchored, past_of_cropmix
from oso_pipeline.adaptation.diagnosis import Diagnosis
from oso_pipeline.adaptation.domains import Domains, Trainer
from oso_pipeline.adaptation.methods import Adapted, counts_of


def classifmix(domains: Domains, diagnosis: Diagnosis, trainer: Trainer) -> Adapted:
    """Train as ``cropmix``, plus all target samples that the baseline takes for annual classes."""
    past, classes = past_of_cropmix(domains), diagnosis.baseline.forest.classes
    predicted = classes[diagnosis.target_shares.argmax(axis=1)]
    kept = ~np.isin(predicted, anchored(domains))
    kept &= ~np.isin(domains.target_polygons, np.unique(domains.anchors.polygons))
    features = np.concatenate([past.features, domains.target[kept], domains.anchors.features])
    codes = np.concatenate([past.codes, predicted[kept], domains.anchors.codes])
    forest = trainer.bagged("classifmix", features, codes).forest
    return Adapted(forest, pseudo_labels=counts_of(predicted[kept]), without_past=anchored(domains))
