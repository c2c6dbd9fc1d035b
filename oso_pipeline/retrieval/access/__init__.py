"""Access to a provider: keys, limits, deadlines, and whether requests go out at all."""
