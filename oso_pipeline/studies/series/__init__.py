"""Classifiers of tables of series: training, accuracy, labels, adaptation, model folders."""
