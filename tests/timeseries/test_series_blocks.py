"""The file of a block of exported series: what is written is read back, in parts too."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.timeseries.series_block_file import (
    read_series_block,
    read_series_layout,
    write_series_block,
)
from oso_pipeline.timeseries.series_layout import SeriesBlock, SeriesLayout, Variable

BLOCK = Block("31TCJ", 4, 6, 5, 3)
LAYOUT = SeriesLayout(
    (
        Variable("B4", "red", "1", "time", "int16", 10, 1e-4, fill=-10000, ancillary=("clear",)),
        Variable("LAI", "leaf area index", "m2 m-2", "acquisition", "int16", 20, 1e-3),
        Variable("clear", "clear dates", "1", "", "uint16", 10),
        Variable("SOSD", "start", "1", "season", "uint16", 20, fill=0, valid_range=(1, 9)),
    ),
    dates=(date(2020, 1, 1), date(2020, 1, 11)),
    acquisitions=(date(2020, 1, 2), date(2020, 1, 5), date(2020, 1, 9)),
    months=(date(2020, 1, 1),),
    n_seasons=1,
)


def block_of(seed: int) -> SeriesBlock:
    draw = np.random.default_rng(seed)
    return SeriesBlock(
        {
            one.name: draw.integers(0, 30000, LAYOUT.shape(one, BLOCK)).astype(one.dtype)
            for one in LAYOUT.variables
        }
    )


def test_a_block_is_read_back_with_what_it_holds(tmp_path: Path) -> None:
    written, path = block_of(0), tmp_path / "a.arrow"
    write_series_block(path, written, LAYOUT, BLOCK)
    assert read_series_layout(path) == (LAYOUT, BLOCK)
    found = read_series_block(path).values
    assert list(found) == list(LAYOUT.names)
    for name, values in written.values.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)
    assert found["LAI"].shape == (3, 3, 2)
    part = read_series_block(path, ["LAI", "B4"], [-1, 0, 0]).values
    assert list(part) == ["LAI", "B4"]
    np.testing.assert_array_equal(part["LAI"], written.values["LAI"][[2, 0, 0]])
    assert read_series_block(path, [], []).values == {}
    with pytest.raises(KeyError):
        read_series_block(path, ["B5"])
    with pytest.raises(IndexError):
        read_series_block(path, ["B4"], [2])


def test_other_software_reads_a_column(tmp_path: Path) -> None:
    written, path = block_of(1), tmp_path / "a.arrow"
    write_series_block(path, written, LAYOUT, BLOCK)
    table = pa.ipc.open_file(path.read_bytes()).read_all()
    assert table.column("B4/1")[0].as_py() == written.values["B4"][1].ravel().tolist()


def test_equal_series_make_equal_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 2), ("b", 2), ("c", 3)):
        write_series_block(tmp_path / name, block_of(seed), LAYOUT, BLOCK)
    first, second, third = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == second != third


def test_what_does_not_fit_the_layout_is_refused(tmp_path: Path) -> None:
    values = dict(block_of(4).values)
    for wrong in (values["B4"][:1], values["B4"].astype(np.uint16)):
        with pytest.raises(ValueError, match="B4"):
            write_series_block(tmp_path / "a", SeriesBlock(values | {"B4": wrong}), LAYOUT, BLOCK)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", [0, 40, 1500])
def test_a_damaged_file_is_named(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "a.arrow"
    write_series_block(path, block_of(5), LAYOUT, BLOCK)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputDataError, match="E-SERIES-BLOCK"):
        read_series_block(path)


def test_a_layout_is_cut_and_turned_to_json() -> None:
    assert SeriesLayout.from_json(LAYOUT.to_json()) == LAYOUT
    assert LAYOUT.of_resolution(20).names == ("LAI", "SOSD")
    assert LAYOUT.only(["SOSD", "B4"]).names == ("B4", "SOSD")
    assert LAYOUT.resolutions_m == (10, 20)
    with pytest.raises(ValueError, match="axis"):
        LAYOUT.steps("day")
