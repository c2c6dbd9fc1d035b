"""The rows that train one model, taken from the samples of all tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.core.lowest_draws import LowestOfParts
from oso_pipeline.core.parquet_pieces import chosen_rows, pieces
from oso_pipeline.reference.split.variants import WHOLE, Columns, training_rows, validation_rows
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.task import Task
from oso_pipeline.timeseries.feature_layout import FeatureLayout

IMBALANCE = 100
"""A class with this many times fewer pixels than the largest one is worth a warning."""

_SHOWN = 10
RowsOf = Callable[[Columns, str], npt.NDArray[np.bool_]]
"""Returns which rows of a table train, or evaluate, a variant."""


@dataclass(frozen=True)
class Choice:
    """Which samples train a model.

    Parameters
    ----------
    variant, stratum
        Rows of that stratum that train that variant.
    columns
        Columns of the split of polygons.
    limit
        Most pixels per class; None takes all.
    without
        Polygons that are left out.
    """

    variant: str
    stratum: str
    columns: tuple[str, ...]
    limit: int | None
    without: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Features and labels of the training pixels.

    Parameters
    ----------
    features
        int16, shape ``(pixel, feature)``.
    codes
        Class of each pixel, int32, shape ``(pixel,)``.
    polygon_id
        Polygon of each pixel, int64, shape ``(pixel,)``.
    """

    features: npt.NDArray[np.int16]
    codes: npt.NDArray[np.int32]
    polygon_id: npt.NDArray[np.int64]

    @property
    def polygons(self) -> int:
        """Number of polygons the pixels come from."""
        return len(np.unique(self.polygon_id))

    @property
    def counts(self) -> dict[int, int]:
        """Pixels per class code, ascending."""
        codes, counts = np.unique(self.codes, return_counts=True)
        return {int(code): int(count) for code, count in zip(codes, counts, strict=True)}


def samples_of(tasks: Iterable[Task], output: int = 0) -> dict[str, Input]:
    """Return the files that tasks of stage ``samples`` make, in the order they are to be read.

    The order of the files is that of the rows, and models depend on it.
    """
    return Input.of_each(sorted(tasks, key=lambda task: task.outputs[output]), output)


def read_training_set(
    samples: Sequence[Path], choice: Choice, layout: FeatureLayout
) -> TrainingSet:
    """Draw the training pixels over all tiles and read their features.

    Of all samples only class, polygon and what is drawn so far are in memory at once; features
    are read part by part for the rows drawn. Rows stand in the order of `samples` and of their
    files.

    Raises
    ------
    InputDataError
        If a polygon both trains and evaluates the variant (``E-SPLIT-OVERLAP``).
    """
    return _read(samples, choice, layout, training_rows)


def read_held_out(samples: Sequence[Path], choice: Choice, layout: FeatureLayout) -> TrainingSet:
    """Draw, in the same way, from the pixels that evaluate the variant; none for ``map``."""
    return _read(samples, choice, layout, validation_rows)


def _read(
    samples: Sequence[Path],
    choice: Choice,
    layout: FeatureLayout,
    rows_of: RowsOf,
) -> TrainingSet:
    drawn, found = LowestOfParts(choice.limit), Both(choice.variant)
    light = ["polygon_id", "code", "stratum", "draw", *choice.columns]
    codes, ids = [], []
    for path in samples:
        table = pq.read_table(path, columns=light)
        found.add(table)
        codes.append(table["code"].to_numpy().astype(np.int32))
        ids.append(table["polygon_id"].to_numpy())
        group = np.where(_chosen(table, choice, rows_of), codes[-1].astype(np.int64), -1)
        drawn.add(table["draw"].to_numpy(), group)
    found.refuse()
    rows = drawn.rows()
    return TrainingSet(
        read_features(samples, layout, rows),
        *(
            np.concatenate([part[own] for part, own in zip(parts, rows, strict=True)])
            for parts in (codes, ids)
        ),
    )


@dataclass
class Both:
    """Polygons on either side of the split, from tables that come one by one.

    Parameters
    ----------
    variant
        Whose split.
    """

    variant: str
    _trains: list[npt.NDArray[np.int64]] = field(default_factory=list)
    _validates: list[npt.NDArray[np.int64]] = field(default_factory=list)

    def add(self, table: Columns) -> None:
        """Note the polygons of a table of samples."""
        if self.variant == WHOLE:
            return
        ids = np.asarray(table["polygon_id"])
        self._trains.append(np.unique(ids[training_rows(table, self.variant)]))
        self._validates.append(np.unique(ids[validation_rows(table, self.variant)]))

    def refuse(self) -> None:
        """Raise InputDataError (``E-SPLIT-OVERLAP``) if a polygon is on both sides of the split."""
        if not self._trains:
            return
        both = np.intersect1d(np.concatenate(self._trains), np.concatenate(self._validates))
        problems = Problems()
        if len(both):
            shown = ", ".join(str(number) for number in both[:_SHOWN])
            problems.error(
                "E-SPLIT-OVERLAP",
                f"{len(both)} polygons have pixels in both training and validation of "
                f"{self.variant}, "
                f"expected none: polygon_id {shown}{' ...' if len(both) > _SHOWN else ''}",
                "samples/*.parquet",
                "give all parts of a polygon the same side, then run the reference stage again",
            )
        problems.raise_errors(InputDataError)


def refuse_leaks(table: Columns, variant: str) -> None:
    """Raise InputDataError (``E-SPLIT-OVERLAP``) if a polygon is on both sides of the split."""
    both = Both(variant)
    both.add(table)
    both.refuse()


def check_classes(
    counts: Mapping[int, int],
    expected: Mapping[int, int],
    choice: Choice,
    allow_missing: bool,
    where: Path,
) -> Problems:
    """Find what makes a training set useless or doubtful.

    Parameters
    ----------
    counts
        Training pixels per class.
    expected
        Training polygons per class of the reference.
    choice
        Drawn samples.
    allow_missing
        Whether a class without pixels is a warning instead of an error.
    where
        The reference.

    Returns
    -------
    problems
        Rows 46 (class without pixel), 47 (single class) and 50 (imbalance) of the bad-input
        matrix.
    """
    problems = Problems()
    place = f"model {choice.variant}, stratum {choice.stratum}"
    missing = {code: n for code, n in sorted(expected.items()) if not counts.get(code)}
    if missing:
        listed = ", ".join(f"{code} ({n} polygons)" for code, n in missing.items())
        report = problems.warn if allow_missing else problems.error
        report(
            f"{'W' if allow_missing else 'E'}-CLASS-NO-PIXEL",
            f"{place}: no training pixel is left of classes {listed}: their polygons lie outside "
            "the images, hold no pixel centre or were not clear often enough",
            where,
            "add polygons or images, lower sampling.min_validity or reference.erosion_m, or set "
            "sampling.allow_missing_classes to map without these classes",
        )
    if len(counts) < 2:
        found = f"only class {next(iter(counts))}" if counts else "no class at all"
        problems.error(
            "E-CLASS-SINGLE",
            f"{place}: training pixels show {found}, a model needs two classes",
            where,
            "add polygons of other classes, or merge the stratum with a neighbour",
        )
    elif max(counts.values()) >= IMBALANCE * min(counts.values()):
        least, most = (pick(counts, key=lambda c: counts[c]) for pick in (min, max))
        problems.warn(
            "W-CLASS-BALANCE",
            f"{place}: class {least} has {counts[least]} training pixels and class {most} has "
            f"{counts[most]}, more than {IMBALANCE} times as many; the rare class will be missed",
            where,
            "lower sampling.max_train_pixels, the cap per class, or add polygons",
        )
    return problems


def expected_polygons(reference: Path, choice: Choice) -> dict[int, int]:
    """Return the number of training polygons per class of `choice`."""
    columns = ["polygon_id", "code", "stratum", *choice.columns]
    codes, ids = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    for piece in pieces(reference, columns):
        rows = _chosen(piece, choice, training_rows)
        codes.append(piece["code"].to_numpy()[rows].astype(np.int32))
        ids.append(piece["polygon_id"].to_numpy()[rows])
    code, polygon = np.concatenate(codes), np.concatenate(ids)
    return {int(one): len(np.unique(polygon[code == one])) for one in np.unique(code)}


def _chosen(table: Columns, choice: Choice, rows_of: RowsOf) -> npt.NDArray[np.bool_]:
    rows = rows_of(table, choice.variant) & (np.asarray(table["stratum"]) == choice.stratum)
    kept = ~np.isin(np.asarray(table["polygon_id"]), np.array(choice.without, np.int64))
    return np.asarray(rows & kept)


def read_features(
    paths: Sequence[Path], layout: FeatureLayout, rows: Sequence[npt.NDArray[np.intp]]
) -> npt.NDArray[np.int16]:
    """Return the features of some rows of each file of samples, shape ``(row, feature)``.

    Beside them a row group of a file is in memory.
    """
    features = np.empty((sum(map(len, rows)), layout.size), np.int16)
    done = 0
    for path, own in zip(paths, rows, strict=True):
        for table in chosen_rows(path, layout.names, own):
            for number, name in enumerate(layout.names):
                features[done : done + len(table), number] = table[name].to_numpy()
            done += len(table)
    return features
