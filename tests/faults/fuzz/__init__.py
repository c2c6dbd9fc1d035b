"""A seeded fuzz of inputs, configurations and run files; `make fuzz` runs it."""
