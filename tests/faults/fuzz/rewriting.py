"""Other ways to write the plain world that mean the same: formats, systems, scales, folders.

A reader that takes one system for another, scales before it looks for no data, or loses a feature,
makes another map of one of them.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import geopandas
import numpy as np

from fuzz.worlds import DAYS, TILE, labels, name_of, product

Rewriting = Callable[[Path, random.Random], None]


def _some_days(draw: random.Random) -> list[str]:
    return draw.sample(DAYS, draw.randint(1, len(DAYS)))


def _remove(products: Path, day: str) -> None:
    shutil.rmtree(products / name_of(day), ignore_errors=True)
    (products / f"{name_of(day)}.zip").unlink(missing_ok=True)


def _written(**changes: Any) -> Rewriting:
    """Return a rewriting of products with other numbers or profiles."""

    def again(world: Path, draw: random.Random) -> None:
        for day in _some_days(draw):
            _remove(world / "products", day)
            one = product(day, **changes)
            if draw.random() < 0.3:
                one.write_zip(world / "products")
            else:
                one.write(world / "products")

    return again


def _profile(**profile: Any) -> Rewriting:
    return _written(profile=profile)


def deep_folders(world: Path, draw: random.Random) -> None:
    """Move products into folders of tile, year, month and day."""
    for day in _some_days(draw):
        to = world / "products" / TILE / day[:4] / day[4:6] / day[6:]
        to.mkdir(parents=True)
        for path in (world / "products").glob(f"{name_of(day)}*"):
            path.rename(to / path.name)


def own_folder(world: Path, draw: random.Random) -> None:
    """Put each product into a folder of its own name."""
    for day in _some_days(draw):
        for path in (world / "products").glob(f"{name_of(day)}*"):
            if path.is_dir():
                path.rename(world / "aside")
                path.mkdir()
                (world / "aside").rename(path / path.name)


def files_of_macos(world: Path, draw: random.Random) -> None:
    """Lay the files beside others that macOS adds."""
    for path in list((world / "products").rglob("*")):
        if path.is_file() and draw.random() < 0.5:
            path.with_name(f"._{path.name}").write_bytes(draw.randbytes(300))
    (world / "products" / ".DS_Store").write_bytes(draw.randbytes(100))


def hidden_metadata(world: Path, draw: random.Random) -> None:
    """Lay sidecars of GDAL beside images; they contradict the images."""
    text = "<PAMRasterBand band='1'><NoDataValue>900</NoDataValue></PAMRasterBand>"
    for path in (world / "products").rglob("*_FRE_*.tif"):
        path.with_name(f"{path.name}.aux.xml").write_text(f"<PAMDataset>{text}</PAMDataset>")


def packed_elsewhere(world: Path, draw: random.Random) -> None:
    """Zip with another compression."""
    for day in _some_days(draw):
        _remove(world / "products", day)
        product(day).write_zip(world / "products", draw.choice((0, 8)))


def _labels(suffix: str, epsg: int = 2154, **options: Any) -> Rewriting:
    """Return a rewriting of the labels in a format and a system."""

    def again(world: Path, draw: random.Random) -> None:
        frame = labels().to_crs(epsg)
        (world / "labels.gpkg").unlink()
        path = world / f"labels{suffix}"
        if suffix == ".parquet":
            frame.to_parquet(path)
        else:
            frame.to_file(path, **options)
        _replace(world, "labels.gpkg", path.name)

    return again


def shuffled(world: Path, draw: random.Random) -> None:
    """Write the polygons in another order."""
    order = draw.sample(range(len(labels())), len(labels()))
    _again(world, labels().to_crs(2154).iloc[order])


def codes_as_text(world: Path, draw: random.Random) -> None:
    """Write the codes as text, in another column."""
    frame = labels().to_crs(2154)
    frame["klass"] = frame.pop("code").astype(str)
    _again(world, frame)
    _replace(world, "code_field: code", "code_field: klass")


def more_columns(world: Path, draw: random.Random) -> None:
    """Add columns that nobody asks for, and a table without geometry."""
    frame = labels().to_crs(2154)
    _again(world, frame.assign(note="é" * 30, when="2018-01-01", number=np.nan))


def in_parts(world: Path, draw: random.Random) -> None:
    """Cut the labels into two files that are two sources."""
    frame = labels().to_crs(2154)
    at = draw.randrange(1, len(frame))
    (world / "labels.gpkg").unlink()
    frame.iloc[:at].to_file(world / "one.gpkg")
    frame.iloc[at:].to_file(world / "two.geojson")
    line = "    - {path: labels.gpkg, code_field: code}"
    _replace(world, line, line.replace("labels.gpkg", "one.gpkg") + "\n"
             + line.replace("labels.gpkg", "two.geojson"))  # fmt: skip


def _again(world: Path, frame: geopandas.GeoDataFrame) -> None:
    (world / "labels.gpkg").unlink()
    frame.to_file(world / "labels.gpkg")


def _replace(world: Path, old: str, new: str) -> None:
    config = world / "oso.yaml"
    text = config.read_text()
    assert old in text, old
    config.write_text(text.replace(old, new))


def _config(change: Callable[[str], str]) -> Rewriting:
    def again(world: Path, draw: random.Random) -> None:
        config = world / "oso.yaml"
        config.write_text(change(config.read_text()), newline="")

    return again


def extended(world: Path, draw: random.Random) -> None:
    """Let a chain of configurations extend the one that says all."""
    config = world / "oso.yaml"
    last = config.rename(world / "base0.yaml")
    for n in range(1, draw.randint(2, 6)):
        (world / f"base{n}.yaml").write_text(f"extends: {last.name}\n")
        last = world / f"base{n}.yaml"
    config.write_text(f"extends: {last.name}\nseed: 0\n")


def as_json(world: Path, draw: random.Random) -> None:
    """Write the configuration as JSON, which is YAML too."""
    import json

    import yaml

    config = world / "oso.yaml"
    config.write_text(json.dumps(yaml.safe_load(config.read_text()), default=str))


REWRITINGS: Mapping[str, Mapping[str, Rewriting]] = {
    "images": {
        "tiled": _profile(tiled=True, blockxsize=16, blockysize=16),
        "deflate": _profile(compress="deflate", predictor=2),
        "lzw": _profile(compress="lzw"),
        "big tiff": _profile(BIGTIFF="YES"),
        "big endian": _profile(ENDIANNESS="BIG"),
        "tag of no data": _profile(nodata=-10000),
        "scale 20000": _written(scale="20000", factor=2.0),
        "scale 1": _written(scale="1", factor=1e-4, nodata="-1", dtype="float32"),
        "no data -32768": _written(nodata="-32768"),
        "no data 32000": _written(nodata="32000"),
    },
    "folders": {
        function.__name__: function
        for function in (deep_folders, own_folder, files_of_macos, hidden_metadata,
                         packed_elsewhere)
    },
    "labels": {
        "shapefile": _labels(".shp"),
        "shapefile in the system of the tile": _labels(".shp", 32631),
        "shapefile in degrees": _labels(".shp", 4326),
        "GeoPackage in degrees": _labels(".gpkg", 4326),
        "GeoPackage in another zone": _labels(".gpkg", 32630),
        "European GeoPackage": _labels(".gpkg", 3035),
        "GeoJSON": _labels(".geojson", 4326, COORDINATE_PRECISION=12),
        "parquet": _labels(".parquet"),
        "parquet in degrees": _labels(".parquet", 4326),
        **{function.__name__: function
           for function in (shuffled, codes_as_text, more_columns, in_parts)},
    },
    "configuration": {
        "comments": _config(lambda text: text.replace("\n", "  # so\n\n")),
        "lines of Windows": _config(lambda text: text.replace("\n", "\r\n")),
        "byte order mark": _config(lambda text: "\ufeff" + text),
        "a document": _config(lambda text: f"---\n{text}"),
        "quotes": _config(lambda text: text.replace("labels.gpkg", '"labels.gpkg"')),
        "extended": extended,
        "json": as_json,
    },
}  # fmt: skip
