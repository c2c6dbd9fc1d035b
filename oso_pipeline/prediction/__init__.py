"""The compiled forest, the block kernel and the block writer."""
