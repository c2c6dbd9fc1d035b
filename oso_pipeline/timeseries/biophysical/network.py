"""Published numbers of the networks that estimate leaf area, FAPAR and green cover.

The networks are those of the Sentinel-2 toolbox (Weiss and Baret 2016, S2ToolBox Level 2 products:
LAI, FAPAR, FCOVER, Algorithm Theoretical Basis Document version 1.1; networks 2.1, one for all
satellites). Eleven inputs, five hidden neurons with tanh, one linear output. The numbers stand in
``networks.json`` and ``definition_domain.txt`` beside this file, see
``licences/biophysical_networks.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

_FOLDER = files("oso_pipeline.timeseries.biophysical")
_BINS = 10

INPUT_BANDS = ("B3", "B4", "B5", "B6", "B7", "B8A", "B11", "B12")
"""Bands that the networks need, in the order of their inputs."""

SCALES: Mapping[str, float] = {"LAI": 1e-3, "FAPAR": 1e-4, "FCOVER": 1e-4}
"""Value of one stored unit of each variable: LAI in m2 m-2, the others as shares."""

FLAGS: Mapping[str, int] = {
    "input_out_of_range": 1,
    "output_thresholded_to_minimum": 2,
    "output_thresholded_to_maximum": 4,
    "output_too_low": 8,
    "output_too_high": 16,
}
"""Meanings of the bits of the flags, as in the document of the networks."""


@dataclass(frozen=True)
class Network:
    """A network, its input and output ranges, all of physical values.

    Parameters
    ----------
    variable
        ``LAI``, ``FAPAR`` or ``FCOVER``.
    input_minimum, input_maximum
        Range to which the inputs are normalised: reflectances of `INPUT_BANDS` (0-1), then the
        cosines of view zenith, sun zenith and relative azimuth; float64, shape ``(11,)``.
    hidden_weights, hidden_bias
        Of the hidden neurons, shapes ``(5, 11)`` and ``(5,)``.
    output_weights, output_bias
        Of the output, shape ``(5,)`` and a number.
    output_minimum, output_maximum
        Range from which the output was normalised.
    tolerance, least, greatest
        Range of valid outputs, and by how much an output may lie outside and is set to its end.
    """

    variable: str
    input_minimum: npt.NDArray[np.float64]
    input_maximum: npt.NDArray[np.float64]
    hidden_weights: npt.NDArray[np.float64]
    hidden_bias: npt.NDArray[np.float64]
    output_weights: npt.NDArray[np.float64]
    output_bias: float
    output_minimum: float
    output_maximum: float
    tolerance: float
    least: float
    greatest: float

    @property
    def scale(self) -> float:
        """Value of one stored unit."""
        return SCALES[self.variable]


@dataclass(frozen=True)
class DefinitionDomain:
    """Reflectances for which the networks were trained, the same for all.

    Each band is cut into ten bins between its minimum and maximum; the cells of the eight bands
    that hold training data are listed (the grid of the convex hull). A cell is found by the first
    four bands and the last four, each read as a number of four digits: of 10,000 such numbers few
    occur, so the listed pairs fit into the cache of a processor.

    Parameters
    ----------
    minimum, maximum
        Of the reflectances of `INPUT_BANDS`, float64, shape ``(8,)``.
    first, last
        Row and column of each number of four digits in `pairs`, int16, shape ``(10000,)``; 0 where
        it does not occur.
    pairs
        1 where a pair is listed, uint8, shape ``(rows, columns)``; row and column 0 hold none.
    """

    minimum: npt.NDArray[np.float64]
    maximum: npt.NDArray[np.float64]
    first: npt.NDArray[np.int16]
    last: npt.NDArray[np.int16]
    pairs: npt.NDArray[np.uint8]


@cache
def network_of(variable: str) -> Network:
    """Return the network of a variable.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> network_of("LAI").greatest
    8.0
    """
    content = _content()
    if variable not in content["networks"]:
        raise ValueError(f"no network estimates {variable!r}, known are {', '.join(SCALES)}")
    numbers = content["networks"][variable]
    shared = {key: content[key] for key in ("input_minimum", "input_maximum")}
    stated: dict[str, Any] = {
        key: np.array(value, dtype=np.float64) if isinstance(value, list) else value
        for key, value in {**shared, **numbers}.items()
    }
    return Network(variable, **stated)


@cache
def definition_domain() -> DefinitionDomain:
    """Return the reflectances for which the networks were trained."""
    content = _content()
    text = _FOLDER.joinpath("definition_domain.txt").read_text(encoding="ascii")
    digits = np.array([[int(c, 16) - 1 for c in line] for line in text.split()], dtype=np.int64)
    halves = digits.reshape(-1, 2, 4) @ (_BINS ** np.arange(3, -1, -1))
    tables = []
    for half in halves.T:
        table = np.zeros(_BINS**4, np.int16)
        occurring = np.unique(half)
        table[occurring] = np.arange(1, len(occurring) + 1)
        tables.append(table)
    first, last = tables
    pairs = np.zeros((first.max() + 1, last.max() + 1), np.uint8)
    pairs[first[halves[:, 0]], last[halves[:, 1]]] = 1
    minimum, maximum = (np.array(content[f"domain_{end}imum"]) for end in ("min", "max"))
    return DefinitionDomain(minimum, maximum, first, last, pairs)


@cache
def _content() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        _FOLDER.joinpath("networks.json").read_text(encoding="utf-8")
    )
    return content
