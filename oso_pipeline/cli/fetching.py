"""Fetch images (and reference data) from portals into the folders of a configuration."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oso_pipeline.cli.console import err, out, write_or_go_silent
from oso_pipeline.cli.options import ConfigPath, Overrides
from oso_pipeline.core.errors import ExitCode, OsoError
from oso_pipeline.core.wording import counted, duration, grouped

if TYPE_CHECKING:
    from oso_pipeline.retrieval.forecast import Forecast, Share
    from oso_pipeline.retrieval.outcome import Outcome, Plan
    from oso_pipeline.retrieval.progress import Event
    from oso_pipeline.retrieval.worker import Stop

_EVERY_S = 30.0
_SHOWN = 10
SHOWN = ("flagged", "quarantined", "waiting", "unanswered", "replaced")

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be fetched, from where, how long.")
]
Until = Annotated[
    datetime | None,
    typer.Option(metavar="DATE", formats=["%Y-%m-%d"], help="Only images up to this day."),
]
MaxGb = Annotated[
    float | None, typer.Option("--max-gb", min=0, help="Download at most so many GB.")
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Answers of catalogues from the disk; no network.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Providers = Annotated[
    list[str] | None,
    typer.Option("--provider", metavar="NAME", help="Use this provider only; repeatable."),
]


def fetch(
    config: ConfigPath,
    dry_run: DryRun = False,
    until: Until = None,
    max_gb: MaxGb = None,
    offline: Offline = False,
    reference: Annotated[
        bool, typer.Option("--reference", help="Databases of labels instead of images.")
    ] = False,
    as_json: AsJson = False,
    provider: Providers = None,
    set_: Overrides = None,
) -> None:
    """Fill the folders of images from portals: search, choose, download, verify, publish.

    A run fetches nothing: it takes what is there. Exit code 75 says that something is left.
    """
    from oso_pipeline.config.loader import load_config
    from oso_pipeline.retrieval.preparation import FetchOptions, prepare

    settings = load_config(config, set_ or ())
    if reference:
        from oso_pipeline.cli.fetching_reference import Options as OfDatabases
        from oso_pipeline.cli.fetching_reference import fetch_databases

        if until is not None or provider or offline:
            raise typer.BadParameter(
                "goes with none of --until, --provider, --offline", param_hint="--reference"
            )
        with _stopping() as stop:
            code = fetch_databases(settings, stop, OfDatabases(dry_run, as_json, max_gb))
        raise typer.Exit(int(code))
    day = None if until is None else until.date()
    options = FetchOptions(day, max_gb, offline, tuple(provider or ()))
    with _stopping() as stop:
        prepared = prepare(settings, options)
        for warning in prepared.warnings:
            err.print(str(warning), markup=False)
        if dry_run:
            code = _show_forecast(prepared.plan, as_json)
        else:
            code = _campaign(prepared.plan, settings.imagery.bands, stop, as_json)
        _warn_of_clock(prepared.plan)
    raise typer.Exit(int(code))


def _warn_of_clock(plan: Plan) -> None:
    from oso_pipeline.retrieval.access.clock import wrong_clock

    found = wrong_clock(portal.session.clock_behind_s for portal in plan.portals.values())
    if found is not None:
        err.print(str(found), markup=False)


def _campaign(plan: Plan, bands: tuple[str, ...], stop: Stop, as_json: bool) -> ExitCode:
    from oso_pipeline.retrieval.campaign import Campaign
    from oso_pipeline.retrieval.leftovers import problems_of
    from oso_pipeline.retrieval.progress import LogFile
    from oso_pipeline.retrieval.transfer.product import Habits, fetch_product

    shown = _json_line if as_json else _Lines()
    log = LogFile(plan.targets[0].folder.log) if plan.targets else None

    def notice(event: Event) -> None:
        if log is not None:
            log(event)
        shown(event)

    get = partial(fetch_product, habits=Habits(bands=bands))
    outcome = Campaign(plan, get, notice, stop).run()
    if as_json:
        _print_json(outcome.to_json())
    else:
        for line in _summary(outcome):
            out.print(line, markup=False)
        for text in _few([str(problem) for problem in problems_of(outcome)]):
            err.print(text, markup=False)
    if isinstance(outcome.error, OsoError):
        raise outcome.error
    if outcome.error is not None and not outcome.stopped.startswith(_SIGNALLED):
        raise outcome.error
    return exit_code_of(outcome)


def exit_code_of(outcome: Outcome) -> ExitCode:
    """Return the exit code of a campaign."""
    if outcome.stopped == "interrupted":
        return ExitCode.INTERRUPTED
    if outcome.stopped == "terminated":
        return ExitCode.TERMINATED
    if outcome.is_complete:
        return ExitCode.OK
    codes = {one.code for one in outcome.left}
    if codes & {"E-DISK", "E-FOLDER"}:
        return ExitCode.ENVIRONMENT
    if "E-FETCH-FAULT" in codes:
        return ExitCode.BUG
    return ExitCode.SOME_LEFT


_SIGNALLED = ("interrupted", "terminated", "out of time")


@contextmanager
def _stopping() -> Iterator[Stop]:
    """Give what ends a campaign; signals ask for that, a second one ends the process at once."""
    from oso_pipeline.retrieval.worker import Stop

    stop = Stop()

    def ask(why: str, code: ExitCode) -> Callable[[int, FrameType | None], Any]:
        def handle(number: int, frame: FrameType | None) -> None:
            if stop.reason:
                raise SystemExit(int(code))
            stop.request(why)

        return handle

    handlers = {
        signal.SIGINT: ask("interrupted", ExitCode.INTERRUPTED),
        signal.SIGTERM: ask("terminated", ExitCode.TERMINATED),
        signal.SIGUSR1: ask("out of time", ExitCode.SOME_LEFT),
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Lines:
    """Prints what matters at once, and the progress of each provider every half minute."""

    def __init__(self) -> None:
        self._shown_s: dict[str, float] = {}
        self._began_s = time.monotonic()

    def __call__(self, event: Event) -> None:
        who = " ".join(filter(None, (event.product_id, event.provider)))
        if event.kind in SHOWN:
            out.print(f"  {event.kind}: {who}: {event.text}", markup=False)
        elif event.kind == "progress":
            now = time.monotonic()
            if now - self._shown_s.get(event.provider, self._began_s) >= _EVERY_S:
                self._shown_s[event.provider] = now
                out.print(f"  {event.provider}: {event.text}", markup=False)


def _json_line(event: Event) -> None:
    _print_json(event.to_json())


def _print_json(content: dict[str, Any]) -> None:
    write_or_go_silent(sys.stdout, json.dumps(content, ensure_ascii=False))


def _summary(outcome: Outcome) -> Iterator[str]:
    """Give what came and what is left."""
    if outcome.stopped:
        yield f"{outcome.stopped}; run the same command again to go on"
    flagged = f", {outcome.n_flagged} of them with a flag" if outcome.n_flagged else ""
    yield (
        f"{counted(outcome.n_fetched, 'product')} fetched{flagged}, "
        f"{outcome.bytes_done / 1e9:.2f} GB in {duration(outcome.seconds)}; "
        f"{outcome.n_there} {'was' if outcome.n_there == 1 else 'were'} there"
    )


def _few(lines: list[str]) -> Iterator[str]:
    yield from lines[:_SHOWN]
    if len(lines) > _SHOWN:
        yield f"and {len(lines) - _SHOWN} more lines like these; see the log"


def _show_forecast(plan: Plan, as_json: bool) -> ExitCode:
    from oso_pipeline.retrieval.forecast import forecast

    found = forecast(plan, lambda event: None)
    if as_json:
        _print_json(found.to_json())
    else:
        for share in found.shares:
            out.print(_share(share), markup=False)
        out.print(
            f"{counted(len(found.products), 'product')} to fetch, {found.n_bytes / 1e9:.1f} GB, "
            f"about {duration(found.seconds)}; {found.n_there} there; "
            f"{found.free_bytes / 1e9:.1f} GB of disk space are free",
            markup=False,
        )
        for line in _cautions(found):
            out.print(line, markup=False)
        out.print("nothing was fetched (--dry-run)")
    is_known = not found.unanswered
    return ExitCode.OK if is_known else ExitCode.SOME_LEFT


def _share(share: Share) -> str:
    tape = f", {share.n_on_tape} on tape" if share.n_on_tape else ""
    estimated = f" ({share.n_without_size} sizes estimated)" if share.n_without_size else ""
    text = (
        f"{share.provider}: {counted(share.n_products, 'product')}{tape}, "
        f"{share.n_bytes / 1e9:.1f} GB{estimated}"
    )
    if share.unused:
        return f"{text}; not downloaded: {share.unused}"
    rate = f"{share.bytes_per_s / 1e6:.1f} MB/s ({share.basis})"
    return f"{text}, {duration(share.seconds)} at {rate}"


def _cautions(found: Forecast) -> Iterator[str]:
    if found.lacking_bytes:
        kept = f"{found.keep_free_bytes / 1e9:g} GB of it are kept free"
        yield f"disk space: {found.lacking_bytes / 1e9:.1f} GB too little ({kept})"
    if found.most_bytes is not None and found.n_bytes > found.most_bytes:
        yield f"the limit is {found.most_bytes / 1e9:g} GB: the rest is left for another time"
    lines = [
        f"not known what {name} offers: {need.family} of {need.tile}: {why}"
        for name, need, why in found.unanswered
    ]
    yield from _few(grouped(lines))
