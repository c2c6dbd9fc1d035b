"""Random forests: an engine that trains them, and the compiled forest."""
