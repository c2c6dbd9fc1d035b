"""Models apart from maps: train them, apply them, list them, keep them in a bank."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from oso_pipeline.cli.console import out
from oso_pipeline.cli.options import ConfigPath, Overrides, RunPath, Workers
from oso_pipeline.core.commit import writing_into

Models = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="Run folder, or a bank of oso export-models.")
]


def train(config: ConfigPath, set_: Overrides = None, workers: Workers = None) -> None:
    """Run a configuration until its models are trained, and name their folder; make no map."""
    from oso_pipeline.cli.terminal_tables import models_table
    from oso_pipeline.learning.model_bank import all_models

    run_dir = _run(config, list(set_ or ()), workers, until="train")
    out.print(models_table(all_models(run_dir)))
    out.print(f"models: {run_dir / 'models'}", soft_wrap=True)


def apply(
    config: ConfigPath,
    model: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder of models; sets learning.model.")
    ],
    set_: Overrides = None,
    workers: Workers = None,
) -> None:
    """Make a map with models that another run has trained; no polygon is read."""
    given = f"learning.model={json.dumps(str(model.expanduser().absolute()))}"
    _run(config, [*(set_ or ()), given], workers)


def models(folder: Models) -> None:
    """List the models of a run or a bank with their season, area and the accuracy of their map."""
    from oso_pipeline.cli.terminal_tables import models_table
    from oso_pipeline.learning.model_bank import all_models

    out.print(models_table(all_models(folder)))


def export_models(
    run_folder: RunPath,
    bank: Annotated[Path, typer.Argument(metavar="FOLDER", help="The bank; made where needed.")],
) -> None:
    """Copy the models of a run to a bank, FOLDER/YEAR/STRATUM, with records and accuracy."""
    from oso_pipeline.learning.model_bank import export_models as export
    from oso_pipeline.runtime import session

    is_folder = run_folder.is_dir()
    run_dir = run_folder if is_folder else session.read(session.config_of(run_folder)).run_dir
    with writing_into(bank):
        for path in export(run_dir, bank):
            out.print(path, soft_wrap=True)


def _run(config: Path, settings: list[str], workers: int | None, until: str | None = None) -> Path:
    """Run a configuration as `oso run` does, and return its run folder."""
    from oso_pipeline.cli.outcome import print_outcome
    from oso_pipeline.cli.running import checked_planner, run_shown
    from oso_pipeline.runtime import session
    from oso_pipeline.runtime.runner import Selection

    selection = Selection(until)
    planner, warned = checked_planner(session.read(config, settings), selection)
    outcome = run_shown(planner, selection, session.RunOptions(workers), warned)
    if until is None or outcome.exit_code:
        print_outcome(planner.config, outcome)
    if outcome.exit_code:
        raise typer.Exit(int(outcome.exit_code))
    return planner.config.run_dir
