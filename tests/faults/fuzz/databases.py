"""Damaged deliveries of RPG, BD TOPO, Corine, BD Forêt and Randolph, read as a run reads them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fuzz.damage import DAMAGES, Damage
from fuzz.outcome import CLEAN, OTHER, REPORTED, SAME, Outcome, changed, forbidden, snapshot
from fuzz.reading import OTHER as READS_OTHER
from fuzz.reading import comparison
from fuzz.texts import TEXT_DAMAGES

if TYPE_CHECKING:
    from fuzz.case import Case
    from fuzz.ground import Ground

SOURCES: dict[str, tuple[str, dict[str, Any]]] = {
    "rpg": ("rpg", {"year": 2018}),
    "blocks": ("rpg", {"year": 2014}),
    "bdtopo": ("bdtopo", {"year": 2018}),
    "clc": ("clc", {"year": 2018}),
    "bdforet": ("bdforet", {"year": 2014}),
    "randolph": ("randolph", {}),
}
"""Kind and settings of the source in each folder of the ground."""
_FILE = ("gone", "folder", "link to itself", "device", "pipe")
_SUFFIXES = {".shp": DAMAGES, ".dbf": DAMAGES, ".shx": DAMAGES, ".prj": TEXT_DAMAGES,
             ".cpg": TEXT_DAMAGES, ".csv": TEXT_DAMAGES}  # fmt: skip


def write(folder: Path) -> None:
    """Write a small delivery of each database."""
    import geopandas
    import shapely

    from oso_pipeline.simulation import WorldSpec
    from oso_pipeline.simulation.world.world import World
    from oso_pipeline.simulation.writers.databases import write_databases

    written = write_databases(folder / "written", World(WorldSpec(size_px=128)))
    shutil.copytree(written.parcels.parent, folder / "rpg" / "RPG")
    shutil.copytree(written.ilots.parent, folder / "blocks" / "RPG")
    shutil.copytree(next(iter(written.bdtopo.values())).parent, folder / "bdtopo")
    shutil.copytree(written.clc.parent, folder / "clc")
    shutil.rmtree(folder / "written")
    x = [600_000 + 200 * n for n in range(4)]
    boxes = [shapely.box(one, 6.2e6, one + 100, 6_200_100) for one in x]
    tables = {
        "bdforet/FORMATION_VEGETALE": {"ID": list("abcd"), "TFV_G11": ["Lande"] * 4},
        "randolph/11_rgi60": {"RGIId": list("abcd")},
    }
    for name, columns in tables.items():
        path = folder / f"{name}.shp"
        path.parent.mkdir()
        geopandas.GeoDataFrame(columns, geometry=boxes, crs=2154).to_file(path)


@dataclass(frozen=True)
class DamagedDatabase:
    """A file of a delivery is damaged."""

    weight: float
    is_whole: bool = False
    damages: ClassVar[Mapping[str, Sequence[str]]] = {
        name: (*DAMAGES, *(damage for damage in TEXT_DAMAGES if damage not in DAMAGES), *_FILE)
        for name in SOURCES
    }

    def run(self, case: Case, ground: Ground, folder: Path) -> Outcome:
        """Damage, check and read; compare how much is read with what the whole delivery gives."""
        whole = ground.folder / "databases" / case.target
        place = folder / case.target
        shutil.copytree(whole, place)
        draw = case.draw()
        files = sorted(path for path in place.rglob("*") if path.is_file())
        file = draw.choice(files)
        _damage(file, case, draw)
        before = snapshot(folder)
        frame, said = read(case.target, place, whole.parent)
        if (beside := changed(before, snapshot(folder))) is not None:
            return beside
        if "Traceback" in said:
            return forbidden(f"traceback in a message: {said}")
        if frame is None:
            clean = "error[E-" in said and (file.stem in said or place.name in said)
            return Outcome(CLEAN) if clean else forbidden(f"no coded message of a file: {said!r}")
        if "warning[W-" in said:
            return Outcome(REPORTED)
        expected = _whole(case.target, whole)
        if expected is not None and len(frame) == len(expected) and _alike(frame, expected):
            return Outcome(SAME)
        shape = file.with_suffix(".shp")
        shape = shape if shape.exists() else file
        original = whole / shape.relative_to(place)
        reads = comparison(original, shape)
        if reads == READS_OTHER:
            return Outcome(OTHER)
        return forbidden(f"silent change: {len(frame)} rows; {file.name} reads as {reads}")


def _damage(file: Path, case: Case, draw: Any) -> None:
    if case.damage not in _FILE:
        damages: Mapping[str, Damage] = {**TEXT_DAMAGES, **_SUFFIXES.get(file.suffix, {})}
        file.write_bytes(damages[case.damage](file.read_bytes(), draw))
        return
    file.unlink()
    if case.damage == "folder":
        file.mkdir()
    elif case.damage == "pipe":
        os.mkfifo(file)
    elif case.damage != "gone":
        file.symlink_to(file.name if case.damage == "link to itself" else "/dev/zero")


def read(name: str, place: Path, beside: Path) -> tuple[Any, str]:
    """Check and read a source as a run does; return its polygons, None if refused, and messages."""
    from oso_pipeline.config.reference import Reference
    from oso_pipeline.core.errors import OsoError, Problems
    from oso_pipeline.core.nomenclature import load_nomenclature
    from oso_pipeline.reference.databases.catalogue import open_sources
    from oso_pipeline.vectors.window import Window

    kind, keys = SOURCES[name]
    sections = [{"kind": kind, "path": place, **keys}]
    if kind == "bdtopo":  # built-up land is told apart by a land cover
        sections.append({"kind": "clc", "path": beside / "clc", "year": 2018})
    problems = Problems()
    try:
        reference = Reference.model_validate({"sources": sections, "unknown_codes": "drop"})
        source = open_sources(reference, load_nomenclature("oso17"))[0]
        source.check(problems)
        window = Window.everywhere(2154)
        found = None if problems.errors else source.read(window, problems)
    except OsoError as error:
        return None, str(error)
    said = "\n".join(map(str, problems))
    if found is not None and (found.values or found.left_out):
        said += f"\nleft out: {dict(found.values)} {dict(found.left_out)}"
    return (None if found is None else found.frame), said


@lru_cache
def _whole(name: str, whole: Path) -> Any:
    return read(name, whole, whole.parent)[0]


def _alike(one: Any, other: Any) -> bool:
    def sums(frame: Any) -> tuple[int, int]:
        return round(float(frame.geometry.area.sum())), int(frame["code"].sum())

    return sums(one) == sums(other)
