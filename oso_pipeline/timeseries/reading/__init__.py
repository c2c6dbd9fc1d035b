"""Reading blocks of images."""
