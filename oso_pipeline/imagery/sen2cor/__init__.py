"""What all products of Sen2Cor have in common, whatever the format in which they come."""
