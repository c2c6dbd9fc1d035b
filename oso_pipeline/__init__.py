"""Land-cover maps from time series of Sentinel-2 images."""

__version__ = "0.1.0"
