"""Method ``none``: the forest of the past years as it is."""

from __future__ import annotations

from oso_pipeline.adaptation.diagnosis import Diagnosis
from oso_pipeline.adaptation.domains import Domains, Trainer
from oso_pipeline.adaptation.methods import Adapted


def none(domains: Domains, diagnosis: Diagnosis, trainer: Trainer) -> Adapted:
    """Return the baseline."""
    return Adapted(diagnosis.baseline.forest)
