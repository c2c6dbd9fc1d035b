"""Section ``adaptation``: past seasons whose labels serve, and how they are made to fit."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from oso_pipeline.config.section import Section, doubles

AdaptationMethod = Literal["none", "jitter", "aligned", "student", "cropmix", "cropmix+classifmix"]


class PastImagery(Section):
    """Images of a past season; tiles, bands and what is clear are those of `imagery`."""

    paths: tuple[Path, ...] = Field(min_length=1)
    """Folders that contain the products, as in `imagery.paths`; they may be the same folders."""
    allow_missing_tiles: bool = False
    """Train with the other tiles if one has no usable product in that season."""


class PastDates(Section):
    """Dates of a past season where they are not those of `season`, years earlier or later."""

    start: date
    """First date, at most `max_shift_days` off the day of the year of `season.start`."""
    end: date | None = None
    """Last date; by default the number of dates is that of `season`."""


class PastSeason(Section):
    """A year with images and with labels of all classes."""

    year: int = Field(ge=2006, le=2100)
    """Year of the labels: items of `reference.sources` with this `year` describe these images."""
    imagery: PastImagery
    """Images of the past season."""
    season: PastDates | None = None
    """Dates of the past season; by default those of `season` shifted by whole years, so that a
    feature has the same day of the season in both."""


class Adaptation(Section):
    """Labels of past years that map a year whose annual crops are not labelled yet.

    All classes are learnt from past seasons. Labels of perennial classes that hold in the year
    of the map serve too, and are what accuracy is measured with; labels of annual classes of
    that year only measure accuracy, where there are any. docs/adaptation.md says when to
    trust it.
    """

    sources: tuple[PastSeason, ...] = Field(min_length=1)
    """Past seasons. The samples of several seasons are pooled, which was more accurate than a
    forest for each."""
    method: AdaptationMethod = "student"
    """student: recommended. Without change on the way: none, the forest of the past seasons as
    it is. Parts of the student: jitter, trained on slightly moved series; aligned, its votes
    averaged over the likely shifts. Only to compare with, as they lost accuracy in tests:
    cropmix, annual classes of the past with perennial ones of now; cropmix+classifmix, that
    with classes guessed for the annual ones of now."""
    gate: Literal["auto", "always", "never"] = "auto"
    """auto: adapt only if the seasons differ measurably; without a difference, adaptation costs 1
    to 3 points of accuracy. always, never: no test; never uses the forest of the past seasons."""
    perennial_classes: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(None, min_length=1)
    """Codes of classes whose labels are valid for years; all others are annual. null: all classes
    of oso17 and oso23 except annual crops."""
    perennial_span_years: int = Field(4, ge=0, le=30)
    """A label of a perennial class is valid for this many years before and after its own."""
    target_sample_size: int = Field(20_000, ge=200)
    """Number of unlabelled pixels of the mapped year drawn per stratum, by area. They represent the
    season; use at least 2,000."""
    max_shift_days: int = Field(60, ge=5, le=180)
    """Largest shift of the season to search for, in days, in both directions."""
    shift_step_days: int = Field(5, ge=1, le=30)
    """Step of that search."""
    shift_prior_sd_days: float = Field(25.0, gt=0)
    """Standard deviation of usual shifts, in days; it prevents shifts that fit by chance."""
    time_jitter_days: float = Field(10.0, ge=0, le=60)
    """Random delay of the training series, standard deviation in days."""
    gain_jitter: float = Field(0.10, ge=0, le=1)
    """Random gain of each band of the training series, standard deviation of its logarithm."""
    offset_jitter: float = Field(0.10, ge=0, le=1)
    """Random offset of each band, in standard deviations of the band."""
    pseudo_label_fraction: float = Field(0.85, gt=0, le=1)
    """Fraction of the unlabelled pixels of each class used as pseudo-labels, the most certain
    first. Accuracy is stable from 0.75 to 0.9 and lower with all of them."""
    pseudo_label_agreement: bool = True
    """Use a pseudo-label only if two forests agree on the class, one of them trained on past series
    shifted to the mapped season."""
    pseudo_label_neighbours: int = Field(10, ge=1, le=100)
    """Smooth predictions over this many nearest pixels in feature space, in the mapped year; at
    most one neighbour per 60 pixels, since small samples have few pixels of rare classes. 1: no
    smoothing."""
    student_rounds: int = Field(2, ge=1, le=5)
    """Number of consecutive students; each selects the pseudo-labels of the next one."""
    source_weight: float = Field(0.3, ge=0, le=10)
    """Total weight of all past samples in the student, relative to its pseudo-labels (1)."""
    min_anchor_polygons: int = Field(30, ge=1)
    """With at least this many polygons of the mapped year, a perennial class is trained without its
    past samples. With fewer it keeps them, since it could disappear otherwise."""
    min_source_polygons: int = Field(30, ge=0)
    """With fewer polygons of past seasons the gate stays off: the pixels of a few fields describe
    these fields, not the season."""
    gate_min_shift_days: float = Field(4.0, ge=0)
    """The gate is on at a shift of at least this many days, or if both of the next two criteria are
    met."""
    gate_min_discrepancy: float = Field(0.2, ge=0)
    """Minimum difference between the mean series of a class in both seasons, in variances of the
    class."""
    gate_min_accuracy_drop: float = Field(0.05, ge=0, le=1)
    """Minimum loss of the confidence of the forest, as a fraction; it is not an accuracy."""
    gate_large_discrepancy: float = Field(0.6, ge=0)
    """From this discrepancy on the gate is on without other criteria; changed class proportions
    alone did not reach it in tests."""

    @model_validator(mode="after")
    def _distinct(self) -> Adaptation:
        if twice := doubles(source.year for source in self.sources):
            raise ValueError(
                f"sources name the year {twice} more than once; "
                "list all folders of a year in one item"
            )
        return self
