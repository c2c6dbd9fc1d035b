"""Which pixels become samples, and their features."""
