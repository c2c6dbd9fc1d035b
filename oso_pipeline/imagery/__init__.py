"""Acquisitions, and the readers of product families."""
