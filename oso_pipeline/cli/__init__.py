"""The ``oso`` command: parse, call, print.

The functions of a module are commands of one topic; `command` lists them all. Slow
imports are inside the command that needs them.
"""

from oso_pipeline.cli.command import app, main

__all__ = ["app", "main"]
