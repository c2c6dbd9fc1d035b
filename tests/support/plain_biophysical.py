"""The biophysical networks in plain NumPy, by the formulas of their document."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

import oso_pipeline.timeseries.biophysical as package


def numbers() -> dict:
    return json.loads((Path(package.__file__).parent / "networks.json").read_text())


def cells() -> npt.NDArray[np.int64]:
    text = (Path(package.__file__).parent / "definition_domain.txt").read_text().split()
    return np.array([[int(digit, 16) for digit in line] for line in text])


def plain_output(variable: str, inputs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return what the network says of inputs ``(11, n)``, by the formulas of its document."""
    read = numbers()
    net = {key: np.array(value) for key, value in read["networks"][variable].items()}
    low, high = (np.array(read[f"input_{end}imum"])[:, None] for end in ("min", "max"))
    normalised = 2 * (inputs - low) / (high - low) - 1
    hidden = np.tanh(net["hidden_weights"] @ normalised + net["hidden_bias"][:, None])
    y = net["output_weights"] @ hidden + net["output_bias"]
    return 0.5 * (y + 1) * (net["output_maximum"] - net["output_minimum"]) + net["output_minimum"]


def plain_flags(
    variable: str, reflectance: npt.NDArray[np.int16], cosines: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Return the flags of inputs and outputs, cell by cell and pixel by pixel."""
    read, x = numbers(), reflectance.T * 1e-4
    net = read["networks"][variable]
    low, high = np.array(read["domain_minimum"]), np.array(read["domain_maximum"])
    bins = np.minimum(np.floor(10 * (x - low) / (high - low) + 1), 10).astype(int)
    listed = {tuple(cell) for cell in cells().tolist()}
    is_listed = np.array([tuple(one) in listed for one in bins.tolist()])
    inside = ((x >= low) & (x <= high)).all(axis=1) & is_listed
    inputs = np.vstack([x.T, np.repeat(cosines[:, None], len(x), 1)])
    y = plain_output(variable, inputs)
    least, greatest, tolerance = net["least"], net["greatest"], net["tolerance"]
    bits = np.where(y < least, np.where(y < least - tolerance, 8, 2), 0)
    bits += np.where(y > greatest, np.where(y > greatest + tolerance, 16, 4), 0)
    return bits + ~inside
