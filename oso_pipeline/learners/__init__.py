"""What a classifier offers, and the classifiers that do."""
