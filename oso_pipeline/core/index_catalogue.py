"""Indices of a published catalogue by name: formulas of Awesome Spectral Indices.

D. Montero et al., A standardized catalogue of spectral indices to advance the use of remote sensing
in Earth system research, Scientific Data 10, 197 (2023); notice in
``licences/spectral_indices.md``. ``index_catalogue.json`` holds the formulas of version 0.12.0 of
its package `spyndex` whose bands the sensors of this project have, as written there, with the
constants that it gives by default. The scale is the largest of 1000, 100, 10 and 1 with which 95 %
of the values fit int16, on 20,000 draws of each reflectance from 0.02 to 0.5.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from oso_pipeline.core.indices import INDICES, Index
from oso_pipeline.core.sensors import SENTINEL2

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")


@cache
def catalogue_names() -> tuple[str, ...]:
    """Return the names of the indices, in alphabetical order.

    Indices of this project keep their names: NDWI of the catalogue is another one.
    """
    return tuple(name for name in _content()["indices"] if name not in INDICES)


@cache
def catalogue_index(name: str) -> Index:
    """Return an index with its constants filled in; KeyError if there is none.

    Examples
    --------
    >>> catalogue_index("EVI2").definition
    'EVI2 = 2.5 * (nir - red) / (nir + 2.4 * red + 1), x 1000'
    """
    if name not in catalogue_names():
        raise KeyError(name)
    found = _content()["indices"][name]
    formula = _NAME.sub(lambda match: _meaning(match[0]), found["formula"])
    return Index.defined(name, formula, found["scale"])


def catalogue_title(name: str) -> str:
    """Return what an index of the catalogue is called in full."""
    return str(_content()["indices"][name]["title"])


def _meaning(symbol: str) -> str:
    """Return what a symbol of the catalogue stands for, as text of a formula."""
    content = _content()
    if symbol in content["bands"]:
        return str(content["bands"][symbol])
    if symbol in content["wavelengths"]:
        band = SENTINEL2.named(content["wavelengths"][symbol])
        return repr(next(b.wavelength_nm for b in SENTINEL2.bands if b.name == band))
    return repr(float(content["constants"][symbol]))


@cache
def _content() -> dict[str, Any]:
    text = files("oso_pipeline.core").joinpath("index_catalogue.json").read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    return content
