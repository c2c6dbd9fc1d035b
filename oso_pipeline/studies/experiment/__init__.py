"""Variants of one configuration side by side: accuracy, time and cost."""
