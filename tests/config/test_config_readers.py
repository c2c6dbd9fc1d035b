"""Key ``imagery.readers``: kinds, settings, and the key of 0.1 in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from oso_pipeline.config import Config
from oso_pipeline.config.loader import load_config
from oso_pipeline.core.errors import ConfigError, Problem
from oso_pipeline.imagery.eopf.settings import EopfSettings
from oso_pipeline.imagery.l3a.settings import SynthesisSettings
from oso_pipeline.imagery.muscate.settings import MuscateSettings
from oso_pipeline.imagery.safe.settings import SafeSettings
from oso_pipeline.imagery.stac.settings import StacSettings

HEAD = """\
year: 2018
season: {start: 2018-01-01, end: 2018-12-31}
reference: {sources: [{path: parcels.gpkg}]}
imagery:
  paths: [products]
  tiles: [31TCJ]
"""


def load(folder: Path, text: str, *overrides: str, **environ: str) -> Config:
    path = folder / "mine.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    return load_config(path, overrides, environ)


def refused(folder: Path, text: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    (problem,) = caught.value.problems
    return problem


def test_by_default_the_readers_of_the_package_are_requested(tmp_path: Path) -> None:
    assert load(tmp_path, "").imagery.readers == (
        MuscateSettings(),
        SafeSettings(),
        SynthesisSettings(),
        StacSettings(),
        EopfSettings(),
    )


def test_settings_of_a_reader_are_those_of_its_kind(tmp_path: Path) -> None:
    config = load(tmp_path, "  readers: [{kind: muscate, reflectance: SRE}]\n")
    assert config.imagery.readers == (MuscateSettings(reflectance="SRE"),)
    assert Config.model_validate(config.model_dump()) == config


def test_the_key_of_0_1_is_one_of_the_reader(tmp_path: Path) -> None:
    expected = (MuscateSettings(reflectance="SRE"),)
    assert load(tmp_path, "  reflectance: SRE\n").imagery.readers == expected
    assert load(tmp_path, "", "imagery.reflectance=SRE").imagery.readers == expected
    assert load(tmp_path, "", OSO_IMAGERY__REFLECTANCE="SRE").imagery.readers == expected


def test_the_same_science_has_the_same_id_in_both_words(tmp_path: Path) -> None:
    old = load(tmp_path, "  reflectance: FRE\n")
    new = load(tmp_path, "  readers: [{kind: muscate}]\n")
    default = load(tmp_path, "")
    assert old.run_id == new.run_id == default.run_id
    assert old.recipe_id == new.recipe_id == default.recipe_id
    assert old.science() == default.science()
    other = load(tmp_path, "  readers: [{kind: safe}]\n")
    assert other.run_id != default.run_id


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("  reflectance: XYZ\n", "readers[0].reflectance: found 'XYZ', allowed: FRE, SRE", "7:16"),
        ("  readers: [{kind: zarr}]\n", "readers[0].kind: found 'zarr', allowed: muscate", "7:20"),
        ("  readers: [{reflectance: FRE}]\n", "readers[0].kind: found null, allowed:", "7:13"),
        ("  readers: [muscate]\n", "readers[0]", "7:13"),
        ("  readers: []\n", "readers: found [], allowed: list of one or more", "7:12"),
        ("  readers: [{kind: muscate, scale: 1}]\n", "readers[0].scale: unknown key", "7:29"),
        (
            "  readers: [{kind: muscate}, {kind: muscate}]\n",
            "readers names the kind muscate more than once",
            "5:3",
        ),
        (
            "  readers: [{kind: muscate}]\n  reflectance: SRE\n",
            "imagery.reflectance: is a key of the reader",
            "8:16",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(
    tmp_path: Path, text: str, message: str, place: str
) -> None:
    problem = refused(tmp_path, text)
    assert message in problem.message
    assert str(problem.where).endswith(f"mine.yaml:{place}")
