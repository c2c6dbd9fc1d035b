"""Gain of adaptation: methods compared on a past target year with hidden labels."""
