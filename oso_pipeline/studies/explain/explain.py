"""Explain a pixel of the map of a run, from what the run has committed and its images."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oso_pipeline.config.seasons import has_labels
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.errors import InputDataError, OsoError, Problem, UnknownName
from oso_pipeline.imagery.cache.reading import without_missing_copies
from oso_pipeline.learners.registry import late_settings
from oso_pipeline.learning.model_file import Model
from oso_pipeline.prediction.series_quality import LONG_GAP_DAYS
from oso_pipeline.reference.split.variants import map_variant
from oso_pipeline.studies.explain.explanation import PixelExplanation
from oso_pipeline.studies.explain.images import NOT_READ, PixelReader, readers_of, uses_of
from oso_pipeline.studies.explain.learned import Moments, label_of, moments_of, polygons_near
from oso_pipeline.studies.explain.parts import (
    Answer,
    ClassVotes,
    Flag,
    ImageUse,
    ModelUsed,
    NearPolygon,
    Place,
)
from oso_pipeline.studies.explain.place import Ground, Values
from oso_pipeline.studies.explain.series import pixel_series
from oso_pipeline.studies.opened_run import Run, opened
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.gapfill import longest_gap_days
from oso_pipeline.timeseries.reading.reader import ReadSpec
from oso_pipeline.timeseries.series import BlockSeries
from oso_pipeline.vectors.area_of_interest import AreaOfTask
from oso_pipeline.vectors.strata import WHOLE_MAP, StrataOfTask, content_of, strata_names

FEW_DATES = 5
"""A class that stands on fewer clear dates is flagged."""
_RUN = "`oso run CONFIG` makes it"


def explain_pixel(
    run: Run | str | os.PathLike[str], x: float, y: float, crs: str | int | None = None
) -> PixelExplanation:
    """Say why a pixel of the map got its class.

    Class, confidence and validity are read from the map, or from the block where there is no map
    yet. Dates, series and votes are computed again from the images and the model, by the code of
    stage ``predict``; a flag says where they no longer agree with the map. Nothing is written.

    Parameters
    ----------
    run
        The run, its folder or its YAML file.
    x, y
        A place in the pixel, in the coordinate system of the map.
    crs
        Another coordinate system of `x` and `y`; with ``"EPSG:4326"`` they are longitude and
        latitude.

    Returns
    -------
    PixelExplanation
        With ``answer``, ``votes``, ``images``, ``series``, ``polygons``, ``model``, ``flags``, and
        in ``missing`` what cannot be said, for example where the images are gone; ``to_text()``,
        ``to_json()``, and a picture in a notebook.

    Raises
    ------
    UnknownName
        If there is no such coordinate system.
    InputDataError
        If the place is not on the map or outside its area, or it is not predicted yet.

    Examples
    --------
    >>> import oso_pipeline as oso
    >>> run = oso.open_run("demo/run_one_year")
    >>> found = oso.explain_pixel(run, 499205, 7350605)
    >>> found.place.tile, len(found.used) == found.answer.validity
    ('31UCU', True)
    """
    one = run if isinstance(run, Run) else opened(Path(run))
    ground = Ground(one)
    place = ground.locate(*ground.in_map(x, y, crs))
    missing = _refuse_outside_area(one, ground, place)
    in_map, in_block = ground.of_map(place), ground.of_block(place)
    values = in_map or in_block
    if values is None:
        message = f"the pixel is not predicted yet: no block of tile {place.tile} holds it"
        raise InputDataError(Problem("E-EXPLAIN-NOT-PREDICTED", message, str(one.folder), _RUN))
    return _Pixel(one, ground, place, values, missing=missing).explained()


def _refuse_outside_area(run: Run, ground: Ground, place: Place) -> list[str]:
    """Raise InputDataError if the area of interest leaves the pixel out.

    Return what cannot be said where the file of the area is gone.
    """
    if run.config.map.area is None:
        return []
    grid = ground.ownership.grids[place.tile]
    try:
        area = AreaOfTask.of(run.config.map.area)
        inside = area is None or area.mask(grid).block(_alone(place)).any()
    except InputDataError as error:
        return [f"area of the map: {_first(error)}"]
    if not inside:
        message = f"the pixel at x {place.x:.0f}, y {place.y:.0f} lies outside the area of the map"
        where = str(run.config.map.area.path)
        raise InputDataError(Problem("E-EXPLAIN-AREA", message, where, "see map.area"))
    return []


def _alone(place: Place) -> Block:
    """Return the pixel as a block of its tile."""
    return Block(place.tile, place.row, place.column, 1, 1)


@dataclass
class _Pixel:
    """A pixel, and what is found about it."""

    run: Run
    ground: Ground
    place: Place
    values: Values
    flags: list[Flag] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def explained(self) -> PixelExplanation:
        """Return the explanation."""
        run, values = self.run, self.values
        label = label_of(run.nomenclature, values.code)
        stratum = self._stratum()
        model = None if stratum is None else self._model(stratum)
        images, series = self._images()
        votes: tuple[ClassVotes, ...] = ()
        shown = None
        if series is not None:
            features, validity = block_features(series, self._layout, self._index)
            if model is not None:
                votes = self._votes(model, features, validity)
            self._flag_gap(series)
        codes = [values.code] if values.code else []
        codes += [one.label.code for one in votes if one.label.code != values.code][:1]
        if series is not None:
            means = {} if stratum is None else self._means(stratum, codes)
            by_label = {label_of(run.nomenclature, code): one for code, one in means.items()}
            shown = pixel_series(series, self._index, self._layout, by_label)
        polygons = polygons_near(run, self.place, stratum, codes)
        if polygons is None:
            self.missing.append("polygons: the run has no reference")
        self._flag_values(polygons or ())
        return PixelExplanation(
            run.config.name,
            run.config.year,
            self.place,
            Answer(label, values.confidence, values.validity),
            votes,
            None if model is None else self._used(model),
            images,
            shown,
            polygons or (),
            tuple(self.flags),
            tuple(self.missing),
        )

    @cached_property
    def _layout(self) -> FeatureLayout:
        return FeatureLayout.of(self.run.config)

    @cached_property
    def _reader(self) -> PixelReader:
        inventory = without_missing_copies(self.ground.inventories[self.place.tile])
        return PixelReader.at(self.place, inventory, ReadSpec.of(self.run.config))

    @property
    def _index(self) -> npt.NDArray[np.intp]:
        return np.array([self._reader.index])

    def _flag(self, code: str, text: str) -> None:
        self.flags.append(Flag(code, text))

    def _stratum(self) -> str | None:
        """Return the stratum of the pixel; None outside all of them."""
        config, place = self.run.config, self.place
        if config.strata is None:
            return WHOLE_MAP
        grid = self.ground.ownership.grids[place.tile]
        try:
            names = strata_names(config)
            strata = StrataOfTask(config.strata, content_of(config.strata))
            number = int(strata.labels(config.map.epsg, grid, _alone(place))[0, 0])
        except InputDataError as error:
            self.missing.append(f"stratum, votes and mean series: {_first(error)}")
            return None
        if number < 0:
            self._flag("outside_strata", "outside all strata: no model makes the map here")
            return None
        return names[number]

    def _model(self, stratum: str) -> Model | None:
        try:
            model = self.run.model(stratum)
        except (InputDataError, UnknownName) as error:
            self.missing.append(f"votes: no model of stratum {stratum}: {_first(error)}")
            return None
        if self.run.config.learning.model is not None:
            self._flag("given_model", "the model was trained by another run (learning.model)")
        return model.with_settings(late_settings(self.run.config.learning))

    def _used(self, model: Model) -> ModelUsed:
        one = model.classifier
        given = self.run.config.learning.model is not None
        return ModelUsed(
            model.stratum, map_variant(self.run.config), one.kind, dict(one.facts),
            one.confidence, given,
        )  # fmt: skip

    def _images(self) -> tuple[tuple[ImageUse, ...], BlockSeries | None]:
        """Return the images of the tile, and the series where all can be read."""
        try:
            series = self._reader.series()
        except InputDataError as error:
            series = None
            more = len(error.problems) - 1
            others = f" and {more} more" if more else ""
            self.missing.append(f"dates, series and votes: {_first(error)}{others}")
        images = uses_of(self._reader, readers_of(self.run.config.imagery.readers))
        lost = sum(one.reason == NOT_READ for one in images)
        if lost:
            self._flag("images_gone", f"{lost} of {len(images)} images cannot be read any more")
        return images, series

    def _votes(
        self, model: Model, features: npt.NDArray[np.int16], validity: npt.NDArray[np.uint16]
    ) -> tuple[ClassVotes, ...]:
        """Return what each class gets, and flag what differs from the map."""
        one, values = model.classifier, self.values
        code, confidence = (int(found[0]) for found in one.classify(features, validity))
        now = Values(code, confidence, int(validity[0]))
        if now != values:
            self._flag(
                "outdated",
                f"images and model now give class {now.code}, confidence {now.confidence} %, "
                f"{now.validity} clear dates: the map is outdated, run `oso run` again",
            )
        if not validity[0]:
            return ()
        shares = one.probabilities(features)[:, 0]
        trees = one.facts.get("trees")
        hard = late_settings(self.run.config.learning).get("vote") == "hard"
        order = sorted(range(len(shares)), key=lambda row: (-shares[row], one.classes[row]))
        return tuple(
            ClassVotes(
                label_of(self.run.nomenclature, int(one.classes[row])),
                round(float(shares[row]) * int(trees)) if hard and trees is not None else None,
                round(float(shares[row]), 6),
            )
            for row in order
            if shares[row] > 0
        )

    def _means(self, stratum: str, codes: list[int]) -> dict[int, Moments]:
        found = moments_of(self.run, self.place.tile, stratum, codes, self._layout.names)
        for code in codes:
            if code not in found:
                why = "the run has no training sample of it"
                if not has_labels(self.run.config):
                    why = "the run has no labels of its year"
                label = label_of(self.run.nomenclature, code)
                self.missing.append(f"mean series of {label}: {why}")
        return found

    def _flag_gap(self, series: BlockSeries) -> None:
        days = self._layout.series.days
        gaps = longest_gap_days(series.clear, series.days, int(days[0]), int(days[-1]))
        gap = int(gaps[self._reader.index])
        if gap > LONG_GAP_DAYS:
            self._flag("long_gap", f"no clear date for {gap} days")

    def _flag_values(self, polygons: tuple[NearPolygon, ...]) -> None:
        if self.values.validity == 0:
            self._flag("no_date", "no date is clear: the pixel gets no class")
        elif self.values.validity < FEW_DATES:
            self._flag("few_dates", f"only {self.values.validity} clear dates")
        doubted = [one for one in polygons if one.doubted is not None]
        if doubted:
            numbers = ", ".join(str(one.polygon_id) for one in doubted)
            self._flag("labels_doubtful", f"labels near by are doubtful: polygons {numbers}")


def _first(error: OsoError) -> str:
    problem = error.problems[0]
    return f"{problem.message} ({problem.where})" if problem.where else problem.message
