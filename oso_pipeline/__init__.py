"""Land-cover maps from time series of Sentinel-2 images."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from oso_pipeline.core.own_data import prefer_own_data

if TYPE_CHECKING:  # the same names as in `_PUBLIC`, for editors and type checkers
    from oso_pipeline.api import load_config as load_config
    from oso_pipeline.api import open_run as open_run
    from oso_pipeline.api import plan as plan
    from oso_pipeline.api import run as run
    from oso_pipeline.core.dates import DateGrid as DateGrid
    from oso_pipeline.core.errors import ConfigError as ConfigError
    from oso_pipeline.core.errors import EnvironmentFailure as EnvironmentFailure
    from oso_pipeline.core.errors import InputDataError as InputDataError
    from oso_pipeline.core.errors import OsoError as OsoError
    from oso_pipeline.core.errors import OsoWarning as OsoWarning
    from oso_pipeline.core.errors import RunFailed as RunFailed
    from oso_pipeline.core.errors import UnknownName as UnknownName
    from oso_pipeline.runtime.graph import graph as graph
    from oso_pipeline.simulation.demo import prepare_demo as prepare_demo
    from oso_pipeline.simulation.series_table import simulate_series as simulate_series
    from oso_pipeline.simulation.world.spec import PastYear as PastYear
    from oso_pipeline.simulation.world.spec import WorldSpec as WorldSpec
    from oso_pipeline.studies.dataset.export import export_dataset as export_dataset
    from oso_pipeline.studies.experiment.study import experiment as experiment
    from oso_pipeline.studies.explain.explain import explain_pixel as explain_pixel
    from oso_pipeline.studies.explain.explanation import PixelExplanation as PixelExplanation
    from oso_pipeline.studies.learners.study import evaluate_learners as evaluate_learners
    from oso_pipeline.studies.open_series import open_series as open_series
    from oso_pipeline.studies.opened_run import Run as Run
    from oso_pipeline.studies.parcel_series import parcel_series as parcel_series
    from oso_pipeline.studies.series.adaptation import evaluate_adaptation as evaluate_adaptation
    from oso_pipeline.studies.series.classifier import SeriesClassifier as SeriesClassifier
    from oso_pipeline.studies.series.cross_validation import cross_validate as cross_validate
    from oso_pipeline.studies.series.doubtful_labels import check_labels as check_labels
    from oso_pipeline.studies.series.model_folder import load_model as load_model
    from oso_pipeline.studies.series.model_folder import save_model as save_model
    from oso_pipeline.studies.series.table import SeriesTable as SeriesTable
    from oso_pipeline.studies.series.table import read_seasons as read_seasons
    from oso_pipeline.studies.series.table import read_series as read_series
    from oso_pipeline.timeseries.dataset import open_stack as open_stack

__version__ = "0.1.0"

_PUBLIC = {
    "ConfigError": "oso_pipeline.core.errors",
    "DateGrid": "oso_pipeline.core.dates",
    "EnvironmentFailure": "oso_pipeline.core.errors",
    "InputDataError": "oso_pipeline.core.errors",
    "OsoError": "oso_pipeline.core.errors",
    "OsoWarning": "oso_pipeline.core.errors",
    "PastYear": "oso_pipeline.simulation.world.spec",
    "PixelExplanation": "oso_pipeline.studies.explain.explanation",
    "Run": "oso_pipeline.studies.opened_run",
    "RunFailed": "oso_pipeline.core.errors",
    "SeriesClassifier": "oso_pipeline.studies.series.classifier",
    "SeriesTable": "oso_pipeline.studies.series.table",
    "UnknownName": "oso_pipeline.core.errors",
    "WorldSpec": "oso_pipeline.simulation.world.spec",
    "check_labels": "oso_pipeline.studies.series.doubtful_labels",
    "cross_validate": "oso_pipeline.studies.series.cross_validation",
    "evaluate_adaptation": "oso_pipeline.studies.series.adaptation",
    "evaluate_learners": "oso_pipeline.studies.learners.study",
    "experiment": "oso_pipeline.studies.experiment.study",
    "explain_pixel": "oso_pipeline.studies.explain.explain",
    "export_dataset": "oso_pipeline.studies.dataset.export",
    "graph": "oso_pipeline.runtime.graph",
    "load_config": "oso_pipeline.api",
    "load_model": "oso_pipeline.studies.series.model_folder",
    "open_run": "oso_pipeline.api",
    "open_series": "oso_pipeline.studies.open_series",
    "open_stack": "oso_pipeline.timeseries.dataset",
    "parcel_series": "oso_pipeline.studies.parcel_series",
    "plan": "oso_pipeline.api",
    "prepare_demo": "oso_pipeline.simulation.demo",
    "read_seasons": "oso_pipeline.studies.series.table",
    "read_series": "oso_pipeline.studies.series.table",
    "run": "oso_pipeline.api",
    "save_model": "oso_pipeline.studies.series.model_folder",
    "simulate_series": "oso_pipeline.simulation.series_table",
}
"""Public names and their modules, which are imported when a name is first used."""

__all__ = ["__version__", *_PUBLIC]

# Every driver, worker and notebook imports this package before it uses GDAL.
prefer_own_data()


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_PUBLIC[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
