"""The file of a block of exported series: Arrow IPC, a column per variable and step.

A column holds all pixels of one layer, row by row, as one list of fixed length: layers of 10 m
and of 20 m stand side by side in one row of the table. Buffers are compressed one by one (zstd), so
a reader that wants some dates of some variables reads those alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.commit import verified
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.timeseries.series_layout import SeriesBlock, SeriesLayout, rows_and_columns

BLOCKS = "series/blocks"
"""Folder of the run that takes the blocks of series."""

_LAYOUT, _BLOCK = b"layout", b"block"
_COMPRESSION = pa.Codec("zstd", compression_level=1)
"""Higher levels take several times as long and save a few percent of gap-filled series."""


def series_file_of(block: Block) -> str:
    """Return where the series of a block lie, relative to the run folder.

    Examples
    --------
    >>> series_file_of(Block("31TCJ", 0, 512, 256, 256))
    'series/blocks/31TCJ/r00000c00512.arrow'
    """
    return f"{BLOCKS}/{block.tile}/{block.name}.arrow"


def write_series_block(path: Path, series: SeriesBlock, layout: SeriesLayout, block: Block) -> None:
    """Publish the series of a block, all or nothing, after reading them back whole.

    Equal values in an equal layout make equal bytes.

    Parameters
    ----------
    path
        Where to.
    series
        Stored integers of every variable of `layout`.
    layout
        What they are.
    block
        Where they lie.

    Raises
    ------
    ValueError
        If a variable is missing, or has another type or shape than the layout says.
    EnvironmentFailure
        If the system refuses to write (``E-DISK``).
    """
    columns, schema = [], []
    for variable in layout.variables:
        values = series.values[variable.name]
        shape = layout.shape(variable, block)
        if values.dtype != variable.dtype or values.shape != shape:
            found = f"{values.dtype} of shape {values.shape}"
            raise ValueError(f"{variable.name}: found {found}, not {variable.dtype} of {shape}")
        for step, layer in enumerate(values):
            flat = pa.array(np.ascontiguousarray(layer).ravel())
            columns.append(pa.FixedSizeListArray.from_arrays(flat, len(flat)))
            schema.append(pa.field(_column(variable.name, step), columns[-1].type, nullable=False))
    window = {"tile": block.tile, **block.to_json()}
    notes = {_LAYOUT: json.dumps(layout.to_json()), _BLOCK: json.dumps(window)}
    table = pa.record_batch(columns, schema=pa.schema(schema, notes))

    def write(temporary: Path) -> None:
        options = pa.ipc.IpcWriteOptions(compression=_COMPRESSION, use_threads=False)
        with (
            pa.OSFile(str(temporary), "wb") as target,
            pa.ipc.new_file(target, table.schema, options=options) as writer,
        ):
            writer.write_batch(table)

    def check(temporary: Path) -> None:
        with pa.OSFile(str(temporary)) as source, pa.ipc.open_file(source) as reader:
            if not reader.get_batch(0).equals(table):
                raise OSError(f"{path} does not read back as it was written; is the disk sound?")

    verified(write, check, path)


def read_series_block(
    path: Path, names: Iterable[str] | None = None, steps: Iterable[int] | None = None
) -> SeriesBlock:
    """Return the series of a block, or some variables and steps of them.

    Parameters
    ----------
    path
        The file.
    names
        Variables; all by default.
    steps
        Layers of them, from 0, the same of each; all by default.

    Returns
    -------
    SeriesBlock
        Arrays of shape ``(step, rows, columns)``.

    Raises
    ------
    InputDataError
        If the file cannot be read (``E-SERIES-BLOCK``).
    KeyError, IndexError
        If it has no such variable or step.
    """
    layout, block = read_series_layout(path)
    chosen = [layout[name] for name in (layout.names if names is None else names)]
    wanted = None if steps is None else list(steps)
    layers = {
        one.name: [range(layout.steps(one.axis))[i] for i in wanted]
        if wanted is not None
        else list(range(layout.steps(one.axis)))
        for one in chosen
    }
    places: dict[str, int] = {}
    for variable in layout.variables:
        for step in range(layout.steps(variable.axis)):
            places[_column(variable.name, step)] = len(places)
    # Duplicates of a column are read once.
    needed = sorted({places[_column(k, i)] for k, some in layers.items() for i in some})
    values: dict[str, np.ndarray] = {}
    try:
        options = pa.ipc.IpcReadOptions(included_fields=needed, use_threads=False)
        with (
            pa.memory_map(str(path)) as source,
            pa.ipc.open_file(source, options=options) as reader,
        ):
            batch = reader.get_batch(0) if needed else None
            for one in chosen:
                shape = rows_and_columns(block, one.resolution_m)
                array = np.empty((len(layers[one.name]), *shape), one.dtype)
                for out, step in zip(array, layers[one.name], strict=True):
                    assert batch is not None
                    column = batch.column(_column(one.name, step))
                    out[:] = column.values.to_numpy().reshape(shape)
                values[one.name] = array
    except (OSError, pa.ArrowInvalid) as error:
        raise _unreadable(path, error) from error
    return SeriesBlock(values)


def read_series_layout(path: Path) -> tuple[SeriesLayout, Block]:
    """Return what a file of series holds, and where its block lies; no layer is read.

    Raises
    ------
    InputDataError
        If the file cannot be read (``E-SERIES-BLOCK``).
    """
    try:
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
            notes = reader.schema.metadata or {}
            layout = SeriesLayout.from_json(json.loads(notes[_LAYOUT]))
            return layout, Block(**json.loads(notes[_BLOCK]))
    except (OSError, pa.ArrowInvalid, KeyError, ValueError, TypeError) as error:
        raise _unreadable(path, error) from error


def _column(name: str, step: int) -> str:
    return f"{name}/{step}"


def _unreadable(path: Path, error: Exception) -> InputDataError:
    return InputDataError(
        Problem(
            "E-SERIES-BLOCK",
            f"the series of a block cannot be read: {error}",
            str(path),
            "`oso verify RUN --repair`, then run again: it is made again",
        )
    )
