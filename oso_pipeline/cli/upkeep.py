"""Between maps: bring one up to date, remove what can be made again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from oso_pipeline.cli.console import out
from oso_pipeline.cli.options import ConfigPath, Overrides, RunPath, Workers, cluster_override
from oso_pipeline.core.wording import counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oso_pipeline.runtime.folder.cleaning import Holding
    from oso_pipeline.runtime.planner import StagePlan
    from oso_pipeline.runtime.update import Changes, Update

_TILES, _FEW, _REASONS = 12, 6, 2
"""Tiles whose products are named, tiles and reasons that are named of a stage; more are counted."""
_TILE = re.compile(r"\d{2}[A-Z]{3}")

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")]


def update(
    config: ConfigPath,
    dry_run: DryRun = False,
    set_: Overrides = None,
    cluster: Annotated[str, typer.Option(metavar="WHO", help="Executor, as for oso run.")] = "",
    workers: Workers = None,
    wait_lock: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Wait for another run to end.")
    ] = 0,
) -> None:
    """Take what is new since the last run: say what came and what is made again, and make it."""
    from oso_pipeline.cli.outcome import print_outcome
    from oso_pipeline.cli.running import checked_planner, run_shown
    from oso_pipeline.runtime import session
    from oso_pipeline.runtime.runner import Selection
    from oso_pipeline.runtime.update import configuration_before, find_update

    settings = session.read(config, [*(set_ or ()), *cluster_override(cluster)])
    before = configuration_before(settings)
    planner, warned = checked_planner(settings)
    found = find_update(planner, before)
    for line in _lines(found):
        out.print(line, markup=False)
    if not found.plans:
        return
    forecast = session.forecast_of(settings, workers)
    wall = duration(forecast.wall_seconds(found.plans))
    with_workers = f"{counted(forecast.workers, 'worker')} as fast as {forecast.speed.machine}"
    out.print(f"about {wall} with {with_workers}", markup=False)
    if dry_run:
        out.print("nothing was done (--dry-run)")
        return
    planner.forget()
    outcome = run_shown(
        planner, Selection(), session.RunOptions(workers, wait_lock_s=wait_lock), warned
    )
    print_outcome(settings, outcome)
    raise typer.Exit(int(outcome.exit_code))


def _lines(found: Update) -> Iterator[str]:
    """Give what is new since the last run, and what is made again for it."""
    yield f"since the run of {found.since}:"
    yield from (f"  {text}" for text in found.settings)
    came = {name: changes for name, changes in found.products.items() if changes}
    lines = [f"  tile {name}: {_products(changes)}" for name, changes in came.items()]
    yield from lines[:_TILES]
    if len(lines) > _TILES:
        yield f"  and {len(lines) - _TILES} more tiles with other products"
    if same := len(found.products) - len(came):
        yield f"  {counted(same, 'tile')} with the same products"
    if not found.plans:
        yield "nothing has to be made again"
        return
    yield "to be made again:"
    for plan in found.plans:
        yield f"  {plan.name:<12} {len(plan.todo)} of {len(plan.tasks)}{_tiles(plan)}: {_why(plan)}"


def _products(changes: Changes) -> str:
    """Return how many products came, went and changed, and the first of them."""
    parts = []
    for word, names in (
        ("new", changes.new),
        ("gone", changes.gone),
        ("changed", changes.changed),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            parts.append(f"{len(names)} {word} ({names[0]}{more})")
    return ", ".join(parts)


def _tiles(plan: StagePlan) -> str:
    """Return the tiles concerned, of a stage that is done tile by tile."""
    tiles = [*dict.fromkeys(task.name.partition("/")[0] for task in plan.todo)]
    if len(tiles) > _FEW or not all(_TILE.fullmatch(tile) for tile in tiles):
        return ""
    return f" ({', '.join(tiles)})"


def _is_input(reason: str) -> bool:
    return reason.startswith("input ")


def _why(plan: StagePlan) -> str:
    """Return the reasons of a stage, the most frequent first."""
    reasons = [text for text, _ in plan.reasons.most_common()]
    if plan.name.endswith("inventory"):  # which products, the lines of the tiles say
        reasons = [*dict.fromkeys("products" if _is_input(text) else text for text in reasons)]
    more = f", and {len(reasons) - _REASONS} more reasons" if len(reasons) > _REASONS else ""
    return "; ".join(reasons[:_REASONS]) + more


def clean(
    run_folder: RunPath,
    kind: Annotated[
        str,
        typer.Option(
            metavar="KINDS",
            help="Kinds to remove, for example blocks,samples; --dry-run lists them.",
        ),
    ] = "",
    dry_run: DryRun = False,
) -> None:
    """Remove what a run left and does not need any more, or kinds of what can be made again."""
    from oso_pipeline.cli.terminal_tables import kinds_table
    from oso_pipeline.runtime.folder import cleaning
    from oso_pipeline.runtime.stages import STAGES
    from oso_pipeline.runtime.upkeep import clean as remove

    known = cleaning.known_kinds(STAGES)
    kinds = tuple(dict.fromkeys(filter(None, (one.strip() for one in kind.split(",")))))
    if unknown := [one for one in kinds if one not in known]:
        raise typer.BadParameter(
            f"no kind {', '.join(unknown)}; there are {', '.join(known)}", param_hint="--kind"
        )
    chosen = kinds or cleaning.BY_DEFAULT
    holding = remove(run_folder, chosen, dry_run)
    out.print(kinds_table(holding.kinds, chosen, "would go" if dry_run else "removed"))
    _say(holding, chosen, dry_run)


def _say(holding: Holding, chosen: tuple[str, ...], dry_run: bool) -> None:
    """Print the removed files, and the effect on a later run."""
    from oso_pipeline.runtime.folder.cleaning import BY_DEFAULT

    gone = {name: holding.kinds[name] for name in chosen if holding.kinds[name].files}
    files = sum(len(one.files) for one in gone.values())
    size = sum(one.n_bytes for one in gone.values()) / 1e6
    verb = "would remove" if dry_run else "removed"
    out.print(f"{verb} {counted(files, 'file')}, {size:.1f} MB" if gone else "nothing to remove")
    if again := [name for name in gone if name not in BY_DEFAULT]:
        out.print(f"the next `oso run` makes {', '.join(again)} again; `oso plan` says how long")
    if not gone and chosen == BY_DEFAULT:
        out.print("other files can be made again too: name them, for example --kind samples,parts")
    if holding.changed:
        more = f" and {len(holding.changed) - 1} more" if len(holding.changed) > 1 else ""
        out.print(f"not as committed, so they stay: {holding.changed[0]}{more}", markup=False)
