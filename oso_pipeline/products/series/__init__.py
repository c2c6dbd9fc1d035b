"""Files of exported series that the field opens: NetCDF, Zarr, COG, and a lazy dataset."""
