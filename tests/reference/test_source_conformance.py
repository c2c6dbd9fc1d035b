"""The kinds of sources of this package keep the contract that those of others must keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely

from oso_pipeline.config.reference import Source
from oso_pipeline.core.errors import ConfigError, Problems
from oso_pipeline.core.plugins import built_in, plugin_of
from oso_pipeline.reference.conformance import check_source
from oso_pipeline.reference.databases import generic
from oso_pipeline.reference.databases.generic import GenericVectorSource
from oso_pipeline.reference.databases.sources import LabelledPolygons
from oso_pipeline.simulation import WorldSpec
from oso_pipeline.simulation.world.world import World
from oso_pipeline.simulation.writers.databases import write_databases
from oso_pipeline.vectors.window import Window


def section(kind: str, path: Path, **keys: Any) -> Source:
    settings = plugin_of("sources", kind).settings
    found = settings.model_validate({"kind": kind, "path": path, **keys})
    assert isinstance(found, Source)
    return found


def boxes(path: Path, **columns: list[Any]) -> Path:
    """Write squares of 1 ha, 200 m apart, with some columns."""
    n = len(next(iter(columns.values())))
    places = [shapely.box(600_000 + 200 * i, 6.2e6, 600_100 + 200 * i, 6_200_100) for i in range(n)]
    path.parent.mkdir(parents=True, exist_ok=True)
    geopandas.GeoDataFrame(columns, geometry=places, crs=2154).to_file(path)
    return path


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[Source, ...]]:
    """Return a source of each kind, after it those that help it."""
    folder = tmp_path_factory.mktemp("samples")
    written = write_databases(folder / "databases", World(WorldSpec(size_px=128)))
    stands = boxes(folder / "forest/FORMATION_VEGETALE.shp", ID=["a", "b"], TFV_G11=["Lande"] * 2)
    ice = boxes(folder / "ice/11_rgi60.shp", RGIId=["RGI60-11.00001", "RGI60-11.00002"])
    plots = boxes(folder / "plots.gpkg", code=[11, 12, None, 11])
    clc = section("clc", written.clc, year=2018)
    towns = next(iter(written.bdtopo.values())).parent
    return {
        "vector": (section("vector", plots, year=2018),),
        "rpg": (section("rpg", written.parcels, year=2018),),
        "rpg of blocks": (section("rpg", written.ilots, year=2014),),
        "bdtopo": (section("bdtopo", towns, year=2018, incomplete="skip"), clc),
        "clc": (clc,),
        "bdforet": (section("bdforet", stands.parent, year=2014),),
        "randolph": (section("randolph", ice.parent),),
    }


KINDS = ("vector", "rpg", "rpg of blocks", "bdtopo", "clc", "bdforet", "randolph")


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_the_package_conforms(
    samples: Mapping[str, tuple[Source, ...]], name: str
) -> None:
    source, *beside = samples[name]
    assert len(check_source(source, beside=tuple(beside)).frame) > 0


def test_no_kind_is_forgotten(samples: Mapping[str, tuple[Source, ...]]) -> None:
    assert set(KINDS) == set(samples)
    kinds = {source.kind for source, *_ in samples.values()}
    assert kinds == {plugin.kind for plugin in built_in("sources")}


class FoldersInName(GenericVectorSource):
    @property
    def name(self) -> str:
        return str(self.source.path)


class PriorityOfItsOwn(GenericVectorSource):
    @property
    def priority(self) -> int:
        return 3


class NoFiles(GenericVectorSource):
    @property
    def files(self) -> tuple[Path, ...]:
        return ()


class AllInEveryWindow(GenericVectorSource):
    def read(self, window: Window, problems: Problems) -> LabelledPolygons | None:
        return super().read(Window.everywhere(window.epsg), problems)


class NothingInTheMargin(GenericVectorSource):
    def read(self, window: Window, problems: Problems) -> LabelledPolygons | None:
        found = super().read(window, problems)
        if found is None or not window.is_bounded:
            return found
        return replace(found, frame=found.frame[window.owns(found.frame.geometry.array, 2154)])


class OtherTypes(GenericVectorSource):
    def read(self, window: Window, problems: Problems) -> LabelledPolygons | None:
        found = super().read(window, problems)
        return found and replace(found, frame=found.frame.astype({"code": "float64"}))


class OtherCodes(GenericVectorSource):
    def read(self, window: Window, problems: Problems) -> LabelledPolygons | None:
        found = super().read(window, problems)
        return found and replace(found, frame=found.frame.replace({"code": {11: 13}}))


class NoChecks(GenericVectorSource):
    def check(self, problems: Problems) -> None:
        return


class Raises(GenericVectorSource):
    def check(self, problems: Problems) -> None:
        self.source.path.open().close()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (FoldersInName, "expected a name without folders"),
        (PriorityOfItsOwn, r"return settings\.rank"),
        (NoFiles, r"files: are \(\), expected files that exist"),
        (AllInEveryWindow, "n_features: 16 in four windows, 4 in one"),
        (NothingInTheMargin, "leaves out 1 features that meet a window"),
        (OtherTypes, "frame: has .*float64"),
        (OtherCodes, r"codes \[13\], which oso17 lacks"),
        (NoChecks, "check: does not report that the path does not exist"),
        (NoChecks, "accepts `classes` that the nomenclature lacks"),
        (Raises, "check: raises FileNotFoundError"),
    ],
)
def test_what_does_not_conform_is_reported(
    samples: Mapping[str, tuple[Source, ...]],
    monkeypatch: pytest.MonkeyPatch,
    bad: type[GenericVectorSource],
    said: str,
) -> None:
    monkeypatch.setattr(generic, "GenericVectorSource", bad)
    with pytest.raises(AssertionError, match=said):
        check_source(*samples["vector"])


@pytest.mark.parametrize("member", ["name", "priority", "files", "check", "read"])
def test_a_source_that_lacks_a_member_is_refused(
    samples: Mapping[str, tuple[Source, ...]], monkeypatch: pytest.MonkeyPatch, member: str
) -> None:
    lacking = type("Lacking", (GenericVectorSource,), {member: None})
    monkeypatch.setattr(generic, "GenericVectorSource", lacking)
    with pytest.raises(ConfigError, match=f"E-PLUGIN-FAULT.*'vector' cannot.*lacks {member}"):
        check_source(*samples["vector"])


def test_what_cannot_be_called_is_refused(
    samples: Mapping[str, tuple[Source, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generic, "GenericVectorSource", "a text")
    with pytest.raises(ConfigError, match=r"E-PLUGIN-FAULT.*it cannot be called"):
        check_source(*samples["vector"])
