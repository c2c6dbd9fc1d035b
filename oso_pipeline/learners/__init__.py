"""Protocols of learners and classifiers, and their implementations."""
