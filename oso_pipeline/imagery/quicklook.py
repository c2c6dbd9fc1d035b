"""Small pictures of an acquisition, and which share of the tile it shows clear.

Pixels are picked, not averaged: of a file in strips GDAL decodes only the rows that are shown, of a
JPEG 2000 file only the coarse levels, of a file in tiles all of them. So JPEG 2000 is read where it
is, though there may be a copy: that is faster, and the pictures do not depend on the copy.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from PIL import Image
from rasterio.errors import RasterioError

from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.imagery.acquisition import Acquisition, Asset
from oso_pipeline.imagery.clear import clear_pixels
from oso_pipeline.imagery.header import INPUT_OPTIONS, driver_of
from oso_pipeline.imagery.image_kinds import IN_PLACE, kind_of

Floats = npt.NDArray[np.float32]

NATURAL = ("B4", "B3", "B2")
FALSE_COLOUR = ("B8", "B4", "B3")
BANDS = ("B2", "B3", "B4", "B8")
"""All bands that are shown."""
MOST_PX = 343
"""Longest side: every 32nd pixel of a tile of 10,980, a level of JPEG 2000 files."""

_BRIGHT: Mapping[str, float] = {"B2": 0.3, "B3": 0.3, "B4": 0.3, "B8": 0.5}
"""Reflectance shown as white: dense crops reach 0.5 in near infrared."""
_GAMMA = 1.4
_GREY = 128
_QUALITY = 80


@dataclass(frozen=True)
class Quicklooks:
    """The pictures of an acquisition.

    Parameters
    ----------
    natural
        Red, green and blue as JPEG; grey where there is no data.
    false_colour
        Near infrared, red and green as JPEG: vegetation is red.
    shown_percent, clear_percent
        Part of the tile with data, and part that is clear by the rules of the acquisition, 0-100.
    """

    natural: bytes
    false_colour: bytes
    shown_percent: float
    clear_percent: float


def make_quicklooks(item: Acquisition, grid_shape: tuple[int, int]) -> Quicklooks:
    """Return the pictures of an acquisition.

    Parameters
    ----------
    item
        The acquisition, with all of `BANDS`.
    grid_shape
        Rows and columns of its tile at 10 m.

    Raises
    ------
    InputDataError
        If a file has vanished (``E-IMAGE-VANISHED``) or cannot be read (``E-IMAGE-CUT``).
    """
    shape = picture_shape(grid_shape)
    with rasterio.Env(**INPUT_OPTIONS):
        bands = {name: _reflectance(item.bands[name], shape) for name in BANDS}
        quality = {
            rule.asset: _picked(item.quality[rule.asset], shape, OVERVIEW_LEVEL="NONE")
            for rule in item.rules
            if rule.asset in item.quality
        }
    known = np.logical_and.reduce([np.isfinite(values) for values in bands.values()])
    clear = known & clear_pixels(quality, item.rules)
    return Quicklooks(
        natural=_jpeg([bands[name] for name in NATURAL], NATURAL, known),
        false_colour=_jpeg([bands[name] for name in FALSE_COLOUR], FALSE_COLOUR, known),
        shown_percent=100 * float(known.mean()),
        clear_percent=100 * float(clear.mean()),
    )


def in_place(asset: Asset) -> bool:
    """Return whether the pixels of a picture are read from the source, though there is a copy."""
    return kind_of(asset.href) in IN_PLACE


def picture_shape(grid_shape: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of the pictures of a tile.

    Examples
    --------
    >>> picture_shape((10980, 10980)), picture_shape((16, 16))
    ((343, 343), (16, 16))
    """
    scale = min(1.0, MOST_PX / max(grid_shape))
    rows, columns = (max(1, round(side * scale)) for side in grid_shape)
    return rows, columns


def stretched(reflectance: Floats, band: str) -> npt.NDArray[np.uint8]:
    """Return reflectance as grey values, 0 to 255; the same for every date and tile.

    Parameters
    ----------
    reflectance
        Any shape; NaN becomes 0.
    band
        Name of the band, which decides what is white.
    """
    share = np.clip(np.nan_to_num(reflectance / _BRIGHT[band], nan=0.0), 0, 1)
    grey: npt.NDArray[np.uint8] = np.rint(255 * share ** (1 / _GAMMA)).astype(np.uint8)
    return grey


def _reflectance(asset: Asset, shape: tuple[int, int]) -> Floats:
    """Return a band, NaN where it has no data."""
    numbers = _picked(asset, shape)
    values = numbers.astype(np.float32) * np.float32(asset.scale or 0) + np.float32(asset.offset)
    for number in (asset.nodata, asset.saturated):
        if number is not None:
            values[numbers == number] = np.nan
    return values


def _picked(asset: Asset, shape: tuple[int, int], **how_to_open: str) -> npt.NDArray[np.integer]:
    """Return pixels in even steps, by default of a coarse level, which of classes has means."""
    path = Path(asset.href) if in_place(asset) else asset.path
    with _named(path), rasterio.open(path, driver=driver_of(path), **how_to_open) as file:
        numbers: npt.NDArray[np.integer] = file.read(1, out_shape=shape)
    return numbers


def _jpeg(layers: list[Floats], names: tuple[str, ...], known: npt.NDArray[np.bool_]) -> bytes:
    colours = np.stack(
        [stretched(layer, name) for layer, name in zip(layers, names, strict=True)], axis=-1
    )
    colours[~known] = _GREY
    stream = io.BytesIO()
    Image.fromarray(colours).save(stream, format="JPEG", quality=_QUALITY, optimize=True)
    return stream.getvalue()


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn errors of reading into one that names the file and the remedy."""
    remedy = "copy or download the product again, then run `oso run` once more"
    if not path.is_file():
        message = "an image file has vanished since the inventory was made"
        raise InputDataError(Problem("E-IMAGE-VANISHED", message, str(path), remedy))
    try:
        yield
    except (RasterioError, OSError) as error:
        message = (
            "an image file cannot be read, it may be cut short or damaged: "
            f"{error.__cause__ or error}"
        )
        raise InputDataError(Problem("E-IMAGE-CUT", message, str(path), remedy)) from error
