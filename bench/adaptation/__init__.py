"""Adaptation measured on real pairs of years and regions: ``make adaptation-report``."""
