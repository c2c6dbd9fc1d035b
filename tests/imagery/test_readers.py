"""Readers behind their protocol: the conformance suite, and what it refuses."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.muscate_factory import Muscate

from oso_pipeline.core.errors import ConfigError, InputDataError, Problems
from oso_pipeline.core.plugins import Plugin
from oso_pipeline.imagery import readers as module
from oso_pipeline.imagery.acquisition import Acquisition, Asset
from oso_pipeline.imagery.conformance import check_reader
from oso_pipeline.imagery.contract import faults_of
from oso_pipeline.imagery.inventory_builder import InventoryBuilder, Period
from oso_pipeline.imagery.muscate.product import MuscateProduct
from oso_pipeline.imagery.muscate.quality import rules_of
from oso_pipeline.imagery.muscate.reader import MuscateReader
from oso_pipeline.imagery.muscate.settings import MuscateSettings
from oso_pipeline.imagery.protocol import READER_MEMBERS, Reader, Request
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.search import find_products

A = "SENTINEL2A_20180105-105435-457_L2A_T31TCJ_C_V2-2"
B = "SENTINEL2B_20180110-105421-123_L2A_T31TCJ_C_V2-2"
ROOT = Path(__file__).parents[2]


def request(**changes: Any) -> Request:
    return replace(Request("31TCJ", ("B4", "B8"), "skip", "oso", (MuscateSettings(),)), **changes)


def test_the_reader_of_muscate_keeps_the_contract(tmp_path: Path) -> None:
    Muscate(A).write(tmp_path / "sample")
    Muscate(B).write_zip(tmp_path / "sample")
    found = check_reader(MuscateSettings(), tmp_path / "sample", tmp_path / "scratch")
    assert [one.product_id for one in found] == [A, B]


@pytest.mark.parametrize(
    ("member", "replacement", "said"),
    [
        ("size_bytes", lambda self, candidate: 0, "size_bytes says 0"),
        ("digest", lambda self, candidate: str(candidate.path), "depends on where the product"),
        ("peek", lambda self, candidate: coarse(candidate), "peek gives a raster that is not"),
        ("recognise", lambda self, path: fragile(self, path), "raises ZeroDivisionError"),
    ],
)
def test_what_breaks_the_contract_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, member: str, replacement: Any, said: str
) -> None:
    Muscate(A).write(tmp_path / "sample")
    monkeypatch.setattr(MuscateReader, member, replacement)
    with pytest.raises(AssertionError, match=said):
        check_reader(MuscateSettings(), tmp_path / "sample", tmp_path / "scratch")


OWN = MuscateReader.recognise


def fragile(reader: MuscateReader, path: Path) -> Any:
    return 1 / 0 if path.suffix == ".zip" else OWN(reader, path)


def coarse(candidate: Any) -> Path:
    return next(candidate.path.glob("*_FRE_B11.tif"))


def test_the_list_of_members_is_that_of_the_protocol() -> None:
    own = {name for name in vars(Reader) if not name.startswith("_")}
    assert own | set(Reader.__annotations__) == set(READER_MEMBERS)


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        (SimpleNamespace(family="muscate", recognise=None), "lacks expected, digest"),
        (
            SimpleNamespace(
                **dict.fromkeys(READER_MEMBERS),
            ),
            "is of family None, expected the kind",
        ),
    ],
)
def test_a_plug_in_that_is_not_a_reader_is_refused(
    monkeypatch: pytest.MonkeyPatch, reader: Any, said: str
) -> None:
    class Toy(Plugin):
        def load(self) -> Any:
            return lambda settings: reader

    monkeypatch.setattr(module, "plugin_of", lambda *_: Toy("muscate", MuscateSettings, "toy:Toy"))
    with pytest.raises(ConfigError, match=rf"E-PLUGIN-FAULT.*{said}"):
        Readers.of([MuscateSettings()])


def asset(**changes: Any) -> Asset:
    return replace(Asset("B4.tif", 10, 1e-4, 0.0, -10_000), **changes)


@pytest.mark.parametrize(
    ("bands", "quality", "said"),
    [
        (
            {"B4": asset(scale=None), "B8": asset()},
            True,
            r"E-IMAGE-SCALE.*band B4 of P has scale None",
        ),
        ({"B4": asset(scale=0.0), "B8": asset()}, True, "has scale 0.0"),
        (
            {"B4": asset(), "B8": asset(resolution_m=30)},
            True,
            r"E-IMAGE-RESOLUTION.*pixels of 30 m",
        ),
        ({"B4": asset()}, True, r"E-IMAGE-ASSET.*lacks band B8"),
        ({"B4": asset(), "B8": asset()}, False, "lacks quality asset CLM_R1"),
        ({"B4": asset(resolution_m=20), "B8": asset(resolution_m=20)}, False, "any asset of 10 m"),
    ],
)
def test_an_acquisition_that_cannot_be_read_is_refused(
    bands: dict[str, Asset], quality: bool, said: str
) -> None:
    masks = {name: asset(scale=None) for name in ("CLM_R1", "EDG_R1")} if quality else {}
    moment = datetime(2018, 1, 5, tzinfo=UTC)
    found = Acquisition("P", "31TCJ", moment, "S2A", "toy", "1", bands, masks, rules_of("oso"))
    assert re.search(said, "\n".join(map(str, faults_of(found, request()))))


def test_the_inventory_refuses_a_band_without_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Muscate(A).write(tmp_path)
    own = MuscateProduct.read

    def without_scale(self: MuscateProduct, *args: Any) -> Any:
        found = own(self, *args)
        assert isinstance(found, Acquisition)
        return replace(found, bands={n: replace(a, scale=None) for n, a in found.bands.items()})

    monkeypatch.setattr(MuscateProduct, "read", without_scale)
    findings = find_products([tmp_path], Readers.of([MuscateSettings()]), Problems())
    first, last = datetime(2018, 1, 1).date(), datetime(2018, 12, 31).date()
    builder = InventoryBuilder(request(), Period(first, last), tmp_path / "extracted")
    with pytest.raises(InputDataError, match=r"E-IMAGE-SCALE.*B4_?.*scale None"):
        builder.build(findings.candidates, (), may_be_empty=False)


def test_a_request_of_one_family_is_written_as_in_0_1_of_more_with_all_settings() -> None:
    """The key of an inventory holds it."""
    assert request().to_json() == {
        "tile": "31TCJ",
        "reflectance": "FRE",
        "bands": ["B4", "B8"],
        "incomplete": "skip",
        "conservative": False,
    }
    two = request(readers=(MuscateSettings(), MuscateSettings(reflectance="SRE")))
    assert [r["reflectance"] for r in two.to_json()["readers"]] == ["FRE", "SRE"]


WORDS = r"\b(FRE|SRE|CLM|EDG|SAT|MG2)(_|\b)|MTD_ALL|JPI_ALL|muscate|theia|SENTINEL2[AB]_"
HOME = (
    "oso_pipeline/imagery/muscate/",
    "oso_pipeline/imagery/l3a/",  # another level in the same format
    "oso_pipeline/simulation/writers/",
    "oso_pipeline/simulation/simulate.py",  # chooses the writer
    "oso_pipeline/core/plugins.py",  # the list of readers
    "oso_pipeline/config/earlier.py",  # a key of 0.1
)


def test_words_of_a_family_stay_with_its_reader() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "oso_pipeline/*.py"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    files = listed or [str(p.relative_to(ROOT)) for p in (ROOT / "oso_pipeline").rglob("*.py")]
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in files
        if not name.startswith(HOME)
        for number, line in enumerate((ROOT / name).read_text("utf-8").splitlines(), 1)
        if re.search(WORDS, line, re.IGNORECASE if "muscate" in line.lower() else 0)
    ]
    assert not found, "\n".join(found)
