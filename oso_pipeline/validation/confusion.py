"""Confusion matrices and the scores that follow from them.

Scores are computed on arrays with any leading axes, so that thousands of resampled matrices
cost one call. A score that has no meaning is NaN in arrays and None (``null``) in files, never
0 or 1: precision where a class was never predicted, recall where the reference lacks it, the
F-score where both hold, kappa where one class is all there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Scores of one confusion matrix or of a stack of them; NaN where undefined.

    Parameters
    ----------
    overall_accuracy, kappa
        Shape ``[...]``.
    precision, recall, f_score
        Shape ``[..., class]``.
    """

    overall_accuracy: Floats
    kappa: Floats
    precision: Floats
    recall: Floats
    f_score: Floats


def scores(counts: npt.ArrayLike) -> Scores:
    """Return the scores of matrices of shape ``[..., reference, prediction]``.

    With the total ``n``, the share of agreement ``p_o`` and the agreement by chance
    ``p_e = sum(row * column) / n**2``, kappa is ``(p_o - p_e) / (1 - p_e)`` (Cohen 1960). The
    F-score is ``2 TP / (2 TP + FP + FN)``, the harmonic mean of precision and recall.

    Examples
    --------
    >>> round(float(scores([[8, 2], [1, 9]]).overall_accuracy), 3)
    0.85
    """
    matrix = np.asarray(counts, dtype=np.float64)
    agreed = np.diagonal(matrix, axis1=-2, axis2=-1)
    reference, predicted = matrix.sum(axis=-1), matrix.sum(axis=-2)
    total = reference.sum(axis=-1)
    overall = _ratio(agreed.sum(axis=-1), total)
    chance = _ratio((reference * predicted).sum(axis=-1), total**2)
    return Scores(
        overall_accuracy=overall,
        kappa=_ratio(overall - chance, 1 - chance),
        precision=_ratio(agreed, predicted),
        recall=_ratio(agreed, reference),
        f_score=_ratio(2 * agreed, reference + predicted),
    )


@dataclass(frozen=True)
class Confusion:
    """Pixels counted by the class of the reference and the class of the prediction.

    Parameters
    ----------
    codes
        Codes of the classes, ascending.
    counts
        Pixels, shape ``[reference, prediction]``, in the order of `codes`.
    """

    codes: tuple[int, ...]
    counts: Counts

    def __post_init__(self) -> None:
        if self.counts.shape != (len(self.codes),) * 2:
            raise ValueError(f"{len(self.codes)} classes do not fit a matrix {self.counts.shape}")

    @classmethod
    def of(
        cls, codes: Sequence[int], reference: npt.ArrayLike, predicted: npt.ArrayLike
    ) -> Confusion:
        """Count pairs of codes; ValueError for a code that is not among `codes`."""
        ordered = tuple(sorted(codes))
        cells = positions(ordered, reference) * len(ordered) + positions(ordered, predicted)
        counts = np.bincount(cells, minlength=len(ordered) ** 2)
        return cls(ordered, counts.reshape(len(ordered), -1).astype(np.int64))

    @cached_property
    def scores(self) -> Scores:
        """The scores of the matrix."""
        return scores(self.counts)

    @property
    def total(self) -> int:
        """Number of pixels."""
        return int(self.counts.sum())

    def aggregated(self, mapping: Mapping[int, int]) -> Confusion:
        """Return the matrix of the classes that `mapping` turns the codes into.

        Raises
        ------
        ValueError
            Where a class with pixels has no counterpart.
        """
        used = self.counts.sum(axis=0) + self.counts.sum(axis=1) > 0
        lost = [code for code, u in zip(self.codes, used, strict=True) if u and code not in mapping]
        if lost:
            raise ValueError(f"classes {lost} have no counterpart to be aggregated to")
        parents = tuple(sorted({mapping[code] for code in self.codes if code in mapping}))
        belongs = np.zeros((len(parents), len(self.codes)), dtype=np.int64)
        for column, code in enumerate(self.codes):
            if code in mapping:
                belongs[parents.index(mapping[code]), column] = 1
        return Confusion(parents, belongs @ self.counts @ belongs.T)


def positions(codes: Sequence[int], values: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """Return the place of each value in the ascending `codes`; ValueError where it has none."""
    ordered, wanted = np.asarray(codes, dtype=np.int64), np.asarray(values, dtype=np.int64)
    found = np.searchsorted(ordered, wanted)
    known = np.isin(wanted, ordered)
    if not known.all():
        raise ValueError(f"codes {np.unique(wanted[~known])[:10].tolist()} are not classes")
    return found


def _ratio(above: Floats, below: Floats) -> Floats:
    """Divide; NaN where the divisor is 0."""
    undefined = np.full(np.broadcast_shapes(np.shape(above), np.shape(below)), np.nan)
    return np.divide(above, below, out=undefined, where=np.asarray(below) > 0)
