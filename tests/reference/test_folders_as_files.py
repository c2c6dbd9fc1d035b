"""A folder where a vector file is expected is never searched (2.11)."""

from __future__ import annotations

from pathlib import Path

import geopandas
import pytest
import shapely

from oso_pipeline.config.model import Area
from oso_pipeline.core.errors import Problems
from oso_pipeline.vectors.area_of_interest import read_outline
from oso_pipeline.vectors.vector_files import VectorFile


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with much in it, also in folders."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text("x")
        (tmp_path / "deep" / "er" / f"{number}.shp").write_text("x")
    return tmp_path


def test_2_11_a_home_as_area_is_refused_and_not_searched(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "rglob", lambda *_: pytest.fail("the folder was searched"))
    problems = Problems()
    assert read_outline(Area(path=home), problems) is None
    (problem,) = problems.errors
    assert (problem.code, problem.where) == ("E-VECTOR-READ", str(home))
    assert "folder without a shapefile" in str(problem)
    assert VectorFile(home).files == ()


def test_a_folder_of_a_shapefile_is_read_and_its_content_is_the_key(home: Path) -> None:
    frame = geopandas.GeoDataFrame({"a": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs=2154)
    frame.to_file(home / "area.shp")
    problems = Problems()
    assert read_outline(Area(path=home), problems) is not None, problems.errors
    files = VectorFile(home).files
    assert [file.name for file in files] == [
        f"area.{e}" for e in ("cpg", "dbf", "prj", "shp", "shx")
    ]
    before = VectorFile(home).digest()
    (home / "deep" / "new.shp").write_text("x")
    (home / "notes.txt").write_text("x")
    assert VectorFile(home).digest() == before
    frame.assign(a=2).to_file(home / "area.shp")
    assert VectorFile(home).digest() != before
