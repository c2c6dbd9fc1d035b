"""Land-cover maps from time series of Sentinel-2 images."""

from typing import TYPE_CHECKING, Any

from oso_pipeline.core.own_data import prefer_own_data

if TYPE_CHECKING:
    from oso_pipeline.timeseries.stack import open_stack as open_stack

__version__ = "0.1.0"
__all__ = ["__version__", "open_stack"]

# Here, as drivers, workers of any cluster and notebooks all pass here before they use GDAL.
prefer_own_data()


def __getattr__(name: str) -> Any:
    # Importing xarray and numba takes seconds, which `oso --help` should not.
    if name == "open_stack":
        from oso_pipeline.timeseries.stack import open_stack

        return open_stack
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
