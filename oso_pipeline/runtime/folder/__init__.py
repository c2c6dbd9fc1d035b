"""The files of the run folder that are not products: lock, status, log."""
