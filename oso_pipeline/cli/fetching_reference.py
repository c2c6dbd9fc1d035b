"""Fetch databases of labels into the folders of their sources."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from oso_pipeline.cli.console import out, write_or_go_silent
from oso_pipeline.core.errors import ExitCode, Problem
from oso_pipeline.core.wording import counted, duration

if TYPE_CHECKING:
    from oso_pipeline.config import Config
    from oso_pipeline.config.retrieval import Retrieval
    from oso_pipeline.retrieval.reference_data import (
        ReferenceOutcome,
        ReferencePlan,
        ReferenceShop,
    )
    from oso_pipeline.retrieval.reference_delivery import Delivered, DeliveryHabits
    from oso_pipeline.retrieval.worker import Stop

_EVERY_S = 30.0
_SIGNALS = {"interrupted": ExitCode.INTERRUPTED, "terminated": ExitCode.TERMINATED}


@dataclass(frozen=True, slots=True)
class Options:
    """What the command says.

    Parameters
    ----------
    dry_run
        Show what would be fetched, and fetch nothing.
    as_json
        Print one JSON object a line.
    max_gb
        Instead of `retrieval.max_gb`.
    """

    dry_run: bool
    as_json: bool
    max_gb: float | None


def fetch_databases(config: Config, stop: Stop, options: Options) -> ExitCode:
    """Fetch the databases of a configuration, or show what would be fetched."""
    from oso_pipeline.retrieval.reference_data import fetch_reference, plan_reference

    section = config.retrieval
    shop = _shop(section)
    plan = plan_reference(config, shop)
    for line in () if options.as_json else _of_plan(plan):
        out.print(line, markup=False)
    if options.dry_run:
        if options.as_json:
            _print_json({"kind": "forecast", **_plan_json(plan)})
        else:
            out.print("nothing was fetched (--dry-run)")
        return ExitCode.SOME_LEFT if plan.lacks else ExitCode.OK
    max_gb = section.max_gb if options.max_gb is None else options.max_gb
    outcome = fetch_reference(
        plan,
        shop,
        _habits(section, stop, options.as_json),
        None if max_gb is None else int(max_gb * 1e9),
        _json_line if options.as_json else _line,
    )
    if options.as_json:
        _print_json(_outcome_json(outcome))
    else:
        for line in _of_outcome(outcome):
            out.print(line, markup=False)
    if outcome.stopped in _SIGNALS:
        return _SIGNALS[outcome.stopped]
    return ExitCode.OK if outcome.is_complete else ExitCode.SOME_LEFT


def _shop(section: Retrieval) -> ReferenceShop:
    from oso_pipeline.retrieval.access.keys import Keys
    from oso_pipeline.retrieval.access.session import Session
    from oso_pipeline.retrieval.reference_data import ReferenceShop
    from oso_pipeline.retrieval.reference_table import load_databases

    table = load_databases(section.providers_file)
    no_keys = Keys({})
    sessions = {name: Session(name, one.provider, no_keys) for name, one in table.items()}
    return ReferenceShop(table, sessions)


def _habits(section: Retrieval, stop: Stop, is_quiet: bool) -> DeliveryHabits:
    from oso_pipeline.retrieval.reference_delivery import DeliveryHabits
    from oso_pipeline.retrieval.unpack import Bounds

    kept = int(section.keep_free_gb * 1e9)
    return DeliveryHabits(
        kept,
        on_bytes=_Counter(stop, "came", is_quiet),
        on_unpacked=_Counter(stop, "were unpacked", is_quiet),
        bounds=Bounds(keep_free_bytes=kept),
    )


class _Counter:
    """Counts bytes, prints how many every half minute, and ends when a signal came."""

    def __init__(self, stop: Stop, what: str, is_quiet: bool) -> None:
        self._stop = stop
        self._what = what
        self._is_quiet = is_quiet
        self._since_s = time.monotonic()
        self._n_bytes = 0

    def __call__(self, n_bytes: int) -> None:
        from oso_pipeline.retrieval.worker import Stopped

        if self._stop.reason:
            raise Stopped(self._stop.reason)
        self._n_bytes += n_bytes
        seconds = time.monotonic() - self._since_s
        if seconds >= _EVERY_S:
            if not self._is_quiet:
                rate = self._n_bytes / seconds / 1e6
                text = f"  {self._n_bytes / 1e6:.0f} MB {self._what}, {rate:.1f} MB/s"
                out.print(text, markup=False)
            self._since_s, self._n_bytes = time.monotonic(), 0


def _of_plan(plan: ReferencePlan) -> Iterator[str]:
    from oso_pipeline.retrieval.forecast import ASSUMED_BYTES_PER_S

    for need, zone in plan.there:
        yield f"there: {need.database} {need.year or ''} {zone} in {need.into}".replace("  ", " ")
    for kind, path, is_there in plan.own:
        if not is_there:
            yield f"yours to get: {kind} {path}"
    for one in plan.deliveries:
        size = "size unknown" if one.size_bytes is None else f"{one.size_bytes / 1e6:.1f} MB"
        host = urlsplit(one.files[0].url).netloc.rpartition("@")[2]
        yield f"to fetch: {one.edition.title}, {size}, from {host} into {one.need.into}"
    yield from (f"note: {remark}" for remark in plan.remarks)
    yield from (_left(lack) for lack in plan.lacks)
    if plan.deliveries:
        unknown = sum(one.size_bytes is None for one in plan.deliveries)
        more = f" and {unknown} of unknown size" if unknown else ""
        yield (
            f"{counted(len(plan.deliveries), 'archive')} to fetch, {plan.size_bytes / 1e9:.2f} GB"
            f"{more}, about {duration(plan.size_bytes / ASSUMED_BYTES_PER_S)} at "
            f"{ASSUMED_BYTES_PER_S / 1e6:g} MB/s (assumed); unpacked they are several times larger"
        )


def _of_outcome(outcome: ReferenceOutcome) -> Iterator[str]:
    if outcome.stopped:
        yield f"{outcome.stopped}; run the same command again to go on"
    n_left = len(outcome.left) + len(outcome.plan.lacks)
    yield (
        f"{counted(len(outcome.delivered), 'delivery', 'deliveries')} fetched, "
        f"{len(outcome.plan.there)} there, {n_left} left"
    )


def _line(found: Delivered | Problem) -> None:
    if isinstance(found, Problem):
        out.print(_left(found), markup=False)
        return
    files = found.unpacked.files
    size = sum(size for _, size, _ in files)
    flag = f"; accepted although {found.flag}" if found.flag else ""
    title = found.delivery.edition.title
    out.print(f"{title}: {counted(len(files), 'file')}, {size / 1e6:.1f} MB{flag}", markup=False)


def _left(problem: Problem) -> str:
    hint = f"; {problem.hint}" if problem.hint else ""
    return f"left [{problem.code}] {problem.message}{hint}"


def _json_line(found: Delivered | Problem) -> None:
    if isinstance(found, Problem):
        _print_json({"kind": "failed", **_problem_json(found)})
        return
    _print_json(
        {
            "kind": "fetched",
            "database": found.delivery.need.database,
            "edition": found.delivery.edition.title,
            "folder": str(found.unpacked.folder),
            "size_bytes": sum(size for _, size, _ in found.unpacked.files),
            "flag": found.flag,
        }
    )


def _plan_json(plan: ReferencePlan) -> dict[str, Any]:
    return {
        "editions": [
            {
                "database": one.need.database,
                "year": one.need.year,
                "zone": one.edition.zone,
                "edition": one.edition.title,
                "size_bytes": one.size_bytes,
                "into": str(one.need.into),
            }
            for one in plan.deliveries
        ],
        "size_bytes": plan.size_bytes,
        "there": [
            {"database": need.database, "year": need.year, "zone": zone}
            for need, zone in plan.there
        ],
        "lacks": [_problem_json(one) for one in plan.lacks],
        "remarks": list(plan.remarks),
        "own": [{"kind": k, "path": str(p), "there": here} for k, p, here in plan.own],
    }


def _outcome_json(outcome: ReferenceOutcome) -> dict[str, Any]:
    return {
        "kind": "ended",
        "fetched": len(outcome.delivered),
        "there": len(outcome.plan.there),
        "left": [_problem_json(one) for one in (*outcome.plan.lacks, *outcome.left)],
        "stopped": outcome.stopped,
    }


def _problem_json(problem: Problem) -> dict[str, Any]:
    return {"code": problem.code, "message": problem.message, "where": problem.where}


def _print_json(content: dict[str, Any]) -> None:
    write_or_go_silent(sys.stdout, json.dumps(content, ensure_ascii=False))
