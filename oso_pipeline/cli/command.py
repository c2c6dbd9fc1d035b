"""The command with all its parts, and what becomes of errors."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from oso_pipeline.cli.console import err, open_streams, out
from oso_pipeline.cli.explaining import explain, export_dataset
from oso_pipeline.cli.fetching import fetch
from oso_pipeline.cli.models import apply, export_models, models, train
from oso_pipeline.cli.options import StagesNamed
from oso_pipeline.cli.prepare import check, cluster_keys, init, plan
from oso_pipeline.cli.results import (
    evaluate_adaptation,
    evaluate_learners,
    evaluate_season,
    experiment,
    report,
    status,
    verify,
)
from oso_pipeline.cli.runs import reference, run, submit
from oso_pipeline.cli.series import series
from oso_pipeline.cli.upkeep import clean, update
from oso_pipeline.cli.worlds import demo, simulate
from oso_pipeline.core.descriptors import refusal, shortage
from oso_pipeline.core.errors import ExitCode, OsoError

EPILOG = (
    "Exit codes: 0 ok, 1 bug, 2 usage, 3 config, 4 bad or missing input, 5 some tasks failed, "
    "6 environment (disk, memory, lock), 75 stopped in time with some left, 130 interrupted, "
    "143 terminated."
)
app = typer.Typer(
    help="Land-cover maps from time series of Sentinel-2 images.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(requested: bool) -> None:
    if requested:
        from oso_pipeline import __version__

        out.print(f"oso_pipeline {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help="Print the version."),
    ] = False,
) -> None:
    """Land-cover maps from time series of Sentinel-2 images."""


COMMANDS = (
    *(
        init,
        fetch,
        check,
        plan,
        run,
        update,
        train,
        apply,
        submit,
        status,
        verify,
        clean,
        report,
        explain,
        reference,
        series,
    ),
    *(models, export_models, export_dataset),
    *(experiment, evaluate_adaptation, evaluate_learners, evaluate_season),
    *(simulate, cluster_keys, demo),
)
for _command in COMMANDS:
    app.command(cls=StagesNamed if _command is run else None)(_command)


def main() -> None:
    """Run the command; turn errors into messages and exit codes."""
    open_streams()
    try:
        app(standalone_mode=True)
    except OsoError as error:
        known = shortage(error) or error
        err.print(str(known), markup=False)
        sys.exit(int(known.exit_code))
    except OSError as error:  # what the system refuses is no bug: a full disk, too many files
        err.print(str(shortage(error) or refusal(error)), markup=False)
        sys.exit(int(ExitCode.ENVIRONMENT))
