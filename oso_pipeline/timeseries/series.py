"""The series of a block: images as they were stored, 20 m bands at 20 m."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.kernels import kernel
from oso_pipeline.timeseries.kernels.chunks import NODATA


@dataclass(frozen=True)
class BlockSeries:
    """The images of a block, one layer per product that shows something clear.

    Parameters
    ----------
    shape
        Rows and columns of the block in pixels of 10 m; its origin on the tile is even.
    fine
        Reflectances of the 10 m bands in 1e-4 units, int16, shape ``(time, fine band,
        pixel)``; pixels row by row. Where a layer is not clear the number means nothing.
    coarse
        Those of the 20 m bands, int16, shape ``(time, coarse band, pixel20)``, of which there
        are ``ceil(rows / 2) * ceil(columns / 2)``.
    slots
        Where each band of the features is stored, int32, shape ``(band,)``: the row of
        `fine`, or ``-1 -`` the row of `coarse`.
    clear
        1 where the layer counts, uint8, shape ``(time, pixel)``. Of the layers of one day at
        most one is clear at a pixel.
    days
        Days since 1970-01-01, not descending, int32, shape ``(time,)``.
    clipped
        Values of clear pixels that lay outside -9999 to 32767 and were set to the nearer end.
    blank
        Pixels of all layers that no mask hides and that are 0 in every band: no observations.
    products
        Name of the product of each layer; none where it is not known.
    """

    shape: tuple[int, int]
    fine: npt.NDArray[np.int16]
    coarse: npt.NDArray[np.int16]
    slots: npt.NDArray[np.int32]
    clear: npt.NDArray[np.uint8]
    days: npt.NDArray[np.int32]
    clipped: int = 0
    blank: int = 0
    products: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        values: npt.NDArray[np.int16],
        clear: npt.NDArray[np.uint8] | npt.NDArray[np.bool_],
        days: npt.NDArray[np.int32],
        clipped: int = 0,
    ) -> BlockSeries:
        """Return a series from plain values of shape ``(time, band, pixel)``, all at 10 m."""
        n_days, n_bands, n_pixels = values.shape
        slots = np.arange(n_bands, dtype=np.int32)
        none = np.empty((n_days, 0, 0), np.int16)
        flags = np.ascontiguousarray(clear).view(np.uint8)
        return cls((1, n_pixels), values, none, slots, flags, days, clipped)

    @property
    def values(self) -> npt.NDArray[np.int16]:
        """All bands at 10 m, a new array of shape ``(time, band, pixel)``.

        -10000 where the layer is not clear. For notebooks and tests: the kernels take the
        bands as they are stored.
        """
        values, clear = self.take(np.arange(self.clear.shape[1]))
        np.copyto(values, NODATA, where=clear[:, None, :] == 0)
        return values

    def take(
        self, pixels: npt.NDArray[np.integer]
    ) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8]]:
        """Return some pixels with all their bands.

        Parameters
        ----------
        pixels
            Indices into the pixels of the block, shape ``(n,)``.

        Returns
        -------
        values, clear
            int16 of shape ``(time, band, n)``, uint8 of shape ``(time, n)``.
        """
        places = np.ascontiguousarray(pixels, dtype=np.int64)
        halves = coarse_places(places, self.shape[1])
        values = np.empty((len(self.days), len(self.slots), len(places)), np.int16)
        _gather(self.fine, self.coarse, self.slots, places, halves, values)
        return values, np.take(self.clear, places, axis=1)


def coarse_places(pixels: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.int64]:
    """Return the 20 m pixel in which each pixel lies, for blocks of `width` columns."""
    rows, columns = np.divmod(pixels, width)
    return (rows // 2) * (-(-width // 2)) + columns // 2


@kernel
def _gather(fine, coarse, slots, places, halves, values):  # type: ignore[no-untyped-def]
    for t in range(values.shape[0]):
        for band in range(values.shape[1]):
            slot, out = slots[band], values[t, band]
            if slot >= 0:
                row = fine[t, slot]
                for p in range(len(places)):
                    out[p] = row[places[p]]
            else:
                row = coarse[t, -1 - slot]
                for p in range(len(places)):
                    out[p] = row[halves[p]]
