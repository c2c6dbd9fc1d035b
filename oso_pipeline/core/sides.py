"""The two sides of a split of polygons: training and validation."""

TRAIN, VALIDATION = "train", "validation"
SIDES = (TRAIN, VALIDATION)
