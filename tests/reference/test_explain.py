"""`oso reference`: the stage alone, its table, and the life of one polygon."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from support.reference_world import World, square
from typer.testing import CliRunner

from oso_pipeline.cli import app
from oso_pipeline.cli.terminal_tables import books_table, reference_table
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.reference.polygons.explain import biographies

OSO17 = load_nomenclature("oso17")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A run whose second polygon loses half to the first source, and one is too small."""
    world = World(tmp_path)
    first = world.write([square(0, 0), square(3, 0)], [11, 11], "first.gpkg")
    cut = square(0, 0).union(square(0.5, 0))
    second = world.write([cut, square(5, 0), square(7, 0, 5)], [12, 12, 12], "second.gpkg")
    config = world.config(first, second)
    sources = [
        source.model_copy(update={"priority": number})
        for number, source in enumerate(config.reference.sources)
    ]
    reference = config.reference.model_copy(update={"sources": tuple(sources)})
    config = config.model_copy(update={"reference": reference})
    _, result = world.outcome(config)
    assert result.status == "done", result.error
    return config.run_dir


def explained(run_dir: Path, wanted: str) -> str:
    return "\n".join(line for one in biographies(run_dir, wanted) for line in one.lines(OSO17))


def test_the_life_of_a_polygon_is_reported_step_by_step(made: Path) -> None:
    table = pq.read_table(made / "reference.parquet").to_pandas()
    (number,) = table[(table["code"] == 12) & (table["source_id"] == "1")]["polygon_id"].unique()
    text = explained(made, str(number))
    assert "source: second.gpkg, object 1" in text
    assert "class: 12 winter crops" in text
    assert text.index("read, 2.00 ha") < text.index("covered by a source of higher priority, 1.00")
    assert "part 0: 1.00 ha, stratum all, split_0" in text


def test_a_polygon_of_which_nothing_is_left_is_explained_too(made: Path) -> None:
    text = explained(made, "3")
    assert "source: second.gpkg, object 3" in text
    assert "too small" in text
    assert "part" not in text


def test_an_identifier_of_two_sources_gives_both(made: Path) -> None:
    text = explained(made, "2")
    assert "first.gpkg, object 2" in text
    assert "second.gpkg, object 2" in text


def test_verdicts_of_the_label_check_are_reported(made: Path) -> None:
    table = pq.read_table(made / "reference.parquet").to_pandas()
    number = int(table["polygon_id"].iloc[0])
    folder = made / "labels" / "run0"
    folder.mkdir(parents=True)
    assessment = {
        "polygon_id": [number],
        "code": [11],
        "pixels": [7],
        "given_probability": [0.05],
        "likely_code": [211],
        "likely_probability": [0.9],
        "doubted": [True],
        "excluded": [True],
    }
    pq.write_table(pa.table(assessment), folder / "all.parquet")
    text = explained(made, str(number))
    assert "its label gets 5 %; 211 grassland is more likely, 90 %; kept out of training" in text


def test_row_42_an_unknown_number_says_where_numbers_stand(made: Path) -> None:
    with pytest.raises(InputDataError, match=r"E-POLYGON-UNKNOWN.*'99999999999999999999'"):
        biographies(made, "99999999999999999999")


CONFIG = """\
year: 2018
season: {start: 2018-01-01, end: 2018-12-31}
imagery: {paths: [images], tiles: [31TCJ]}
runtime: {executor: serial}
reference:
  erosion_m: 0
  sources:
    - {path: p.gpkg}
"""


def test_the_command_needs_no_images_and_shows_every_class(tmp_path: Path) -> None:
    world = World(tmp_path)
    shapes = [square(column, 0) for column in range(6)]
    world.write(shapes, [11, 11, 11, 12, 12, 12])
    (tmp_path / "images").mkdir()
    config = tmp_path / "c.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    result = CliRunner().invoke(app, ["reference", str(config)])
    assert result.exit_code == 0, result.output
    assert "inventory" not in result.output
    for text in ("11 summer crops", "12 winter crops", "p.gpkg", "split_0", "reference.parquet"):
        assert text in result.output, text
    explained = CliRunner().invoke(app, ["reference", str(config), "--explain", "3"])
    assert explained.exit_code == 0
    assert "class: 11 summer crops" in explained.output


def test_table_counts_what_was_lost(made: Path) -> None:
    from oso_pipeline.core.commit import read_sidecar

    record = read_sidecar(made / "reference.parquet")
    assert record is not None
    console = Console(width=200, record=True, file=open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115
    console.print(reference_table(record["summary"]))
    text = console.export_text()
    (row,) = (line for line in text.splitlines() if "second.gpkg" in line)
    assert row.split()[:5] == ["12", "winter", "crops", "second.gpkg", "3"]
    assert "too small 1" in row
    console.print(books_table(record["summary"]))
    lines = [line.split() for line in console.export_text().splitlines()]
    polygons = [int(line[-2]) for line in lines if line and line[0] in ("read", "kept")]
    assert polygons[0] > polygons[1], "something was lost"
