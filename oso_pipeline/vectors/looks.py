"""Looks at a layer that are cheap: values of a column, boxes of features, where all of it lies.

Shapes are read of few features only, and of GeoParquet, which has no index. Problems of
a file are reported by `VectorFile.check`; a file that cannot be read gives no findings here.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet
import pyogrio
import shapely

from oso_pipeline.core.errors import Problems
from oso_pipeline.vectors.damage import UNREADABLE, report_unreadable
from oso_pipeline.vectors.geometry import finite
from oso_pipeline.vectors.parquet_files import read_parquet_window
from oso_pipeline.vectors.shapefiles import BYTES_AS_THEY_ARE, decoded
from oso_pipeline.vectors.stand_ins import readable
from oso_pipeline.vectors.vector_files import VectorFile
from oso_pipeline.vectors.vector_schema import Schema, State, state_of

Box = tuple[float, float, float, float]
Boxes = npt.NDArray[np.float64]
Shapes = npt.NDArray[np.object_]

MOST_FEATURES = 3_000_000
"""Maximum number of features of a file whose values are checked."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a column: how many features have it, and the place of the first in the file."""

    value: object
    count: int
    first: int


def first_values(
    file: VectorFile, column: str, count: int, problems: Problems
) -> list[object] | None:
    """Return what a column holds in the first features, None where it cannot be read."""
    schema = file.schema(problems)
    if schema is None:
        return None
    try:
        return _column(file, schema, column, most=count).tolist()
    except UNREADABLE as error:
        report_unreadable(file.path, error, problems)
        return None


def distinct_values(file: VectorFile, column: str) -> tuple[Value, ...]:
    """Return the values of a column, of `MOST_FEATURES` at most.

    They are read once per process and state of the file; the first features count from 0.
    Features without a value have None. Empty where the file or the column cannot be read.
    """
    try:
        return _distinct_values(file, column, state_of(file.files))
    except UNREADABLE:
        return ()


def distinct_values_in(
    file: VectorFile, column: str, boxes: Iterable[Box | None]
) -> tuple[Value, ...]:
    """Return the values of the features whose bounds meet one of several boxes.

    Boxes are in the coordinates of the file; None stands for everything. The first features count
    from 0 among those that meet a box.
    """
    schema = _schema(file)
    if schema is None:
        return ()
    try:
        # One pass for the boxes and one for the column, however many parts of the map there are.
        edges, numbers = _boxes(file, schema, None, None)
        values = _column(file, schema, column)
    except UNREADABLE:
        return ()
    left, bottom, right, top = edges.T
    near = np.zeros(len(edges), dtype=bool)
    for box in boxes:
        x_0, y_0, x_1, y_1 = box or (-np.inf, -np.inf, np.inf, np.inf)
        near |= (left <= x_1) & (right >= x_0) & (bottom <= y_1) & (top >= y_0)
    return counted(values[values.index.isin(numbers[near])].reset_index(drop=True))


def counted(values: pd.Series) -> tuple[Value, ...]:
    """Return the distinct values of a column; the first features are those of the index."""
    positions, distinct = pd.factorize(values)
    counts = np.bincount(positions + 1, minlength=len(distinct) + 1)
    _, first = np.unique(positions, return_index=True)
    numbers = values.index.to_numpy()[first].tolist()
    plain = [one.item() if isinstance(one, np.generic) else one for one in distinct]
    return tuple(
        Value(None if place < 0 else plain[place], int(counts[place + 1]), int(number))
        for place, number in zip(np.unique(positions).tolist(), numbers, strict=True)
    )


def column_pieces(file: VectorFile, schema: Schema, column: str) -> Iterator[list[Any]]:
    """Yield the values of a column piece by piece, however many there are; no shape is read."""
    if file.path.suffix.lower() == ".parquet":
        with pyarrow.parquet.ParquetFile(file.path) as source:
            for batch in source.iter_batches(columns=[column]):
                yield batch.column(0).to_pylist()
        return
    with readable(file.path) as path:
        how = {"layer": schema.layer, "columns": [column], "read_geometry": False}
        with pyogrio.open_arrow(path, use_pyarrow=True, **how) as (_, reader):
            for batch in reader:
                yield batch.column(batch.schema.get_field_index(column)).to_pylist()


def extent_of(file: VectorFile) -> Box | None:
    """Return the box around all features, from the header if it has one; None if there are none."""
    try:
        return _extent_of(file, state_of(file.files))
    except UNREADABLE:
        return None


def feature_boxes(file: VectorFile, box: Box | None = None, most: int | None = None) -> Boxes:
    """Return the boxes around features that meet a box, at most so many, shape ``(n, 4)``.

    Features without geometry have none.
    """
    schema = _schema(file)
    if schema is None:
        return np.empty((0, 4))
    try:
        found, _ = _boxes(file, schema, box, most)
    except UNREADABLE:
        return np.empty((0, 4))
    return found[np.isfinite(found).all(axis=1)]


def some_shapes(file: VectorFile, boxes: Collection[shapely.Polygon], most: int) -> Shapes:
    """Return shapes of features, at most so many: those of the first box that any meets.

    Where no feature meets a box they are the first of the file. Damaged ones are left out.
    """
    schema = _schema(file)
    if schema is None:
        return np.empty(0, dtype=object)
    try:
        for box in (*_near(file, boxes), None):
            shapes = _shapes(file, schema, box, most)
            if len(shapes):
                return shapes
    except UNREADABLE:
        pass
    return np.empty(0, dtype=object)


def meets(file: VectorFile, boxes: Collection[shapely.Polygon]) -> bool:
    """Return whether some feature meets one of several boxes, in the coordinates of the file."""
    return any(len(feature_boxes(file, box, most=1)) for box in _near(file, boxes))


def _near(file: VectorFile, boxes: Collection[shapely.Polygon]) -> list[Box]:
    """Return the edges of the boxes that meet the box around all features."""
    extent = extent_of(file)
    if extent is None:
        return []
    whole = shapely.box(*extent)
    return [box.bounds for box in boxes if shapely.intersects(whole, box)]


@contextmanager
def _opened(file: VectorFile) -> Iterator[Path]:
    """Yield a path that GDAL may open; its warnings are reported by the reader of the shapes."""
    with readable(file.path) as path, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield path


def _schema(file: VectorFile) -> Schema | None:
    return file.schema(Problems())


@lru_cache(maxsize=64)
def _distinct_values(file: VectorFile, column: str, state: State) -> tuple[Value, ...]:
    schema = _schema(file)
    if schema is None:
        return ()
    values = _column(file, schema, column, most=MOST_FEATURES)
    return counted(values.reset_index(drop=True))


def _column(file: VectorFile, schema: Schema, column: str, most: int | None = None) -> pd.Series:
    """Return a column; the index holds the numbers of the features, as GDAL counts them."""
    if file.path.suffix.lower() == ".parquet":
        return _column_of_parquet(file, column, most)
    how: dict[str, Any] = {"layer": schema.layer, "columns": [column]}
    how |= {"max_features": most, "encoding": file.encoding}
    with _opened(file) as path:
        found = pyogrio.read_dataframe(path, read_geometry=False, fid_as_index=True, **how)[column]
    if file.encoding == BYTES_AS_THEY_ARE and not pd.api.types.is_numeric_dtype(found.dtype):
        found = decoded(found)
    return found


def _column_of_parquet(file: VectorFile, column: str, most: int | None) -> pd.Series:
    left, parts = most or np.inf, list[pd.Series]()
    for batch in pyarrow.parquet.ParquetFile(file.path).iter_batches(columns=[column]):
        parts.append(batch.column(0).to_pandas()[: int(min(left, len(batch)))])
        left -= len(parts[-1])
        if left <= 0:
            break
    return pd.concat(parts, ignore_index=True) if parts else pd.Series(dtype=object)


@lru_cache(maxsize=1024)
def _extent_of(file: VectorFile, state: State) -> Box | None:
    schema = _schema(file)
    if schema is None:
        return None
    if file.path.suffix.lower() == ".parquet":
        boxes, _ = _boxes(file, schema, None, None)
        boxes = boxes[np.isfinite(boxes).all(axis=1)]
        edges = [*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)] if len(boxes) else []
    else:
        with _opened(file) as path:
            info = pyogrio.read_info(path, layer=schema.layer, force_total_bounds=True)
        edges = info["total_bounds"] if info["total_bounds"] is not None else []
    if len(edges) != 4 or not np.isfinite(edges).all():
        return None
    left, bottom, right, top = (float(edge) for edge in edges)
    return left, bottom, right, top


def _shapes(file: VectorFile, schema: Schema, box: Box | None, most: int) -> Shapes:
    if file.path.suffix.lower() == ".parquet":
        shapes = np.asarray(read_parquet_window(file.path, [], box).geometry)[:most]
    else:
        how: dict[str, Any] = {"layer": schema.layer, "columns": [], "bbox": box}
        how |= {"max_features": most, "force_2d": True, "on_invalid": "ignore"}
        with _opened(file) as path:
            shapes = np.asarray(pyogrio.read_dataframe(path, **how).geometry)
    return shapes[~shapely.is_missing(shapes) & ~shapely.is_empty(shapes) & finite(shapes)]


def _boxes(
    file: VectorFile, schema: Schema, box: Box | None, most: int | None
) -> tuple[Boxes, npt.NDArray[np.int64]]:
    """Return the boxes around features and their numbers, as GDAL counts them."""
    if file.path.suffix.lower() == ".parquet":
        frame = read_parquet_window(file.path, [], box)[:most]
        return shapely.bounds(np.asarray(frame.geometry)), frame.index.to_numpy()
    with _opened(file) as path:
        numbers, found = pyogrio.read_bounds(path, layer=schema.layer, bbox=box, max_features=most)
    return np.asarray(found, dtype=np.float64).T.reshape(-1, 4), np.asarray(numbers)
