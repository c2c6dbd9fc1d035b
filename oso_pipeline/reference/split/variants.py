"""Train variants: which rows train each forest, and which it is evaluated on.

Repeated splits have the variants ``run0``, ``run1``, ...; the first makes the map.
Cross-validation has ``fold0``, ``fold1``, ... trained without their fold, and ``map``,
trained with all polygons.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from oso_pipeline.config.model import Config
from oso_pipeline.core.sides import TRAIN, VALIDATION
from oso_pipeline.reference.split.split import IN_NO_FOLD

WHOLE = "map"
"""Variant of a cross-validation that sees all polygons."""

Mask = npt.NDArray[np.bool_]


class Columns(Protocol):
    """A table with named columns: one of Arrow or of pandas."""

    def __len__(self) -> int: ...

    def __getitem__(self, name: str, /) -> Any: ...


def variants(config: Config) -> tuple[str, ...]:
    """Return the names of all forests to train, that of the map first.

    Examples
    --------
    >>> variants(config)  # with validation.folds: 2  # doctest: +SKIP
    ('map', 'fold0', 'fold1')
    """
    if config.validation.folds is not None:
        return (WHOLE, *(f"fold{number}" for number in range(config.validation.folds)))
    return tuple(f"run{number}" for number in range(config.validation.runs))


def map_variant(config: Config) -> str:
    """Return the name of the forest that makes the map."""
    return variants(config)[0]


def split_columns(config: Config) -> tuple[str, ...]:
    """Return the columns of reference and samples that say how polygons are split."""
    if config.validation.folds is not None:
        return ("fold",)
    return tuple(f"split_{number}" for number in range(config.validation.runs))


def training_rows(table: Columns, variant: str) -> Mask:
    """Return which rows of `table` train `variant`, shape ``(rows,)``.

    Parameters
    ----------
    table
        Polygons or samples with the columns of :func:`split_columns`.
    variant
        One of :func:`variants`.
    """
    if variant == WHOLE:
        return np.ones(len(table), bool)
    column, value = _column(variant)
    if column == "fold":
        folds = _values(table, column)
        return np.asarray((folds != value) & (folds != IN_NO_FOLD))
    return _values(table, column) == TRAIN


def validation_rows(table: Columns, variant: str) -> Mask:
    """Return the validation rows of `variant` in `table`, shape ``(rows,)``; none for ``map``."""
    if variant == WHOLE:
        return np.zeros(len(table), bool)
    column, value = _column(variant)
    return _values(table, column) == (value if column == "fold" else VALIDATION)


def column_of(variant: str) -> str:
    """Return the column of :func:`split_columns` that says which rows evaluate a variant."""
    return _column(variant)[0]


def _column(variant: str) -> tuple[str, int]:
    """Return the column that a variant looks at, and its number."""
    for prefix, column in (("fold", "fold"), ("run", "split_")):
        number = variant.removeprefix(prefix)
        if number != variant and number.isdigit():
            return ("fold" if prefix == "fold" else f"{column}{number}"), int(number)
    raise ValueError(f"{variant!r} is not a variant; variants are run<n>, fold<n> and {WHOLE}")


def _values(table: Columns, column: str) -> npt.NDArray[Any]:
    return np.asarray(table[column])
