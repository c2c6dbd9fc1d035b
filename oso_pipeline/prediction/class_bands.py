"""Bands from the probabilities of all classes: these themselves, the second class, the margin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oso_pipeline.core.nomenclature import NODATA_CODE
from oso_pipeline.prediction.bands import Band, BandSet, Evidence, Shares, Values, percent

if TYPE_CHECKING:
    from oso_pipeline.prediction.band_request import BandRequest


_SECONDS = 10e-9
"""Per pixel and class. All bands and a legend of 23 classes: 0.4 to 1.2 us per pixel beside 2.3 of
a forest of 100 trees (37 dates, 10 bands), on a busy machine."""


def _probability_bands(request: BandRequest) -> tuple[Band, ...]:
    return tuple(
        Band(
            f"probability_{code}",
            "probabilities",
            f"probability of {{name}} ({code}), percent",
            code=code,
        )
        for code in request.codes
    )


def _probabilities(request: BandRequest, evidence: Evidence) -> Values:
    return percent(evidence.shares)


def _second_class_bands(request: BandRequest) -> tuple[Band, ...]:
    what = "second most probable land-cover class"
    greatest = max(request.codes)
    dtype = request.code_dtype(greatest)
    name = "second_class"
    return (Band(name, name, what, dtype, NODATA_CODE, "mode", greatest, legend=""),)


def _second_class(request: BandRequest, evidence: Evidence) -> Values:
    others = _others(evidence)
    second = others.argmax(axis=0)
    there = np.take_along_axis(others, second[None], axis=0)[0] > 0
    return np.where(there, evidence.codes[second], NODATA_CODE).astype(np.uint16)[None]


def _margin_bands(request: BandRequest) -> tuple[Band, ...]:
    what = "margin: probability of the class less that of the second, percent"
    return (Band("margin", "margin", what),)


def _margin(request: BandRequest, evidence: Evidence) -> Values:
    best = np.take_along_axis(evidence.shares, evidence.place[None], axis=0)[0]
    # Soft votes within rounding may rank the second a trifle higher.
    return percent(np.maximum(best - _others(evidence).max(axis=0), 0))[None]


def _others(evidence: Evidence) -> Shares:
    """Return the shares with that of the class itself taken away."""
    others = evidence.shares.copy()
    np.put_along_axis(others, evidence.place[None], -1, axis=0)
    return np.maximum(others, 0)


def _legend_bands(request: BandRequest) -> tuple[Band, ...]:
    found: list[Band] = []
    for legend in request.legends:
        name, greatest = f"legend_{legend.name}", max(legend.codes)
        what = f"class of legend {legend.name} with the greatest summed probability"
        dtype = request.code_dtype(greatest)
        found += (
            Band(name, name, what, dtype, NODATA_CODE, "mode", greatest, legend=legend.name),
            Band(
                f"{name}_confidence",
                f"{name}_confidence",
                f"confidence: summed probability of the class of legend {legend.name}, percent",
                nodata=NODATA_CODE,
            ),
        )
    return tuple(found)


def _legends(request: BandRequest, evidence: Evidence) -> Values:
    found = []
    for legend in request.legends:
        sums = np.stack([evidence.shares[list(rows)].sum(axis=0) for rows in legend.rows])
        # Equal sums may differ in the last bit, by the order of their terms.
        best = np.round(sums, 9).argmax(axis=0)
        found.append(np.array(legend.codes, np.uint16)[best])
        found.append(percent(np.take_along_axis(sums, best[None], axis=0)[0]))
    return np.stack(found)


PROBABILITIES = BandSet("probabilities", _probability_bands, _probabilities, _SECONDS)
SECOND_CLASS = BandSet("second_class", _second_class_bands, _second_class, _SECONDS)
MARGIN = BandSet("margin", _margin_bands, _margin, _SECONDS)
LEGENDS = BandSet("legends", _legend_bands, _legends, _SECONDS)
