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
    """Folders that hold the products, as in `imagery.paths`; they may be the same folders."""
    allow_missing_tiles: bool = False
    """Learn from the other tiles when one has no usable product in that season."""


class PastDates(Section):
    """Dates of a past season where they are not those of `season`, years earlier or later."""

    start: date
    """First date, at most `max_shift_days` off the day of the year of `season.start`."""
    end: date | None = None
    """Last date; by default the one that gives as many dates as `season` has."""


class PastSeason(Section):
    """A year with images and with labels of all classes."""

    year: int = Field(ge=2006, le=2100)
    """Year of the labels: those of `reference.sources` with this `year` describe its images."""
    imagery: PastImagery
    """Where the images of that season are."""
    season: PastDates | None = None
    """Its dates; by default those of `season` moved by whole years, so that a feature means the
    same day of the season in both."""


class Adaptation(Section):
    """Labels of past years that map a year whose annual crops are not labelled yet.

    All classes are learnt from past seasons. Labels of perennial classes that hold in the year
    of the map serve too, and are what accuracy is measured with; labels of annual classes of
    that year only measure accuracy, where there are any. docs/adaptation.md tells when to
    trust it.
    """

    sources: tuple[PastSeason, ...] = Field(min_length=1)
    """Past seasons; the samples of several are pooled, which was better than a forest each."""
    method: AdaptationMethod = "student"
    """student: recommended. Without change on the way: none, the forest of the past seasons as
    it is. Parts of the student: jitter, trained on slightly moved series; aligned, its votes
    averaged over the likely shifts. Only to compare with, as they lost accuracy in tests:
    cropmix, annual classes of the past with perennial ones of now; cropmix+classifmix, that
    with classes guessed for the annual ones of now."""
    gate: Literal["auto", "always", "never"] = "auto"
    """auto: adapt only where the seasons differ measurably; without a difference adapting costs
    1 to 3 points of accuracy. always, never: without asking; never gives the forest of the
    past seasons."""
    perennial_classes: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(None, min_length=1)
    """Codes whose labels hold for years, all others are annual; null: for oso17 and oso23, all
    but their annual crops."""
    perennial_span_years: int = Field(4, ge=0, le=30)
    """A label of a perennial class holds in seasons this many years before and after its own."""
    target_sample_size: int = Field(20_000, ge=200)
    """Unlabelled pixels of the year of the map drawn per stratum, by area. They show how the
    season went; at least 2,000 are advised."""
    max_shift_days: int = Field(60, ge=5, le=180)
    """Largest shift of the season that is looked for, in days, in both directions."""
    shift_step_days: int = Field(5, ge=1, le=30)
    """Step of that search."""
    shift_prior_sd_days: float = Field(25.0, gt=0)
    """How large shifts are usually, as a standard deviation; it keeps the search from shifts
    that fit by chance."""
    time_jitter_days: float = Field(10.0, ge=0, le=60)
    """Random delay of the series that the forest learns from, standard deviation in days."""
    gain_jitter: float = Field(0.10, ge=0, le=1)
    """Random stretch of each band of these series, standard deviation of its logarithm."""
    offset_jitter: float = Field(0.10, ge=0, le=1)
    """Random offset of each band, in standard deviations of the band."""
    pseudo_label_fraction: float = Field(0.85, gt=0, le=1)
    """Share of the unlabelled pixels of each class, the surest first, that teach the student.
    Results are flat from 0.75 to 0.9 and worse with all of them."""
    pseudo_label_agreement: bool = True
    """Only pixels teach whose class two forests agree on, one of them trained on the past
    moved to the season of now."""
    pseudo_label_neighbours: int = Field(10, ge=1, le=100)
    """A pixel is taken for what it and its nearest in the year of the map, so many at most, are
    taken for together; one for each 60 pixels, as few pixels have few of a rare class.
    1: each for itself."""
    student_rounds: int = Field(2, ge=1, le=5)
    """Students in a row; each helps to choose what the next one learns from."""
    source_weight: float = Field(0.3, ge=0, le=10)
    """Weight of all past samples together in the student; that of its pseudo-labels is 1."""
    min_anchor_polygons: int = Field(30, ge=1)
    """With this many polygons of the year of the map a perennial class does without its past
    samples; with fewer it keeps them, as it may vanish otherwise."""
    min_source_polygons: int = Field(30, ge=0)
    """With fewer polygons of past seasons the gate stays shut: the pixels of a few fields tell of
    these fields, not of the season."""
    gate_min_shift_days: float = Field(4.0, ge=0)
    """The gate opens at a shift of at least this many days, or by both of the next two."""
    gate_min_discrepancy: float = Field(0.2, ge=0)
    """Least difference between the mean series of a class then and now, in its variances."""
    gate_min_accuracy_drop: float = Field(0.05, ge=0, le=1)
    """Least loss of the forest's own confidence, as a share; never to be read as accuracy."""
    gate_large_discrepancy: float = Field(0.6, ge=0)
    """From here on the discrepancy opens the gate alone; other proportions of the classes were
    never seen to reach it."""

    @model_validator(mode="after")
    def _distinct(self) -> Adaptation:
        if twice := doubles(source.year for source in self.sources):
            raise ValueError(
                f"sources name the year {twice} more than once; "
                "list all folders of a year in one item"
            )
        return self
