"""What is wrong with a section ``series`` before any work."""

from __future__ import annotations

from collections.abc import Iterator

from oso_pipeline.config.model import Config
from oso_pipeline.config.series import Series
from oso_pipeline.core.errors import ConfigError, InputDataError, Problems
from oso_pipeline.timeseries.phenology.metrics import check_length
from oso_pipeline.timeseries.series_variables import bands_needed, phenology_settings
from oso_pipeline.timeseries.smoothing import check_window
from oso_pipeline.vectors.area_check import check_area


def check_series(config: Config, series: Series) -> Problems:
    """Check the section against the bands, the season and the area of the configuration.

    All at once: bands that variables need and `imagery.bands` lacks (``E-SERIES-BANDS``), a season
    that is too short for phenology (``E-SERIES-SHORT``) or the window of a smoother
    (``E-SERIES-WINDOW``), and what `check_area` finds.
    """
    problems = check_area(config)
    for name, missing in _lacking(config, series):
        problems.error(
            "E-SERIES-BANDS",
            f"series.variables: {name} needs {', '.join(missing)}, imagery.bands has "
            f"{', '.join(config.imagery.bands)}",
            config.file,
            f"add {', '.join(missing)} to imagery.bands, or take {name} out",
        )
    grid = config.season.grid
    try:
        if series.phenology is not None:
            check_length(grid.days, phenology_settings(series.phenology))
        if series.smoothing.kind == "savitzky_golay":
            check_window(len(grid), series.smoothing.window, series.smoothing.order)
    except (ConfigError, InputDataError) as error:
        problems.extend(error.problems)
    return problems


def _lacking(config: Config, series: Series) -> Iterator[tuple[str, list[str]]]:
    bands = config.imagery.bands
    for name in series.variables:
        if missing := [band for band in bands_needed((name,), bands) if band not in bands]:
            yield name, missing
