"""Bands of the block files beside class, confidence and validity: what one is and is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from oso_pipeline.learners.protocol import BlockPixels, Layers
from oso_pipeline.learning.model_file import Model
from oso_pipeline.timeseries.features import block_features

if TYPE_CHECKING:
    from oso_pipeline.prediction.band_request import BandRequest

PERCENT_NODATA = 255
"""Nodata of bands in percent, where 0 is a value."""
_HALF = 0.5 + 1e-9
"""Rounds halves up, also those that binary fractions put a trifle below."""

Shares = npt.NDArray[np.float64]
Values = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Band:
    """A band of the block files, and of a file of the map.

    Parameters
    ----------
    name
        Its name; no two bands have the same.
    file
        Name of the file of the map, ``OCS_<year>_<file>.tif``. Bands that follow each other with
        the same name are the bands of one file; they are alike in all but name and description.
    description
        Of the band; ``{name}`` in it becomes the name of the class `code`.
    dtype
        Type in the map; block files hold uint16.
    nodata
        Value without a class, and outside the map.
    overviews
        ``mode`` for codes, ``average`` for numbers.
    greatest
        Greatest value apart from nodata.
    code
        Class that the band is about; None where it is about all.
    legend
        Which classes the values are: ``""`` those of the nomenclature, otherwise those of a
        legend; None for numbers.
    """

    name: str
    file: str
    description: str
    dtype: Literal["uint8", "uint16"] = "uint8"
    nodata: int = PERCENT_NODATA
    overviews: Literal["mode", "average"] = "average"
    greatest: int = 100
    code: int | None = None
    legend: str | None = None


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known about pixels that one model has classified.

    Parameters
    ----------
    model
        The model.
    codes
        Classes of the map, ascending, int32, shape ``(class,)``.
    shares
        Their probabilities, 0 for those that the model does not know, shape ``(class, n)``.
    layers
        Class, confidence and validity, uint16, shape ``(3, n)``; each pixel has a class.
    block
        Their images.
    """

    model: Model
    codes: npt.NDArray[np.int32]
    shares: Shares
    layers: Layers
    block: BlockPixels

    @cached_property
    def features(self) -> npt.NDArray[np.int16]:
        """The features, int16, shape ``(feature, n)``; computed at first use."""
        return block_features(self.block.series, self.block.layout, self.block.pixels)[0]

    @cached_property
    def place(self) -> npt.NDArray[np.intp]:
        """Row of `shares` of the class of each pixel, shape ``(n,)``."""
        return np.searchsorted(self.codes, self.layers[0])


@dataclass(frozen=True)
class BandSet:
    """Bands that are requested by one name.

    Parameters
    ----------
    name
        As in ``map.bands``.
    bands
        The bands, in order, of a request.
    compute
        Their values, uint16, shape ``(band, n)``.
    seconds
        Core seconds per pixel and class of the map, for planning only.
    """

    name: str
    bands: Callable[[BandRequest], tuple[Band, ...]]
    compute: Callable[[BandRequest, Evidence], Values]
    seconds: float = 0.0


def percent(shares: Shares) -> Values:
    """Return shares of 0 to 1 in percent, halves rounded up, uint16.

    For shares of votes equal to the confidence that the forest counts in integers.

    Examples
    --------
    >>> percent(np.array([29 / 200, 0.5, 1.0])).tolist()
    [15, 50, 100]
    """
    return np.floor(100 * shares + _HALF).astype(np.uint16)
