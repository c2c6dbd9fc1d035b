"""What an acquisition is, and the readers of product families."""
