"""The configuration: one frozen model per section of the YAML file.

The models are the single source of the JSON schema, of the commented template that
``oso init`` writes and of the reference in ``docs/config.md``. They check each value by
itself and the values of a section against each other; values that need the file system are checked
by the stage that reads it.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, PrivateAttr, model_validator

from oso_pipeline.config.adaptation import Adaptation
from oso_pipeline.config.cache import Cache
from oso_pipeline.config.confidence import CONFIDENCE_BANDS, Confidence
from oso_pipeline.config.features import Features
from oso_pipeline.config.independent import IndependentSet
from oso_pipeline.config.learning import (
    OF_NO_LEARNER,
    AnyLearner,
    adaptable_kinds,
    default_learner,
)
from oso_pipeline.config.readers import AnyReader, built_in_readers
from oso_pipeline.config.reference import CRS_PATTERN, Reference
from oso_pipeline.config.report import Report
from oso_pipeline.config.retrieval import Retrieval
from oso_pipeline.config.runtime import Runtime
from oso_pipeline.config.section import Section, doubles
from oso_pipeline.config.series import Series
from oso_pipeline.core.commit import digest
from oso_pipeline.core.dates import DateGrid
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.core.tiles import Tile

if TYPE_CHECKING:
    BandName: TypeAlias = str
else:
    BandName = Literal[SENTINEL2.names]

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
MAX_NAME = 100
"""Longest name of a run; systems take 255 bytes, and names of files begin with it."""
LAMBERT_93 = 2154
TileName = Annotated[str, AfterValidator(lambda text: Tile.parse(text).name)]


class Season(Section):
    """The dates of the feature space; the same for every tile and every year compared."""

    start: date
    """First date of the grid, as YYYY-MM-DD."""
    end: date
    """The last date of the grid is the last step that does not exceed this day."""
    step_days: int = Field(10, ge=1, le=120)
    """Days between two dates of the grid."""

    @model_validator(mode="after")
    def _in_order(self) -> Season:
        if self.end <= self.start:
            raise ValueError(f"end {self.end} must lie after start {self.start}")
        if not 2015 <= self.start.year <= 2100:
            raise ValueError(f"start {self.start} must lie in the years 2015 to 2100")
        if self.end - self.start > timedelta(days=800):
            raise ValueError(f"season {self.start} to {self.end} is longer than 800 days")
        return self

    @property
    def grid(self) -> DateGrid:
        """The dates as a value object."""
        return DateGrid(self.start, self.end, self.step_days)


class Imagery(Section):
    """Which images are read, and what counts as a clear pixel."""

    model_config = ConfigDict(defer_build=True)

    paths: tuple[Path, ...] = Field(min_length=1)
    """Folders that contain the products, as folders or zip files, up to eight folders deep; or
    files that describe products (STAC)."""
    tiles: tuple[TileName, ...] = Field(min_length=1)
    """Sentinel-2 tiles to map, with or without the leading T."""
    readers: tuple[AnyReader, ...] = Field(default_factory=built_in_readers, min_length=1)
    """Product families to read, each by the reader of its `kind`, tried in this order. The default
    is the readers of this package; other packages can add readers
    (docs/write_your_own_reader.md)."""
    bands: tuple[BandName, ...] = Field(SENTINEL2.names, min_length=1)
    """Bands used as features, in this order. The indices by
    default need B4, B8 and B11."""
    clear: Literal["oso", "conservative"] | tuple[Annotated[int, Field(ge=0, le=7)], ...] = "oso"
    """oso: masks cloud, shadow, cirrus and saturation at 10 m. conservative: also saturation at 20
    m and terrain shadow. A list: only these bits of the cloud mask of the product, which SAFE,
    EOPF and STAC products and monthly syntheses do not have."""
    margin_days: int = Field(30, ge=0, le=200)
    """Images this many days before and after the season also serve interpolation."""
    as_of: date | None = None
    """Use only images acquired up to this day (YYYY-MM-DD), for a provisional map or to test how
    good an earlier map would have been. The dates of the season do not change: dates after the last
    clear image have its values. By default all images of the season and its margin are used."""
    incomplete: Literal["skip", "error"] = "skip"
    """Action for a product that lacks a band, is damaged or inconsistent: leave the date out with a
    warning, or stop."""
    allow_missing_tiles: bool = False
    """Map the other tiles if one has no usable product, instead of stopping."""
    cache: Cache = Cache()
    """Images in JPEG 2000, which take about twenty times as long to decode as TIFF, and those in
    Zarr stores, whose chunks are large, are copied into tiled TIFFs once, before they are read."""

    @model_validator(mode="after")
    def _without_doubles(self) -> Imagery:
        for key in ("tiles", "bands"):
            if twice := doubles(getattr(self, key)):
                raise ValueError(f"{key} names {twice} more than once")
        if twice := doubles(reader.kind for reader in self.readers):
            raise ValueError(f"readers names the kind {twice} more than once")
        return self


class Strata(Section):
    """Regions that get a model of their own, for example eco-climatic regions."""

    path: Path
    """Vector file with one polygon or more per region."""
    layer: str | None = None
    """Layer, for a file with several layers."""
    field: str
    """Column with the name of the region."""
    crs: str | None = Field(None, pattern=CRS_PATTERN)
    """Coordinate system of a file without one, for example EPSG:2154."""


class Sampling(Section):
    """Which pixels of the polygons become samples."""

    max_train_pixels: int | None = Field(10_000, ge=1)
    """Maximum number of training pixels per class and stratum; null takes all."""
    max_validation_pixels: int | None = Field(None, ge=1)
    """Maximum number of validation pixels per class and stratum; null takes all."""
    min_validity: int = Field(1, ge=1)
    """A sample needs at least this many clear dates."""
    allow_missing_classes: bool = False
    """Train without classes that have no usable pixel instead of stopping."""


class LabelCheck(Section):
    """The search for polygons whose label contradicts their time series."""

    enabled: bool = True
    """Assess every polygon by forests that were not trained on it, and list doubtful labels."""
    folds: int = Field(4, ge=2, le=20)
    """Parts of the training polygons; each is assessed by the forest of the others."""
    pixels_per_class: int = Field(2000, ge=10)
    """Maximum number of pixels per class and stratum to use."""
    expected_share: float | None = Field(None, gt=0, lt=0.5)
    """Expected share of wrong labels. As many labels are listed, the most doubtful first, after a
    second round by forests that did not learn from them; null lists those that are doubted on
    their own account."""
    exclude_below: float | None = Field(None, gt=0, le=1)
    """Exclude doubtful polygons from training if their label has less than this probability; null
    excludes none. Validation polygons are never excluded."""


class Validation(Section):
    """Measurement of accuracy."""

    runs: int = Field(1, ge=1, le=50)
    """Independent random splits; the map is made with the first."""
    folds: int | None = Field(None, ge=2, le=20)
    """Cross-validation by whole polygons instead of one split; the map is then made with a model
    trained on all polygons."""
    bootstrap: int = Field(1000, ge=100, le=100_000)
    """Number of bootstrap resamples of polygons for the intervals."""
    confidence_level: float = Field(0.95, gt=0.5, lt=1)
    """Level of the intervals."""
    independent: IndependentSet | None = None
    """Independent samples to validate the finished map, reported separately."""

    @model_validator(mode="after")
    def _one_way(self) -> Validation:
        if self.folds is not None and self.runs > 1:
            raise ValueError("use either runs (repeated splits) or folds (cross-validation)")
        return self


class Area(Section):
    """The part of the tiles that is mapped."""

    path: Path
    """Vector file with polygons; a pixel is mapped if its centre lies in one of them. Training and
    validation also use labelled polygons outside the area."""
    layer: str | None = None
    """Layer, for a file with several layers."""
    crs: str | None = Field(None, pattern=CRS_PATTERN)
    """Coordinate system of a file without one, for example EPSG:2154."""


def in_metres(epsg: int) -> int:
    """Return the code of a projected coordinate system in metres; ValueError for any other."""
    if epsg != LAMBERT_93:
        from pyproj import CRS  # which takes time, and nearly every map is in Lambert-93
        from pyproj.exceptions import CRSError

        try:
            system = CRS.from_epsg(epsg)
        except (CRSError, OverflowError):
            raise ValueError(f"found {epsg}, allowed: an EPSG code, for example 2154") from None
        if not system.is_projected or system.axis_info[0].unit_name != "metre":
            raise ValueError(
                f"found {epsg}, {system.name}, allowed: a projected one in metres, for example 2154"
            )
    return epsg


class Map(Section):
    """The grid and the names of the map."""

    epsg: Annotated[int, AfterValidator(in_metres)] = 2154
    """Projected coordinate system of the map, in metres."""
    resolution_m: float = Field(10.0, gt=0)
    """Side of a pixel; edges lie on multiples of it."""
    area: Area | None = None
    """Area to map; by default all tiles. Pixels outside are neither read nor computed."""
    allow_partial: bool = False
    """Accept a map with holes if tasks failed; the metadata of the map then name them."""
    bands: tuple[str, ...] = ()
    """More layers of the map, by name: probabilities (of all classes), second_class, margin
    (between the two most probable classes); calibrated, see `confidence`: probability (of the
    class), set_size, out_of_domain. Class, confidence and validity are always made."""
    legends: dict[str, Literal["parents"] | dict[int, int]] = Field({})
    """Coarser legends by name: the code of each class in the legend, or parents for the upper level
    of the nomenclature. The probabilities of the classes are summed, and the class of the legend
    with the greatest sum becomes a layer of the map, with its own confidence."""

    @model_validator(mode="after")
    def _no_name_twice(self) -> Map:
        if twice := doubles(self.bands):
            raise ValueError(f"bands: {twice} is given twice")
        return self


class Config(Section):
    """A whole run."""

    model_config = ConfigDict(defer_build=True)

    name: str = Field(pattern=NAME_PATTERN, max_length=MAX_NAME)
    """Name of the run; by default that of the file."""
    year: int = Field(ge=2015, le=2100)
    """Year of the map, for the names of the products."""
    nomenclature: str = "oso17"
    """oso17, oso23, or the path of a CSV or YAML file with your own classes."""
    run_dir: Path
    """Folder of the run; by default `runs/<name>` beside the configuration file."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of all random draws."""
    season: Season
    """The dates of the feature space."""
    imagery: Imagery
    """Images to read."""
    retrieval: Retrieval = Retrieval()
    """Download of images by `oso fetch`."""
    features: Features = Features()
    """Features computed from the images."""
    reference: Reference
    """The labelled polygons."""
    adaptation: Adaptation | None = None
    """Past seasons whose labels are used to map this year. Without this section, only labels of
    this year are used."""
    strata: Strata | None = None
    """Regions that each have their own model."""
    sampling: Sampling = Sampling()
    """Sampling of training and validation pixels."""
    label_check: LabelCheck = LabelCheck()
    """Detection of labels that are likely wrong."""
    learning: AnyLearner = Field(default_factory=default_learner)
    """The classifier. `kind` names the learner: a random forest, or one that another
    package brings (docs/write_your_own_learner.md)."""
    confidence: Confidence | None = None
    """Calibration of the models, for the bands probability, set_size and out_of_domain and for the
    report; by default only if `map.bands` names one of these."""
    validation: Validation = Validation()
    """Measurement of accuracy."""
    map: Map = Map()
    """The grid of the map."""
    series: Series | None = None
    """Series to write of bands, indices, leaf area and phenology; none without this section."""
    report: Report = Report()
    """What the report shows in addition."""
    runtime: Runtime = Runtime()
    """Execution: workers, memory, cluster."""
    _file: Path | None = PrivateAttr(None)

    @property
    def calibration(self) -> Confidence | None:
        """How models are calibrated; None where nothing asks for it."""
        wanted = any(name in CONFIDENCE_BANDS for name in self.map.bands)
        return self.confidence or (Confidence() if wanted else None)

    @property
    def makes_map(self) -> bool:
        """Whether there are labels or models; without them a run makes series alone."""
        return bool(self.reference.sources) or self.learning.model is not None

    @property
    def file(self) -> Path | None:
        """The file that was loaded, for messages; it may extend others."""
        return self._file

    def __eq__(self, other: object) -> bool:
        """Compare settings; from which file they were loaded makes no difference."""
        return isinstance(other, Config) and self.model_dump() == other.model_dump()

    __hash__ = Section.__hash__

    def loaded_from(self, file: Path) -> Config:
        """Return the configuration with the name of its file."""
        named = self.model_copy()
        named._file = file
        return named

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if lacks := self.features.lacks(self.imagery.bands):
            raise ValueError(lacks)
        unseen = [band for band in ("B2", "B3", "B4", "B8") if band not in self.imagery.bands]
        if self.report.quicklooks and unseen:
            raise ValueError(f"report.quicklooks: needs {', '.join(unseen)} in imagery.bands")
        if self.adaptation is not None and not self.learning.adaptable:
            raise ValueError(
                f"learning.kind: found {self.learning.kind}, which cannot learn from past seasons; "
                f"with `adaptation` allowed: {', '.join(adaptable_kinds())}"
            )
        if self.adaptation is not None and self.learning.model is not None:
            raise ValueError(
                "learning.model: these models are trained already; take `adaptation` out, or the "
                "models of a run with it"
            )
        if self.validation.runs > 1 and self.reference.split.method == "column":
            raise ValueError("validation.runs: a split dictated by a column cannot be repeated")
        if self.validation.folds is not None and self.reference.split.buffer_m:
            raise ValueError("validation.folds: `buffer_m` needs splits, each fold has neighbours")
        first, last = self.season.start, self.season.end + timedelta(self.imagery.margin_days)
        if self.imagery.as_of is not None and not first <= self.imagery.as_of <= last:
            raise ValueError(
                f"imagery.as_of: found {self.imagery.as_of}, allowed: a day of {first} to {last}, "
                "the season and its margin after the end; leave it out for all images"
            )
        return self

    def science(self) -> dict[str, Any]:
        """Return what determines the map: no folders, nothing of `runtime`, no mere measuring."""
        content = self.without_folders(exclude=self._no_science())
        return {**content, "nomenclature": Path(self.nomenclature).name, **self._origin}

    @property
    def _origin(self) -> dict[str, Any]:
        """Whether models are given, and nothing where they are not, as ever."""
        return {} if self.learning.model is None else {"models": "given"}

    def _no_science(self) -> dict[str, Any]:
        measuring = {"bootstrap": True, "confidence_level": True, "independent": True}
        left_out: dict[str, Any] = {
            "runtime": True,
            "report": True,
            "series": True,
            "run_dir": True,
            "retrieval": True,
            "validation": measuring,
            "learning": dict.fromkeys(OF_NO_LEARNER, True),
        }
        if self.learning.model is not None:
            left_out |= dict.fromkeys(("reference", "sampling", "label_check"), True)
        if self.label_check.exclude_below is None:
            left_out["label_check"] = True
        if self.adaptation is None:
            left_out["adaptation"] = True
        left_out = self._not_in_ids() | left_out
        if self.map.area is None:
            left_out["map"] = {**left_out["map"], "area": True}
        return left_out

    def _not_in_ids(self) -> dict[str, Any]:
        """Leave out what ids do not contain, so that they stay what they were.

        These are a day, formulas, derived features, bands, legends, a calibration and a share of
        wrong labels that are not given, and all but the first of the readers by default. Which
        readers matter follows from the products, and those are in the keys of the tasks. What is
        copied changes no result.
        """
        imagery: dict[str, Any] = {"cache": True}
        if not self.imagery.as_of:
            imagery["as_of"] = True
        if self.imagery.readers == built_in_readers():
            imagery["readers"] = dict.fromkeys(range(1, len(self.imagery.readers)), True)
        given = self.features
        unset = {
            key: True for key in ("derived", "expressions", "scales") if not getattr(given, key)
        }
        features = {"features": unset} if unset else {}
        bands = {key: True for key in ("bands", "legends") if not getattr(self.map, key)}
        confidence = {} if self.confidence else {"confidence": True}
        expected = self.label_check.expected_share is None
        labels = {"label_check": {"expected_share": True}} if expected else {}
        return {"imagery": imagery, "map": bands, **features, **confidence, **labels}

    @property
    def run_id(self) -> str:
        """12 hexadecimal digits that depend on the settings which determine the map alone.

        Neither the name of the run, nor what folders are called and where they lie, nor the
        settings of the machine count: the same settings on the same data give the same maps byte
        for byte everywhere. Two names of files do: that of a vector file of polygons, which names
        its source and so splits the polygons, and that of a nomenclature, which the maps name. The
        content of files is not a part of it; the keys of the tasks hold it.
        """
        content = self.without_files(exclude={**self._no_science(), "name": True})
        sources = [one.path.name for one in self.reference.sources if one.kind == "vector"]
        names = {"nomenclature": Path(self.nomenclature).stem, "vector_files": sources}
        return digest({**content, **names, **self._origin})[:12]

    @property
    def recipe_id(self) -> str:
        """12 hexadecimal digits that depend on all that decides which tasks there are.

        Two shards of one run have the same; they may differ in where files lie, and in what
        `runtime` says of anything but the size of blocks.
        """
        left_out: dict[str, Any] = {
            "name": True,
            "run_dir": True,
            "runtime": True,
            "retrieval": True,
        }
        if self.report == Report():  # so that the id stays what it was before there was a choice
            left_out["report"] = True
        if self.series is None:
            left_out["series"] = True
        left_out |= self._not_in_ids()
        where = {key: True for key in OF_NO_LEARNER if key == "model" or not self.learning.freeze}
        content = self.without_folders(exclude={**left_out, "learning": where}) | self._origin
        blocks = self.runtime.block_pixels, self.runtime.memory_per_worker_gb
        cache = self.imagery.cache
        copied = {} if cache == Cache() else {"cache": cache.model_dump(mode="json")}
        return digest({**content, "blocks": blocks, **copied})[:12]
