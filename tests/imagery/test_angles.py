"""Angles of sun and sensor: in real metadata, and the same in simulated products of each family."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import eopf_factory, safe_factory, stac_factory
from support.l3a_factory import synthesis
from support.muscate_factory import Muscate

from oso_pipeline.config.readers import ReaderSettings
from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.acquisition import Acquisition
from oso_pipeline.imagery.angles import Angles, angles_of, stated_angles
from oso_pipeline.imagery.conformance import check_reader
from oso_pipeline.imagery.eopf.settings import EopfSettings
from oso_pipeline.imagery.l3a.settings import SynthesisSettings
from oso_pipeline.imagery.muscate.angles import parse_angles
from oso_pipeline.imagery.muscate.reader import MuscateReader
from oso_pipeline.imagery.muscate.settings import MuscateSettings
from oso_pipeline.imagery.protocol import Request
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.safe.settings import SafeSettings
from oso_pipeline.imagery.search import find_products
from oso_pipeline.imagery.sen2cor.angles import parse_granule_angles
from oso_pipeline.imagery.stac.angles import stated_in
from oso_pipeline.imagery.stac.documents import items_at
from oso_pipeline.imagery.stac.settings import StacSettings

WRITTEN = Angles(60.0, 160.0, 7.9, 104.9)
SEVERAL = {
    "31TCJ_a": "SENTINEL2A_20180105-105435-457_L2A_T31TCJ_C_V2-2",
    "31TCJ_b": "SENTINEL2A_20180105-105430-457_L2A_T31TCJ_C_V2-2",
}


def close(found: Angles | None, expected: Angles) -> bool:
    assert found is not None
    return all(
        abs(value - other) < 1e-4
        for value, other in zip(found.to_json().values(), expected.to_json().values(), strict=True)
    )


def stated(settings: ReaderSettings, folder: Path) -> list[Angles | None]:
    """Return the angles of all products of a folder, of one band and not checked further."""
    readers, problems = Readers.of([settings]), Problems()
    found = []
    for candidate in find_products([folder], readers, problems).candidates:
        reader = readers[settings.kind]
        request = Request(candidate.tile or "", ("B4",), "error", "oso", (settings,))
        opened = reader.open(candidate, folder / "extracted", request, problems)
        acquisition = opened.read(request, problems)
        assert isinstance(acquisition, Acquisition), problems
        found.append(stated_angles(reader, acquisition))
    return found


def with_angles(product: Path, sun: tuple[float, float] = (60.0, 160.0)) -> None:
    """Add the angles to the metadata of a small product."""
    (path,) = product.rglob("*_MTD_ALL.xml")
    text = path.read_text()
    views = "".join(
        f'<Mean_Viewing_Incidence_Angle band_id="{band}"><ZENITH_ANGLE unit="deg">\n7.9\n'
        "</ZENITH_ANGLE><AZIMUTH_ANGLE> 104.9</AZIMUTH_ANGLE></Mean_Viewing_Incidence_Angle>"
        for band in ("B2", "B3", "B4", "B8A")
    )
    values = (
        f"<Geometric_Informations><Mean_Value_List><Sun_Angles><ZENITH_ANGLE>{sun[0]}"
        f"</ZENITH_ANGLE><AZIMUTH_ANGLE>{sun[1]}</AZIMUTH_ANGLE></Sun_Angles>"
        f"<Mean_Viewing_Incidence_Angle_List>{views}</Mean_Viewing_Incidence_Angle_List>"
        "</Mean_Value_List></Geometric_Informations>"
    )
    start, end = text.index("<Geometric_Informations>"), text.index(" <Radiometric_Informations>")
    path.write_text(text[:start] + values + text[end:])


def write_muscate(folder: Path) -> None:
    with_angles(Muscate().write(folder))


def write_from_planetary_computer(folder: Path) -> None:
    stac_factory.write(folder, "planetary-computer")


@pytest.mark.parametrize(
    ("settings", "write"),
    [
        (MuscateSettings(), write_muscate),
        (SafeSettings(), safe_factory.write),
        (EopfSettings(), eopf_factory.write),
        (StacSettings(), stac_factory.write),
        (StacSettings(), write_from_planetary_computer),
    ],
    ids=["muscate", "safe", "eopf", "stac", "stac_granule"],
)
def test_each_family_states_what_was_written(
    tmp_path: Path, settings: ReaderSettings, write: Callable[[Path], object]
) -> None:
    write(tmp_path)
    (found,) = stated(settings, tmp_path)
    assert close(found, WRITTEN)
    assert Angles.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_zips_state_them_too(tmp_path: Path) -> None:
    safe_factory.write(tmp_path / "safe", as_zip=True)
    eopf_factory.write(tmp_path / "eopf", as_zip=True)
    assert close(stated(SafeSettings(), tmp_path / "safe")[0], WRITTEN)
    assert close(stated(EopfSettings(), tmp_path / "eopf")[0], WRITTEN)


def test_each_product_of_a_folder_has_its_own(tmp_path: Path) -> None:
    """Two products of one day share a folder; their angles differ."""
    for zenith, name in zip((60.0, 50.0), SEVERAL.values(), strict=True):
        product = Muscate(name).write(tmp_path / "made")
        with_angles(product, (zenith, 160.0))
        shutil.copytree(product, tmp_path / "images" / "flat", dirs_exist_ok=True)
    found = stated(MuscateSettings(), tmp_path / "images")
    assert sorted(one.sun_zenith_deg for one in found if one) == [50.0, 60.0]


def test_a_synthesis_has_none(tmp_path: Path) -> None:
    with_angles(synthesis().write(tmp_path))
    assert stated(SynthesisSettings(), tmp_path) == [None]


def test_what_is_missing_is_none(tmp_path: Path) -> None:
    item = stac_factory.write(tmp_path / "stac")
    stac_factory.edit(item, lambda content: content["properties"].pop("view:azimuth"))
    product = safe_factory.write(tmp_path / "safe")
    safe_factory.edit(product, lambda text: text.replace("7.9", "NaN"), "MTD_TL.xml")
    store = eopf_factory.write(tmp_path / "eopf")
    shutil.rmtree(store / "conditions" / "geometry" / "mean_viewing_incidence_angles")
    Muscate().write(tmp_path / "muscate")
    assert stated(StacSettings(), tmp_path / "stac") == [None]
    assert stated(SafeSettings(), tmp_path / "safe") == [None]
    assert stated(EopfSettings(), tmp_path / "eopf") == [None]
    assert stated(MuscateSettings(), tmp_path / "muscate") == [None]


@pytest.mark.parametrize(
    ("properties", "view_zenith"),
    [
        ({"view:incidence_angle": 8.0, "view:off_nadir": 7.1}, 8.0),
        # 786 km above a sphere of 6371 km: asin((6371 + 786) / 6371 * sin(10.3 degrees)).
        ({"view:off_nadir": 10.3}, 11.588),
        ({}, None),
        ({"view:off_nadir": "10"}, None),
    ],
)
def test_fields_of_items(properties: dict[str, Any], view_zenith: float | None) -> None:
    sun = {"view:sun_elevation": 30.0, "view:sun_azimuth": -200.0, "view:azimuth": 104.9}
    found = stated_in({**sun, **properties})
    if view_zenith is None:
        assert found is None
    else:
        assert found is not None
        assert found.view_zenith_deg == pytest.approx(view_zenith, abs=1e-3)
        assert close(replace(found, view_zenith_deg=7.9), WRITTEN)


def test_azimuths_are_averaged_as_directions() -> None:
    rng = np.random.default_rng(1)
    zeniths, azimuths = rng.uniform(0, 12, 8), rng.uniform(-60, 40, 8)
    found = angles_of((40.0, 365.0), zip(zeniths, azimuths % 360, strict=True))
    mean = np.angle(np.exp(1j * np.radians(azimuths)).mean(), deg=True)
    assert found is not None
    assert found.sun_azimuth_deg == pytest.approx(5.0)
    assert found.view_zenith_deg == pytest.approx(zeniths.mean())
    assert found.view_azimuth_deg == pytest.approx(mean % 360)
    assert angles_of((40.0, 10.0), [(float("nan"), 3.0), (95.0, 3.0)]) is None
    assert angles_of((90.0, 10.0), [(5.0, 3.0)]) is None


def test_real_products_in_the_format_of_theia(shared_data: Path) -> None:
    path = next((shared_data / "flanders_2018" / "products").rglob("*20180519*_MTD_ALL.xml"))
    expected = Angles(32.137848, 162.063980, 5.145949, 278.185486)
    assert close(parse_angles(path.read_bytes()), expected)


def test_real_granules_say_what_their_items_say(shared_data: Path, tmp_path: Path) -> None:
    """The items were made by another program; it averages all bands, and azimuths as numbers."""
    samples, compared = shared_data / "sensor_samples" / "safe_l2a", 0
    for document in sorted(samples.glob("*/expected_output.json")):
        granules = [*document.parent.rglob("MTD_TL.xml"), *document.parent.glob("metadata.xml")]
        copy = tmp_path / f"{document.parent.name}.json"
        shutil.copy(document, copy)
        ((_, item),) = items_at(copy).items
        if item.angles is None or not granules:
            continue
        found = parse_granule_angles(granules[0].read_bytes())
        assert found is not None
        # In the far north azimuths of bands lie on both sides of north.
        near_north = "T33XWJ" in str(document)
        for name, most in (("sun_zenith", 1e-9), ("view_zenith", 0.1), ("view_azimuth", 0.5)):
            difference = getattr(found, f"{name}_deg") - getattr(item.angles, f"{name}_deg")
            assert abs(difference) <= most or (near_north and name == "view_azimuth"), document
        compared += 1
    assert compared >= 2


def test_an_item_of_a_catalogue_that_states_the_sun_alone(shared_data: Path) -> None:
    answers = shared_data / "sensor_samples" / "catalogue_answers" / "earth_search_search.json"
    properties = json.loads(answers.read_text())["features"][0]["properties"]
    assert "view:sun_elevation" in properties
    assert stated_in(properties) is None


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (lambda self, acquisition: Angles(120.0, 0.0, 3.0, 9.0), "no directions in degrees"),
        (lambda self, acquisition: (30.0, 100.0), "expected Angles or None"),
        (lambda self, acquisition: 1 / 0, "angles raises ZeroDivisionError"),
    ],
)
def test_a_reader_with_impossible_angles_breaks_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, member: Any, said: str
) -> None:
    Muscate().write(tmp_path / "sample")
    monkeypatch.setattr(MuscateReader, "angles", member)
    with pytest.raises(AssertionError, match=said):
        check_reader(MuscateSettings(), tmp_path / "sample", tmp_path / "scratch", ("B4",))


def test_metadata_may_name_a_product_otherwise(tmp_path: Path) -> None:
    """Distributed products keep in their metadata the name that they had before."""
    with_angles(Muscate().write(tmp_path))
    reader = MuscateReader(MuscateSettings())
    (candidate,) = find_products([tmp_path], Readers((reader,)), Problems()).candidates
    request = Request("31TCJ", ("B4",), "error", "oso", (MuscateSettings(),))
    acquisition = reader.open(candidate, tmp_path, request, Problems()).read(request, Problems())
    other = replace(acquisition, product_id=acquisition.product_id.replace("C_V2-2", "D_V1-4"))
    assert close(reader.angles(other), WRITTEN)
    moment = datetime(2019, 1, 5, tzinfo=UTC)
    gone = replace(other, path=tmp_path / "gone", acquired=moment)
    assert reader.angles(gone) is None
