"""Each pixel by the classifier of its label, and the block writer."""
