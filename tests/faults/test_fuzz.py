"""What the fuzz counts as which outcome, and that a case is the same wherever it is made."""

from __future__ import annotations

import itertools
import json
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from fuzz import reading
from fuzz.case import CORPUS, Case, corpus, drawn, keep
from fuzz.damage import DAMAGES, TIFF_DAMAGES, ZIP_DAMAGES
from fuzz.kinds import KINDS
from fuzz.outcome import (
    CLEAN,
    FORBIDDEN,
    Ended,
    changed,
    crash,
    is_reported,
    refused,
    snapshot,
)
from fuzz.table import BEGIN, END, FIGURES, PAGE, section
from fuzz.texts import JSON_DAMAGES, XML_DAMAGES

ERROR = "error[E-VECTOR-READ] cannot be read\n  file: /a/b.tif\n"


def test_cases_of_a_seed_are_the_same() -> None:
    first, again = (list(itertools.islice(drawn(KINDS, 5), 300)) for _ in range(2))
    assert first == again
    assert {case.kind for case in first} == KINDS.keys()
    assert all(Case.parse(str(case)) == case for case in first)


def test_the_corpus_can_be_replayed(tmp_path: Path) -> None:
    assert corpus()
    for case in corpus():
        assert case.damage in KINDS[case.kind].damages[case.target]
    mine = tmp_path / "corpus.json"
    for _ in range(2):  # a case is kept once
        keep(corpus()[0], "seen", mine)
    assert corpus(mine) == corpus()[:1]
    assert [*json.loads(CORPUS.read_text())[0]][:4] == ["kind", "target", "damage", "seed"]


@pytest.mark.parametrize(
    "damage", sorted({**DAMAGES, **TIFF_DAMAGES, **ZIP_DAMAGES, **XML_DAMAGES, **JSON_DAMAGES})
)
def test_a_damage_is_the_same_with_the_same_seed(damage: str) -> None:
    every = {**DAMAGES, **TIFF_DAMAGES, **ZIP_DAMAGES, **XML_DAMAGES, **JSON_DAMAGES}
    content = archive() if damage in ZIP_DAMAGES.keys() - DAMAGES.keys() else tiff()
    if damage in JSON_DAMAGES.keys() - XML_DAMAGES.keys():
        content = b'{"a": [1, {"b": null}], "c": "x"}'
    for seed in range(5):
        one, other = (every[damage](content, random.Random(seed)) for _ in range(2))
        if damage not in ("zip_member", "zip_bomb", "zip_in_zip"):  # they hold the time of day
            assert one == other


def tiff() -> bytes:
    entries = [(256, 3, 1, 4), (257, 3, 1, 4)]
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II" + struct.pack("<HIH", 42, 8, len(entries)) + table + bytes(4 + 32)


def archive() -> bytes:
    import io

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as sink:
        sink.writestr("SENTINEL2A_20180105-105435-457_L2A/a.xml", "<a/>")
    return out.getvalue()


@pytest.mark.parametrize(
    ("code", "said", "why"),
    [
        (5, "Traceback (most recent call last):", "traceback"),
        (1, "error", "exit code 1"),
        (-11, "", "exit code -11"),
        (4, "it did not work: b.tif", "no code in the message"),
        (4, "error[E-VECTOR-READ] something", "names none"),
    ],
)
def test_what_is_no_clean_error(code: int, said: str, why: str) -> None:
    found = refused(Ended(code, said), {"b.tif"})
    assert found.kind == FORBIDDEN
    assert why in found.why


def test_clean_errors() -> None:
    assert refused(Ended(4, ERROR), {"b.tif"}).kind == CLEAN
    assert refused(Ended(2, "Usage: no such option b.tif"), {"b.tif"}).kind == CLEAN
    assert crash(Ended(0, "")) is None


def test_a_warning_has_to_name_the_file() -> None:
    warning = "warning[W-IMAGE-MASK] left out\n  file: /a/b.tif"
    assert is_reported(Ended(0, warning), {"b.tif"})
    assert not is_reported(Ended(0, warning), {"c.tif"})
    assert not is_reported(Ended(0, "all is well with b.tif"), {"b.tif"})
    headline = "  inventory took 0.4 s: 5 of 6 products used; left out: 1 incomplete"
    assert is_reported(Ended(0, headline), {"c.tif"})
    assert not is_reported(Ended(0, "  inventory took 0.4 s: 6 of 6 products used"), {"c.tif"})


def test_inputs_that_change_are_seen(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "run").mkdir()
    before = snapshot(tmp_path)
    (tmp_path / "run" / "result").write_text("x")
    assert changed(before, snapshot(tmp_path)) is None
    (tmp_path / "a").write_text("b")
    assert "inputs changed: ['a']" in str(changed(before, snapshot(tmp_path)))
    (tmp_path / "a.aux").write_text("b")
    assert "beside inputs: ['a.aux']" in str(changed(before, snapshot(tmp_path)))


def test_another_input_is_what_a_foreign_library_reads_to_its_end(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.tif" for name in ("before", "same", "other", "cut")]
    for path, value in zip(paths, (1, 1, 2, 1), strict=True):
        options = {"compress": "deflate"} if path.stem == "same" else {}
        with rasterio.open(path, "w", driver="GTiff", width=8, height=8, count=1, dtype="int16",
                           crs="EPSG:32631", transform=Affine(10, 0, 0, 0, -10, 0),
                           **options) as sink:  # fmt: skip
            sink.write(np.full((8, 8), value, np.int16), 1)
    paths[3].write_bytes(paths[3].read_bytes()[:-40])
    found = [reading.comparison(paths[0], path) for path in paths[1:]]
    assert found == [reading.SAME, reading.OTHER, reading.UNREADABLE]
    (tmp_path / "a.xml").write_text("<a>1</a>")
    for content, kind in (("<a> 1 </a>", "same"), ("<a>2</a>", "other"), ("<a>1", "unreadable")):
        (tmp_path / "b.xml").write_text(content)
        assert reading.comparison(tmp_path / "a.xml", tmp_path / "b.xml") == kind


def test_the_figures_in_the_docs_are_those_kept() -> None:
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    if FIGURES.exists():
        assert text.strip() == section(json.loads(FIGURES.read_text(encoding="utf-8")))
