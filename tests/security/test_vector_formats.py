"""Vector files are read as what their extension says, from themselves, and left as they are."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely

from oso_pipeline.config.model import Strata
from oso_pipeline.core.errors import Problems
from oso_pipeline.vectors.formats import only_as_named
from oso_pipeline.vectors.looks import first_values
from oso_pipeline.vectors.strata import content_of
from oso_pipeline.vectors.vector_files import VectorFile
from oso_pipeline.vectors.window import Window

ROOT = Path(__file__).parents[2]
CODES = [1, 2, 3]


def squares(crs: int = 2154) -> geopandas.GeoDataFrame:
    x = 650_000 + 200 * np.arange(len(CODES))
    shapes = shapely.box(x, 6_650_000, x + 100, 6_650_100)
    return geopandas.GeoDataFrame({"code": CODES}, geometry=shapes, crs=2154).to_crs(crs)


def codes_of(path: Path, **how: str) -> list[int]:
    problems = Problems()
    frame = VectorFile(path, **how).read(["code"], problems)
    assert frame is not None, [str(problem) for problem in problems]
    return [int(code) for code in frame["code"]]


def refusal_of(path: Path) -> str:
    problems = Problems()
    assert VectorFile(path).read(["code"], problems) is None
    return "\n".join(map(str, problems))


def state_of(folder: Path) -> tuple[list[str], int]:
    return sorted(os.listdir(folder)), folder.stat().st_mtime_ns


@contextmanager
def host() -> Iterator[tuple[str, list[str]]]:
    """Serve at an address of this machine and collect what is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def virtual(target: str) -> str:
    """Return a virtual file that leads elsewhere; of one quote, so that JSON may hold it."""
    return (
        "<OGRVRTDataSource><OGRVRTLayer name='labels'>"
        f"<SrcDataSource>{target}</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
    )


def within_json(text: str) -> str:
    return f'{{"type": "FeatureCollection", "note": "{text}", "features": []}}'


@pytest.mark.parametrize(
    ("name", "wrapped"),
    [
        *((f"labels{suffix}", str) for suffix in (".vrt", ".gpkg", ".geojson", ".gml", ".csv")),
        *((f"labels{suffix}", str) for suffix in (".kml", ".fgb", ".tab", ".sqlite", "", ".txt")),
        ("labels.geojson", within_json),
        ("labels.json", within_json),
    ],
)
def test_2_2_a_virtual_file_under_any_name_is_refused(
    tmp_path: Path, name: str, wrapped: Callable[[str], str]
) -> None:
    squares().to_file(tmp_path / "real.gpkg", layer="labels")
    path = tmp_path / name
    path.write_text(wrapped(virtual(str(tmp_path / "real.gpkg"))))
    message = refusal_of(path)
    assert name in message
    assert re.search("E-(VECTOR|PATH|CRS|GEOMETRY)-", message)


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".json", ".vrt", ".gml"])
def test_2_2_no_vector_file_calls_a_host(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"labels{suffix}"
    with host() as (address, asked):
        path.write_text(virtual(f"/vsicurl/{address}/labels.geojson"))
        refusal_of(path)
        link = f'{{"type": "link", "properties": {{"href": "{address}/crs"}}}}'
        rest = squares(4326).to_json(drop_id=True).replace("{", f'{{"crs": {link},', 1)
        linked = tmp_path / "linked.geojson"
        linked.write_text(re.sub(r'"crs": \{"type": "name".*?\}\}, ?', "", rest))
        VectorFile(linked).read(["code"], Problems())
        assert asked == []
        pyogrio.read_info(linked)
        assert asked  # the trap works: GDAL by itself asks


def test_2_2_what_is_refused_would_be_read_by_gdal_itself(tmp_path: Path) -> None:
    squares().to_file(tmp_path / "real.gpkg", layer="labels")
    path = tmp_path / "labels.gpkg"
    path.write_text(virtual(str(tmp_path / "real.gpkg")))
    assert pyogrio.read_info(path)["driver"] == "OGR_VRT"


def test_2_2_a_table_that_joins_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.tab"
    path.write_text('!table\n!version 300\nopen table "real"\ncreate view labels as select * ...')
    assert "joins" in refusal_of(path)


@pytest.mark.parametrize(
    ("name", "driver"),
    [
        ("a.geojson", "GeoJSON"), ("a.json", "GeoJSON"), ("a.fgb", "FlatGeobuf"), ("a.gml", "GML"),
        ("a.kml", "KML"), ("a.sqlite", "SQLite"), ("a.tab", "MapInfo File"),
        ("a.mif", "MapInfo File"), ("a.gdb", "OpenFileGDB"), ("a.shz", "ESRI Shapefile"),
        ("a.GPKG", "GPKG"),
    ],
)  # fmt: skip
def test_1_11_formats_that_hold_their_data_are_read(tmp_path: Path, name: str, driver: str) -> None:
    degrees = driver in ("GeoJSON", "KML")
    squares(4326 if degrees else 2154).to_file(tmp_path / name, driver=driver)
    assert sorted(codes_of(tmp_path / name)) == CODES  # FlatGeobuf sorts by place


def test_1_11_a_table_of_text_is_read(tmp_path: Path) -> None:
    table = squares()
    table["WKT"] = table.geometry.to_wkt()
    table.drop(columns="geometry").to_csv(tmp_path / "labels.csv", index=False)
    assert codes_of(tmp_path / "labels.csv", crs="EPSG:2154") == CODES


@pytest.mark.parametrize("name", ["a.gml", "a.gpkg"])
def test_1_11_nothing_is_written_beside_an_input(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / name
    squares().to_file(path)
    path.with_suffix(".xsd").unlink(missing_ok=True)
    if name == "a.gpkg":
        with sqlite3.connect(path) as base:
            base.execute("pragma journal_mode = wal")
        base.close()
    before = state_of(folder)
    assert codes_of(path) == CODES
    assert VectorFile(path).count(Problems()) == len(CODES)
    assert state_of(folder) == before


def test_1_14_what_only_the_log_of_a_geopackage_holds_is_read_without_warnings(
    tmp_path: Path,
) -> None:
    source, folder = tmp_path / "open.gpkg", tmp_path / "in"
    folder.mkdir()
    squares().to_file(source, layer="labels")
    base = sqlite3.connect(source)
    triggers = "select name from sqlite_master where type = 'trigger' and name like 'rtree%'"
    for (name,) in base.execute(triggers).fetchall():
        base.execute(f'drop trigger "{name}"')
    base.commit()
    base.execute("pragma journal_mode = wal")
    base.execute("update labels set code = 9 where code = 3")
    base.commit()
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{source}{suffix}", folder / f"a.gpkg{suffix}")
    base.close()
    before = state_of(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert codes_of(folder / "a.gpkg") == [1, 2, 9]
    assert state_of(folder) == before


def test_1_14_the_styles_of_qgis_are_not_a_layer(tmp_path: Path) -> None:
    path = tmp_path / "labels.gpkg"
    # The table comes first: what is read must not depend on the order of the file.
    pyogrio.write_dataframe(pd.DataFrame({"styleQML": ["<qgis/>"]}), path, layer="layer_styles")
    squares().to_file(path, layer="labels")
    file = VectorFile(path)
    assert codes_of(path) == CODES
    assert file.layers(Problems()) == ("labels",)
    assert first_values(file, "code", 2, Problems()) == CODES[:2]
    assert file.count(Problems()) == len(CODES)


def test_1_11_a_spatial_index_of_other_data_hides_nothing(tmp_path: Path) -> None:
    path, other = tmp_path / "a.shp", tmp_path / "b.shp"
    far = squares()
    far.geometry = far.geometry.translate(200_000)
    for frame, target in ((squares(), path), (far, other)):
        pyogrio.write_dataframe(frame, target, SPATIAL_INDEX="YES")
    shutil.copyfile(other.with_suffix(".qix"), path.with_suffix(".qix"))
    window = Window(649_000, 6_649_000, 652_000, 6_652_000, 2154)
    frame = VectorFile(path).read(["code"], Problems(), window)
    assert frame is not None
    assert list(frame["code"]) == CODES


def test_1_11_the_key_of_strata_is_that_of_all_their_files(tmp_path: Path) -> None:
    path = tmp_path / "regions.shp"
    squares().to_file(path)
    strata = Strata(path=path, field="code")
    before = content_of(strata)
    table = path.with_suffix(".dbf").read_bytes()
    path.with_suffix(".dbf").write_bytes(table[:-2] + b"7" + table[-1:])
    assert content_of(strata) != before


def test_2_2_all_drivers_are_there_again_afterwards(tmp_path: Path) -> None:
    before = pyogrio.list_drivers()
    with only_as_named(tmp_path / "a.gpkg"):
        assert set(pyogrio.list_drivers()) == {"GPKG"}
    assert pyogrio.list_drivers() == before
    assert pyogrio.get_gdal_config_option("OGR_SKIP") is None


def test_2_2_every_vector_file_is_opened_with_the_drivers_of_its_extension() -> None:
    opening = re.compile(r"pyogrio\.(read_\w+|list_layers|open_\w+)\(|geopandas\.read_file\(")
    found = {
        str(path.relative_to(ROOT / "oso_pipeline"))
        for path in (ROOT / "oso_pipeline").rglob("*.py")
        if opening.search(path.read_text(encoding="utf-8"))
    }
    # They ask `readable` for the path; the tests above go through each of their functions.
    assert found == {"vectors/looks.py", "vectors/vector_files.py", "vectors/vector_schema.py"}
