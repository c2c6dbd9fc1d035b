from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rasterio import open as raster_open

from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.products.quicklook import quicklook

World = Any


@pytest.fixture
def maps(world: World) -> dict[str, Path]:
    tasks = world.predict_tasks(120)
    world.commit(tasks)
    return {name: task.output() for name, task in world.plan(tasks).all_made().items()}


def pixels_of(png: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(png)))


def test_full_size_picture_shows_every_class_in_its_colour(maps: dict[str, Path]) -> None:
    oso = load_nomenclature("oso17")
    with raster_open(maps["class"]) as source:
        codes = source.read(1)
    picture = pixels_of(quicklook(maps["class"], oso, 5000))
    assert picture.shape == (*codes.shape, 4)
    assert (picture[codes == 0] == 0).all()
    for one in oso.classes:
        assert (picture[codes == one.code] == (*one.rgb, 255)).all()


@pytest.mark.parametrize("layer", ["class", "confidence", "validity"])
def test_pictures_are_small_and_nodata_is_transparent(maps: dict[str, Path], layer: str) -> None:
    oso = load_nomenclature("oso17") if layer == "class" else None
    picture = pixels_of(quicklook(maps[layer], oso, 50))
    assert max(picture.shape[:2]) == 50
    assert set(np.unique(picture[..., 3])) == {0, 255}
    if oso is not None:
        colours = {tuple(colour) for colour in picture.reshape(-1, 4).tolist()}
        assert colours <= set(oso.colour_table().values())


def test_the_same_map_gives_the_same_picture(maps: dict[str, Path]) -> None:
    oso = load_nomenclature("oso17")
    assert quicklook(maps["class"], oso, 80) == quicklook(maps["class"], oso, 80)
