"""Vector files as they are: reading, geometry, the area of interest, strata."""
