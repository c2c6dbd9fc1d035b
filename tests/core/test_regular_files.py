"""A device or a pipe under the name of a file is refused, wherever files are read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import geopandas
import pytest
import shapely

from oso_pipeline.config.nodes import read_yaml
from oso_pipeline.core.commit import read_sidecar, sha256_file, sidecar_of
from oso_pipeline.core.csv_tables import read_text
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.json_files import read_object
from oso_pipeline.core.regular_files import is_odd, open_regular, read_regular, real_place
from oso_pipeline.imagery.archive import ArchiveError, member_names
from oso_pipeline.imagery.damage import UnreadableRaster
from oso_pipeline.imagery.header import read_header
from oso_pipeline.vectors.vector_files import VectorFile

ODD = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "full device": lambda path: path.symlink_to("/dev/full"),
}


@pytest.fixture(params=ODD)
def odd(request: pytest.FixtureRequest) -> Callable[[Path], Path]:
    def put(path: Path) -> Path:
        path.unlink(missing_ok=True)
        ODD[request.param](path)
        return path

    return put


def test_files_are_opened_and_others_are_not(tmp_path: Path, odd: Callable[[Path], Path]) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert read_regular(tmp_path / "file") == b"content"
    with open_regular(tmp_path / "file") as stream:
        assert os.get_inheritable(stream.fileno()) is False
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "nothing")
    path = odd(tmp_path / "odd")
    assert is_odd(path)
    assert not is_odd(tmp_path)
    with pytest.raises(OSError, match="not a regular file") as refused:
        read_regular(path)
    assert refused.value.filename == str(path)


def test_files_of_a_run(tmp_path: Path, odd: Callable[[Path], Path]) -> None:
    path = odd(tmp_path / "a.tif")
    with pytest.raises(OSError, match="not a regular file"):
        sha256_file(path)
    odd(sidecar_of(path))
    assert read_sidecar(path) is None
    assert read_object(path) == {}


def test_configurations_and_tables(tmp_path: Path, odd: Callable[[Path], Path]) -> None:
    problems = Problems()
    path = odd(tmp_path / "oso.yaml")
    assert read_yaml(path, problems) is None
    assert read_text(path, problems) is None
    assert [one.code for one in problems] == ["E-PATH-READ"] * 2
    assert all("not a regular file" in str(one) and str(path) in str(one) for one in problems)


def test_archives_and_images(tmp_path: Path, odd: Callable[[Path], Path]) -> None:
    with pytest.raises(ArchiveError, match="not a regular file"):
        member_names(odd(tmp_path / "a.zip"))
    with pytest.raises(UnreadableRaster, match="not a regular file"):
        read_header(odd(tmp_path / "a.tif"))


@pytest.mark.parametrize("suffix", [".shp", ".gpkg"])
def test_vector_files(tmp_path: Path, odd: Callable[[Path], Path], suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    odd(path)
    problems = Problems()
    assert VectorFile(path).read([], problems) is None
    assert "E-PATH-KIND" in str(problems.errors[0])
    assert str(path) in str(problems.errors[0])


def test_a_companion_of_a_shapefile(tmp_path: Path, odd: Callable[[Path], Path]) -> None:
    path = tmp_path / "a.shp"
    geopandas.GeoDataFrame({"code": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs=2154).to_file(
        path
    )
    odd(path.with_suffix(".dbf"))
    problems = Problems()
    assert VectorFile(path).read(["code"], problems) is None
    assert str(path.with_suffix(".dbf")) in "\n".join(map(str, problems.errors))


def test_links_in_a_circle_lead_to_themselves(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert real_place(tmp_path / "a").parent == real_place(tmp_path)
    (tmp_path / "c").symlink_to(tmp_path)
    assert real_place(tmp_path / "c" / "file") == real_place(tmp_path) / "file"
