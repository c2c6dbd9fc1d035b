"""Studies above a run, for example the gain of adaptation."""
