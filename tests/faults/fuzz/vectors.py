"""Damaged vector files: what is read is what a foreign library reads, or is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import geopandas
import numpy as np
import pyogrio

from fuzz.case import Case
from fuzz.damage import DAMAGES, Damage
from fuzz.ground import Ground
from fuzz.outcome import CLEAN, OTHER, REPORTED, SAME, Outcome, changed, forbidden, snapshot
from fuzz.texts import JSON_DAMAGES, TEXT_DAMAGES

_SETS: dict[str, Mapping[str, Damage]] = {
    **dict.fromkeys(("shp", "shx", "dbf", "gpkg", "parquet", "fgb"), DAMAGES),
    **dict.fromkeys(("prj", "cpg"), TEXT_DAMAGES),
    "geojson": JSON_DAMAGES,
}
_GONE = "gone"
_SYSTEMS = ("EPSG:2154", "EPSG:32631", "EPSG:4326", "EPSG:3035", "EPSG:27572", "EPSG:3857")
_EPSG = 2154


@dataclass(frozen=True)
class DamagedVectors:
    """A vector file, or a companion of it, is damaged and read as a source of labels."""

    weight: float
    is_whole: bool = False
    damages: ClassVar[Mapping[str, Sequence[str]]] = {
        **{suffix: (*damages, _GONE) for suffix, damages in _SETS.items()},
        "written in another system": tuple(_SYSTEMS),
    }

    def run(self, case: Case, ground: Ground, folder: Path) -> Outcome:
        """Write the labels in a format, damage them, read them twice and compare."""
        path = _written(case, folder)
        if case.target in _SETS:
            file = path.with_suffix(f".{case.target}")
            if case.damage == _GONE:
                file.unlink(missing_ok=True)
            elif file.exists():
                damage = _SETS[case.target][case.damage]
                file.write_bytes(damage(file.read_bytes(), case.draw()))
        before = snapshot(folder)
        try:
            found, said = _ours(path, ground.world / "classes.csv")
        finally:
            beside = changed(before, snapshot(folder))
        if beside is not None:
            return beside
        return _judged(path, found, said)


def _written(case: Case, folder: Path) -> Path:
    from fuzz.worlds import labels

    frame = labels()
    if case.target in _SYSTEMS or case.damage in _SYSTEMS:
        suffix = case.draw().choice((".shp", ".gpkg", ".parquet", ".fgb"))
        frame = frame.to_crs(case.damage)
    else:
        suffix = ".shp" if case.target in ("shx", "dbf", "prj", "cpg") else f".{case.target}"
        frame = frame.to_crs(4326 if suffix == ".geojson" else _EPSG)
    path = folder / f"fields{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path)
    return path


def _ours(path: Path, classes: Path) -> tuple[Any, str]:
    """Read labels as a run does; return them in the system of the map, and what was said."""
    from oso_pipeline.config.reference import Reference
    from oso_pipeline.core.errors import OsoError, Problems
    from oso_pipeline.core.nomenclature import load_nomenclature
    from oso_pipeline.reference.databases.catalogue import open_sources
    from oso_pipeline.vectors.window import Window

    problems = Problems()
    source = {"path": path, "code_field": "code"}
    reference = Reference.model_validate({"sources": [source], "unknown_codes": "drop"})
    try:
        (opened,) = open_sources(reference, load_nomenclature(str(classes)))
        opened.check(problems)
        found = None if problems.errors else opened.read(Window.everywhere(_EPSG), problems)
    except OsoError as error:
        return None, str(error)
    said = "\n".join(map(str, problems))
    return found, said


def _judged(path: Path, found: Any, said: str) -> Outcome:
    if "Traceback" in said:
        return forbidden(f"traceback in a message: {said}")
    if found is None:
        clean = "error[E-" in said and path.stem in said
        return Outcome(CLEAN) if clean else forbidden(f"no coded message with the file: {said!r}")
    if "warning[W-" in said:
        named = path.stem in said
        return Outcome(REPORTED) if named else forbidden(f"a warning without the file: {said!r}")
    if (
        found.frame.geometry.isna().any()
    ):  # the stage of the polygons counts them: W-GEOMETRY-MISSING
        return Outcome(REPORTED)
    from fuzz.worlds import labels

    undamaged = _sums(labels().to_crs(_EPSG))
    ours = found.frame.to_crs(_EPSG)
    try:
        theirs = _theirs(path)
    except Exception as error:  # noqa: BLE001 - whatever a foreign library raises
        # It reads without the index, which may tell what a damaged header of a record does not.
        if np.allclose(_sums(ours), undamaged, rtol=1e-9):
            return Outcome(SAME)
        return forbidden(f"read without a word, but a foreign library says: {error!r}")
    expected = _sums(theirs)
    if (lost := found.n_features - len(ours)) and not found.values and not found.left_out:
        return forbidden(f"{lost} features lost without a word")
    if found.n_features != len(theirs):
        return forbidden(f"{found.n_features} features, a foreign library reads {len(theirs)}")
    if not np.allclose(_sums(ours), expected, rtol=1e-6, atol=1.0, equal_nan=True):
        return forbidden(f"other polygons than a foreign library reads: {_sums(ours)}, {expected}")
    same = np.allclose(expected, undamaged, rtol=1e-6, atol=1.0)
    return Outcome(SAME if same else OTHER)


def _theirs(path: Path) -> geopandas.GeoDataFrame:
    if path.suffix == ".shp":  # the index only repeats what the file says, so it is made again
        path.with_suffix(".shx").unlink(missing_ok=True)
        pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": "YES"})
    frame = geopandas.read_parquet(path) if path.suffix == ".parquet" else geopandas.read_file(path)
    return frame.to_crs(_EPSG)


def _sums(frame: geopandas.GeoDataFrame) -> Any:
    """Return area, extent and codes of polygons, in numbers to compare."""
    if not len(frame):
        return np.zeros(6)
    area = float(frame.geometry.area.sum())
    return np.array([area, *frame.total_bounds, float(frame["code"].astype(float).sum())])
