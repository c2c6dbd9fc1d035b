"""Theia/MUSCATE Sentinel-2 L2A products."""
