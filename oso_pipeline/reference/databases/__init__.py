"""National databases and vector files as sources of labels."""
