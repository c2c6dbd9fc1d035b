"""Estimators, confusion matrix and report."""
