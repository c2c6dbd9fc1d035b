"""The polygons of all cells together: caps, and the split."""
