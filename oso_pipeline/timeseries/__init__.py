"""Validity masks, gap-filling, features, and the reader that joins them."""
