"""Headers of JPEG 2000 files: whole ones are read, cut ones named without decoding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from support.safe_factory import GRID, SIZE

from oso_pipeline.core.errors import EnvironmentFailure
from oso_pipeline.imagery import header as module
from oso_pipeline.imagery.damage import UnreadableRaster
from oso_pipeline.imagery.header import read_header
from oso_pipeline.simulation.writers.safe import write_jp2

NUMBERS = np.arange(SIZE * SIZE, dtype=np.uint16).reshape(SIZE, SIZE) * 255


@pytest.fixture
def jp2(tmp_path: Path) -> Path:
    write_jp2(tmp_path / "B02.jp2", NUMBERS, GRID)
    return tmp_path / "B02.jp2"


def test_the_header_of_a_whole_file(jp2: Path) -> None:
    header = read_header(jp2)
    assert (header.shape, header.dtype, header.epsg) == ((SIZE, SIZE), "uint16", 32631)
    assert header.transform == GRID.affine
    with rasterio.open(jp2) as source:  # lossless, whichever driver GDAL takes
        np.testing.assert_array_equal(source.read(1), NUMBERS)


def test_a_file_cut_at_any_byte_is_refused(jp2: Path) -> None:
    content = jp2.read_bytes()
    for size in [*range(0, len(content) - 1, 17), len(content) - 2, len(content) - 1]:
        jp2.write_bytes(content[:size])
        with pytest.raises(UnreadableRaster):
            read_header(jp2)


def test_a_box_up_to_the_end_of_the_file_needs_the_end_marker(jp2: Path) -> None:
    content = jp2.read_bytes()
    at = content.index(b"jp2c") - 4
    open_ended = content[:at] + b"\0\0\0\0" + content[at + 4 :]
    jp2.write_bytes(open_ended)
    assert read_header(jp2).shape == (SIZE, SIZE)
    jp2.write_bytes(open_ended[:-40])
    with pytest.raises(UnreadableRaster, match="has no end"):
        read_header(jp2)


def test_a_file_whose_tail_was_never_written_is_refused(jp2: Path) -> None:
    content = jp2.read_bytes()
    jp2.write_bytes(content[:-60] + bytes(60))
    with pytest.raises(UnreadableRaster, match="has no end"):
        read_header(jp2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"<html>404</html>", "a web page"),
        (b"II*\0" + bytes(40), "begins with"),
    ],
)
def test_what_is_no_jp2(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "B02.jp2").write_bytes(content)
    with pytest.raises(UnreadableRaster, match=said):
        read_header(tmp_path / "B02.jp2")


@pytest.mark.parametrize(
    ("length", "said"), [(3, "a length of 3 bytes"), (2**31, "bytes are missing at the end")]
)
def test_a_box_of_an_impossible_length(jp2: Path, length: int, said: str) -> None:
    content = jp2.read_bytes()
    jp2.write_bytes(content[:12] + length.to_bytes(4, "big") + content[16:])
    with pytest.raises(UnreadableRaster, match=said):
        read_header(jp2)


def test_gdal_without_the_driver_is_no_damage(jp2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "driver_of", lambda path: "JP2Nowhere")
    with pytest.raises(EnvironmentFailure, match="E-RUN-DRIVER"):
        read_header(jp2)
