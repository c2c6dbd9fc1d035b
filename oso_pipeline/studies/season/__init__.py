"""How early in a season a map is good enough: accuracy by the day up to which images count."""
