"""The files of a map: class, confidence, validity, and those of the bands that are requested."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from rasterio.enums import Resampling

from oso_pipeline.config.model import Config
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.learners.registry import learner_of
from oso_pipeline.prediction.band_request import BandRequest
from oso_pipeline.prediction.bands import Band
from oso_pipeline.products.layers import CLASS, CONFIDENCE, LAYERS, MapLayer


@dataclass(frozen=True)
class MapFile:
    """A file of the map.

    Parameters
    ----------
    name
        Name of the task that makes it.
    suffix
        Suffix of ``OCS_<year>`` in the file name.
    layers
        Its bands, alike in all but name and description.
    nomenclature
        Meaning of codes; None for numbers.
    greatest
        Greatest value of a band in percent, for its style; None for other files.
    """

    name: str
    suffix: str
    layers: tuple[MapLayer, ...]
    nomenclature: Nomenclature | None = None
    greatest: int | None = None

    def description(self, config: Config) -> str:
        """Return the description of the first band."""
        if self.name == CONFIDENCE.name:
            classifier = learner_of(config.learning.kind).classifier
            return f"confidence: {classifier.confidence}, percent"
        return self.layers[0].description


def map_files(config: Config) -> tuple[MapFile, ...]:
    """Return the files of a map, in the order of the bands in the block files.

    Raises
    ------
    ConfigError
        If a requested band or legend is wrong.
    """
    nomenclature = load_nomenclature(config.nomenclature)
    basic = [
        MapFile(one.name, one.suffix, (one,), nomenclature if one is CLASS else None)
        for one in LAYERS.values()
    ]
    request = BandRequest.of(config)
    if request is None:
        return tuple(basic)
    legends = {one.name: one.nomenclature(nomenclature) for one in request.legends}
    legends[""] = nomenclature
    more = []
    for name, bands in groupby(request.bands, key=lambda band: band.file):
        own = list(bands)
        codes = None if own[0].legend is None else legends[own[0].legend]
        layers = tuple(_layer(band, nomenclature) for band in own)
        greatest = own[0].greatest if codes is None else None
        more.append(MapFile(name, f"_{name}", layers, codes, greatest))
    return (*basic, *more)


def greatest_values(config: Config) -> dict[str, int] | None:
    """Return the greatest value of each requested band; None where none is requested."""
    request = BandRequest.of(config)
    return None if request is None else {band.name: band.greatest for band in request.bands}


def _layer(band: Band, nomenclature: Nomenclature) -> MapLayer:
    name = "" if band.code is None else nomenclature.by_code[band.code].name_en
    return MapLayer(
        band.name,
        f"_{band.file}",
        band.dtype,
        band.nodata,
        Resampling[band.overviews],
        band.description.replace("{name}", name),
    )
