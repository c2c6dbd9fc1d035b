"""The fuzz finds defects that are planted, with a fixed seed, and nothing where none is."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyproj
import pytest
from fuzz import pool
from fuzz.case import Case, corpus, drawn
from fuzz.ground import Ground, prepare
from fuzz.kinds import KINDS
from fuzz.outcome import Outcome
from fuzz.pool import Pool
from fuzz.runner import shared_memory

from oso_pipeline.imagery import header, tiff
from oso_pipeline.products import tile_blocks
from oso_pipeline.timeseries.reading import images
from oso_pipeline.vectors import vector_files

pytestmark = pytest.mark.slow
MOST_CASES = 6


class Whatever(str):
    """A text that equals every other one."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


def let_errors_through(patch: pytest.MonkeyPatch) -> None:
    """Let what a parser raises through, as it comes."""
    patch.setattr(header, "damage_as", lambda kind, what: nullcontext())


def trust_half_written_blocks(patch: pytest.MonkeyPatch) -> None:
    """Trust any block that is there when a run goes on."""
    trusting = SimpleNamespace(sha256=lambda raw: SimpleNamespace(hexdigest=Whatever))
    patch.setattr(tile_blocks, "hashlib", trusting)


def scale_before_no_data(patch: pytest.MonkeyPatch) -> None:
    """Look for no data among reflectances, not among stored numbers."""
    right = images.to_stored

    def wrong(raw: Any, asset: Any) -> Any:
        if asset.nodata is None:
            return right(raw, asset)
        return right(raw, replace(asset, nodata=asset.nodata / (10_000 * asset.scale)))

    patch.setattr(images, "to_stored", wrong)


def take_one_system_for_another(patch: pytest.MonkeyPatch) -> None:
    """Take the European system for that of the map."""
    right = vector_files.system_of

    def wrong(found: Any, given: str | None) -> Any:
        system = right(found, given)
        if system is not None and system.to_epsg() == 3035:
            return pyproj.CRS.from_epsg(2154)
        return system

    patch.setattr(vector_files, "system_of", wrong)


def lose_the_last_feature(patch: pytest.MonkeyPatch) -> None:
    """Lose the last feature of every file."""
    right = vector_files.VectorFile._read

    def wrong(self: Any, *arguments: Any) -> Any:
        return right(self, *arguments).iloc[:-1]

    patch.setattr(vector_files.VectorFile, "_read", wrong)


def loop_without_end(patch: pytest.MonkeyPatch) -> None:
    """Follow directories of a TIFF that lead in a circle, for ever."""
    right = tiff._blocks

    def wrong(stream: Any, size: int) -> Any:
        at = int.from_bytes(stream.read(8)[4:], "little")
        while 0 < at < size:
            stream.seek(at)
            entries = int.from_bytes(stream.read(2), "little")
            stream.seek(at + 2 + 12 * entries)
            at = int.from_bytes(stream.read(4), "little")
        stream.seek(0)
        return right(stream, size)

    patch.setattr(tiff, "_blocks", wrong)


DEFECTS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str, int, str]] = {
    "a parser lets errors through": (let_errors_through, "products", 294, ""),
    "a resume trusts half a block": (trust_half_written_blocks, "run on", 29, ""),
    "no data after scaling": (scale_before_no_data, "rewritten", 70, "silent change"),
    "a system read as another": (take_one_system_for_another, "vectors", 102, "other polygons"),
    "the last feature lost": (lose_the_last_feature, "vectors", 0, "features"),
    "a loop that hangs": (loop_without_end, "products", 47, "hang"),
}
"""What is planted, the kind of cases that meets it, the seed, and a word of the finding."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Return what cases begin with; it is written before anything is planted."""
    import tempfile

    for name in ("OMP", "OPENBLAS", "NUMBA"):
        os.environ.setdefault(f"{name}_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(dir=shared_memory()) as name:
        yield prepare(Path(name) / "ground")


def found(ground: Ground, folder: Path, kind: str, seed: int) -> list[tuple[int, Case, Outcome]]:
    """Return what the first cases of a seed find, with the number of the case."""
    cases = itertools.islice(drawn({kind: KINDS[kind]}, seed), MOST_CASES)
    ended = Pool(ground, KINDS, folder, 2).run(cases)
    return [(n, case, outcome) for n, (case, outcome, _) in enumerate(ended, 1)
            if outcome.is_forbidden]  # fmt: skip


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    plant, kind, seed, word = DEFECTS[name]
    monkeypatch.setattr(pool, "CPU_SECONDS", {False: 3, True: 60})
    plant(monkeypatch)
    bad = found(ground, tmp_path, kind, seed)
    assert any(word in outcome.why for _, _, outcome in bad), bad


@pytest.mark.parametrize(("kind", "seed"), sorted({(k, s) for _, k, s, _ in DEFECTS.values()}))
def test_nothing_is_found_where_nothing_is_planted(
    ground: Ground, tmp_path: Path, kind: str, seed: int
) -> None:
    assert found(ground, tmp_path, kind, seed) == []


def test_what_ended_badly_once_ends_well(ground: Ground, tmp_path: Path) -> None:
    bad = [(case, outcome) for case, outcome, _ in Pool(ground, KINDS, tmp_path, 2).run(corpus())
           if outcome.is_forbidden]  # fmt: skip
    assert not bad
