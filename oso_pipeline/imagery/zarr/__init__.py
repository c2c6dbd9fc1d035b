"""Stores in the Zarr format, version 2: their metadata, and whether their arrays are whole."""
