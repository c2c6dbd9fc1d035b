"""Samples and series of a run as training sets that other programs read."""
