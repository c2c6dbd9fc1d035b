"""``python -m oso_pipeline.cli``, where the command is not on the path."""

from oso_pipeline.cli import main

if __name__ == "__main__":
    main()
