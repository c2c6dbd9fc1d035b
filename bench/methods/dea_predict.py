"""dea-tools: ``predict_xr`` on a dataset in dask chunks, one thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import xarray as xr
from dea_tools.classification import predict_xr
from distributed import Client

from bench.method import Prepared


def predict(case: dict[str, Any]) -> Prepared:
    """Classify a block whose features are there already, ``(pixel,)``."""
    features = np.load(Path(case["block"]) / "features.npy")
    side = round(features.shape[1] ** 0.5)
    chunk = side // 2
    axis = np.arange(side, dtype=float)
    dataset = xr.Dataset(
        {f"f{n}": (("y", "x"), row.reshape(side, side)) for n, row in enumerate(features)},
        coords={"y": axis, "x": axis},
        attrs={"crs": "EPSG:32631"},
    ).chunk({"x": chunk, "y": chunk})
    forest = joblib.load(case["forest"])
    forest.set_params(n_jobs=1)

    # predict_xr refuses to work without a client.
    Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0")

    def work() -> xr.Dataset:
        size = chunk * chunk
        options = {"persist": False, "proba": False, "clean": False}
        return predict_xr(forest, dataset, chunk_size=size, **options).compute()

    def answer(result: xr.Dataset) -> np.ndarray:
        return result.Predictions.transpose("y", "x").values.ravel()

    # Twenty seconds a round: the first one warms up, the median leaves it out.
    return Prepared(work, features.shape[1], answer=answer, warm_up=lambda: None)
