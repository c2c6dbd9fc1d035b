"""Studies above a run: what adaptation gains."""
