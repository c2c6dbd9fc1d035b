"""A small world written in the real formats."""
