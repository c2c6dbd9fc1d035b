"""Method ``aligned``: the jittered forest, moved to where the target year is."""

from __future__ import annotations

from oso_pipeline.adaptation.diagnosis import Diagnosis
from oso_pipeline.adaptation.domains import Domains, Trainer
from oso_pipeline.adaptation.jitter import jittered_forest
from oso_pipeline.adaptation.methods import Adapted


def aligned(domains: Domains, diagnosis: Diagnosis, trainer: Trainer) -> Adapted:
    """Train on copies of the past years, delayed by draws from the posterior of the shift.

    Moving what trains instead of what is mapped leaves the pixels of the map untouched and
    needs one pass; drawing delays from the posterior lets the trees vote over it.
    """
    return Adapted(jittered_forest("aligned", domains.source, diagnosis.shift, trainer))
