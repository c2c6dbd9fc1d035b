"""Jobs of stage ``train``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oso_pipeline.config.adaptation import Adaptation
from oso_pipeline.config.learning import DEFAULT_KIND, LearnerSettings
from oso_pipeline.core.dates import DateGrid
from oso_pipeline.core.nomenclature import PACKAGED, Nomenclature, load_nomenclature
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.learners.registry import model_settings
from oso_pipeline.learning.training_set import Choice
from oso_pipeline.tasks.job import Input, Job, decides, place, reads
from oso_pipeline.timeseries.feature_layout import FeatureLayout


def _of_model(learning: LearnerSettings) -> dict[str, Any]:
    """Return the settings that make a model; forests were there before there were kinds."""
    kind = {} if learning.kind == DEFAULT_KIND else {"kind": learning.kind}
    return {**kind, **model_settings(learning)}


def _classes(nomenclature: Nomenclature) -> Any:
    """Return what of the classes decides: their codes.

    Those of the package, which nobody edits, stand as in 0.1, so that its models stay valid.
    """
    name = nomenclature.name
    if name in PACKAGED and nomenclature == load_nomenclature(name):
        return nomenclature.to_json()
    return nomenclature.codes


def _of_adaptation(adaptation: Adaptation) -> dict[str, Any]:
    of_other_stages = {"sources", "perennial_classes", "perennial_span_years"}
    return adaptation.model_dump(mode="json", exclude=of_other_stages)


@dataclass(frozen=True, kw_only=True)
class TrainJob(Job):
    """A model that learns from the labels of the season of the map.

    Parameters
    ----------
    variant, stratum
        Which rows of the samples train it.
    columns
        Columns that hold the split.
    layout, date_grid
        The features, and the dates that they belong to.
    nomenclature
        The classes; their names and colours are only noted in the model.
    max_pixels
        Most pixels of a class; None takes all.
    allow_missing
        Do without the classes that have no pixel.
    learning
        The learner and its settings.
    seed
        Seed of the run.
    samples
        Labelled samples of the tiles.
    labels
        Checks of labels, whose excluded polygons stay out.
    reference
        The polygons.
    threads
        Threads that training may use.
    inventories
        Where the images of the tiles are listed, to be noted with the model.
    calibration
        Number of ``folds`` of the calibration, and the settings of the learner that matter when a
        classifier is used; None without one.
    """

    variant: str
    stratum: str
    columns: tuple[str, ...]
    layout: FeatureLayout
    date_grid: DateGrid
    nomenclature: Nomenclature = decides(part=_classes)
    max_pixels: int | None
    allow_missing: bool
    learning: LearnerSettings = decides(merged=True, part=_of_model)
    seed: int
    samples: Mapping[str, Input] = reads()
    labels: Mapping[str, Input] = reads()
    reference: Input = reads("reference/reference")
    threads: int = place(default=1)
    inventories: tuple[str, ...] = place(default=())
    calibration: Mapping[str, Any] | None = decides(if_set=True, default=None)

    @property
    def choice(self) -> Choice:
        """Which samples train the model, but for the polygons that a check excludes."""
        return Choice(self.variant, self.stratum, self.columns, self.max_pixels)


@dataclass(frozen=True, kw_only=True)
class GivenModelJob(Job):
    """A model that another run has trained.

    Parameters
    ----------
    variant, stratum
        Which model of this run it is.
    layout, date_grid
        The features, and the dates that they belong to, in the season of the map.
    model
        Its folder, by the digest in its description.
    """

    variant: str
    stratum: str
    layout: FeatureLayout
    date_grid: DateGrid
    model: Input = reads()


@dataclass(frozen=True, kw_only=True)
class AdaptedTrainJob(TrainJob):
    """A forest that learns from past seasons.

    Parameters
    ----------
    adaptation
        How it is made to fit the season of the map.
    perennial
        Classes whose labels hold for years.
    seasons
        Features of each past season, by year.
    past_samples, past_references
        Labelled samples and polygons of all past seasons; their names end with ``/<year>``.
    unlabelled
        Pixels of the season of the map drawn by area.
    """

    learning: ForestSettings = decides(merged=True, part=_of_model)
    adaptation: Adaptation = decides(part=_of_adaptation)
    perennial: tuple[int, ...]
    seasons: Mapping[int, FeatureLayout]
    past_samples: Mapping[str, Input] = reads()
    past_references: Mapping[str, Input] = reads()
    # The second output of the tasks of `samples`, hence the same names and keys.
    unlabelled: Mapping[str, Input] = reads()

    def samples_of(self, year: int) -> tuple[Input, ...]:
        """Return the labelled samples of a past season."""
        ending = f"/{year}"
        return tuple(one for name, one in self.past_samples.items() if name.endswith(ending))
