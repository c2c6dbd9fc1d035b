"""Cloud Optimized GeoTIFFs of series: a file per variable and date."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.windows import Window as RasterWindow

from oso_pipeline.core.commit import set_aside, verified
from oso_pipeline.products.series.discovery import About
from oso_pipeline.products.series.tile_series import TileSeries, Window, windows
from oso_pipeline.timeseries.series_layout import SeriesLayout, Variable

BLOCK_PX = 512
"""Side of the blocks of a file."""
BUDGET_BYTES = 32 * 2**20
"""Of the window in memory."""
CACHE_MB = 64
"""Of GDAL."""
# One thread: with GDAL_NUM_THREADS set, GDAL 3.10 does not report a full disk while it writes
# a GeoTIFF.
_SETTINGS = {"GDAL_NUM_THREADS": "1", "GDAL_CACHEMAX": CACHE_MB, "GDAL_PAM_ENABLED": "NO"}


@dataclass(frozen=True)
class CogFile:
    """A file to write.

    Parameters
    ----------
    variable
        Its variable.
    step
        Its layer, from 0.
    label
        Date ``YYYYMMDD``, month ``YYYYMM``, season ``s1``; empty where there is one layer.
    """

    variable: Variable
    step: int
    label: str

    @property
    def name(self) -> str:
        """Name of the file, for example ``NDVI_20180601.tif``."""
        label = f"_{self.label}" if self.label else ""
        return f"{self.variable.name}{label}.tif"


def cog_files(layout: SeriesLayout) -> Iterator[CogFile]:
    """List the files of the variables of a layout."""
    labels = {
        "time": [f"{day:%Y%m%d}" for day in layout.dates],
        "acquisition": [f"{day:%Y%m%d}" for day in layout.acquisitions],
        "month": [f"{day:%Y%m}" for day in layout.months],
        "season": [f"s{number + 1}" for number in range(layout.n_seasons)],
        "": [""],
    }
    for variable in layout.variables:
        for step, label in enumerate(labels[variable.axis]):
            yield CogFile(variable, step, label)


def write_cog(path: Path, series: TileSeries, file: CogFile, about: About) -> int:
    """Publish a layer of a variable, all or nothing, after reading it back; return its size.

    Scale, offset and nodata are those of the variable, so that GIS show physical values. There
    is no colour table. Overviews are averages, of flags and days the nearest pixel.

    Raises
    ------
    InputDataError
        If a block cannot be read (``E-SERIES-BLOCK``).
    EnvironmentFailure
        If the system refuses to write (``E-DISK``).
    """
    variable = file.variable
    parts = list(_parts(series, variable, file.step))
    checksums: list[int] = []

    def write(temporary: Path) -> None:
        with rasterio.Env(**_SETTINGS), set_aside(temporary) as plain:
            with rasterio.open(plain, "w", **_profile(series, variable)) as target:
                target.update_tags(**_tags(file, about))
                target.set_band_description(1, variable.long_name)
                target.scales, target.offsets = (variable.scale,), (variable.offset,)
                target.units = (variable.units,)
                for part in parts:
                    values = series.read(variable, part)[0]
                    target.write(values, 1, window=_raster(part))
                    checksums.append(zlib.crc32(values.data))
            rasterio.shutil.copy(plain, temporary, **_options(variable))

    def check(temporary: Path) -> None:
        with rasterio.Env(**_SETTINGS), rasterio.open(temporary, driver="GTiff") as source:
            for part, checksum in zip(parts, checksums, strict=True):
                if zlib.crc32(source.read(1, window=_raster(part)).data) != checksum:
                    raise OSError(f"{path} does not read back as it was written")

    verified(write, check, path)
    return path.stat().st_size


def _parts(series: TileSeries, variable: Variable, step: int) -> Iterator[Window]:
    _, rows, columns = series.shape(variable)
    chunk, itemsize = (1, BLOCK_PX, BLOCK_PX), np.dtype(variable.dtype).itemsize
    for part in windows((1, rows, columns), chunk, itemsize, BUDGET_BYTES):
        yield Window(slice(step, step + 1), part.rows, part.columns)


def _raster(part: Window) -> RasterWindow:
    _, rows, columns = part.shape
    return RasterWindow(part.columns.start, part.rows.start, columns, rows)


def _profile(series: TileSeries, variable: Variable) -> dict[str, Any]:
    grid = series.grid(variable.resolution_m)
    return {
        "driver": "GTiff",
        "dtype": variable.dtype,
        "count": 1,
        "height": int(grid.shape[0]),
        "width": int(grid.shape[1]),
        "crs": rasterio.crs.CRS.from_epsg(grid.crs.epsg),
        "transform": grid.affine,
        "nodata": variable.fill,
        "tiled": True,
        "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX,
        "bigtiff": "if_safer",
    }


def _options(variable: Variable) -> dict[str, Any]:
    """Return the options of GDAL's COG driver; predictor 2 stores differences of neighbours."""
    smooth = variable.units != "days" and not variable.flag_values and not variable.flag_masks
    return {
        "driver": "COG",
        "blocksize": BLOCK_PX,
        "compress": "DEFLATE",
        "level": 6,
        "predictor": "STANDARD" if smooth else "NO",
        "overview_resampling": "AVERAGE" if smooth and variable.fill is not None else "NEAREST",
        "sparse_ok": "TRUE",
        "num_threads": "1",
    }


def _tags(file: CogFile, about: About) -> dict[str, str]:
    tags = {
        "TIFFTAG_SOFTWARE": about.software,
        "TIFFTAG_COPYRIGHT": about.licence,
        "TIFFTAG_IMAGEDESCRIPTION": f"{file.variable.long_name} {file.label}".strip(),
        "OSO_RUN_ID": about.run_id,
        "OSO_VARIABLE": file.variable.name,
        "OSO_DATE": file.label,
    }
    return {name: text for name, text in tags.items() if text}
