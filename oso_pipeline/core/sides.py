"""The two sides of a split of polygons: what trains a model, and what judges it."""

TRAIN, VALIDATION = "train", "validation"
SIDES = (TRAIN, VALIDATION)
