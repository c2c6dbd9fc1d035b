"""The simulated world in the real formats."""
