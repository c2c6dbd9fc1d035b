"""Labels and groups of samples, as scikit-learn takes them, and as codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d

from oso_pipeline.core.nomenclature import GREATEST_CODE
from oso_pipeline.studies.series.faults import listed, refuse, refuse_name

Labels = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Legend:
    """Labels and the codes that stand for them in a model.

    Parameters
    ----------
    labels
        All labels, ascending.
    codes
        Code of each, 1 to 65535, ascending, int32: whole numbers in that range are their own code.
    """

    labels: Labels
    codes: npt.NDArray[np.int32]

    @classmethod
    def of(cls, labels: Labels) -> Legend:
        """Return the legend of labels, each of which may occur often.

        Raises
        ------
        InputDataError
            If there are fewer than two (``E-SERIES-CLASSES``).
        """
        known = np.unique(labels)
        if len(known) < 2:
            refuse(
                "E-SERIES-CLASSES",
                f"labels show one class only, {listed(known)}; a classifier needs two",
                "add samples of other classes",
            )
        if known.dtype.kind in "iu" and known[0] >= 1 and known[-1] <= GREATEST_CODE:
            return cls(known, known.astype(np.int32))
        return cls(known, np.arange(1, len(known) + 1, dtype=np.int32))

    def encoded(self, labels: Labels) -> npt.NDArray[np.int32]:
        """Return the code of each label, all of them known."""
        return self.codes[np.searchsorted(self.labels, labels)]

    def decoded(self, codes: npt.NDArray[np.integer]) -> Labels:
        """Return the label of each code, all of them known."""
        return self.labels[np.searchsorted(self.codes, codes)]

    def known(self, labels: Iterable[Any]) -> npt.NDArray[np.int32]:
        """Return the codes of perennial labels; UnknownName (``E-SERIES-PERENNIAL``) for others."""
        texts, there = [str(label) for label in labels], self.labels.astype(str)
        if missing := sorted(set(texts) - set(there)):
            refuse_name(
                "E-SERIES-PERENNIAL",
                f"no sample is labelled {listed(missing)}, labels are {listed(there)}",
                "name labels of the samples",
            )
        return self.codes[np.isin(there, texts)]

    @property
    def names(self) -> dict[int, str]:
        """The label of each code, as text."""
        pairs = zip(self.codes.tolist(), self.labels, strict=True)
        return {code: str(label) for code, label in pairs}


def class_labels(y: Any, n_samples: int) -> Labels:
    """Return the labels of samples after a check, shape ``(sample,)``.

    Raises
    ------
    InputDataError
        If they are not as many as the samples, or some are missing (``E-SERIES-LABELS``).
    ValueError
        If scikit-learn refuses them, as it does numbers that are not classes.
    """
    if y is None:
        refuse(
            "E-SERIES-LABELS",
            "training requires y to be passed, but the target y is None",
            "give a label for each sample",
        )
    labels = column_or_1d(_plain(y), warn=True)
    if labels.dtype.kind in "fc":
        check_array(labels, ensure_2d=False, dtype=None, input_name="y")
    if (missing := unlabelled(labels)).any():
        refuse(
            "E-SERIES-LABELS",
            f"{int(missing.sum())} of {len(labels)} samples have no label, first in row "
            f"{int(np.argmax(missing))}",
            "leave them out, or give them as `target` where they are of the year to be mapped",
        )
    _refuse_length("labels", labels, n_samples)
    if labels.dtype == object and len({isinstance(label, str) for label in labels}) > 1:
        refuse("E-SERIES-LABELS", "labels are texts and numbers", "give labels of one kind")
    check_classification_targets(labels)
    return labels


def partly_labelled(y: Any, n_samples: int) -> tuple[Labels, npt.NDArray[np.bool_]]:
    """Return labels some of which may be missing, and which samples have one."""
    if y is None:
        return np.zeros(n_samples, object), np.zeros(n_samples, np.bool_)
    labels = column_or_1d(_plain(y))
    _refuse_length("labels of the target", labels, n_samples)
    return labels, ~unlabelled(labels)


def unlabelled(labels: Labels) -> npt.NDArray[np.bool_]:
    """Tell which labels are missing: None, NaN or an empty text."""
    missing = np.asarray(pd.isna(labels), np.bool_)
    if labels.dtype.kind in "OUST":
        missing |= labels.astype(str) == ""
    return missing


def group_names(groups: Any, n_samples: int, what: str = "groups") -> Labels:
    """Return the group of each sample; each sample its own where None is given.

    Raises
    ------
    InputDataError
        If they are not as many as the samples, or some are missing (``E-SERIES-GROUPS``).
    """
    if groups is None:
        return np.arange(n_samples)
    names = column_or_1d(_plain(groups))
    _refuse_length(what, names, n_samples)
    if (missing := unlabelled(names)).any():
        refuse(
            "E-SERIES-GROUPS",
            f"{what}: {int(missing.sum())} of {n_samples} samples are in none, first in row "
            f"{int(np.argmax(missing))}",
            "give every sample the polygon in which it lies",
        )
    return names


def numbered(*names: Labels) -> list[npt.NDArray[np.int64]]:
    """Return names as numbers: the same number for the same name in all of the arrays."""
    texts = [one.astype(str) for one in names]
    numbers = np.unique(np.concatenate(texts), return_inverse=True)[1].astype(np.int64)
    return np.split(numbers, np.cumsum([len(one) for one in names])[:-1])


def refuse_cut(parts: Labels, whole: Labels, names: tuple[str, str]) -> None:
    """Raise InputDataError (``E-SERIES-CUT``) where one of `whole` lies in several `parts`.

    Parameters
    ----------
    parts, whole
        Of each sample, for example its fold and its polygon.
    names
        How to name the two in messages.
    """
    (part, one) = (
        np.unique(values.astype(str), return_inverse=True)[1] for values in (parts, whole)
    )
    pairs = np.unique(np.stack([one, part]), axis=1)[0]
    cut, counts = np.unique(pairs, return_counts=True)
    if (counts > 1).any():
        shown = np.unique(whole.astype(str))[cut[counts > 1]]
        refuse(
            "E-SERIES-CUT",
            f"{names[1]} {listed(shown)} lies in more than one {names[0]}; "
            f"{len(shown)} of {len(cut)} are cut",
            f"give all samples of a {names[1]} the same {names[0]}",
        )


def refuse_folds(folds: int, groups: Labels) -> None:
    """Raise InputDataError (``E-SERIES-FOLDS``) unless each fold can have a group."""
    n_groups = len(np.unique(groups.astype(str)))
    if not 2 <= folds <= n_groups:
        refuse(
            "E-SERIES-FOLDS",
            f"{folds} folds requested, expected 2 to {n_groups}, the number of groups",
            "ask for other folds, or add groups",
        )


def _plain(values: Any) -> Any:
    """Return columns of pandas as NumPy does: nullable and categorical ones as objects."""
    if isinstance(values, pd.Series | pd.Index) and not isinstance(values.dtype, np.dtype):
        found = values.astype(object).to_numpy(copy=True)
        if not (missing := pd.isna(found)).any():
            return np.array([*found])
        found[missing] = None
        return found
    return values


def _refuse_length(what: str, values: Mapping[Any, Any] | Labels, n_samples: int) -> None:
    if len(values) != n_samples:
        refuse(
            "E-SERIES-LENGTH",
            f"Found input variables with inconsistent numbers of samples: {n_samples} rows, "
            f"{len(values)} {what}",
            "give one for each row; a table has a row for each sample, so see whether it is "
            "transposed",
        )
