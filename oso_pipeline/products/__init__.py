"""Mosaic, styles and the files that are published."""
