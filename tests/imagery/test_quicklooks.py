"""Pictures of images: what they show, which tasks make them, and where the report has them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from support import safe_factory
from support.inventories import A, B, Context, ids, make_config, run
from support.l3a_factory import synthesis
from support.minimal_config import minimal_config
from support.muscate_factory import Muscate
from support.report_tools import OSO17, commit
from support.stac_factory import edit
from support.stac_factory import write as write_item

from oso_pipeline.config import Config
from oso_pipeline.imagery.quicklook import make_quicklooks, picture_shape, stretched
from oso_pipeline.imagery.quicklook_section import MOST_TILES, clearest, quicklooks_section
from oso_pipeline.imagery.quicklook_stage import STAGE
from oso_pipeline.tasks.run_files import RunFiles
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do

SURFACE = {"B2": 300, "B3": 600, "B4": 900, "B8": 4000}


def pictured(folder: Path, **imagery: Any) -> Config:
    config = make_config(folder, **imagery)
    return minimal_config(
        config.run_dir, imagery=config.imagery.model_dump(), report={"quicklooks": True}
    )


def plan(config: Config) -> list[Task]:
    return STAGE.plan(Context(config))


def colour(jpeg: bytes, row: int = 2) -> list[int]:
    pixels = np.asarray(Image.open(io.BytesIO(jpeg)), np.int16)
    assert pixels.shape == (16, 16, 3)
    return [int(value) for value in pixels[row, 2]]


def near(found: list[int], expected: list[float]) -> bool:
    """Whether colours agree up to what JPEG changes."""
    return bool(np.abs(np.array(found) - np.array(expected)).max() <= 6)


def grey(reflectance: float, bright: float) -> float:
    """The stretch as the documentation gives it."""
    return 255 * min(1.0, reflectance / bright) ** (1 / 1.4)


def test_pictures_show_reflectance_of_every_family(tmp_path: Path) -> None:
    Muscate(A, values=SURFACE).write(tmp_path / "muscate" / "images")
    natural = [grey(0.09, 0.3), grey(0.06, 0.3), grey(0.03, 0.3)]
    false_colour = [grey(0.4, 0.5), grey(0.09, 0.3), grey(0.06, 0.3)]
    (item,) = run(make_config(tmp_path / "muscate"))[0].acquisitions
    made = make_quicklooks(item, (16, 16))
    assert near(colour(made.natural), natural)
    assert near(colour(made.false_colour), false_colour)
    assert (made.shown_percent, made.clear_percent) == (100, 100)
    synthesis(values=SURFACE).write(tmp_path / "l3a" / "images")
    (item,) = run(make_config(tmp_path / "l3a"))[0].acquisitions
    assert near(colour(make_quicklooks(item, (16, 16)).natural), natural)
    # SAFE stores an offset, so equal colours show that it is applied.
    safe_factory.write(tmp_path / "safe" / "images")
    (item,) = run(make_config(tmp_path / "safe"))[0].acquisitions
    assert item.bands["B4"].offset == -0.1
    assert near(colour(make_quicklooks(item, (16, 16)).natural), [grey(0.05, 0.3)] * 3)


def test_no_data_is_grey_and_not_clear(tmp_path: Path) -> None:
    home = Muscate(A, values=SURFACE).write(tmp_path / "images")
    with rasterio.open(next(home.glob("*_FRE_B3.tif")), "r+") as file:
        pixels = file.read(1)
        pixels[8:] = -10_000
        file.write(pixels, 1)
    with rasterio.open(next((home / "MASKS").glob("*_CLM_R1.tif")), "r+") as file:
        mask = file.read(1)
        mask[:4] = 0b11  # cloud
        file.write(mask, 1)
    (item,) = run(make_config(tmp_path))[0].acquisitions
    made = make_quicklooks(item, (16, 16))
    assert near(colour(made.natural, row=13), [128, 128, 128])
    assert near(colour(made.false_colour, row=13), [128, 128, 128])
    assert (made.shown_percent, made.clear_percent) == (50, 25)


def test_classes_are_those_of_the_file_not_the_means_of_its_coarse_levels(tmp_path: Path) -> None:
    safe_factory.write(tmp_path / "images")
    (item,) = run(make_config(tmp_path))[0].acquisitions
    classes = np.random.default_rng(0).choice([4, 9], size=(1024, 1024)).astype(np.uint8)
    path, (rows, columns) = tmp_path / "SCL.jp2", classes.shape
    how = {"driver": "JP2OpenJPEG", "count": 1, "dtype": "uint8", "REVERSIBLE": "YES"}
    with rasterio.open(path, "w", height=rows, width=columns, QUALITY="100", **how) as file:
        file.write(classes, 1)
    half_cloudy = {"SCL": replace(item.quality["SCL"], href=str(path), cached=None)}
    made = make_quicklooks(replace(item, quality=half_cloudy), (343, 343))
    assert made.clear_percent == pytest.approx(50, abs=2)


def test_the_stretch_is_fixed_and_never_wraps() -> None:
    values = np.array([np.nan, -0.2, 0, 0.15, 0.3, 1.5], np.float32)
    assert stretched(values, "B4").tolist() == [0, 0, 0, round(grey(0.15, 0.3)), 255, 255]
    assert picture_shape((10980, 5490)) == (343, 172)


def test_pictures_are_made_only_where_they_are_wanted(tmp_path: Path) -> None:
    Muscate(A).write(tmp_path / "images")
    assert plan(make_config(tmp_path)) == []
    (task,) = plan(pictured(tmp_path))
    assert task.name == f"31TCJ/{A}"


def test_a_picture_is_made_again_only_when_its_product_changes(tmp_path: Path) -> None:
    Muscate(A).write(tmp_path / "images")
    config = pictured(tmp_path)
    (alone,) = plan(config)
    run(config)
    (after_inventory,) = plan(config)
    assert after_inventory.key == alone.key
    assert do(after_inventory).status == "done"
    Muscate(B).write(tmp_path / "images")
    safe_factory.write(tmp_path / "images", sensed=safe_factory.FACTS.sensed.replace(month=3))
    run(config)
    tasks = plan(config)
    assert [task.state().status for task in tasks] == ["done", "new", "new"]
    assert all(do(task).status == "done" for task in tasks[1:])
    other_bands = pictured(tmp_path, bands=["B2", "B3", "B4", "B8", "B11"])
    run(other_bands)
    assert [task.key for task in plan(other_bands)] == [task.key for task in tasks]
    conservative = pictured(tmp_path, clear="conservative")
    run(conservative)
    assert not {task.key for task in plan(conservative)} & {task.key for task in tasks}
    Muscate(A, values=SURFACE, cloud_percent="3").write(tmp_path / "again")
    (tmp_path / "images" / A).rename(tmp_path / "old")
    (tmp_path / "again" / A).rename(tmp_path / "images" / A)
    run(config)
    assert [task.key == old.key for task, old in zip(plan(config), tasks, strict=True)] == [
        False,
        True,
        True,
    ]


def test_archives_have_pictures_too(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in (A, B):
        Muscate(name, values=SURFACE).write_zip(tmp_path / "images")
    config = pictured(tmp_path)
    before = plan(config)
    run(config)
    assert [task.key for task in plan(config)] == [task.key for task in before]
    assert len({task.key for task in before}) == 2
    assert do(before[0]).status == "done", "planned before the inventory, done after it"


@pytest.mark.parametrize("identifier", ["../../../out/a b", "/out", "S2A_" + 300 * "x"])
def test_pictures_stay_in_their_folder(tmp_path: Path, identifier: str) -> None:
    """Identifiers of STAC items are any text."""
    edit(write_item(tmp_path / "images"), lambda content: content.update(id=identifier))
    config = pictured(tmp_path)
    assert ids(run(config)[0]) == [identifier]
    (task,) = plan(config)
    assert {Path(one).parent.as_posix() for one in task.outputs} == {"quicklooks/31TCJ"}
    assert do(task).status == "done"
    assert len(list((config.run_dir / "quicklooks" / "31TCJ").glob("*.jpg"))) == 2


def test_skipped_products_have_no_picture(tmp_path: Path) -> None:
    Muscate(A).write(tmp_path / "images")
    Muscate(B, bands=("B2", "B3")).write(tmp_path / "images")
    config = pictured(tmp_path)
    assert len(plan(config)) == 2, "before the inventory, every product counts"
    run(config)
    assert [task.name for task in plan(config)] == [f"31TCJ/{A}"]


def test_a_picture_that_fails_takes_no_other_with_it(tmp_path: Path) -> None:
    for name in (A, B):
        Muscate(name).write(tmp_path / "images")
    config = pictured(tmp_path)
    run(config)
    first, second = plan(config)
    next((tmp_path / "images" / A).glob("*_FRE_B8.tif")).unlink()
    failed = do(first)
    assert failed.status == "failed"
    assert "E-IMAGE-VANISHED" in str(failed.error)
    assert "_FRE_B8.tif" in str(failed.error)
    path = next((tmp_path / "images" / B).glob("*_FRE_B8.tif"))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "E-IMAGE-CUT" in str(do(second).error)
    path.write_bytes(whole)
    assert do(second).status == "done"
    assert STAGE.optional
    assert STAGE.gather((first, second)).headline == "pictures of 1 of 2 images"


def test_bands_that_are_not_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"report.quicklooks: needs B3 in imagery.bands"):
        pictured(tmp_path, bands=["B2", "B4", "B8", "B11"])


def test_the_map_does_not_depend_on_pictures(tmp_path: Path) -> None:
    plain, with_pictures = make_config(tmp_path), pictured(tmp_path)
    assert with_pictures.run_id == plain.run_id
    assert with_pictures.science() == plain.science()
    assert with_pictures.recipe_id != plain.recipe_id, "shards have to agree on their tasks"


def test_the_report_shows_the_clearest_date_of_each_month(tmp_path: Path) -> None:
    for name in (A, B):
        Muscate(name, values=SURFACE).write(tmp_path / "images")
    with rasterio.open(
        next((tmp_path / "images" / A / "MASKS").glob("*_CLM_R1.tif")), "r+"
    ) as file:
        file.write(np.full(file.shape, 0b11, np.uint8), 1)
    config = pictured(tmp_path)
    run(config)
    tasks = plan(config)
    assert all(do(task).status == "done" for task in tasks)
    files = RunFiles(
        config.run_dir, "n", 2018, OSO17, {"quicklooks": [task.outputs[0] for task in tasks]}
    )
    section = quicklooks_section(files)
    assert section is not None
    (gallery,) = section.galleries
    assert gallery.heading == "Tile 31TCJ, 2 images"
    ((caption, pictures),) = gallery.figures
    assert caption == "2018-01-10, 100 % clear"
    assert [one.text for one in pictures] == [
        "Tile 31TCJ on 2018-01-10 in natural colours",
        "Tile 31TCJ on 2018-01-10 in false colours",
    ]
    assert all(one.uri.startswith("data:image/jpeg;base64,") for one in pictures)
    assert quicklooks_section(replace(files, outputs={})) is None


def test_a_month_may_have_no_image_and_the_first_of_equals_counts() -> None:
    images = [
        {"acquired": f"2018-{day}T10:00:00+00:00", "clear_percent": share}
        for day, share in (("01-03", 10.0), ("01-08", 90.0), ("03-01", 0.0), ("03-09", 0.0))
    ]
    assert [one["acquired"][:10] for one in clearest(images)] == ["2018-01-08", "2018-03-01"]


def test_the_page_stays_small_for_many_tiles(tmp_path: Path) -> None:
    tiles = [f"31TC{letter}" for letter in "CDEFGHJKL"]
    outputs = []
    for tile in tiles:
        path = f"quicklooks/{tile}/a_natural.jpg"
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(b"jpeg")
        summary = {"tile": tile, "acquired": "2018-01-03T10:00:00+00:00", "clear_percent": 50.0}
        commit(tmp_path / path, {**summary, "natural": path, "false_colour": path})
        outputs.append(path)
    section = quicklooks_section(RunFiles(tmp_path, "n", 2018, OSO17, {"quicklooks": outputs}))
    assert section is not None
    assert len(section.galleries) == MOST_TILES
    assert "6 of 9 tiles are shown" in section.paragraphs[1]
