"""Which predictions for the target year are trusted enough to teach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oso_pipeline.adaptation.domains import Codes, Domains, Floats
from oso_pipeline.adaptation.options import AdaptationOptions


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """Predictions taken as labels.

    Parameters
    ----------
    codes
        Predicted class of each target sample, int32.
    kept
        Whether it teaches, bool.
    agreement
        Share of the samples on whose class the two views agree; None with one view.
    """

    codes: Codes
    kept: npt.NDArray[np.bool_]
    agreement: float | None


def select_pseudo_labels(
    domains: Domains,
    shares: Floats,
    classes: Codes,
    second_view: Codes | None,
    options: AdaptationOptions,
) -> PseudoLabels:
    """Choose, class by class, the surest predictions on which both views agree.

    Where anchors teach the perennial classes, only annual classes are learnt from predictions,
    and never within a polygon whose label is known.

    Parameters
    ----------
    domains
        Source, target and anchors.
    shares
        Predictions of the teacher for the target, shape ``(sample, class)``.
    classes
        Its classes.
    second_view
        Classes that another forest predicts; None if agreement is not required.
    options
        Share of the samples kept.
    """
    best = shares.argmax(axis=1)
    codes = classes[best]
    kept = surest(best, margins(shares), options.pseudo_label_fraction)
    agreement = None
    if second_view is not None:
        kept &= codes == second_view
        agreement = float((codes == second_view).mean())
    if len(domains.anchors):
        kept &= ~domains.is_perennial(codes)
        kept &= ~np.isin(domains.target_polygons, np.unique(domains.anchors.polygons))
    return PseudoLabels(codes, kept, agreement)


def margins(shares: Floats) -> Floats:
    """Return how far the largest share lies above the second, shape ``(sample,)``."""
    if shares.shape[1] == 1:
        return shares[:, 0]
    second, first = np.partition(shares, -2, axis=1)[:, -2:].T
    return np.asarray(first - second)


def surest(label: npt.NDArray[np.intp], margin: Floats, fraction: float) -> npt.NDArray[np.bool_]:
    """Return the samples with the largest margins of each label, ties in their order.

    Examples
    --------
    >>> surest(np.array([0, 0, 1, 1]), np.array([0.1, 0.9, 0.5, 0.2]), 0.5)
    array([False,  True,  True, False])
    """
    order = np.lexsort((-margin, label))
    starts = np.searchsorted(label[order], label)
    rank = np.empty(len(label), np.int64)
    rank[order] = np.arange(len(label))
    counts = np.bincount(label)[label]
    return rank - starts < np.ceil(fraction * counts)
