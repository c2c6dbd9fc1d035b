"""How large the blocks of series may be, and what making one takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oso_pipeline.config.model import Config
from oso_pipeline.config.series import Series
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.indices import INDICES
from oso_pipeline.tasks.task import Cost
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.reading.blocking import BLOCK_PIXELS, block_cost
from oso_pipeline.timeseries.reading.memory import (
    BLOCK_BYTES,
    PIECE_PIXELS,
    SHARE_OF_MEMORY,
    WorkerMemory,
    fixed_bytes,
)
from oso_pipeline.timeseries.series_layout import SeriesLayout
from oso_pipeline.timeseries.series_of_block import CHUNK_PIXELS
from oso_pipeline.timeseries.series_variables import resolution_of

_COPIES = 2.5
"""Of the result of a block while it is written: itself, compressed, and a part as it is read
back."""

_SHARE_OF_RESULT = 0.6
"""Of the memory for images and result; pieces of images take what is left."""

_LEAST_PIXELS = 4096

# Measured on one quiet core: to fill, to compress and to read back a stored value; to run a network
# on a pixel of an image.
_SECONDS_PER_VALUE, _SECONDS_PER_ESTIMATE = 1.2e-8, 3e-8
_SECONDS_PER_DATE = {
    "whittaker": 4.5e-8,
    "savitzky_golay": 8e-9,
    "monthly": 1.5e-8,
    "statistics": 2.7e-8,
    "phenology": 9.5e-8,
}
"""Of a date of a pixel of a variable, in addition."""

_BYTES_PER_VALUE = 0.9
"""Of a stored value on disk, two bytes compressed."""


@dataclass(frozen=True)
class SeriesMemory:
    """The memory of a worker that makes series.

    Parameters
    ----------
    worker
        What reading takes.
    layout
        What blocks hold; of raw series at most as many days as there are images.
    estimates
        Estimates of networks for each pixel of 10 m and image.
    seconds
        What smoothing, composites, statistics and phenology take for each pixel of 10 m.
    """

    worker: WorkerMemory
    layout: SeriesLayout
    estimates: float
    seconds: float = 0.0

    @classmethod
    def of(
        cls, config: Config, n_products: int, layout: SeriesLayout, file_blocks: tuple[int, int]
    ) -> SeriesMemory:
        """Return the memory that a configuration allows for a tile."""
        worker = WorkerMemory.of(config, n_products, FeatureLayout.of(config), file_blocks)
        series = config.series or Series()
        networks = [resolution_of(series, name) for name in series.biophysical_variables]
        estimates = sum(100 / resolution_m**2 for resolution_m in networks)
        return cls(worker, layout, estimates, _seconds(series, len(layout.dates)))

    @property
    def values_per_pixel(self) -> float:
        """Stored values per pixel of 10 m."""
        return sum(
            self.layout.steps(one.axis) * 100 / one.resolution_m**2 for one in self.layout.variables
        )

    @property
    def bytes_per_pixel(self) -> float:
        """Bytes of the result per pixel of 10 m."""
        return sum(
            np.dtype(one.dtype).itemsize * self.layout.steps(one.axis) * 100 / one.resolution_m**2
            for one in self.layout.variables
        )

    @property
    def reserved_bytes(self) -> float:
        """What computing takes beside the images and the result."""
        n_dates = len(self.layout.dates) + self.worker.n_products
        group = self.worker.layout.series
        # Bands and indices as integers, one variable at a time in floating point.
        chunk = (2 * (len(group.bands) + len(INDICES)) + 16) * n_dates
        estimates = 5 * self.worker.n_products * self.estimates
        return CHUNK_PIXELS * chunk + PIECE_PIXELS * estimates

    @property
    def for_reading(self) -> float:
        """Memory limit to tell the reader of the images."""
        return self.worker.allowed_bytes - self.reserved_bytes / SHARE_OF_MEMORY

    def most_pixels(self, configured: int | None) -> int:
        """Return how many pixels a block may have: as configured, if the memory allows it."""
        available = SHARE_OF_MEMORY * self.worker.allowed_bytes - self._fixed
        per_pixel = BLOCK_BYTES + _COPIES * self.bytes_per_pixel
        fitting = max(_LEAST_PIXELS, int(_SHARE_OF_RESULT * available / per_pixel))
        return min(configured or BLOCK_PIXELS, fitting)

    def cost(self, block: Block) -> Cost:
        """Return what making the series of a block takes."""
        read = block_cost(block, self.worker)
        values = block.pixels * self.values_per_pixel
        estimates = block.pixels * self.estimates * self.worker.n_products
        seconds = values * _SECONDS_PER_VALUE + estimates * _SECONDS_PER_ESTIMATE
        seconds += block.pixels * self.seconds
        writing = self._fixed + block.pixels * (BLOCK_BYTES + _COPIES * self.bytes_per_pixel)
        reading = read.memory_bytes + self.reserved_bytes + block.pixels * self.bytes_per_pixel
        # Pieces of images are as large as the memory beside the result allows.
        reading = min(reading, SHARE_OF_MEMORY * self.worker.allowed_bytes)
        return Cost(
            pixels=block.pixels,
            bytes_read=read.bytes_read,
            memory_bytes=int(max(writing, reading)),
            core_seconds=read.decode_seconds + seconds,
            decode_seconds=read.decode_seconds,
            bytes_written=int(values * _BYTES_PER_VALUE),
        )

    @property
    def _fixed(self) -> float:
        files = fixed_bytes(self.worker.n_products, len(self.worker.layout.series.bands))
        return files + self.reserved_bytes


def _seconds(series: Series, n_dates: int) -> float:
    """Return what is done beside filling, in seconds for each pixel of 10 m."""
    each = _SECONDS_PER_DATE.get(series.smoothing.kind, 0.0)
    each += len(series.monthly) * _SECONDS_PER_DATE["monthly"]
    each += _SECONDS_PER_DATE["statistics"] if series.statistics else 0.0
    shares = {name: 100 / resolution_of(series, name) ** 2 for name in series.variables}
    found = each * sum(shares.values())
    if series.phenology is not None:
        found += _SECONDS_PER_DATE["phenology"] * shares[series.phenology.variable]
    return n_dates * found
