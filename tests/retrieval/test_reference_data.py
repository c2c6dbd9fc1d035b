"""Databases of labels come whole into the folders of their sources, once."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely
from support.atom_lists import ELSEWHERE, HERE, AtomLists, Listed, packed
from support.file_server import FileServer, Reply, file_server
from support.minimal_config import MINIMAL, minimal_config

from oso_pipeline.config import Config
from oso_pipeline.core.errors import ConfigError, EnvironmentFailure, Problems
from oso_pipeline.reference.databases.deliveries import check_departments, find_layers
from oso_pipeline.reference.databases.kinds import RpgSource
from oso_pipeline.reference.databases.packed import files_below
from oso_pipeline.reference.databases.rpg_files import find_files
from oso_pipeline.retrieval.access.keys import Keys
from oso_pipeline.retrieval.access.session import Session
from oso_pipeline.retrieval.reference_data import (
    ReferenceOutcome,
    ReferencePlan,
    ReferenceShop,
    fetch_reference,
    plan_reference,
)
from oso_pipeline.retrieval.reference_delivery import DeliveryHabits
from oso_pipeline.retrieval.reference_table import DatabaseTable, load_databases
from oso_pipeline.retrieval.transfer.part import owned
from oso_pipeline.retrieval.unpack import RECORD, Bounds

R76_2018 = "RPG_2-0__SHP_LAMB93_R76-2018_2018-01-01"
R53_2018 = "RPG_2-0__SHP_LAMB93_R53-2018_2018-01-01"
R76_2023 = "RPG_2-2__SHP_LAMB93_R76_2023-01-01"
FR_2017 = "RPG_2-0__SHP_LAMB93_FR-2017_2017-01-01"
LAYER = "PARCELLES_GRAPHIQUES"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


def zipped(title: str, box: str = "", layer: str = LAYER) -> Listed:
    return Listed(title, {f"{title}.zip": packed(title, layer)}, box)


@dataclass
class Shop:
    """The databases of a test: their table with addresses of the server."""

    server: FileServer
    lists: dict[str, Sequence[Listed]] = field(default_factory=dict)
    per_page: int = 50
    pages: int | None = None
    came: int = 0
    said: list[object] = field(default_factory=list)

    def table(self) -> DatabaseTable:
        table: dict[str, Any] = dict(load_databases())
        quick = {"requests_per_minute": None}
        for name, database in table.items():
            changes: dict[str, Any] = {"limits": database.limits.model_copy(update=quick)}
            if database.form == "feed":
                lists = AtomLists(self.server, self.per_page, self.pages)
                changes["address"] = lists.serve(name, self.lists.get(name, ()))
            table[name] = database.model_copy(update=changes)
        return table

    def shop(self, table: DatabaseTable | None = None) -> ReferenceShop:
        table = table or self.table()
        nowhere = Keys({}, {})
        sessions = {name: Session(name, one.provider, nowhere) for name, one in table.items()}
        return ReferenceShop(table, sessions, sleep=lambda s: None)

    def plan(self, config: Config) -> ReferencePlan:
        return plan_reference(config, self.shop())

    def fetch(self, config: Config, max_bytes: int | None = None) -> ReferenceOutcome:
        shop = self.shop()

        def count(n_bytes: int) -> None:
            self.came += n_bytes

        habits = DeliveryHabits(
            keep_free_bytes=0,
            on_bytes=count,
            sleep=lambda s: None,
            bounds=Bounds(keep_free_bytes=0),
        )
        plan = plan_reference(config, shop)
        return fetch_reference(plan, shop, habits, max_bytes, self.said.append)


def config_of(folder: Path, *sources: dict[str, Any], **named: Any) -> Config:
    return minimal_config(
        folder / "run",
        reference={"sources": sources},
        retrieval={"reference": named},
        imagery=MINIMAL["imagery"],
    )


def rpg(folder: Path, year: int = 2018) -> dict[str, Any]:
    return {"kind": "rpg", "path": folder / "rpg", "year": year}


def titles(plan: ReferencePlan) -> list[str]:
    return [one.edition.title for one in plan.deliveries]


def test_a_region_that_is_named_comes_with_a_record(server: FileServer, tmp_path: Path) -> None:
    shop = Shop(server, {"rpg": [zipped(R76_2018), zipped(R53_2018), zipped(R76_2023)]})
    config = config_of(tmp_path, rpg(tmp_path), regions=["76"])
    found = shop.fetch(config)
    assert found.is_complete
    (done,) = found.delivered
    folder = tmp_path / "rpg" / R76_2018
    assert done.unpacked.folder == folder
    assert [path.suffix for path in files_below(tmp_path / "rpg")] == [
        ".dbf", ".prj", ".shp", ".shx", ".json"
    ]  # fmt: skip
    record = json.loads((folder / RECORD).read_text())
    content = packed(R76_2018, LAYER)
    assert record["archive"][0]["sha256"] == hashlib.sha256(content).hexdigest()
    assert record["archive"][0]["published"] == f"d50110{hashlib.md5(content).hexdigest()}"
    assert record["archive"][0]["address"].endswith(f"/download/{R76_2018}/{R76_2018}.zip")
    assert (record["zone"], record["date"], record["flag"]) == ("R76", "2018-01-01", None)
    # The archive is gone, and a second time nothing is downloaded.
    assert [*(tmp_path / "rpg" / ".oso_fetch" / "parts").iterdir()] == []
    before = len(server.requests)
    again = shop.fetch(config)
    assert (again.delivered, again.is_complete, len(again.plan.there)) == ((), True, 1)
    assert all("/download/" not in path for path, _ in server.requests[before:])


def test_regions_are_those_that_the_tiles_meet(server: FileServer, tmp_path: Path) -> None:
    lists = [zipped(R53_2018, ELSEWHERE), zipped(R76_2018, HERE), zipped(R76_2023, HERE)]
    plan = Shop(server, {"rpg": lists}, per_page=1).plan(config_of(tmp_path, rpg(tmp_path)))
    assert titles(plan) == [R76_2018]
    assert plan.size_bytes == len(packed(R76_2018, LAYER))


@pytest.mark.parametrize("pages", [1, 9])
def test_a_list_that_miscounts_its_pages_is_read_whole(
    server: FileServer, tmp_path: Path, pages: int
) -> None:
    lists = [zipped(R53_2018, ELSEWHERE), zipped(R76_2023, HERE), zipped(R76_2018, HERE)]
    shop = Shop(server, {"rpg": lists}, per_page=1, pages=pages)
    assert titles(shop.plan(config_of(tmp_path, rpg(tmp_path)))) == [R76_2018]


def test_where_the_list_says_no_place_zones_have_to_be_named(
    server: FileServer, tmp_path: Path
) -> None:
    shop = Shop(server, {"rpg": [zipped(R76_2018), zipped(R53_2018)]})
    plan = shop.plan(config_of(tmp_path, rpg(tmp_path)))
    (lack,) = plan.lacks
    assert (lack.code, plan.deliveries) == ("E-FETCH-ZONE", ())
    assert "retrieval.reference.regions" in (lack.hint or "")


def test_one_file_for_the_country_serves_every_region(server: FileServer, tmp_path: Path) -> None:
    shop = Shop(server, {"rpg": [zipped(FR_2017), zipped(R76_2018)]})
    for named in ({"regions": [76, 84]}, {}):
        plan = shop.plan(config_of(tmp_path, rpg(tmp_path, 2017), **named))
        assert titles(plan) == [FR_2017]


@pytest.mark.parametrize(
    ("year", "region", "text"),
    [(2019, 76, "2018-01-01, 2023-01-01"), (2018, 24, "R53, R76"), (2018, "fxx", "FXX")],
)
def test_what_is_not_offered_is_named_with_what_is(
    server: FileServer, tmp_path: Path, year: int, region: Any, text: str
) -> None:
    shop = Shop(server, {"rpg": [zipped(R76_2018), zipped(R53_2018), zipped(R76_2023)]})
    found = shop.fetch(config_of(tmp_path, rpg(tmp_path, year), regions=[region]))
    (lack,) = found.plan.lacks
    assert (lack.code, found.is_complete) == ("E-FETCH-EDITION", False)
    assert text in lack.message


def test_past_years_come_too_and_share_a_folder(server: FileServer, tmp_path: Path) -> None:
    shop = Shop(server, {"rpg": [zipped(R76_2018), zipped(R53_2018), zipped(R76_2023)]})
    sources = [rpg(tmp_path, 2023), rpg(tmp_path, 2018), rpg(tmp_path, 2018)]
    config = config_of(tmp_path, *sources, regions=[76])
    found = shop.fetch(config)
    assert [one.delivery.edition.title for one in found.delivered] == [R76_2023, R76_2018]
    assert shop.plan(config).deliveries == ()
    for source in config.reference.sources:
        assert isinstance(source, RpgSource)
        (file,) = find_files(source, Problems())
        assert str(source.year) in file.vector.path.parent.name


def test_departments_come_in_the_nearest_edition(server: FileServer, tmp_path: Path) -> None:
    def title(zone: str, day: str) -> str:
        return f"BDTOPO_3-5_TOUSTHEMES_GPKG_LAMB93_{zone}_{day}"

    days = ("2024-03-15", "2024-06-15", "2026-06-15")
    lists = [
        zipped(title(zone, day), layer="BATIMENT") for zone in ("D031", "D02A") for day in days
    ]
    shop = Shop(server, {"bdtopo": lists})
    source = {"kind": "bdtopo", "path": tmp_path / "bdtopo", "departments": [31, "2a"]}
    assert titles(shop.plan(config_of(tmp_path, source))) == [
        title("D031", days[2]), title("D02A", days[2])
    ]  # fmt: skip
    plan = shop.plan(config_of(tmp_path, {**source, "year": 2022}))
    assert titles(plan) == [title("D031", days[0]), title("D02A", days[0])]
    assert any("nearest edition to 2022" in one for one in plan.remarks)


def test_what_the_user_put_there_is_not_fetched(server: FileServer, tmp_path: Path) -> None:
    there = tmp_path / "rpg" / "RPG_2-0_SHP_LAMB93_R076-2018" / f"{LAYER}.shp"
    there.parent.mkdir(parents=True)
    there.touch()
    shop = Shop(server, {"rpg": [zipped(R76_2018), zipped(R53_2018)]})
    plan = shop.plan(config_of(tmp_path, rpg(tmp_path), regions=["R76", "R53"]))
    assert titles(plan) == [R53_2018]
    # A file whose names say neither region nor year counts for all.
    (tmp_path / "rpg" / "mine.gpkg").touch()
    plan = shop.plan(config_of(tmp_path, rpg(tmp_path), regions=["R76", "R53"]))
    assert (titles(plan), plan.lacks) == ([], ())
    assert shop.plan(config_of(tmp_path, rpg(tmp_path))).lacks == ()


def test_sources_of_the_user_are_listed(server: FileServer, tmp_path: Path) -> None:
    own = {"kind": "vector", "path": tmp_path / "mine.gpkg"}
    plan = Shop(server).plan(config_of(tmp_path, own))
    assert plan.own == (("vector", tmp_path / "mine.gpkg", False),)


def test_a_source_that_names_a_file_cannot_be_filled(server: FileServer, tmp_path: Path) -> None:
    source = {"kind": "clc", "path": tmp_path / "CLC18_FR.shp"}
    with pytest.raises(ConfigError, match="E-FETCH-PATH"):
        Shop(server).plan(config_of(tmp_path, source))
    (tmp_path / "CLC18_FR.shp").touch()
    assert Shop(server).plan(config_of(tmp_path, source)).deliveries == ()


def test_land_cover_comes_from_listed_addresses_and_admin_express_where_it_is_wanted(
    server: FileServer, tmp_path: Path
) -> None:
    admin = "ADMIN-EXPRESS-COG_3-2__SHP_LAMB93_FXX_2024-02-22"
    world = "ADMIN-EXPRESS-COG_4-0__GPKG_WGS84G_FRA_2025-01-01"
    shop = Shop(server, {"admin_express": [zipped(admin), zipped(world)]})
    table = dict(shop.table())
    url = server.put("/clc", packed("CLC18_FR", "CLC18_FR"))
    editions = {
        year: one.model_copy(update={"files": (url,)})
        for year, one in table["clc"].editions.items()  # type: ignore[union-attr]
    }
    table["clc"] = table["clc"].model_copy(update={"editions": editions})
    config = config_of(
        tmp_path, {"kind": "clc", "path": tmp_path / "clc"}, admin_express=tmp_path / "admin"
    )
    ready = shop.shop(table)
    plan = plan_reference(config, ready)
    assert titles(plan) == ["CLC18_FR_SHP", admin]
    found = fetch_reference(
        plan, ready, DeliveryHabits(0, sleep=lambda s: None, bounds=Bounds(keep_free_bytes=0))
    )
    assert [one.unpacked.folder.parent.name for one in found.delivered] == ["clc", "admin"]
    assert plan_reference(config, ready).deliveries == ()


def test_parts_of_a_7z_come_one_by_one_and_are_continued(
    server: FileServer, tmp_path: Path
) -> None:
    import py7zr

    target = tmp_path / "a.7z"
    filters = [{"id": py7zr.FILTER_LZMA2, "preset": 0}]
    with py7zr.SevenZipFile(target, "w", filters=filters) as stream:
        stream.writestr(bytes(range(256)) * 2000, f"{R76_2018}/{LAYER}.shp")
    content = target.read_bytes()
    half = len(content) // 2
    parts = {f"{R76_2018}.7z.001": content[:half], f"{R76_2018}.7z.002": content[half:]}
    shop = Shop(server, {"rpg": [Listed(R76_2018, parts, sum_file=True)]})
    config = config_of(tmp_path, rpg(tmp_path), regions=[76])
    # The lists come, the first part comes, the second fails: it is continued later.
    server.check = lambda path, headers: 404 if path.endswith(".002") else None
    found = shop.fetch(config)
    assert [one.code for one in found.left] == ["E-FETCH-GONE"]
    assert not (tmp_path / "rpg" / R76_2018).exists()
    server.check, shop.came = None, 0
    assert shop.fetch(config).is_complete
    assert shop.came == len(parts[f"{R76_2018}.7z.002"])


def test_a_checksum_that_is_wrong_where_it_is_published(server: FileServer, tmp_path: Path) -> None:
    wrong = {f"{R76_2018}.zip": "0" * 32}
    listed = Listed(R76_2018, {f"{R76_2018}.zip": packed(R76_2018, LAYER)}, sums=wrong)
    shop = Shop(server, {"rpg": [listed]})
    (done,) = shop.fetch(config_of(tmp_path, rpg(tmp_path), regions=[76])).delivered
    assert "md5" in (done.flag or "")
    assert json.loads((done.unpacked.folder / RECORD).read_text())["flag"] == done.flag
    assert shop.came == 2 * len(packed(R76_2018, LAYER))
    assert shop.said == [done]


def test_an_archive_that_is_damaged_where_it_comes_from_is_kept_apart(
    server: FileServer, tmp_path: Path
) -> None:
    content = bytearray(packed(R76_2018, LAYER))
    content[200] ^= 1  # within the content of a member
    shop = Shop(server, {"rpg": [Listed(R76_2018, {f"{R76_2018}.zip": bytes(content)})]})
    found = shop.fetch(config_of(tmp_path, rpg(tmp_path), regions=[76]))
    assert [one.code for one in found.left] == ["E-FETCH-CHECKSUM"]
    apart = tmp_path / "rpg" / ".oso_fetch" / "quarantine" / R76_2018
    assert (apart / f"{R76_2018}.zip").read_bytes() == content
    assert "damaged" in json.loads((apart / "reason.json").read_text())["reason"]
    assert files_below(tmp_path / "rpg") == []


def test_a_page_of_maintenance_is_no_list_and_no_archive(
    server: FileServer, tmp_path: Path
) -> None:
    shop = Shop(server, {"rpg": [zipped(R76_2018)]})
    config = config_of(tmp_path, rpg(tmp_path), regions=[76])
    server.usual = Reply(content=b"<html><body>maintenance</body></html>")
    found = shop.fetch(config)
    assert [one.code for one in found.plan.lacks] == ["E-FETCH-SERVER"]
    server.usual = Reply()
    plan, ready = shop.plan(config), shop.shop()
    server.usual = Reply(content=b"<html><body>maintenance</body></html>")
    found = fetch_reference(plan, ready, DeliveryHabits(0, tries=2, sleep=lambda s: None))
    assert [one.code for one in found.left] == ["E-FETCH-SERVER"]
    assert files_below(tmp_path / "rpg") == []


@pytest.mark.parametrize("name", ["../a.zip", "%2e%2e%2fa.zip", ".hidden.zip", "a b.zip"])
def test_a_name_in_a_list_leads_nowhere(server: FileServer, tmp_path: Path, name: str) -> None:
    shop = Shop(server, {"rpg": [Listed(R76_2018, {name: packed(R76_2018, LAYER)})]})
    found = shop.fetch(config_of(tmp_path, rpg(tmp_path), regions=[76]))
    assert found.delivered == () or found.delivered[0].unpacked.folder.parent == tmp_path / "rpg"
    assert not (tmp_path / "a.zip").exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"rpg"}


def test_a_list_that_declares_a_document_type_is_refused(
    server: FileServer, tmp_path: Path
) -> None:
    shop = Shop(server, {"rpg": [zipped(R76_2018)]})
    bomb = b'<!DOCTYPE feed [<!ENTITY a "aaaa">]><feed>&a;</feed>'
    server.usual = Reply(content=bomb)
    plan = shop.plan(config_of(tmp_path, rpg(tmp_path), regions=[76]))
    assert [one.code for one in plan.lacks] == ["E-FETCH-SERVER"]


def test_files_on_other_hosts_are_refused(server: FileServer, tmp_path: Path) -> None:
    shop = Shop(server, {"rpg": [zipped(R76_2018)]})
    config = config_of(tmp_path, rpg(tmp_path), regions=[76])
    server.usual = Reply(302, {"Location": "https://elsewhere.example/a.zip"})
    assert [one.code for one in shop.plan(config).lacks] == ["E-FETCH-HOST"]


def test_a_limit_and_a_full_disk_stop_it(server: FileServer, tmp_path: Path) -> None:
    shop = Shop(server, {"rpg": [zipped(R76_2018), zipped(R53_2018)]})
    config = config_of(tmp_path, rpg(tmp_path), regions=[76, 53])
    found = shop.fetch(config, max_bytes=len(packed(R76_2018, LAYER)) + 1)
    assert (len(found.delivered), [one.code for one in found.left]) == (1, ["W-FETCH-LIMIT"])
    plan, ready = shop.plan(config), shop.shop()
    with pytest.raises(EnvironmentFailure, match="keep_free_gb"):
        fetch_reference(plan, ready, DeliveryHabits(keep_free_bytes=1 << 60))


def test_a_delivery_that_another_process_fetches_is_left(
    server: FileServer, tmp_path: Path
) -> None:
    shop = Shop(server, {"rpg": [zipped(R76_2018)]})
    lock = tmp_path / "rpg" / ".oso_fetch" / "locks" / f"{R76_2018}.lock"
    with owned(lock) as is_owner:
        assert is_owner
        found = shop.fetch(config_of(tmp_path, rpg(tmp_path), regions=[76]))
    assert [one.code for one in found.left] == ["W-FETCH-LEFT"]
    assert shop.fetch(config_of(tmp_path, rpg(tmp_path), regions=[76])).is_complete


def test_a_dry_run_writes_nothing(server: FileServer, tmp_path: Path) -> None:
    Shop(server, {"rpg": [zipped(R76_2018)]}).plan(config_of(tmp_path, rpg(tmp_path), regions=[76]))
    assert [*tmp_path.iterdir()] == []


def test_a_file_of_the_user_changes_the_table(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "reference:\n"
        "  rpg: {address: 'https://mirror.example/RPG', hosts: [files.example]}\n"
        "  clc:\n"
        "    editions:\n"
        "      2024: {name: CLC24_FR, files: ['https://mirror.example/CLC24.zip']}\n",
        encoding="utf-8",
    )
    table = load_databases(own)
    assert table["rpg"].provider.address == "https://mirror.example/RPG"
    assert table["rpg"].title == load_databases()["rpg"].title  # type: ignore[union-attr]
    assert {2018, 2024} <= {*table["clc"].editions}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("rpg: {adress: x}", "adress"),
        ("rpg: {title: 'a('}", "no pattern"),
        ("rpg: {title: 'a'}", "lacks the groups date, format, zone"),
        ("mine: {by: region}", "form"),
        ("[rpg]", "databases by name"),
    ],
)
def test_a_mistake_in_the_file_of_the_user_is_named(tmp_path: Path, text: str, found: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(f"reference:\n  {text}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=found) as caught:
        load_databases(own)
    assert "own.yaml:2" in str(caught.value)


def test_the_readers_of_the_databases_find_what_was_fetched(
    server: FileServer, tmp_path: Path
) -> None:
    parcels = geopandas.GeoDataFrame(
        {"ID_PARCEL": ["1"], "CODE_CULTU": ["BTH"]},
        geometry=[shapely.box(560_000, 6_260_000, 560_100, 6_260_100)],
        crs=2154,
    )
    buildings = parcels.rename(columns={"ID_PARCEL": "ID", "CODE_CULTU": "NATURE"})
    topo = "BDTOPO_3-5_TOUSTHEMES_SHP_LAMB93_D031_2018-06-15"
    lists = {
        "rpg": [Listed(R76_2018, {f"{R76_2018}.zip": written(parcels, LAYER, tmp_path)})],
        "bdtopo": [Listed(topo, {f"{topo}.zip": written(buildings, "BATIMENT", tmp_path)})],
    }
    topo_source = {"kind": "bdtopo", "path": tmp_path / "bdtopo", "departments": [31]}
    config = config_of(tmp_path, rpg(tmp_path), topo_source, regions=[76])
    assert Shop(server, lists).fetch(config).is_complete
    problems = Problems()
    register, base = config.reference.sources
    assert isinstance(register, RpgSource)
    (found,) = find_files(register, problems)
    (layer,) = find_layers(base.path, ["BATIMENT"], None, problems)
    check_departments([layer], ["31"], base.path, problems)
    assert (found.region, layer.department, [*problems]) == ("R76", "031", [])
    assert layer.delivery == topo


def written(frame: geopandas.GeoDataFrame, layer: str, folder: Path) -> bytes:
    """Return a zip with a shapefile."""
    place = folder / "written"
    place.mkdir(exist_ok=True)
    frame.to_file(place / f"{layer}.shp")
    with io.BytesIO() as stream:
        with zipfile.ZipFile(stream, "w") as archive:
            for path in place.glob(f"{layer}.*"):
                archive.write(path, f"data/{path.name}")
        return stream.getvalue()
