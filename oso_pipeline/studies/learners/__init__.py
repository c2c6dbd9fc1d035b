"""Comparing learners and feature sets on labelled samples, by whole polygons."""
