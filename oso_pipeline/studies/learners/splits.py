"""Which samples train and which are held out: whole polygons, regions or years."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.core.wording import counted
from oso_pipeline.learning.label_check import assign_folds
from oso_pipeline.studies.learners.samples import LabelledSamples

Rows = npt.NDArray[np.intp]
QUADRANT = "quadrant"
"""Column that samples with coordinates always have: quarters of equal size by place."""
_SHOWN = 12


@dataclass(frozen=True, eq=False)
class Split:
    """Rows that train, rows that are held out.

    Parameters
    ----------
    part
        Fold, or value of the column that is left out.
    train, test
        Rows of the samples; no polygon is in both.
    """

    part: str
    train: Rows
    test: Rows


@dataclass(frozen=True, eq=False)
class Plan:
    """One way to hold samples out; every sample of a repetition is held out at most once.

    Parameters
    ----------
    name
        How it is shown.
    repetitions
        Splits of each seed.
    by_column
        Whether the parts are regions, years or the like.
    """

    name: str
    repetitions: tuple[tuple[Split, ...], ...]
    by_column: bool = False


def folds_plan(samples: LabelledSamples, folds: int, seeds: int) -> Plan:
    """Return folds of whole polygons, class by class; other ones for each seed."""
    repetitions = []
    for seed in range(seeds):
        fold = assign_folds(samples.polygons, samples.codes, folds, seed)
        repetitions.append(
            tuple(
                Split(str(number), np.flatnonzero(fold != number), np.flatnonzero(fold == number))
                for number in range(folds)
            )
        )
    return Plan(f"{folds} folds of whole polygons", tuple(repetitions))


def column_plan(
    samples: LabelledSamples, column: str, seeds: int, problems: Problems
) -> Plan | None:
    """Return splits that leave out one value of a column after the other.

    A polygon with samples of the value trains nothing. None after an error: no such column
    (``E-TABLE-COLUMN``), or one value only (``E-LEARNERS-SPLIT``). A value without which the
    others show one class only is not held out (``W-LEARNERS-SPLIT``).
    """
    known = columns_of(samples)
    if column not in known:
        problems.error(
            "E-TABLE-COLUMN",
            f"--leave-out: there is no column {column}; there are {', '.join(known)}",
            None,
            "name a column with regions, years or tiles",
        )
        return None
    values, splits = known[column], []
    found = np.unique(values)
    for value in found:
        test = values == value
        train = ~test & ~np.isin(samples.polygons, samples.polygons[test])
        if len(np.unique(samples.codes[train])) < 2:
            problems.warn(
                "W-LEARNERS-SPLIT",
                f"--leave-out {column}: without {value} the others show fewer than two classes, it "
                "is not held out",
            )
            continue
        splits.append(Split(str(value), np.flatnonzero(train), np.flatnonzero(test)))
    if len(found) < 2 or not splits:
        listed = ", ".join(found[:_SHOWN])
        problems.error(
            "E-LEARNERS-SPLIT",
            f"--leave-out {column}: {counted(len(found), 'value')} ({listed}), nothing can be held "
            "out",
            None,
            "name a column with two values or more, each of which several classes have",
        )
        return None
    return Plan(f"{column} left out", (tuple(splits),) * seeds, by_column=True)


def columns_of(samples: LabelledSamples) -> dict[str, npt.NDArray[np.str_]]:
    """Return the columns that samples may be left out by, with the quadrants where they can be."""
    columns = dict(samples.columns)
    if samples.coordinates is not None:
        columns[QUADRANT] = quadrants(samples.coordinates, samples.polygons)
    return columns


def quadrants(
    coordinates: npt.NDArray[np.float64], polygons: npt.NDArray[np.int64]
) -> npt.NDArray[np.str_]:
    """Return quarters of polygons by place: halves by x, each in halves by y.

    Parameters
    ----------
    coordinates
        Shape ``(sample, 2)``.
    polygons
        Shape ``(sample,)``; a polygon lies where the mean of its samples does.

    Examples
    --------
    >>> quadrants(np.array([[0.0, 0], [0, 9], [9, 0], [9, 9]]), np.arange(4)).tolist()
    ['west south', 'west north', 'east south', 'east north']
    """
    _, of_sample, sizes = np.unique(polygons, return_inverse=True, return_counts=True)
    x, y = (np.bincount(of_sample, weights=axis) / sizes for axis in coordinates.T)
    east = x > np.median(x)
    north = np.empty(len(x), np.bool_)
    for side in (east, ~east):
        if side.any():
            north[side] = y[side] > np.median(y[side])
    names = np.char.add(np.where(east, "east ", "west "), np.where(north, "north", "south"))
    return np.asarray(names[of_sample], np.str_)


def refuse_few(samples: LabelledSamples, folds: int, before: Sequence[str]) -> None:
    """Raise InputDataError (``E-LEARNERS-CLASSES``) unless two classes are left.

    Parameters
    ----------
    samples
        Those of the classes with a polygon for each fold.
    folds
        How many folds there are.
    before
        Names of the classes of all samples.
    """
    problems = Problems()
    if len(samples.classes) < 2:
        problems.error(
            "E-LEARNERS-CLASSES",
            f"{counted(len(samples.classes), 'class', 'classes')} of {len(before)} "
            f"({', '.join(before[:_SHOWN])}) with {folds} polygons or more; a comparison needs two",
            None,
            "give samples of more polygons, or fewer --folds",
        )
    problems.raise_errors(InputDataError)
