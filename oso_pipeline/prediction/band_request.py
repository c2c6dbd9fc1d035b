"""The bands that a configuration asks for, beside class, confidence and validity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from oso_pipeline.config.model import Config
from oso_pipeline.core.errors import ConfigError, Problems
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.learners.protocol import Need
from oso_pipeline.prediction.bands import Band, BandSet, Evidence, Values
from oso_pipeline.prediction.class_bands import LEGENDS, MARGIN, PROBABILITIES, SECOND_CLASS
from oso_pipeline.prediction.confidence_bands import OUT_OF_DOMAIN, PROBABILITY, SET_SIZE
from oso_pipeline.prediction.legends import Legend, check_legend

BAND_SETS: Mapping[str, BandSet] = {
    one.name: one
    for one in (PROBABILITIES, SECOND_CLASS, MARGIN, PROBABILITY, SET_SIZE, OUT_OF_DOMAIN)
}
"""What ``map.bands`` may name, in the order of the bands in the block files."""

_SECONDS_PER_CLASS = 5e-9
"""Per pixel: votes from the walk as probabilities of the classes of the map."""
_DISK_BYTES_PER_BAND = 0.4
"""Per pixel, compressed."""
_BYTES_PER_BAND = 6
"""Of a pixel of a block: as computed, as written and as read back, uint16."""
_CHUNK_BYTES_PER_CLASS = 32
"""Of a pixel of a chunk: votes, probabilities, and two copies on the way to the bands."""


@dataclass(frozen=True)
class BandRequest:
    """The bands requested of every block.

    Parameters
    ----------
    names
        Names of `BAND_SETS`, in their order.
    codes
        Classes of the nomenclature, ascending.
    legends
        Legends to sum the probabilities for.
    set_level
        Level of the class sets in percent; None where they are not requested.
    """

    names: tuple[str, ...]
    codes: tuple[int, ...]
    legends: tuple[Legend, ...] = ()
    set_level: int | None = None

    @classmethod
    def of(cls, config: Config) -> BandRequest | None:
        """Return what a configuration asks for; None where that is nothing.

        Raises
        ------
        ConfigError
            If a band or a legend is wrong, see `check_bands`.
        """
        if not config.map.bands and not config.map.legends:
            return None
        nomenclature = load_nomenclature(config.nomenclature)
        check_bands(config, nomenclature).raise_errors(ConfigError)
        legends = [
            Legend.of(name, groups, nomenclature) for name, groups in config.map.legends.items()
        ]
        names = tuple(name for name in BAND_SETS if name in config.map.bands)
        wanted = config.calibration if SET_SIZE.name in names else None
        level = None if wanted is None else wanted.percent
        return cls(names, nomenclature.codes, tuple(legends), level)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        legends = [one.to_json() for one in self.legends]
        level = {} if self.set_level is None else {"set_level": self.set_level}
        return {"names": self.names, "codes": self.codes, "legends": legends, **level}

    @cached_property
    def sets(self) -> tuple[BandSet, ...]:
        """The sets of bands, in the order of the block files."""
        return (*(BAND_SETS[name] for name in self.names), *([LEGENDS] if self.legends else []))

    @cached_property
    def bands(self) -> tuple[Band, ...]:
        """The bands, in the order of the block files."""
        return tuple(band for one in self.sets for band in one.bands(self))

    def compute(self, evidence: Evidence) -> Values:
        """Return the values of the bands of pixels, uint16, shape ``(band, n)``."""
        return np.concatenate([one.compute(self, evidence) for one in self.sets])

    def code_dtype(self, greatest: int) -> Literal["uint8", "uint16"]:
        """Return the smallest type of raster for codes up to `greatest`."""
        return "uint8" if greatest <= 255 else "uint16"

    @property
    def need(self) -> Need:
        """What the bands take beyond the classes, for planning only."""
        return Need(
            seconds=len(self.codes) * (_SECONDS_PER_CLASS + sum(one.seconds for one in self.sets)),
            pixel_bytes=_CHUNK_BYTES_PER_CLASS * len(self.codes),
        )

    @property
    def block_bytes(self) -> int:
        """Memory of a pixel of a block."""
        return _BYTES_PER_BAND * len(self.bands)

    @property
    def disk_bytes(self) -> float:
        """Size of a pixel on disk, compressed."""
        return _DISK_BYTES_PER_BAND * len(self.bands)


def check_bands(config: Config, nomenclature: Nomenclature) -> Problems:
    """Find bands without a meaning and legends that do not fit the nomenclature, all at once.

    Returns
    -------
    Problems
        ``E-BAND-NAME`` for a band that does not exist, ``E-LEGEND-...`` as of `check_legend`.
    """
    problems = Problems()
    for name in config.map.bands:
        if name not in BAND_SETS:
            problems.error(
                "E-BAND-NAME",
                f"map.bands: there is no band {name!r}, allowed: {', '.join(BAND_SETS)}",
                config.file,
                "correct the name or remove it",
            )
    for name, groups in config.map.legends.items():
        check_legend(name, groups, nomenclature, problems)
    return problems
