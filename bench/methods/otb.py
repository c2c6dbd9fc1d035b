"""Orfeo ToolBox, the programs that the OSO chain of 2016 runs.

They read and write files and load their model each time, so the cost of starting on an image
of four pixels is measured first and taken off every round. The forest is OTB's own, trained
with the same parameters on the same samples: OpenCV's trees cannot be exchanged.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
from affine import Affine

from bench.method import Prepared, Startup, clock

_EPSG = 32631


def train(folder: Path, samples: Path, leaf: int, trees: int) -> None:
    """Train a forest of OTB and save it as ``forest.otb`` in `folder`."""
    features, labels = np.load(samples / "features.npy"), np.load(samples / "labels.npy")
    names = [f"f{n}" for n in range(features.shape[1])]
    table = pd.DataFrame(features.astype(np.int32), columns=names)
    table["code"] = labels.astype(np.int32)
    points = gpd.points_from_xy(np.arange(len(table)), np.zeros(len(table)))
    vector = folder / "samples.gpkg"
    gpd.GeoDataFrame(table, geometry=points, crs=_EPSG).to_file(vector, driver="GPKG")
    _run(
        "TrainVectorClassifier", "-io.vd", vector, "-cfield", "code",
        "-io.out", folder / "forest.otb", "-feat", *names,
        "-classifier", "rf", "-classifier.rf.max", 25, "-classifier.rf.min", leaf,
        "-classifier.rf.nbtrees", trees, "-classifier.rf.ra", 0, "-classifier.rf.acc", 0,
        "-rand", 0,
    )  # fmt: skip
    vector.unlink()


def classify(case: dict[str, Any]) -> Prepared:
    """Classify the first rows of a block whose features lie in one image."""
    block, work = Path(case["block"]), Path(case["folder"])
    features = np.load(block / "features.npy")
    side = round(features.shape[1] ** 0.5)
    rows = case["pixels"] // side
    image = _image(work / "features.tif", features[:, : rows * side].reshape(-1, rows, side))
    little = _image(work / "little.tif", features[:, :4].reshape(-1, 2, 2))
    target = work / "classes.tif"

    def run(source: Path) -> None:
        _run("ImageClassifier", "-in", source, "-model", case["model"], "-out", target, "uint8",
             "-confmap", work / "confidence.tif", "float", "-ram", 256)  # fmt: skip

    def answer(_: object) -> np.ndarray:
        with rasterio.open(target) as file:
            return file.read(1).ravel().astype(np.uint16)

    return Prepared(
        lambda: run(image), rows * side, _startup(lambda: run(little)), answer=answer,
        note="OTB's own forest, same parameters and samples; reads and writes files",
    )  # fmt: skip


def extract(case: dict[str, Any]) -> Prepared:
    """Take the features of points out of one image of features."""
    block, work = Path(case["block"]), Path(case["folder"])
    features = np.load(block / "features.npy")
    side = round(features.shape[1] ** 0.5)
    image = _image(work / "stack.tif", features.reshape(-1, side, side))
    chosen = np.load(case["points"])

    def points(name: str, pick: np.ndarray) -> Path:
        row, column = np.divmod(pick, side)
        geometry = gpd.points_from_xy(10 * column + 5, -10 * row - 5)
        frame = gpd.GeoDataFrame({"code": np.ones(len(pick), np.int32)}, geometry=geometry)
        frame.set_crs(_EPSG).to_file(work / name, driver="GPKG", layer="output")
        return work / name

    many, few = points("many.gpkg", chosen), points("few.gpkg", chosen[:1])

    def run(vector: Path) -> None:
        target = work / "extracted.sqlite"
        names = ("-outfield", "prefix", "-outfield.prefix.name", "b_")
        _run("SampleExtraction", "-in", image, "-vec", vector, "-field", "code", *names,
             "-out", target)  # fmt: skip

    def answer(_: object) -> np.ndarray:
        table = gpd.read_file(work / "extracted.sqlite")
        return table[[f"b_{n}" for n in range(len(features))]].to_numpy()

    return Prepared(lambda: run(many), len(chosen), _startup(lambda: run(few)), answer=answer)


def _startup(run: Callable[[], None]) -> Startup:
    spent = []
    for _ in range(3):
        before = clock()
        run()
        after = clock()
        spent.append((after[0] - before[0], after[1] - before[1]))
    walls, cpus = zip(*spent, strict=True)
    return Startup(median(walls), median(cpus))


def _image(path: Path, bands: np.ndarray) -> Path:
    count, rows, columns = bands.shape
    transform = Affine(10, 0, 0, 0, -10, 0)
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=rows, width=columns, dtype="int16",
        crs=f"EPSG:{_EPSG}", transform=transform, interleave="pixel",
    ) as file:  # fmt: skip
        file.write(bands)
    return path


def _run(application: str, *arguments: object) -> None:
    command = [f"otbcli_{application}", *(str(argument) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no message"]
        raise RuntimeError(f"{application}: {lines[-1][:300]}")
