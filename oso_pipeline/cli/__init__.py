"""The ``oso`` command: parse, call, print.

The functions of a module are commands of one topic; `command` lists them all. Whatever takes
time to import is imported by the command that needs it.
"""

from oso_pipeline.cli.command import app, main

__all__ = ["app", "main"]
