"""Compares learners on real data and writes docs/accuracy.md: ``python -m bench.accuracy``."""

from bench.accuracy.report import main

if __name__ == "__main__":
    main()
