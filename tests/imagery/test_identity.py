"""Which files make a product, and where products lie; numbers are those of reported faults."""

from __future__ import annotations

import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from support.inventories import A, B, ids, make_config, run
from support.muscate_factory import Muscate

from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.inventory import Inventory
from oso_pipeline.imagery.muscate.settings import MuscateSettings
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.search import MAX_DEPTH, find_products

C = "SENTINEL2A_20180115-105435-457_L2A_T31TCJ_C_V2-2"
NAMES = (A, B, C)
JUNK = b"\0\5\26\7" + bytes(200)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


@pytest.fixture
def raw(tmp_path: Path) -> tuple[Path, ...]:
    """Three whole products outside the folder that is searched, told apart by their values."""
    return tuple(product(name).write(tmp_path / "raw") for name in NAMES)


def product(name: str) -> Muscate:
    return Muscate(name, values={"B4": 100 + 100 * NAMES.index(name)})


def files(home: Path) -> list[Path]:
    return [path for path in sorted(home.rglob("*")) if path.is_file()]


def flat(homes: tuple[Path, ...], target: Path) -> None:
    target.mkdir(exist_ok=True)
    for home in homes:
        for path in files(home):
            shutil.copy(path, target / path.name)


def merged(homes: tuple[Path, ...], target: Path) -> None:
    for home in homes:
        shutil.copytree(home, target, dirs_exist_ok=True)


def zipped(homes: tuple[Path, ...], archive: Path, junk: bool = False) -> None:
    with zipfile.ZipFile(archive, "w") as stream:
        for home in homes:
            for path in files(home):
                name = path.relative_to(home.parent)
                stream.write(path, name)
                if junk:
                    stream.writestr(f"__MACOSX/{name.parent}/._{path.name}", JUNK)


def used(images: Path) -> Inventory:
    """Return the inventory; every file of a product bears the name of the product."""
    inventory, _ = run(make_config(images.parent))
    for number, name in enumerate(NAMES):
        for item in inventory.acquisitions:
            if item.product_id == name:
                assert all(asset.path.name.startswith(name) for asset in item.assets)
                with rasterio.open(item.bands["B4"].path) as source:
                    assert np.all(source.read(1) == 100 + 100 * number)
    return inventory


LAYOUTS: dict[str, Callable[[tuple[Path, ...], Path], None]] = {
    "flat in a folder": lambda homes, images: flat(homes, images / "all"),
    "flat at the top": flat,
    "flat with MASKS and DATA": merged,
    "flat in a folder with the name of one": lambda homes, images: merged(homes, images / A),
    "cart": lambda homes, images: zipped(homes, images / "cart.zip"),
    "cart with the name of one": lambda homes, images: zipped(homes, images / f"{A}.zip"),
    "cart of a Mac": lambda homes, images: zipped(homes, images / "cart.zip", junk=True),
    "one flat, one folder, one zip": lambda homes, images: (
        flat(homes[:1], images),
        shutil.copytree(homes[1], images / B),
        zipped(homes[2:], images / "c.ZIP"),
    )[0],
    "products within a product": lambda homes, images: (
        shutil.copytree(homes[0], images / A),
        shutil.copytree(homes[1], images / A / B),
        zipped(homes[2:], images / A / "other.zip"),
    )[0],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_1_1_each_product_of_a_folder_or_zip_is_used(
    images: Path, raw: tuple[Path, ...], layout: str
):
    LAYOUTS[layout](raw, images)
    inventory = used(images)
    assert ids(inventory) == list(NAMES)
    assert not inventory.skipped


@pytest.mark.parametrize("lacking", ["_MTD_ALL.xml", "_FRE_B8.tif"])
@pytest.mark.parametrize("layout", [k for k in LAYOUTS if "zip" not in k])
def test_1_1_what_a_product_lacks_is_never_taken_from_another(
    images: Path, raw: tuple[Path, ...], layout: str, lacking: str
):
    (raw[0] / f"{A}{lacking}").unlink()
    LAYOUTS[layout](raw, images)
    inventory = used(images)
    assert ids(inventory) == [B, C]
    assert [item.product_id for item in inventory.skipped] == [A]


def test_1_1_a_folder_that_bears_the_name_of_another_date(images: Path, raw: tuple[Path, ...]):
    merged(raw[:1], images / C)
    shutil.copytree(raw[0], images / A)
    inventory = used(images)
    assert ids(inventory) == [A]
    assert [item.reason for item in inventory.skipped] == ["older_version"]


def test_1_1_images_that_belong_to_no_product_are_named(images: Path, raw: tuple[Path, ...]):
    flat(raw[:1], images)
    shutil.copy(raw[1] / f"{B}_FRE_B4.tif", images / "renamed_FRE_B4.tif")
    inventory = used(images)
    assert ids(inventory) == [A]
    assert "renamed_FRE_B4.tif" in inventory.skipped[0].detail


@pytest.mark.parametrize("depth", range(MAX_DEPTH + 1))
def test_1_2_products_lie_up_to_eight_folders_deep(images: Path, depth: int):
    product(A).write(images.joinpath(*map(str, range(depth))))
    product(B).write(images)
    assert ids(used(images)) == [A, B]


def test_1_2_tile_year_month_day_at_mixed_depths(images: Path, raw: tuple[Path, ...]):
    shutil.copytree(raw[0], images / "31TCJ/2018/01" / A)
    shutil.copytree(raw[1], images / "31TCJ/2018/01/10" / B)
    (images / "31TCJ/2018/01/15").mkdir()
    zipped(raw[2:], images / "31TCJ/2018/01/15/c.zip")
    assert ids(used(images)) == list(NAMES)


def test_1_2_what_lies_deeper_is_named(images: Path):
    product(A).write(images)
    product(B).write(images.joinpath(*map(str, range(MAX_DEPTH + 1))))
    inventory = used(images)
    assert ids(inventory) == [A]
    assert "lies deeper than 8 folders" in inventory.skipped[0].detail


def test_1_2_links_in_a_circle_end(images: Path):
    product(A).write(images / "a")
    (images / "b").mkdir()
    (images / "a" / "loop").symlink_to(images / "b")
    (images / "b" / "loop").symlink_to(images / "a")
    assert ids(used(images)) == [A]


@pytest.mark.parametrize("above", ["/", ".."])
def test_1_2_what_lies_above_the_images_is_not_searched_through_a_link(images: Path, above: str):
    """A link to / would lead through the whole machine."""
    product(A).write(images)
    product(B).write(images.parent / "elsewhere")
    (images / "up").symlink_to(images.parent if above == ".." else above)
    inventory = used(images)
    assert ids(inventory) == [A]
    assert "a link to a folder above the images" in inventory.skipped[0].detail


def test_1_2_what_belongs_to_a_product_is_not_entered(images: Path, monkeypatch):
    for name in NAMES:
        product(name).write(images)
    entered = []
    walk = "oso_pipeline.imagery.search.os.scandir"
    true = __import__("os").scandir

    def scandir(path):
        entered.append(Path(path))
        return true(path)

    monkeypatch.setattr(walk, scandir)
    find_products([images], Readers.of([MuscateSettings()]), Problems())
    assert not [path for path in entered if path.name in ("MASKS", "DATA")]


@pytest.mark.parametrize("n_products", [0, 2])
def test_1_2_a_search_of_too_many_other_folders_ends(images: Path, monkeypatch, n_products: int):
    """Of a whole machine, for example: a path that was not meant."""
    monkeypatch.setattr("oso_pipeline.imagery.search.MAX_WITHOUT_PRODUCT", 10)
    for name in NAMES[:n_products]:
        product(name).write(images)
    enough = 10 + 9 * n_products - n_products - 1  # less the products themselves and the path

    def search() -> Problems:
        problems = Problems()
        find_products([images], Readers.of([MuscateSettings()]), problems)
        return problems

    for number in range(enough):
        (images / f"x{number}").mkdir()
    assert not search().errors
    (images / "x").mkdir()
    (error,) = search().errors
    assert error.code == "E-IMAGE-FOLDERS"
    assert f"held {n_products} products" in str(error)
    assert "imagery.paths" in str(error)


@pytest.mark.parametrize("some", [False, True])
def test_1_3_products_that_lie_in_a_folder_of_their_own_name(images: Path, some: bool):
    for number, name in enumerate(NAMES):
        product(name).write(images if some and number else images / name)
    inventory = used(images)
    assert ids(inventory) == list(NAMES)
    assert not inventory.skipped


def test_1_3_a_folder_of_the_name_that_holds_the_zip(images: Path):
    (images / A).mkdir()
    product(A).write_zip(images / A)
    assert ids(used(images)) == [A]


def test_1_3_a_folder_of_the_name_with_nothing_in_it_is_named(images: Path):
    product(B).write(images)
    (images / A / A).mkdir(parents=True)
    inventory = used(images)
    assert [(s.product_id, s.reason) for s in inventory.skipped] == [(A, "unreadable")]


@pytest.mark.parametrize("kind", ["folder", "flat", "zip"])
def test_1_4_files_of_a_mac_never_count(images: Path, raw: tuple[Path, ...], kind: str):
    if kind == "zip":
        zipped(raw, images / "cart.zip", junk=True)
    elif kind == "flat":
        flat(raw, images)
    else:
        for home in raw:
            shutil.copytree(home, images / home.name)
    for path in files(images):
        path.with_name(f"._{path.name}").write_bytes(JUNK)
    (images / "__MACOSX" / A).mkdir(parents=True)
    inventory = used(images)
    assert ids(inventory) == list(NAMES)
    assert not inventory.skipped


@pytest.mark.parametrize(
    "end", [".tar", ".tgz", ".tar.gz", ".TAR.BZ2", ".tar.xz", ".7z", ".7z.001", ".rar"]
)
@pytest.mark.parametrize("inside", ["", A])
def test_1_7_a_packed_product_is_named(images: Path, end: str, inside: str):
    product(B).write(images)
    (images / inside).mkdir(exist_ok=True)
    archive = images / inside / f"{A}{end}"
    home = product(A).write(images.parent / "raw")
    with tarfile.open(archive, "w:gz") as stream:
        stream.add(home, home.name)
    inventory, summary = run(make_config(images.parent))
    assert ids(inventory) == [B]
    assert [(s.product_id, s.reason) for s in inventory.skipped] == [(archive.name, "packed")]
    (warning,) = summary["warnings"]
    assert "unpack it" in warning
    assert str(archive) in warning


def test_1_7_a_zip_of_zips_is_named_and_what_lies_beside_is_used(
    images: Path, raw: tuple[Path, ...]
):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as stream:
        stream.writestr("a", "b")
    zipped(raw[:1], images / "cart.zip")
    with zipfile.ZipFile(images / "cart.zip", "a") as stream:
        stream.writestr(f"{B}.zip", inner.getvalue())
    inventory = used(images)
    assert ids(inventory) == [A]
    assert [(s.product_id, s.reason) for s in inventory.skipped] == [("cart.zip", "packed")]
    assert f"{B}.zip" in inventory.skipped[0].detail


def test_1_7_only_packed_products_are_an_error_that_names_them(images: Path):
    (images / f"{A}.tgz").write_bytes(b"x")
    with pytest.raises(Exception, match=r"(?s)E-TILE-NO-IMAGE.*\.tgz"):
        run(make_config(images.parent))


def test_1_7_a_download_that_did_not_end_is_named(images: Path):
    product(B).write(images)
    (images / f"{A}.zip.part").write_bytes(b"PK")
    assert "did not end" in used(images).skipped[0].detail


@pytest.mark.parametrize("name", [f"{A}.zip", f"{A}.tar"])
def test_1_3_a_folder_with_the_name_of_an_archive_is_named(images: Path, name: str):
    product(B).write(images)
    (images / name).mkdir()
    inventory = used(images)
    assert ids(inventory) == [B]
    assert [s.path.name for s in inventory.skipped] == [name]
    assert "holds no product" in inventory.skipped[0].detail
    product(A).write(images / name)
    assert ids(used(images)) == [A, B]
