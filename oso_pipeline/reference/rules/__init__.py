"""Which values of a database mean which class."""
