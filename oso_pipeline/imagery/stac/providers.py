"""Where items come from, by collection and keys of assets: names of bands, rules of offsets.

The four catalogues differ in both. Items of others are read if their assets have one of the usual
keys or one band with the usual name each, and state scale and offset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.imagery.sen2cor.classes import SCL
from oso_pipeline.imagery.stac.item import Item, ItemAsset

_CODES = {name: f"B0{name[1:]}" if len(name) == 2 else name for name in SENTINEL2.names}
_COMMON = {
    "B2": "blue", "B3": "green", "B4": "red", "B5": "rededge1", "B6": "rededge2",
    "B7": "rededge3", "B8": "nir", "B8A": "nir08", "B11": "swir16", "B12": "swir22", SCL: "scl",
}  # fmt: skip
KEYS: tuple[Mapping[str, str], ...] = (
    _COMMON,
    {**_CODES, SCL: "SCL"},
    {
        **{name: f"{code}_{SENTINEL2.resolution_m(name)}m" for name, code in _CODES.items()},
        SCL: "SCL_20m",
    },
)
"""Keys of the assets that hold the bands and the classification: those of earth-search and of
stactools, of Planetary Computer, and of the Copernicus Data Space."""

_ALSO = {
    "rededge071": "B5", "rededge075": "B6", "rededge078": "B7",
    **{name: name for name in SENTINEL2.names}, **{code: name for name, code in _CODES.items()},
    **{common: name for name, common in _COMMON.items()}, "SCL": SCL,
}  # fmt: skip
"""Bands by their names in the description of an asset; ``rededge`` alone names four of them."""


class Offsets(Enum):
    """Which of what an item says decides about the offset."""

    STATED = auto()
    """Scale and offset of each asset."""

    FLAGGED = auto()
    """The same, but where ``earthsearch:boa_offset_applied`` is true, the file has the offset
    already whatever the asset states; so say the maintainers (Element84/earth-search, issue 9)."""

    BASELINE = auto()
    """The processing baseline, as assets state neither."""


@dataclass(frozen=True)
class Provider:
    """A catalogue that items come from.

    Parameters
    ----------
    name
        For messages.
    offsets
        What decides about the offset.
    """

    name: str
    offsets: Offsets


_PROVIDERS = {
    ("sentinel-2-c1-l2a", 0): Provider("earth-search", Offsets.STATED),
    ("sentinel-2-l2a", 0): Provider("earth-search", Offsets.FLAGGED),
    ("sentinel-2-l2a", 1): Provider("Planetary Computer", Offsets.BASELINE),
    ("sentinel-2-l2a", 2): Provider("Copernicus Data Space", Offsets.STATED),
}
"""By collection and by which of `KEYS` the assets have."""

_OTHER = Provider("another catalogue", Offsets.STATED)


@dataclass(frozen=True)
class Chosen:
    """The assets of an item that are read.

    Parameters
    ----------
    provider
        Where the item comes from.
    assets
        Key and asset by band, and that of the classification under its name; without what the
        item lacks.
    expected
        The key that was looked for, by the same names.
    """

    provider: Provider
    assets: Mapping[str, tuple[str, ItemAsset]]
    expected: Mapping[str, str]


def choose(item: Item) -> Chosen:
    """Return which assets of an item hold the bands, and which rule its offsets follow."""
    counts = [sum(key in item.assets for key in keys.values()) for keys in KEYS]
    best = max(range(len(KEYS)), key=counts.__getitem__)
    keys = KEYS[best]
    provider = _PROVIDERS.get((item.collection, best), _OTHER) if counts[best] else _OTHER
    found = {name: (key, item.assets[key]) for name, key in keys.items() if key in item.assets}
    if provider is _OTHER:
        found = {**_by_names(item), **found}
    return Chosen(provider, found, keys)


def _by_names(item: Item) -> dict[str, tuple[str, ItemAsset]]:
    """Return the bands by the names in the descriptions of assets, where these are not ambiguous.

    Of several resolutions, the asset with that of the sensor is taken.
    """
    found: dict[str, list[tuple[str, ItemAsset]]] = {}
    for key, asset in item.assets.items():
        bands = {_ALSO[name] for name in (*asset.names, key) if name in _ALSO}
        if len(bands) == 1 and asset.n_bands <= 1:
            found.setdefault(bands.pop(), []).append((key, asset))
    return {name: own[0] for name, some in found.items() if len(own := _finest(name, some)) == 1}


def _finest(name: str, assets: list[tuple[str, ItemAsset]]) -> list[tuple[str, ItemAsset]]:
    resolution = 20 if name == SCL else SENTINEL2.resolution_m(name)
    own = [one for one in assets if one[1].resolution_m == resolution]
    return own if own and len(assets) > 1 else assets
