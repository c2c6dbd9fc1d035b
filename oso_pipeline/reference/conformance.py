"""Conformance checks of sources of labels, for any package that brings one.

One call in a test of the package is enough::

    def test_my_source_keeps_the_contract():
        check_source(MySettings(kind="mine", path=Path("tests/sample.csv"), year=2018))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import geopandas
import numpy as np
import pandas as pd
import shapely
from distributed.protocol.pickle import dumps, loads

from oso_pipeline.config.reference import Source
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.core.plugins import plugin_of
from oso_pipeline.core.sides import SIDES
from oso_pipeline.reference.databases.catalogue import HelpedSource, open_source
from oso_pipeline.reference.databases.sources import (
    LabelledPolygons,
    Labelling,
    Operation,
    ReferenceSource,
    labelled_frame,
)
from oso_pipeline.vectors.window import Window

_ABSENT_CODE = 9999
_MARGIN_M = 500.0


def check_source(
    settings: Source,
    nomenclature: str = "oso17",
    epsg: int = 2154,
    beside: tuple[Source, ...] = (),
) -> LabelledPolygons:
    """Check the source of a kind against the contract of `databases.sources.ReferenceSource`.

    Parameters
    ----------
    settings
        Settings of the kind, with the path of a whole sample; its plug-in has to be installed.
        Values that the source does not define are left out.
    nomenclature
        Name of a nomenclature of the package, or the path of one, that the source has labels of.
    epsg
        Coordinate system of the map, in metres.
    beside
        Settings of other sources that help this one.

    Returns
    -------
    LabelledPolygons
        Everything that the sample holds, for checks of the package's own.

    Raises
    ------
    AssertionError
        With everything that does not keep the contract.
    ConfigError
        If the plug-in is not installed or lacks a member.
    """
    trial = _Trial(settings, Labelling(load_nomenclature(nomenclature), "drop"), epsg, beside)
    before = _states(trial.opened().files)
    whole, problems = trial.read(Window.everywhere(epsg))
    if whole is None or problems.errors:
        raise AssertionError(f"read: a whole sample is refused: {_listed(problems)}")
    if not len(whole.frame):
        raise AssertionError("read: the sample gives no label; nothing can be checked")
    faults = [
        *trial.settings_faults(),
        *trial.description_faults(),
        *_frame_faults(whole.frame, trial.labelling.nomenclature),
    ]
    if not faults:  # what follows looks into the frame
        faults += trial.choice_faults(whole)
        faults += trial.window_faults(whole)
        faults += trial.absence_faults()
    if _states(trial.opened().files) != before:
        faults.append("files: the sample was changed; sources never write beside inputs")
    if faults:
        raise AssertionError("\n".join(["the source does not keep the contract:", *faults]))
    return whole


@dataclass(frozen=True)
class _Trial:
    settings: Source
    labelling: Labelling
    epsg: int
    beside: tuple[Source, ...]

    def opened(self, **changed: Any) -> ReferenceSource:
        """Return the source, opened again with some settings changed."""
        source = open_source(self.settings.model_copy(update=changed), self.labelling)
        if not isinstance(source, HelpedSource):
            return source
        return source.beside([open_source(one, self.labelling) for one in self.beside])

    def read(self, window: Window, **changed: Any) -> tuple[LabelledPolygons | None, Problems]:
        """Return what a newly opened source holds in a window, and what it reports."""
        problems = Problems()
        return self.opened(**changed).read(window, problems), problems

    def settings_faults(self) -> Iterator[str]:
        """Check that settings survive the way into tasks, and from a configuration."""
        kind = plugin_of("sources", self.settings.kind)
        if loads(dumps(self.settings)) != self.settings:
            yield "settings: do not survive the way to a worker"
        text = self.settings.model_dump_json()
        if kind.settings.model_validate_json(text, strict=True) != self.settings:
            yield "settings: do not survive JSON, as which a run folder keeps them"

    def description_faults(self) -> Iterator[str]:
        """Check the members of a source that are used before it reads features."""
        source, again = self.opened(), self.opened()
        if not source.name or str(self.settings.path.parent) in source.name:
            yield f"name: is {source.name!r}, expected a name without folders"
        if self.opened(priority=77).priority != 77:
            yield "priority: is not what `priority` of the settings says; return settings.rank"
        if not source.files or not all(file.is_file() for file in source.files):
            yield f"files: are {source.files}, expected files that exist"
        if (source.name, source.files) != (again.name, again.files):
            yield "name, files: differ when the source is opened again"
        problems = Problems()
        source.check(problems)
        if problems.errors:
            yield f"check: finds errors in a whole sample: {_listed(problems)}"

    def choice_faults(self, whole: LabelledPolygons) -> Iterator[str]:
        """Check the keys that all sources have."""
        code = int(whole.frame["code"].iloc[0])
        some, _ = self.read(Window.everywhere(self.epsg), classes=(code,))
        if some is None or set(some.frame["code"]) != {code}:
            yield f"read: gives other classes than {code}, the only one of `classes`"
        problems = Problems()
        self.opened(classes=(_ABSENT_CODE,)).check(problems)
        if not problems.errors:
            yield "check: accepts `classes` that the nomenclature lacks; see rules.check_chosen"
        year = self.settings.year
        if year is not None and set(whole.frame["year"]) != {year}:
            yield f"read: labels are not of {year}, the `year` of the settings"

    def window_faults(self, whole: LabelledPolygons) -> Iterator[str]:
        """Check that parts of the map give what the whole gives: each cell reads its own."""
        again, _ = self.read(Window.everywhere(self.epsg))
        if again is None or not _same(whole, again):
            yield "read: a second call returns something else"
        shapes = whole.frame.geometry.to_crs(self.epsg)
        parts = []
        for window in _quarters(shapes, self.epsg):
            part, problems = self.read(window)
            if part is None:
                yield f"read: a part of the map is refused: {_listed(problems)}"
                return
            parts.append(part)
            here = shapely.box(*window.widened(window.margin_m - 1).bounds)
            meets = shapely.intersects(np.asarray(shapes), here)
            if lost := _lost(whole.frame[meets], part.frame):
                yield f"read: leaves out {lost} features that meet a window"
        counted = sum(part.n_features for part in parts)
        if counted != whole.n_features:
            yield (
                f"n_features: {counted} in four windows, {whole.n_features} in one; see Window.owns"
            )

    def absence_faults(self) -> Iterator[str]:
        """Check what is said about a path where nothing lies."""
        nowhere = self.settings.path.with_name("nothing_lies_here")
        window = Window.everywhere(self.epsg)
        calls: dict[str, Callable[[ReferenceSource, Problems], object]] = {
            "check": lambda source, problems: source.check(problems),
            "read": lambda source, problems: source.read(window, problems),
        }
        for name, call in calls.items():
            problems = Problems()
            try:
                found = call(self.opened(path=nowhere), problems)
            except Exception as error:  # noqa: BLE001  (whatever a source raises is the finding)
                yield f"{name}: raises {error!r} where the path does not exist, expected a problem"
                continue
            if not problems.errors or found is not None:
                yield f"{name}: does not report that the path does not exist"


def _frame_faults(frame: geopandas.GeoDataFrame, nomenclature: Nomenclature) -> Iterator[str]:
    """Check columns, types and values of what was read."""
    empty: dict[str, Any] = {name: [] for name in frame.columns if name != "geometry"}
    try:
        expected = labelled_frame(empty, np.empty(0, dtype=object), frame.crs)
    except KeyError as error:
        yield f"frame: lacks the column {error}; see databases.sources.labelled_frame"
        return
    if list(frame.columns) != list(expected.columns) or (frame.dtypes != expected.dtypes).any():
        yield f"frame: has {dict(frame.dtypes)}, expected {dict(expected.dtypes)}"
        return
    if frame.crs is None:
        yield "frame: has no coordinate system"
    if unknown := set(frame["code"]) - set(nomenclature.codes):
        yield f"frame: has codes {sorted(unknown)}, which {nomenclature.name} lacks"
    for name, allowed in (("operation", get_args(Operation)), ("side", ("", *SIDES))):
        if unknown := set(frame[name]) - set(allowed):
            yield f"frame: {name} is {sorted(unknown)}, allowed: {allowed}"
    for name in ("metres", "area_ha"):
        if not (np.isfinite(frame[name]) & (frame[name] >= 0)).all():
            yield f"frame: {name} is negative or not a number"
    for name in ("source_id", "rule"):
        if not all(isinstance(value, str) and value for value in frame[name]):
            yield f"frame: {name} is not a text, or empty"
    if shapely.has_z(np.asarray(frame.geometry)).any():
        yield "frame: a geometry has a third dimension"


def _quarters(shapes: geopandas.GeoSeries, epsg: int) -> Iterator[Window]:
    """Return four windows that hold everything, each of which reads over its edges."""
    left, bottom, right, top = shapes.total_bounds + np.array([-1e4, -1e4, 1e4, 1e4])
    x, y = (left + right) / 2, (bottom + top) / 2
    for x_min, x_max in ((left, x), (x, right)):
        for y_min, y_max in ((bottom, y), (y, top)):
            yield Window(x_min, y_min, x_max, y_max, epsg, _MARGIN_M)


def _lost(whole: pd.DataFrame, part: pd.DataFrame) -> int:
    names = ["source_id", "code"]
    return len(set(whole[names].itertuples(index=False)) - set(part[names].itertuples(index=False)))


def _same(one: LabelledPolygons, other: LabelledPolygons) -> bool:
    counts = [(part.n_features, dict(part.left_out), dict(part.values)) for part in (one, other)]
    return counts[0] == counts[1] and bool(one.frame.equals(other.frame))


def _states(files: tuple[Path, ...]) -> dict[Path, tuple[int, int]]:
    states = {file: file.stat() for file in files}
    return {file: (state.st_size, state.st_mtime_ns) for file, state in states.items()}


def _listed(problems: Problems) -> str:
    return "; ".join(map(str, problems.errors)) or "nothing is said about why"
