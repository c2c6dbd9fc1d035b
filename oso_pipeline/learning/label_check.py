"""Labels of polygons to look at, because their time series contradict them.

Each polygon is assessed by forests that were not trained on it. Labels are doubted as in confident
learning (Northcutt, Jiang and Chuang 2021, J. Artif. Intell. Res. 70, section 3): another class
is more likely if its probability reaches the mean probability that polygons of that class get for
their own label. Here four fifths of that mean are enough if they are twice the probability of the
given label. The unit is the polygon, because the pixels of a field share its label.

Where a share of wrong labels is expected, about as many are listed, in the order of how much more
probable another class is than the given one. Wrong labels of one kind teach the forests their own
confusion, so all polygons are assessed a second time, by forests that did not learn from those
listed first, and this round decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.learning.training_set import TrainingSet

_TIMES, _SHARE = 2.0, 0.8
"""With one wrong label in five on 2433 surveyed fields of four crops, 91 % of the doubted labels
were wrong and 91 % of the wrong ones doubted; with 1 and 1, as published, 86 % and 83 %."""

_LISTED = 1.06
"""Labels listed per label expected to be wrong, as some of those listed are right."""

Floats = npt.NDArray[np.float64]
Classifier = Callable[
    [TrainingSet, npt.NDArray[np.int16], int], tuple[npt.NDArray[np.int32], Floats]
]
"""Trains on a set, with a seed, and returns its classes and the probabilities of other pixels,
shape ``(pixel, class)``, given their features, shape ``(pixel, feature)``."""


@dataclass(frozen=True, eq=False)
class LabelAssessment:
    """Assessment of the label of each polygon from its series.

    Parameters
    ----------
    polygon_id
        Polygons, ascending, int64, shape ``(polygon,)``.
    code
        Given label, int32, shape ``(polygon,)``.
    pixels
        Pixels used, int64, shape ``(polygon,)``.
    given
        Mean probability of the given label at these pixels, by forests that were not trained
        on the polygon, float64, shape ``(polygon,)``; NaN if they were trained without the class.
    likely_code
        Most probable label, int32, shape ``(polygon,)``: the given one unless it is doubted.
    likely
        Its mean probability.
    """

    polygon_id: npt.NDArray[np.int64]
    code: npt.NDArray[np.int32]
    pixels: npt.NDArray[np.int64]
    given: Floats
    likely_code: npt.NDArray[np.int32]
    likely: Floats

    @property
    def doubted(self) -> npt.NDArray[np.bool_]:
        """Polygons whose label is likely wrong, shape ``(polygon,)``."""
        return self.likely_code != self.code


def check_labels(
    known: TrainingSet,
    held_out: TrainingSet,
    folds: int,
    seed: int,
    classifier: Classifier,
    expected_share: float | None = None,
) -> LabelAssessment:
    """Assess the labels of training and validation polygons.

    Parameters
    ----------
    known
        Training pixels. Their polygons are assigned to `folds`, class by class; those of a fold
        are assessed by the forest of the other folds.
    held_out
        Pixels of the validation polygons, assessed by the mean of all these forests. They are
        never used for training, so they do not influence the map.
    folds
        At least 2.
    seed
        Seed of the folds and of the forests.
    classifier
        Trains a forest and predicts with it.
    expected_share
        Share of the labels to list; None lists those that are doubted on their own account.
    """
    rows = (
        np.concatenate([known.polygon_id, held_out.polygon_id]),
        np.concatenate([known.codes, held_out.codes]),
    )
    classes = np.unique(known.codes)
    probability = _probabilities(known, held_out, folds, seed, classifier)
    if expected_share is None:
        return assess(*rows, probability, classes)
    first = assess(*rows, probability, classes, expected_share)
    again = derived_seed(seed, "second round")
    suspected = first.polygon_id[first.doubted]
    second = _probabilities(known, held_out, folds, again, classifier, suspected)
    # A class may have no other polygon left.
    decisive = np.where(np.isnan(second), probability, second)
    return assess(*rows, decisive, classes, expected_share)


def _probabilities(
    known: TrainingSet,
    held_out: TrainingSet,
    folds: int,
    seed: int,
    classifier: Classifier,
    left_out: npt.NDArray[np.int64] | None = None,
) -> Floats:
    """Return the probabilities of the classes of `known` at all pixels, shape ``(pixel, class)``.

    Polygons in `left_out` teach no forest. NaN for a class that no forest knew.
    """
    classes = np.unique(known.codes)
    teaches = np.ones(len(known.codes), bool)
    if left_out is not None:
        teaches = ~np.isin(known.polygon_id, left_out)
    fold = assign_folds(known.polygon_id, known.codes, folds, seed)
    inside = np.full((len(known.codes), len(classes)), np.nan)
    outside = np.full((folds, len(held_out.codes), len(classes)), np.nan)
    for number in range(folds):
        others, own = (fold != number) & teaches, fold == number
        part = TrainingSet(known.features[others], known.codes[others], known.polygon_id[others])
        if not own.any() or len(np.unique(part.codes)) < 2:
            continue
        both = np.concatenate([known.features[own], held_out.features])
        found, share = classifier(part, both, derived_seed(seed, "label check", number))
        # The probability of a class that the other folds lack is unknown, not 0.
        aligned = np.full((len(both), len(classes)), np.nan)
        aligned[:, np.searchsorted(classes, found)] = share
        inside[own], outside[number] = np.split(aligned, [int(own.sum())])
    known_in = ~np.isnan(outside)
    mean = np.divide(
        np.where(known_in, outside, 0).sum(axis=0),
        known_in.sum(axis=0),
        out=np.full(outside.shape[1:], np.nan),
        where=known_in.any(axis=0),
    )
    return np.concatenate([inside, mean])


def assign_folds(
    polygon_id: npt.NDArray[np.int64], codes: npt.NDArray[np.int32], folds: int, seed: int
) -> npt.NDArray[np.int64]:
    """Return the fold of each pixel, shape ``(pixel,)``: whole polygons, class by class."""
    polygons, first, place = np.unique(polygon_id, return_index=True, return_inverse=True)
    fold = np.empty(len(polygons), np.int64)
    for code in np.unique(codes):
        members = np.flatnonzero(codes[first] == code)
        rng = np.random.default_rng(derived_seed(seed, "label folds", int(code)))
        fold[rng.permutation(members)] = (rng.integers(folds) + np.arange(len(members))) % folds
    return fold[place]


def assess(
    polygon_id: npt.NDArray[np.int64],
    codes: npt.NDArray[np.int32],
    probability: Floats,
    classes: npt.NDArray[np.int32],
    expected_share: float | None = None,
) -> LabelAssessment:
    """Assess each polygon from the probabilities of its pixels.

    Parameters
    ----------
    polygon_id, codes
        Polygon and given label of each pixel, shape ``(pixel,)``.
    probability
        Shape ``(pixel, class)``; NaN for a class that the forest was not trained on.
    classes
        Codes of the columns, ascending.
    expected_share
        Share of the assessed polygons to doubt; None doubts on their own account.
    """
    polygons, first, place, pixels = np.unique(
        polygon_id, return_index=True, return_inverse=True, return_counts=True
    )
    mean = np.zeros((len(polygons), len(classes)))
    np.add.at(mean, place, probability)
    mean /= pixels[:, np.newaxis]
    code = codes[first]
    column = np.searchsorted(classes, code).clip(max=len(classes) - 1)
    row = np.arange(len(polygons))
    given = np.where(classes[column] == code, mean[row, column], np.nan)
    if expected_share is None:
        likely = np.argmax(believed(mean, given, column), axis=1)
    else:
        likely = most_doubtful(mean, given, column, expected_share)
    assessed = ~np.isnan(given)
    likely_code = np.where(assessed, classes[likely], code).astype(np.int32)
    return LabelAssessment(
        polygons, code, pixels, given, likely_code, np.where(assessed, mean[row, likely], np.nan)
    )


def believed(mean: Floats, given: Floats, column: npt.NDArray[np.intp]) -> Floats:
    """Return probabilities where they count, -1 elsewhere; shape ``(polygon, class)``.

    Another class counts where it reaches `_SHARE` of the mean self-confidence of its polygons
    and is `_TIMES` as probable as the given one; the given class always counts.
    """
    sums, counts = np.zeros(mean.shape[1]), np.zeros(mean.shape[1])
    assessed = ~np.isnan(given)
    np.add.at(sums, column[assessed], given[assessed])
    np.add.at(counts, column[assessed], 1)
    threshold = np.divide(sums, counts, out=np.full(len(sums), np.inf), where=counts > 0)
    counted = (mean >= _SHARE * threshold) & (mean >= _TIMES * given[:, np.newaxis])
    result = np.where(counted, mean, -1.0)
    result[np.arange(len(mean)), column] = np.where(assessed, given, 0.0)
    return result


def most_doubtful(
    mean: Floats, given: Floats, column: npt.NDArray[np.intp], share: float
) -> npt.NDArray[np.intp]:
    """Return the column of the likely label: another one for a share of the assessed polygons.

    Those come first whose most probable other class exceeds the given one by most.
    """
    rows = np.arange(len(mean))
    others = np.nan_to_num(mean, nan=-1.0)
    others[rows, column] = -1.0
    other = others.argmax(axis=1)
    order = np.argsort(
        np.where(np.isnan(given), np.inf, given) - others[rows, other], kind="stable"
    )
    chosen = order[: round(_LISTED * share * int(np.isfinite(given).sum()))]
    likely = column.astype(np.intp)
    likely[chosen] = other[chosen]
    return likely
