"""What adaptation gains: a past target year whose labels are hidden, and methods compared on it."""
