"""Forests and the model file."""
