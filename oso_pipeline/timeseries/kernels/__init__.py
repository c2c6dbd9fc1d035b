"""Compiled loops over time series."""
