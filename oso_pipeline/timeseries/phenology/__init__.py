"""Growing seasons of a series: when they begin and end, how high they rise, how much grows."""

from oso_pipeline.timeseries.phenology.metrics import PhenologyMetrics, phenology
from oso_pipeline.timeseries.phenology.observations import observations_per_date
from oso_pipeline.timeseries.phenology.settings import PHENOLOGY_VARIABLES, PhenologySettings
from oso_pipeline.timeseries.phenology.yydoy import dates_of, yydoy

__all__ = [
    "PHENOLOGY_VARIABLES",
    "PhenologyMetrics",
    "PhenologySettings",
    "dates_of",
    "observations_per_date",
    "phenology",
    "yydoy",
]
