"""xarray, dask and scikit-learn as users write it: ``interpolate_na``, then ``map_blocks``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask
import joblib
import numpy as np
import xarray as xr

from bench.method import Prepared
from bench.series import BANDS, GRID


def classify(case: dict[str, Any]) -> Prepared:
    """Take the first rows of a block from reflectances to classes, uint16 ``(pixel,)``."""
    block = Path(case["block"])
    clear = np.load(block / "clear.npy")
    side = round(clear.shape[1] ** 0.5)
    rows = case["pixels"] // side
    part = slice(0, rows * side)
    shape = (len(clear), rows, side)
    times = np.load(block / "days.npy").astype("M8[D]").astype("M8[ns]")
    values = np.load(block / "values.npy")[..., part]
    cube = xr.DataArray(
        values.reshape(len(clear), len(BANDS), rows, side),
        dims=("time", "band", "y", "x"),
        coords={"time": times, "band": list(BANDS)},
    )
    mask = xr.DataArray(clear[:, part].reshape(shape) > 0, dims=("time", "y", "x"))
    forest = joblib.load(case["forest"])
    forest.set_params(n_jobs=1)

    def predict(chunk: np.ndarray) -> np.ndarray:
        flat = chunk.reshape(len(chunk), -1).T.astype(np.float32)
        probabilities = forest.predict_proba(flat)
        return forest.classes_[probabilities.argmax(axis=1)].reshape(chunk.shape[1:])

    def work() -> np.ndarray:
        chunked = {"y": max(1, rows // 2), "x": side // 2, "time": -1, "band": -1}
        clean = cube.where(mask).chunk(chunked)
        grid = np.array([np.datetime64(day) for day in GRID]).astype("M8[ns]")
        series = clean.interpolate_na("time").ffill("time").bfill("time")
        series = series.interp(time=grid, kwargs={"fill_value": "extrapolate"})
        red, nir, swir = (series.sel(band=name) for name in ("B4", "B8", "B11"))
        indices = [
            1000 * (nir - red) / (nir + red),
            1000 * (swir - nir) / (swir + nir),
            np.sqrt((series**2).sum("band")),
        ]
        flat = series.transpose("time", "band", "y", "x").data
        stacked = [flat.reshape(-1, *flat.shape[2:]), *(index.data for index in indices)]
        features = dask.array.concatenate(stacked).rechunk({0: -1})
        classes = features.map_blocks(predict, drop_axis=0, dtype=np.uint16)
        with dask.config.set(scheduler="threads", num_workers=1):
            return np.asarray(classes.compute())

    return Prepared(work, rows * side, answer=np.ravel)


def ndvi(case: dict[str, Any]) -> Prepared:
    """Fill the gaps of B4 and B8 on the dates of the grid; NDVI times 1000, ``(date, pixel)``."""
    block = Path(case["block"])
    clear = np.load(block / "clear.npy")
    side = round(clear.shape[1] ** 0.5)
    rows = case["pixels"] // side
    shape = (len(clear), rows, side)
    times = np.load(block / "days.npy").astype("M8[D]").astype("M8[ns]")
    values, part = np.load(block / "values.npy", mmap_mode="r"), slice(0, rows * side)
    bands = [np.array(values[:, BANDS.index(name), part]).reshape(shape) for name in ("B4", "B8")]
    cube = xr.DataArray(
        np.stack(bands, axis=1).astype(np.float32),
        dims=("time", "band", "y", "x"),
        coords={"time": times, "band": ["B4", "B8"]},
    )
    mask = xr.DataArray(clear[:, part].reshape(shape) > 0, dims=("time", "y", "x"))
    grid = np.array([np.datetime64(day) for day in GRID]).astype("M8[ns]")

    def work() -> np.ndarray:
        clean = cube.where(mask).reindex(time=np.union1d(times, grid))
        clean = clean.chunk({"y": max(1, rows // 2), "x": side // 2, "time": -1, "band": -1})
        filled = clean.interpolate_na("time").ffill("time").bfill("time").sel(time=grid)
        red, nir = filled.sel(band="B4"), filled.sel(band="B8")
        with dask.config.set(scheduler="threads", num_workers=1):
            return np.asarray((1000 * (nir - red) / (nir + red)).compute())

    return Prepared(work, rows * side, answer=lambda found: found.reshape(len(GRID), -1))
