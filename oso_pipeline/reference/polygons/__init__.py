"""Clean labelled polygons, cell by cell."""
