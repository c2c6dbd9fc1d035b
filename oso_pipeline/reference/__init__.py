"""From databases of polygons to clean labelled polygons."""
