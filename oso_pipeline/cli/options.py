"""Arguments and options that commands share, and how their words are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from oso_pipeline.config import Config
    from oso_pipeline.runtime.shard import Shard

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file of the run.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, or its YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=V", help="Override a key of the config; repeatable."),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Worker processes.")]


class StagesNamed(TyperCommand):
    """A command whose help names the stages, which take time to import."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; options whose text ends in a colon get the names of the stages."""
        from oso_pipeline.runtime.stages import STAGES

        names = ", ".join(stage.name for stage in STAGES)
        for option in self.params:
            if (text := getattr(option, "help", None) or "").endswith("one of:"):
                option.help = f"{text} {names}."  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)


def cluster_override(who: str) -> list[str]:
    """Return the override of the configuration that `--cluster` stands for."""
    if not who:
        return []
    content = {"kind": "existing", "address": who} if "://" in who else {"kind": who}
    return [f"runtime.cluster={json.dumps(content)}"]


def shard_of(text: str) -> Shard | None:
    """Return the shard of ``--shard``."""
    from oso_pipeline.runtime.shard import Shard

    try:
        return Shard.parse(text) if text else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--shard") from error


def tiles_of(text: str, config: Config) -> tuple[str, ...]:
    """Return the tiles that ``--tiles`` names, all of them tiles of the configuration."""
    from oso_pipeline.core.tiles import Tile

    names = []
    for part in filter(None, text.split(",")):
        try:
            name = Tile.parse(part).name
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--tiles") from error
        if name not in config.imagery.tiles:
            known = ", ".join(config.imagery.tiles)
            raise typer.BadParameter(f"{name} is not among the tiles of the config: {known}")
        names.append(name)
    return tuple(names)
