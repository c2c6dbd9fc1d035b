"""Runs all settings and writes the tables: ``python -m bench.adaptation``."""

from bench.adaptation.report import main

if __name__ == "__main__":
    main()
