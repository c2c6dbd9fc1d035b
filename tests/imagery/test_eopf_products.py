"""Reader of EOPF products: every layout in which they lie about, and every fault with its code."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.eopf_factory import Documents, chunk, edit, write
from support.inventories import Context, ids, make_config, run
from support.reader_inventories import READERS, build, codes, only
from support.safe_factory import FACTS, SIZE, facts, scene
from support.safe_factory import write as write_safe_product

from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.imagery.cache.stage import STAGE as CACHE
from oso_pipeline.imagery.conformance import check_reader
from oso_pipeline.imagery.eopf.arrays import array_of
from oso_pipeline.imagery.eopf.settings import EopfSettings
from oso_pipeline.imagery.muscate.settings import MuscateSettings
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.safe.settings import SafeSettings
from oso_pipeline.imagery.search import find_products
from oso_pipeline.imagery.stage import STAGE
from oso_pipeline.imagery.tile_grid import peek_layout
from oso_pipeline.simulation.writers.eopf import write_eopf
from oso_pipeline.tasks.worker import do

NAME = FACTS.product_id


def test_the_reader_keeps_the_contract(tmp_path: Path) -> None:
    write(tmp_path / "sample")
    later = FACTS.sensed + timedelta(days=5)
    write(tmp_path / "sample", as_zip=True, sensed=later, platform="S2B", baseline="02.12")
    found = check_reader(EopfSettings(), tmp_path / "sample", tmp_path / "scratch")
    assert [one.version for one in found] == ["05.11", "02.12"]
    assert [one.bands["B4"].offset for one in found] == [-0.1, 0.0]
    assert {one.quality["SCL"].resolution_m for one in found} == {20}
    assert [one.platform for one in found] == ["S2A", "S2B"]
    assert not (tmp_path / "scratch" / "extracted").exists()


@pytest.mark.parametrize(
    "name",
    [f"{NAME}.zarr", NAME, f"{NAME}.ZARR", "january", "january.zarr", "31TCJ/2018/january.zarr"],
)
def test_names_of_folders(tmp_path: Path, name: str) -> None:
    write(tmp_path / "images", name)
    inventory, builder = build(tmp_path / "images")
    assert ids(inventory) == [NAME]
    assert not inventory.skipped
    assert codes(builder) == []
    assert only(inventory).acquired == FACTS.sensed.replace(microsecond=24_000)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name", [f"{NAME}.zarr.zip", pytest.param(f"{NAME}.zip", marks=SLOW), "january.zip"]
)
@pytest.mark.parametrize("top", ["", f"{NAME}.zarr/", pytest.param("a/b/", marks=SLOW), "./"])
def test_names_of_zips(tmp_path: Path, name: str, top: str) -> None:
    product = write(tmp_path / "made")
    (tmp_path / "images").mkdir()
    pack(product, tmp_path / "images" / name, top)
    inventory, builder = build(tmp_path / "images")
    assert ids(inventory) == [NAME]
    assert codes(builder) == []


def pack(product: Path, archive: Path, top: str, mode: Any = "w") -> None:
    with zipfile.ZipFile(archive, mode) as opened:
        for file in sorted(product.rglob("*")):
            if file.is_file():
                opened.write(file, f"{top}{file.relative_to(product).as_posix()}")
    shutil.rmtree(product)


def test_several_products_in_a_zip(tmp_path: Path) -> None:
    days = [FACTS.sensed + timedelta(days=5 * n) for n in range(3)]
    (tmp_path / "images").mkdir()
    for number, day in enumerate(days):
        product = write(tmp_path / "made", "x.zarr" if number else None, sensed=day)
        top = f"{number}.zarr/" if number else f"{product.name}/"
        pack(product, tmp_path / "images" / "delivery.zip", top, "a")
    inventory, builder = build(tmp_path / "images")
    assert [one.acquired.date() for one in inventory.acquisitions] == [day.date() for day in days]
    assert codes(builder) == []


def test_planning_knows_the_grid_of_a_store(tmp_path: Path) -> None:
    write(tmp_path / "images")
    readers = Readers.of(READERS)
    found = find_products([tmp_path / "images"], readers, Problems())
    layout = peek_layout(found.candidates, readers, "31TCJ")
    assert (layout.grid.shape, layout.block_shape) == ((SIZE, SIZE), (SIZE // 2, SIZE // 2))
    assert layout.grid == FACTS.grid


def test_the_search_does_not_enter_stores(tmp_path: Path, monkeypatch: Any) -> None:
    product = write(tmp_path / "images")
    (product / "measurements" / f"{NAME}.SAFE").mkdir()
    zarr.open_group(tmp_path / "images" / "other", mode="w", zarr_format=2).create_group("a/b/c")
    seen: list[Path] = []
    readers = Readers.of(READERS)
    monkeypatch.setattr(
        type(readers), "recognise", spied(type(readers).recognise, seen), raising=True
    )
    found = find_products([tmp_path / "images"], readers, Problems())
    assert {path.name for path in seen} == {"images", product.name, "other"}
    assert [one.product_id for one in found.candidates] == [NAME]
    assert [one.detail for one in found.unrecognised] == [
        "a Zarr store that holds no known product"
    ]


def spied(method: Callable[..., Any], seen: list[Path]) -> Callable[..., Any]:
    def recognise(self: Readers, path: Path) -> Any:
        seen.append(path)
        return method(self, path)

    return recognise


def test_the_digest_follows_chunks_and_metadata(tmp_path: Path) -> None:
    product = write(tmp_path / "images")
    reader = Readers.of([EopfSettings()])["eopf"]
    (candidate,) = reader.recognise(product)
    seen = {reader.digest(candidate)}
    with chunk(product, "SCL").open("ab") as stream:
        stream.write(b"0")
    seen.add(reader.digest(candidate))
    edit(product, lambda documents: documents[".zattrs"].pop("other_metadata"))
    seen.add(reader.digest(candidate))
    (product / ".zmetadata").unlink()
    seen.add(reader.digest(candidate))
    path = product / array_of("B2") / ".zattrs"
    path.write_text(path.read_text().replace("0.0001", "0.001"))
    seen.add(reader.digest(candidate))
    assert len(seen) == 5
    quicklook = product / "quality" / "l2a_quicklook"
    quicklook.mkdir(parents=True)
    (quicklook / "0.0").write_bytes(b"of no use")
    assert reader.digest(candidate) in seen


@pytest.mark.parametrize(
    ("change", "better"),
    [
        ({"baseline": "02.07"}, NAME),
        ({"baseline": "05.10", "generated": FACTS.generated + timedelta(days=900)}, NAME),
        ({"generated": FACTS.generated + timedelta(hours=3)}, None),
    ],
)
def test_versions_of_an_acquisition(
    tmp_path: Path, change: dict[str, Any], better: str | None
) -> None:
    write(tmp_path / "images")
    write(tmp_path / "images", **change)
    inventory, builder = build(tmp_path / "images")
    assert ids(inventory) == [better or facts(**change).product_id]
    assert [one.reason for one in inventory.skipped] == ["older_version"]
    assert codes(builder) == ["W-IMAGE-VERSIONS"]


def test_one_product_twice_is_no_half(tmp_path: Path) -> None:
    write(tmp_path / "images")
    write(tmp_path / "images" / "again", as_zip=True)
    inventory, builder = build(tmp_path / "images")
    assert only(inventory).path.is_dir()
    assert codes(builder) == ["W-IMAGE-VERSIONS"]


def test_the_halves_of_a_tile_are_both_used(tmp_path: Path) -> None:
    rows = SIZE // 4
    for seconds, part in ((0, slice(0, rows)), (1, slice(rows, None))):
        made = FACTS.generated + timedelta(seconds=seconds)
        write_eopf(tmp_path / "images", facts(generated=made), scene(rows=part))
    inventory, builder = build(tmp_path / "images")
    assert len(inventory.acquisitions) == 2
    assert not inventory.skipped
    assert codes(builder) == []


def test_chunks_without_data_may_be_left_out(tmp_path: Path) -> None:
    """Beside the swath, where the classification says that there are none."""
    product = write_eopf(tmp_path / "images", facts(), scene(rows=slice(0, SIZE // 4)))
    south = [chunk(product, band, f"1.{column}") for band in ("B2", "B8") for column in (0, 1)]
    for path in south:
        path.unlink()
    found = only(build(tmp_path / "images")[0])
    with rasterio.open(found.bands["B2"].href, driver="Zarr") as source:
        assert source.read(1).any(axis=1).tolist() == [True] * (SIZE // 2) + [False] * (SIZE // 2)
    chunk(product, "B2", "0.1").unlink()
    inventory, builder = build(tmp_path / "images")
    (skipped,) = inventory.skipped
    assert "b02: 1 of 4 chunks are missing (0.1)" in skipped.detail
    assert codes(builder) == ["W-IMAGE-BAND"]
    chunk(product, "B2", "0.1").symlink_to(chunk(product, "B2", "0.0"))
    chunk(product, "SCL").unlink()
    (skipped,) = build(tmp_path / "images")[0].skipped
    assert "b02: 2 of 4 chunks are missing (1.0, 1.1)" in skipped.detail
    assert "scl: 1 of 1 chunks are missing (0.0)" in skipped.detail


def test_a_product_as_safe_and_as_zarr_is_the_same(tmp_path: Path) -> None:
    write(tmp_path / "images" / "eopf")
    write_safe_product(tmp_path / "images" / "safe")
    safe, eopf = (only(build(tmp_path / "images" / name)[0]) for name in ("safe", "eopf"))
    assert (safe.product_id, safe.acquired, safe.platform) == (
        eopf.product_id, eopf.acquired, eopf.platform,
    )  # fmt: skip
    assert safe.rules == eopf.rules
    assert {b: (a.scale, a.offset, a.nodata, a.saturated) for b, a in safe.bands.items()} == {
        b: (a.scale, a.offset, a.nodata, a.saturated) for b, a in eopf.bands.items()
    }


@pytest.mark.parametrize(
    ("kinds", "used"), [((), "safe"), (("eopf", "safe"), "eopf"), (("safe", "eopf"), "safe")]
)
def test_a_product_in_two_formats_is_read_once(
    tmp_path: Path, kinds: tuple[str, ...], used: str
) -> None:
    """Its files in a run are named by the product, whatever the format."""
    write(tmp_path / "images")
    safe = write_safe_product(tmp_path / "images")
    config = make_config(tmp_path, **({"readers": [{"kind": k} for k in kinds]} if kinds else {}))
    assert len(CACHE.plan(Context(config))) == 1
    inventory, summary = run(config)
    assert only(inventory).family == used
    (skipped,) = inventory.skipped
    assert (skipped.reason, skipped.detail) == (
        "older_version", f"the same product is used as {used}",
    )  # fmt: skip
    (warning,) = summary["warnings"]
    assert "W-IMAGE-FAMILIES" in warning
    assert f"1 product of tile 31TCJ in several formats: {safe.stem} (" in warning
    (task,) = CACHE.plan(Context(config))
    assert do(task).status == "done"
    assert CACHE.plan(Context(config))[0].state().status == "done"


def test_the_forecast_of_aerosols_is_carried(tmp_path: Path) -> None:
    product = write(tmp_path / "images")
    cams = product / "conditions" / "meteorology" / "cams"
    # No map depends on it: what cannot be read is left out.
    (cams / "suaod550" / "0.0").write_bytes(b"damaged")
    (cams / "bcaod550" / "0.0").unlink()
    inventory, summary = run(make_config(tmp_path, readers=[{"kind": "eopf"}]))
    assert only(inventory).processing.aerosols == pytest.approx(
        {"total": 0.15, "dust": 0.02, "sea salt": 0.01, "organic matter": 0.04}
    )
    assert not summary["warnings"]


# Faults of metadata and of chunks, each with its code.


def attributes(band: str, **changes: Any) -> Callable[[Path], None]:
    return lambda product: edit(
        product, lambda documents: documents[f"{array_of(band)}/.zattrs"].update(changes)
    )


def described(band: str, **changes: Any) -> Callable[[Path], None]:
    return lambda product: edit(
        product, lambda documents: documents[f"{array_of(band)}/.zarray"].update(changes)
    )


def stated(**changes: Any) -> Callable[[Path], None]:
    def change(documents: Documents) -> None:
        documents[".zattrs"]["stac_discovery"]["properties"].update(
            {key.replace("__", ":"): value for key, value in changes.items()}
        )

    return lambda product: edit(product, change)


def without(*bands: str) -> Callable[[Path], None]:
    def change(documents: Documents) -> None:
        for band in bands:
            for name in (".zarray", ".zattrs"):
                del documents[f"{array_of(band)}/{name}"]

    return lambda product: edit(product, change)


def renamed(product: Path) -> None:
    def change(documents: Documents) -> None:
        for name in list(documents):
            folder, _, file = name.rpartition("/")
            if folder.endswith(("/b02", "/b04", "/b08")):
                documents[f"{folder[:-3]}{folder[-3:].upper()}/{file}"] = documents.pop(name)

    edit(product, change)


def rewritten(band: str, pixels: np.ndarray, **attributes: Any) -> Callable[[Path], None]:
    """Write an array anew with zarr-python, with the grid attributes of the old one."""

    def change(product: Path) -> None:
        place = product / array_of(band)
        old = json.loads((place / ".zattrs").read_text())
        shutil.rmtree(place)
        array = zarr.create_array(
            place, data=pixels, chunks=pixels.shape, zarr_format=2, fill_value=0,
            config={"write_empty_chunks": True},
        )  # fmt: skip
        array.attrs.update({**old, **attributes})
        (product / ".zmetadata").unlink()

    return change


def halved(product: Path) -> None:
    """Leave the first half of the files, as a copy that was stopped."""
    files = sorted(product.rglob("*.*"))
    for file in files[len(files) // 2 :]:
        if file.is_file() and file.name != ".zmetadata":
            file.unlink()


def cut_chunk(product: Path) -> None:
    path = chunk(product, "B11")
    path.write_bytes(path.read_bytes()[:-1])


OF_20M = {"proj:transform": [20.0, 0, 300000, 0, -20.0, 4900020, 0, 0, 1]}
FAULTS: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "bands missing": (
        without("B4", "B8"), "IMAGE-BAND",
        "b04, b08 missing in measurements/reflectance/r10m (found b02, b03, x, y)",
    ),
    "bands with other names": (renamed, "IMAGE-BAND", "b02, b04, b08 missing in"),
    "classification missing": (without("SCL"), "IMAGE-MASK", "l2a_classification/r20m/scl"),
    "chunk missing": (
        lambda p: chunk(p, "B2", "1.0").unlink(), "IMAGE-BAND",
        "r10m/b02: 1 of 4 chunks are missing (1.0); they would read as no data",
    ),
    "chunk empty": (
        lambda p: chunk(p, "B8A").write_bytes(b""), "IMAGE-BAND", "b8a: 1 of 1 chunks are empty",
    ),
    "chunk cut": (cut_chunk, "IMAGE-BAND", "b11: 1 of 1 chunks are damaged (0.0): it has"),
    "store cut in half": (halved, "IMAGE-BAND", "chunks are missing"),
    "no scale": (attributes("B4", scale_factor=None), "IMAGE-SCALE", "B4 (measurements"),
    "scale is text": (attributes("B4", scale_factor="x"), "IMAGE-SCALE", "is x, expected"),
    "no offset": (attributes("B8", add_offset=None), "IMAGE-BOA-OFFSET", "B8 (measurements"),
    "two fill values": (
        attributes("B2", fill_value=7), "IMAGE-NODATA", "is 0 in .zarray and 7 in the attributes",
    ),
    "baseline is text": (stated(eopf__baseline="five"), "IMAGE-BASELINE", "eopf:baseline is five"),
    "another size": (
        rewritten("B4", np.ones((14, 14), np.uint16)), "IMAGE-SIZE", "size 14x14 differs",
    ),
    "another size at 20 m": (
        rewritten("B11", np.ones((6, 6), np.uint16)), "IMAGE-HALF-SIZE", "size 6x6 is not",
    ),
    "SCL of another size": (
        rewritten("SCL", np.ones((6, 6), np.uint8)), "IMAGE-HALF-SIZE", "size 6x6 is not",
    ),
    "size is not that of the attributes": (
        attributes("B2", **{"proj:shape": [10980, 10980]}), "IMAGE-SIZE",
        "16x16 differs from 10980x10980 in proj:shape",
    ),
    "numbers of another type": (
        rewritten("B4", np.ones((16, 16), np.uint32)), "IMAGE-VALUES", "values of type uint32",
    ),
    "classes of another type": (
        rewritten("SCL", np.ones((8, 8), np.float32)), "IMAGE-VALUES", "values of type float32",
    ),
    "floats that are no reflectances": (
        rewritten("B4", np.full((16, 16), 1500, np.float32), scale_factor=None, add_offset=None),
        "IMAGE-VALUES", "reach reflectance 1500",
    ),
    "numbers of text": (described("B2", dtype="<U7"), "IMAGE-BAND", "dtype is <U7"),
    "unknown compression": (
        described("B2", compressor={"id": "x"}), "IMAGE-BAND", "compressor is x",
    ),
    "three axes": (described("B2", shape=[1, 16, 16]), "IMAGE-BAND", "expected rows and columns"),
    "grids differ": (
        attributes("B4", **{"proj:transform": [10.0, 0, 300060, 0, -10.0, 4900020, 0, 0, 1]}),
        "IMAGE-POSITION", "+60 m",
    ),
    "another pixel size": (attributes("B4", **OF_20M), "IMAGE-RESOLUTION", "pixels of 20 m"),
    "no grid": (attributes("B4", **{"proj:transform": None}), "IMAGE-NO-CRS", "georeferencing"),
    "no coordinate system": (attributes("B4", **{"proj:epsg": None}), "IMAGE-NO-CRS", "no coord"),
    "another zone": (attributes("B4", **{"proj:epsg": 32630}), "IMAGE-CRS", "EPSG:32630"),
    "the root says another zone": (stated(proj__epsg=32630), "IMAGE-CRS", "metadata EPSG:32630"),
    "coordinates differ": (
        lambda p: (np.arange(16) * 10 + 400_005).astype("<i8").tofile(
            p / "measurements/reflectance/r10m/x/0"
        ),
        "IMAGE-POSITION", "begin at (400000, 4900020)",
    ),
    "coordinates in other steps": (
        lambda p: (np.arange(16) * 20 + 300_005).astype("<i8").tofile(
            p / "measurements/reflectance/r10m/x/0"
        ),
        "IMAGE-POSITION", "in steps of 20 and -10 m",
    ),
    "metadata of another tile": (
        lambda p: edit(p, lambda d: d[".zattrs"]["other_metadata"].update(
            UTM_zone_identification="S2A_OPER_MSI_L2A_TL_2APS_20251008T122613_A053773_T31TDJ_N05.11"
        )),
        "IMAGE-CRS", "say tile T31TDJ",
    ),
    "no JSON": (lambda p: (p / ".zmetadata").write_text("<html>"), "IMAGE-METADATA", "not usable"),
    "no item": (
        lambda p: edit(p, lambda d: d[".zattrs"].pop("stac_discovery")), "IMAGE-METADATA",
        "no object `stac_discovery`",
    ),
    "no metadata at all": (
        lambda p: [file.unlink() for file in p.glob(".z*")], "IMAGE-METADATA", "stac_discovery",
    ),
}  # fmt: skip


@pytest.mark.parametrize("incomplete", ["skip", "error"])
@pytest.mark.parametrize("fault", FAULTS)
def test_faults(tmp_path: Path, fault: str, incomplete: str) -> None:
    damage, code, said = FAULTS[fault]
    damage(write(tmp_path / "images"))
    if incomplete == "error":
        with pytest.raises(InputDataError) as caught:
            build(tmp_path / "images", incomplete=incomplete)
        found = [one for one in caught.value.problems if one.code == f"E-{code}"]
    else:
        # Another date is left, so that the faulty one can be left out.
        write(tmp_path / "images", sensed=FACTS.sensed + timedelta(days=5))
        inventory, builder = build(tmp_path / "images", incomplete=incomplete)
        assert len(inventory.acquisitions) == 1
        found = [one for one in builder.problems.warnings if one.code == f"W-{code}"]
    assert found, "no such problem"
    assert any(said in one.message for one in found), [one.message for one in found]
    assert all(one.where and str(tmp_path) in one.where for one in found)


ZIP_FAULTS: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "cut in half": (
        lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), "W-IMAGE-ARCHIVE",
        "is not a zip or is cut",
    ),
    "a web page": (lambda p: p.write_text("<html>404</html>"), "W-IMAGE-ARCHIVE", "is not a zip"),
    "a byte of a chunk changed": (
        lambda p: changed_member(p, f"{array_of('B2')}/0.0"), "W-IMAGE-BAND",
        "r10m/b02/0.0 is damaged",
    ),
    "a byte of the metadata changed": (
        lambda p: changed_member(p, ".zmetadata"), "W-IMAGE-ARCHIVE", ".zmetadata is damaged",
    ),
}  # fmt: skip


def changed_member(path: Path, name: str) -> None:
    with zipfile.ZipFile(path) as archive:
        (info,) = [one for one in archive.infolist() if one.filename.endswith(f".zarr/{name}")]
    content = bytearray(path.read_bytes())
    begin = info.header_offset + 30 + len(info.filename)
    content[begin + info.compress_size // 2] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize("fault", ZIP_FAULTS)
def test_faults_of_zips(tmp_path: Path, fault: str) -> None:
    damage, code, said = ZIP_FAULTS[fault]
    damage(write(tmp_path / "images", as_zip=True))
    inventory, builder = build(tmp_path / "images")
    assert not inventory.acquisitions
    found = [one for one in builder.problems.warnings if one.code == code]
    assert any(said in one.message for one in found), [str(one) for one in builder.problems]


def test_fill_and_nan_in_floats_are_no_data(tmp_path: Path) -> None:
    pixels = np.full((SIZE, SIZE), 0.2, np.float32)
    pixels[0, 0], pixels[0, 1] = np.nan, 0
    product = write(tmp_path / "images")
    rewritten("B4", pixels, scale_factor=None, add_offset=None)(product)
    asset = only(build(tmp_path / "images")[0]).bands["B4"]
    assert (asset.scale, asset.offset, asset.nodata) == (1.0, 0.0, 0.0)


ODD = st.sampled_from(
    [None, True, -1, 0, 7, 10**400, 1e300, float("nan"), float("inf"), "", "x", "5", [], [1], {}]
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_odd_values_in_metadata_end_as_findings(whole: Path, data: st.DataObject) -> None:
    """Whatever stands in place of a value: used, left out, or an error with a code."""
    path = whole / f"{NAME}.zarr" / ".zmetadata"
    before = path.read_text(encoding="utf-8")
    content = json.loads(before)
    place: Any = content
    while True:
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(list(keys)))
        if not (isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans())):
            break
        place = place[key]
    place[key] = data.draw(ODD)
    path.write_text(json.dumps(content), encoding="utf-8")
    try:
        inventory, _ = build(whole)
        assert inventory.acquisitions or inventory.skipped
    finally:
        path.write_text(before, encoding="utf-8")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("odd") / "images").parent


def level_1(documents: Documents) -> None:
    documents[".zattrs"]["stac_discovery"]["properties"]["processing:level"] = "L1C"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p.rename(p.with_name(f"{NAME.replace('L2A', 'L1C')}.zarr")), "L1C is not"),
        (lambda p: edit(p, level_1), "the metadata say L1C"),
    ],
)
def test_products_of_level_1_are_not_supported(tmp_path: Path, change: Any, said: str) -> None:
    change(write(tmp_path / "images"))
    (skipped,) = build(tmp_path / "images")[0].skipped
    assert skipped.reason == "not_supported"
    assert said in skipped.detail


@pytest.mark.parametrize("name", [f"{NAME}.zarr", "january"])
def test_stores_of_version_3_are_not_supported(tmp_path: Path, name: str) -> None:
    made = json.loads((write(tmp_path / "made") / ".zattrs").read_text())
    zarr.open_group(tmp_path / "images" / name, mode="w", zarr_format=3, attributes=made)
    inventory, builder = build(tmp_path / "images")
    (skipped,) = inventory.skipped
    assert (skipped.reason, skipped.product_id) == ("not_supported", NAME)
    assert "version 3 of Zarr; version 2 is read" in skipped.detail
    assert codes(builder) == []


@pytest.mark.parametrize("as_zip", [True, False])
def test_without_its_reader_the_setting_is_named(tmp_path: Path, as_zip: bool) -> None:
    write(tmp_path / "images", as_zip=as_zip)
    inventory, builder = build(tmp_path / "images", readers=(MuscateSettings(), SafeSettings()))
    (skipped,) = inventory.skipped
    assert "`imagery.readers: [{kind: eopf}]` reads it" in skipped.detail
    assert codes(builder) == ["W-IMAGE-UNKNOWN"]


def test_a_store_of_another_mission_is_not_recognised(tmp_path: Path) -> None:
    other = tmp_path / "images" / "S01SIWGRD_20180105T055400_0025_A026_0221_1A2B3C_VH.zarr"
    zarr.open_group(other, mode="w", zarr_format=2, attributes={"stac_discovery": {"id": "S01"}})
    inventory, builder = build(tmp_path / "images")
    assert [one.reason for one in inventory.skipped] == ["not_recognised"]
    assert codes(builder) == ["W-IMAGE-UNKNOWN"]


def test_bits_of_a_cloud_mask_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "images")
    with pytest.raises(InputDataError, match="E-IMAGE-CLEAR"):
        build(tmp_path / "images", clear=(1, 2), incomplete="error")
    problems = STAGE.check(make_config(tmp_path, clear=[1, 2]))
    assert [one.code for one in problems.errors] == ["E-IMAGE-CLEAR"]
    assert "EOPF products have a scene classification" in problems.errors[0].message


@pytest.mark.parametrize(
    ("clear", "hidden"),
    [("oso", (0, 1, 3, 8, 9, 10)), ("conservative", (0, 1, 2, 3, 7, 8, 9, 10))],
)
def test_classes_that_hide_a_pixel(tmp_path: Path, clear: Any, hidden: tuple[int, ...]) -> None:
    write(tmp_path / "images")
    (rule,) = only(build(tmp_path / "images", clear=clear)[0]).rules
    assert (rule.asset, rule.values) == ("SCL", hidden)
