"""Seasons of a run with images, from the samples of each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from oso_pipeline.adaptation.options import AdaptationOptions
from oso_pipeline.adaptation.space import SeriesSpace
from oso_pipeline.config.adaptation import Adaptation
from oso_pipeline.config.model import Config
from oso_pipeline.config.seasons import perennial_codes
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.studies.adaptation.domain import Domain
from oso_pipeline.studies.adaptation.setting import Rule, Shares
from oso_pipeline.studies.adaptation.trial import Protocol
from oso_pipeline.timeseries.feature_layout import FeatureLayout

_SEASON = 10**12
"""Polygons of each season are numbered apart; equal ground is found by outlines."""


def read_run_season(config: Config, year: int) -> dict[str, Domain]:
    """Return the samples of one season with all its labels, by stratum.

    Parameters
    ----------
    config
        The configuration as the season sees it; its samples and reference are committed.
    year
        The season, which names the domains.

    Raises
    ------
    InputDataError
        If there is no sample (``E-ADAPT-YEAR``).
    """
    layout = FeatureLayout.of(config)
    names = ["polygon_id", "code", "stratum", *layout.names]
    paths = sorted((config.run_dir / "samples").glob("*.parquet"))
    tables = [pq.read_table(path, columns=names) for path in paths]
    table = pa.concat_tables(tables) if tables else None
    if table is None or not len(table):
        raise InputDataError(
            Problem(
                "E-ADAPT-YEAR",
                f"there is no labelled sample of {year}",
                str(config.run_dir),
                "give labels and images of that year, or choose another one",
            )
        )
    polygons = table["polygon_id"].to_numpy()
    everything = Domain(
        str(year),
        SeriesSpace.of(layout),
        np.stack([table[name].to_numpy() for name in layout.names], axis=1),
        table["code"].to_numpy().astype(np.int32),
        polygons.astype(np.int64) + year * _SEASON,
        _outlines(config.run_dir / "reference.parquet", polygons),
    )
    strata = np.asarray(table["stratum"])
    return {str(one): everything.take(strata == one) for one in np.unique(strata.astype(str))}


def rule_of(config: Config) -> Rule:
    """Return classes and perennial classes of a configuration."""
    classes = load_nomenclature(config.nomenclature).by_code
    names = {code: one.name_en for code, one in sorted(classes.items())}
    return Rule(names, perennial_codes(config), same_ground=True)


def protocol_of(config: Config) -> Protocol:
    """Return the forest, the options and the number of samples that a run would use."""
    adaptation = config.adaptation
    if adaptation is None or not isinstance(config.learning, ForestSettings):
        raise ValueError("a configuration without adaptation has no protocol")
    return Protocol(
        learning=config.learning,
        options=options_of(adaptation),
        shares=Shares(max_samples=adaptation.target_sample_size),
    )


def options_of(adaptation: Adaptation) -> AdaptationOptions:
    """Return the options of the methods that a configuration gives."""
    names: Mapping[str, object] = AdaptationOptions.__dataclass_fields__
    return AdaptationOptions(**{name: getattr(adaptation, name) for name in names})


def _outlines(reference: Path, polygons: np.ndarray) -> np.ndarray:
    """Return the outline of the polygon of each sample."""
    frame = gpd.read_parquet(reference, columns=["polygon_id", "geometry"])
    order = np.argsort(frame["polygon_id"].to_numpy())
    ids = frame["polygon_id"].to_numpy()[order]
    geometry = np.asarray(frame.geometry, dtype=object)[order]
    return np.asarray(geometry[np.searchsorted(ids, polygons)])
