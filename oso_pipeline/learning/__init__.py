"""Training per variant and stratum, the check of the labels, the model file."""
