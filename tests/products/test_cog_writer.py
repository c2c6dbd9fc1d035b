"""Our files against three readers that are not ours: GDAL, Pillow, and rio-cogeo's rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from odc.geo.geobox import GeoBox
from PIL import Image
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rio_cogeo import cog_validate

from oso_pipeline.products.assembly import assemble
from oso_pipeline.products.cell_layers import level_of
from oso_pipeline.products.cog_writer import verify_bytes, write_levels
from oso_pipeline.products.layers import PixelType
from oso_pipeline.products.overviews import halved, overview_shapes
from oso_pipeline.products.raster import RasterSpec, pack, template_of, verify_structure
from oso_pipeline.products.tiff import directories

CLASS = PixelType("class", "uint8", 0, "mode")
VALIDITY = PixelType("validity", "uint16", 65535, "average")


def spec_of(shape: tuple[int, int], pixels: PixelType = CLASS) -> RasterSpec:
    grid = GeoBox(shape, Affine(10, 0, 500_000, 0, -10, 6_300_000), "EPSG:2154")
    colours = {5: (1, 2, 3, 255)} if pixels is CLASS else None
    tags = {"OSO_YEAR": "2018", "TIFFTAG_SOFTWARE": "some software 1.2"}
    return RasterSpec(grid, pixels, "description of it", tags, colours)


def drawn(shape: tuple[int, int], pixels: PixelType) -> np.ndarray:
    rng = np.random.default_rng(1)
    values = rng.integers(0, 9, shape).astype(pixels.dtype)
    values[rng.random(shape) < 0.2] = pixels.nodata
    values[: shape[0] // 3, : shape[1] // 3] = pixels.nodata
    return values


def written(path: Path, spec: RasterSpec, values: np.ndarray, **options: Any) -> list[np.ndarray]:
    """Write the image and its overviews; return them."""
    images = [values]
    for _ in overview_shapes(values.shape, 512):
        images.append(halved(images[-1], spec.pixels.nodata, Resampling[spec.pixels.overviews]))
    levels = [level_of(i.shape, [pack(i, spec.pixels.nodata)]) for i in images]
    verify_bytes(path, write_levels(path, template_of(spec), levels, **options))
    verify_structure(path, spec, [i.shape for i in images[1:]])
    return images


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("pixels", [CLASS, VALIDITY])
@pytest.mark.parametrize("shape", [(1, 1), (300, 200), (1100, 600)])
def test_other_readers_find_every_pixel(
    tmp_path: Path, shape: tuple[int, int], pixels: PixelType, big: bool
) -> None:
    path, spec = tmp_path / "map.tif", spec_of(shape, pixels)
    images = written(path, spec, drawn(shape, pixels), big=big)
    assert path.read_bytes()[2] == (43 if big else 42)
    for number, image in enumerate(images):
        options = {"overview_level": number - 1} if number else {}
        with rasterio.open(path, **options) as source:
            assert np.array_equal(source.read(1), image)
        with Image.open(path) as picture:  # libtiff alone, which asks for every block
            picture.seek(number)
            assert np.array_equal(np.asarray(picture), image)
    assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as source:
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert source.tags()["TIFFTAG_SOFTWARE"] == "some software 1.2"
        assert source.descriptions == ("description of it",)
        assert pixels is VALIDITY or source.colormap(1)[5] == (1, 2, 3, 255)


def test_the_head_is_that_of_the_cog_driver_of_gdal(tmp_path: Path) -> None:
    """The same tags with the same values, but for where blocks lie and how numbers are held."""
    spec, values = spec_of((800, 1024)), drawn((800, 1024), CLASS)
    ours, flat, theirs = (tmp_path / name for name in ("ours.tif", "flat.tif", "theirs.tif"))
    written(ours, spec, values)
    profile = {"driver": "GTiff", "count": 1, "height": 800, "width": 1024, "dtype": "uint8"}
    profile |= {"crs": "EPSG:2154", "transform": spec.grid.affine, "nodata": 0}
    with rasterio.open(flat, "w", **profile) as target:
        target.write(values, 1)
        target.update_tags(**spec.tags)
        target.set_band_description(1, spec.description)
        target.write_colormap(1, dict(spec.colours or {}))
    options = {"COMPRESS": "DEFLATE", "BLOCKSIZE": 512, "OVERVIEW_RESAMPLING": "MODE"}
    rasterio.shutil.copy(flat, theirs, driver="COG", **options)
    ghost = theirs.read_bytes()[8:192]
    assert ours.read_bytes()[8:192] == ghost
    for one, other in zip(
        *(list(directories(p.read_bytes())) for p in (ours, theirs)), strict=True
    ):
        assert one.keys() == other.keys()
        for tag in one.keys() - {256, 257, 322, 323, 324, 325}:
            assert one[tag] == other[tag], tag


@pytest.mark.parametrize("pixels", [CLASS, VALIDITY, replace(CLASS, dtype="uint16")])
def test_overviews_are_those_of_gdal(pixels: PixelType) -> None:
    """Sizes are even at each level; where one is odd, GDAL stretches and we do not."""
    values = drawn((2048, 1024), pixels)
    values[:700, :700] = pixels.nodata
    values[1024:] = np.random.default_rng(2).integers(0, 4, (1024, 1024))  # many ties
    profile = {"driver": "GTiff", "count": 1, "height": 2048, "width": 1024}
    profile |= {"dtype": pixels.dtype, "nodata": pixels.nodata, "crs": "EPSG:2154"}
    profile["transform"] = Affine(10, 0, 0, 0, -10, 0)
    with MemoryFile() as memory:
        with memory.open(**profile) as target:
            target.write(values, 1)
            target.build_overviews([2, 4, 8], Resampling[pixels.overviews])
        for level in range(3):
            values = halved(values, pixels.nodata, Resampling[pixels.overviews])
            with rasterio.open(memory.name, overview_level=level) as source:
                assert np.array_equal(source.read(1), values)


@pytest.mark.parametrize("how", ["mode", "average"])
@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (2, 1)])
def test_odd_sizes_are_rounded_up(how: str, shape: tuple[int, int]) -> None:
    values = np.random.default_rng(3).integers(0, 4, shape).astype(np.uint8)
    found = halved(values, 0, Resampling[how])
    assert found.shape == (-(-shape[0] // 2), -(-shape[1] // 2))
    for (row, column), value in np.ndenumerate(found):
        window = values[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].ravel()
        known = window[window > 0].tolist()
        if not known:
            assert value == 0
        elif how == "average":
            assert value == int(sum(known) / len(known) + 0.5)
        else:
            assert known.count(int(value)) == max(known.count(one) for one in known)


def test_another_way_to_make_overviews_is_refused() -> None:
    with pytest.raises(ValueError, match="mode or average, not by cubic"):
        halved(np.zeros((2, 2), np.uint8), 0, Resampling.cubic)


def test_blocks_without_a_value_take_no_space(tmp_path: Path) -> None:
    path, spec = tmp_path / "map.tif", spec_of((20_000, 30_000))
    assemble(path, spec, [[]], 4)
    with rasterio.open(path) as source:
        assert source.overviews(1) == [2, 4, 8, 16, 32, 64]
        assert source.get_tag_item("BLOCK_OFFSET_3_3", "TIFF", bidx=1) is None
        assert not source.read(1, window=((500, 600), (500, 600))).any()
    assert path.stat().st_size < 50_000
    assert cog_validate(path, strict=True)[0]


def test_a_file_that_reads_back_otherwise_is_refused(tmp_path: Path) -> None:
    path, spec = tmp_path / "map.tif", spec_of((300, 300), VALIDITY)
    values = drawn((300, 300), VALIDITY)
    levels = [level_of(values.shape, [pack(values, 65535)])]
    checksums = write_levels(path, template_of(spec), levels)
    content = path.read_bytes()
    for damaged in (content[:-1], content + b"x", content[:-9] + b"?" + content[-8:]):
        path.write_bytes(damaged)
        with pytest.raises(OSError, match=r"map\.tif"):
            verify_bytes(path, checksums)
    path.write_bytes(content)
    verify_bytes(path, checksums)
    for other in (spec_of((300, 301), VALIDITY), spec_of((300, 300), CLASS)):
        with pytest.raises(OSError, match=r"map\.tif: (width|dtype) is"):
            verify_structure(path, other, [])
    with pytest.raises(OSError, match="overviews of"):
        verify_structure(path, spec, [(150, 150)])


CUTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "another kind": lambda content: b"MM" + content[2:],
    "an image of another kind": lambda content: b"\x89PNG" + content[4:],
    "cut in the header": lambda content: content[:6],
    "cut in a directory": lambda content: content[:230],
    "cut in a tag": lambda content: content[:500],
}


@pytest.mark.parametrize("cut", list(CUTS))
def test_what_is_no_file_of_ours_is_refused(tmp_path: Path, cut: str) -> None:
    path = tmp_path / "map.tif"
    written(path, spec_of((300, 300)), drawn((300, 300), CLASS))
    with pytest.raises(ValueError, match="TIFF"):
        list(directories(CUTS[cut](path.read_bytes())))
