"""Land-cover maps from time series of Sentinel-2 images."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oso_pipeline.timeseries.stack import open_stack as open_stack

__version__ = "0.1.0"
__all__ = ["__version__", "open_stack"]


def __getattr__(name: str) -> Any:
    # Importing xarray and numba takes seconds, which `oso --help` should not.
    if name == "open_stack":
        from oso_pipeline.timeseries.stack import open_stack

        return open_stack
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
