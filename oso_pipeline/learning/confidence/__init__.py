"""How far a model can be trusted: calibrated probability, class sets, unknown ground."""
