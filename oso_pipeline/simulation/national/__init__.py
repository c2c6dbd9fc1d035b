"""Databases and tiles of national size, to measure with."""
