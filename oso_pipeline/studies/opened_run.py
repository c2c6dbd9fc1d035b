"""The results of a run, read from its folder on first use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq

from oso_pipeline.config import Config
from oso_pipeline.config.loader import load_config
from oso_pipeline.config.seasons import has_labels
from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.core.errors import InputDataError, Problem, UnknownName
from oso_pipeline.core.nomenclature import Nomenclature, load_nomenclature
from oso_pipeline.imagery.processing import COLUMNS
from oso_pipeline.reference.split.variants import map_variant
from oso_pipeline.runtime import session

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

    from oso_pipeline.learning.model_file import Model
    from oso_pipeline.validation.figures import Accuracy

_FINISH = "finish the run: oso_pipeline.run(config), or `oso run CONFIG`"
_MOST_NAMED = 20
_REPAIR = "`oso verify RUN --repair`, then run again: it is made again"


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder; each property reads what the run has committed.

    Whatever the run has not made yet, or what is damaged, raises `InputDataError`.

    Parameters
    ----------
    folder
        The run folder.
    config
        The configuration of the run.

    Examples
    --------
    >>> import oso_pipeline as oso
    >>> run = oso.open_run("demo/run_one_year")
    >>> run.config.year, run.strata
    (2018, ('all',))
    >>> run.read_samples(["31UCU"], ["code", "NDVI_20180101"]).columns.tolist()
    ['tile', 'code', 'NDVI_20180101']
    """

    folder: Path
    config: Config

    def __repr__(self) -> str:
        """Return name, year, tiles and folder."""
        tiles = ", ".join(self.config.imagery.tiles)
        return f"<Run {self.config.name!r} of {self.config.year}: {tiles} in {self.folder}>"

    @cached_property
    def nomenclature(self) -> Nomenclature:
        """The classes of the map, as the package works with them."""
        return load_nomenclature(self.config.nomenclature)

    @property
    def classes(self) -> pd.DataFrame:
        """A row per class, by code: ``name_en, name_fr, colour, level1``."""
        rows = [asdict(one) for one in self.nomenclature.classes]
        table = pd.DataFrame(rows).set_index("code")
        return table[["name_en", "name_fr", "colour", "level1"]].astype({"level1": "Int64"})

    @property
    def map(self) -> xr.DataArray:
        """The codes of the classes, 0 where there is no map; dimensions ``(y, x)``, lazy.

        The attributes ``flag_values``, ``flag_meanings`` and ``flag_colors`` hold codes, English
        names and colours of the classes; `classes` has them as a table. ``map.rio.crs`` is the
        coordinate system.
        """
        from oso_pipeline.products.arrays import with_classes

        return with_classes(self._layer("class"), self.nomenclature)

    @property
    def confidence(self) -> xr.DataArray:
        """Share of the votes that the class got, percent, 0 where there is no class; lazy."""
        return self._layer("confidence")

    @property
    def validity(self) -> xr.DataArray:
        """Number of clear dates, 65535 outside the tiles; lazy."""
        return self._layer("validity")

    @property
    def accuracy(self) -> Accuracy:
        """How accurate the map is on the held-out polygons."""
        if not has_labels(self.config):
            found = f"no polygon is held out: the run learns from no label of {self.config.year}"
            raise _never_made(found, "an independent set can validate the map")
        return self._accuracy("validation/accuracy.json")

    @property
    def independent_accuracy(self) -> Accuracy:
        """How accurate the map is on the independent set of the configuration."""
        if self.config.validation.independent is None:
            raise _never_made("the run has no independent set", "set `validation.independent`")
        return self._accuracy("validation/independent/accuracy.json")

    @property
    def samples(self) -> pd.DataFrame:
        """All labelled samples with their features; see `read_samples` for a part of them."""
        return self.read_samples()

    def read_samples(
        self, tiles: Iterable[str] | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Read labelled samples: a row per pixel.

        Parameters
        ----------
        tiles
            Of these tiles; of all by default.
        columns
            These columns; by default ``polygon_id``, ``x`` and ``y`` (centre of the pixel in
            metres, in the coordinate system of the tile), ``code``, ``stratum``, ``season``,
            ``validity`` (clear dates), ``draw``, those of the split, and an int16 column per
            feature, for example ``B4_20180101`` (reflectance in 1e-4).

        Returns
        -------
        DataFrame
            The column ``tile``, then the requested ones.

        Raises
        ------
        InputDataError
            If a tile has no samples yet.
        UnknownName
            If a tile is not of the run, or there is no column of that name.
        """
        known = self.config.imagery.tiles
        names = known if tiles is None else tuple(tiles)
        for name in names:
            _require("tile", name, known)
        parts = []
        for tile in names:
            part = _read_table(self._committed(f"samples/{tile}.parquet"), columns)
            part.insert(0, "tile", tile)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    @property
    def inventory(self) -> pd.DataFrame:
        """A row per product found: tile, date, whether it is used (``status``), and why not."""
        columns = ["tile", "product_id", "acquired", "status", "reason", "detail", "platform"]
        columns += ["family", "version", "cloud_percent", "size_bytes", "path", *COLUMNS]
        paths = [self._committed(f"inventory/{tile}.parquet") for tile in self.config.imagery.tiles]
        return pd.concat([_read_table(path, columns) for path in paths], ignore_index=True)

    @property
    def reference(self) -> gpd.GeoDataFrame:
        """The labelled polygons after cleaning, with their class, source and side of each split."""
        import geopandas as gpd

        return _readable(gpd.read_parquet, self._committed("reference.parquet"))

    @property
    def strata(self) -> tuple[str, ...]:
        """Names of the strata that have a model; ``("all",)`` where the run has no strata."""
        return self._models()[map_variant(self.config)]

    def model(self, stratum: str = "all", variant: str | None = None) -> Model:
        """Read the model of a stratum.

        Parameters
        ----------
        stratum
            One of `strata`.
        variant
            ``run0``, ``fold1`` ...; by default the one that makes the map.

        Raises
        ------
        InputDataError
            If the run has no model yet, or the model is damaged.
        UnknownName
            If there is no model of this variant, or of this stratum.
        """
        from oso_pipeline.learning.model_file import load_model

        models = self._models()
        variant = variant or map_variant(self.config)
        _require("variant", variant, models)
        _require("stratum", stratum, models[variant])
        return load_model(self.folder / "models" / variant / stratum)

    def _models(self) -> dict[str, tuple[str, ...]]:
        """Return the strata that have a model, by variant."""
        found: dict[str, tuple[str, ...]] = {}
        for path in sorted(self.folder.glob("models/*/*/model.json")):
            if read_sidecar(path) is not None:
                variant, stratum = path.parts[-3:-1]
                found[variant] = (*found.get(variant, ()), stratum)
        if map_variant(self.config) not in found:
            raise _not_made(self.folder / "models" / map_variant(self.config))
        return found

    def _layer(self, name: str) -> xr.DataArray:
        from oso_pipeline.products.arrays import open_layer
        from oso_pipeline.products.layers import LAYERS

        return open_layer(self.folder, self.config.year, LAYERS[name])

    def _accuracy(self, path: str) -> Accuracy:
        from oso_pipeline.validation.figures import read_accuracy

        return read_accuracy(self._committed(path))

    def _committed(self, name: str) -> Path:
        """Return the path of a file of the run; raise InputDataError if it is not committed."""
        path = self.folder / name
        if read_sidecar(path) is None:
            raise _not_made(path)
        return path


def opened(folder: Path) -> Run:
    """Return the run in a folder, which may be named by its YAML file; only that is read.

    Raises
    ------
    ConfigError, InputDataError
        If the configuration has mistakes, and if no run has written the folder.
    """
    run_dir = session.folder_of(folder)
    config = load_config(session.config_of(run_dir), environ={})
    return Run(run_dir, config.model_copy(update={"run_dir": run_dir}))


def _not_made(path: Path) -> InputDataError:
    message = "the run has not made this, or it is damaged: expected a committed file"
    return InputDataError(Problem("E-RUN-MISSING", message, str(path), _FINISH))


def _never_made(message: str, hint: str) -> InputDataError:
    return InputDataError(Problem("E-RUN-MISSING", message, hint=hint))


def _require(thing: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        shown = [*known][:_MOST_NAMED]
        more = f" and {len(known) - len(shown)} more" if len(known) > len(shown) else ""
        message = f"found {thing} {name!r}, expected one of {', '.join(shown)}{more}"
        raise UnknownName(Problem(f"E-NAME-{thing.upper()}", message))


def _read_table(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a Parquet file; a folder named ``a=b`` adds no column."""
    with _readable(pq.ParquetFile, path) as source:
        for name in columns or ():
            _require("column", name, source.schema_arrow.names)
        return _readable(lambda _: source.read(columns).to_pandas(), path)


def _readable(read: Callable[[Path], Any], path: Path) -> Any:
    """Read a file; raise InputDataError if it is damaged."""
    try:
        return read(path)
    except (OSError, ValueError) as error:  # also what Arrow raises
        message = f"the file cannot be read: {error}"
        raise InputDataError(Problem("E-RUN-DAMAGED", message, str(path), _REPAIR)) from error
