"""Accuracy on real data: the data, the peers and the tables of docs/accuracy.md."""
