"""Leaf area (LAI), absorbed radiation (FAPAR) and green cover (FCOVER) of each image."""

from oso_pipeline.timeseries.biophysical.block import block_biophysical
from oso_pipeline.timeseries.biophysical.estimate import estimate, network_output
from oso_pipeline.timeseries.biophysical.network import FLAGS, INPUT_BANDS, SCALES

__all__ = ["FLAGS", "INPUT_BANDS", "SCALES", "block_biophysical", "estimate", "network_output"]
