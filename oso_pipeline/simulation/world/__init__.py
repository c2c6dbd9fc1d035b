"""The simulated land, sky and seasons."""
