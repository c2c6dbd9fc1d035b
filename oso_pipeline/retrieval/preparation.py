"""From a configuration to what a campaign has to do: folders, needs, providers, limits."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from oso_pipeline.config import Config
from oso_pipeline.config.retrieval import Retrieval
from oso_pipeline.core.errors import ConfigError, Problem, Problems
from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.remote.transport import Transport
from oso_pipeline.imagery.search import find_products
from oso_pipeline.retrieval.access.keys import Keys
from oso_pipeline.retrieval.access.session import Session
from oso_pipeline.retrieval.catalogue_cache import CatalogueCache, RememberingCatalogue
from oso_pipeline.retrieval.catalogues import catalogue_of, is_on_this_machine
from oso_pipeline.retrieval.job import Patience
from oso_pipeline.retrieval.needs import SeasonNeeds, needs_of
from oso_pipeline.retrieval.offers import Need
from oso_pipeline.retrieval.outcome import Plan
from oso_pipeline.retrieval.provider_table import (
    HeaderKey,
    Key,
    PasswordKey,
    Provider,
    SigningKey,
    StoreKey,
)
from oso_pipeline.retrieval.providers import Table, check_names, load_providers, order_of
from oso_pipeline.retrieval.searching import Portal
from oso_pipeline.retrieval.target import Target
from oso_pipeline.retrieval.worker import Budget


@dataclass(frozen=True)
class FetchOptions:
    """What the command asks for, beside the configuration.

    Parameters
    ----------
    until
        Last day of acquisition; None for all of the season.
    max_gb
        Instead of `retrieval.max_gb`.
    is_offline
        Whether nothing is requested from the network.
    providers
        Instead of `retrieval.providers`.
    environ
        Variables of the environment: keys, proxies.
    """

    until: date | None = None
    max_gb: float | None = None
    is_offline: bool = False
    providers: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)


@dataclass(frozen=True)
class Prepared:
    """A plan, and what the user should know before it begins."""

    plan: Plan
    warnings: tuple[Problem, ...] = ()


def prepare(config: Config, options: FetchOptions) -> Prepared:
    """Return what `oso fetch` has to do for a configuration; nothing is requested yet.

    Raises
    ------
    ConfigError
        With all that is wrong: names of providers (``E-FETCH-PROVIDER``), the file of keys
        (``E-FETCH-KEYS``), the folder (``E-FETCH-FOLDER``), days (``E-FETCH-UNTIL``), families of
        products that nobody offers (``E-FETCH-FAMILY``).
    """
    section, problems = config.retrieval or Retrieval(), Problems()
    table = load_providers(section.providers_file)
    names = options.providers or section.providers
    check_names(table, names, problems)
    keys = Keys.of(section.keys_file, options.environ)
    problems.raise_errors(ConfigError)
    used = {name: table[name] for name in names or table}
    offered = {family for one in used.values() for family in one.collections}
    seasons = _until(needs_of(config, offered), options.until, problems)
    order = {
        family: order_of(table, names, family)
        for family in sorted({need.family for season in seasons for need in season.needs})
    }
    _check_families(order, offered, problems)
    targets = _targets(config, seasons, order, problems)
    portals = _portals(used, order, keys, options, targets, problems)
    problems.raise_errors(ConfigError)
    max_gb = section.max_gb if options.max_gb is None else options.max_gb
    budget = Budget(None if max_gb is None else int(max_gb * 1e9), int(section.keep_free_gb * 1e9))
    pauses_s = () if options.is_offline else section.pauses_s
    patience = Patience(pauses_s=pauses_s, outage_s=max(pauses_s, default=0.0))
    plan = Plan(targets, portals, order, budget, patience, options.is_offline)
    return Prepared(plan, tuple(problems.warnings))


def _until(
    seasons: Sequence[SeasonNeeds], until: date | None, problems: Problems
) -> list[SeasonNeeds]:
    """Return the needs up to a day."""
    if until is None:
        return list(seasons)
    first = min((need.first for need in seasons[0].needs), default=until)
    if until < first:
        problems.error(
            "E-FETCH-UNTIL",
            f"--until {until} is before the first day whose images serve, {first}",
            None,
            f"name {first} or a later day",
        )
    return [
        replace(
            season,
            needs=tuple(
                replace(need, last=min(need.last, until))
                for need in season.needs
                if need.first <= until
            ),
        )
        for season in seasons
    ]


def _check_families(
    order: Mapping[str, Sequence[str]], offered: Iterable[str], problems: Problems
) -> None:
    without = [family for family, names in order.items() if not names]
    if without and len(without) == len(order):
        problems.error(
            "E-FETCH-FAMILY",
            f"no provider offers products for the reader {', '.join(without)}; they offer those "
            f"for {', '.join(sorted(offered)) or 'none'}",
            "imagery.readers",
            "name another reader or provider, or fill the folder by other means",
        )
    elif without:
        problems.warn(
            "W-FETCH-FAMILY",
            f"no provider offers products for the reader {', '.join(without)}: none is fetched",
            "imagery.readers",
        )


def _targets(
    config: Config,
    seasons: Sequence[SeasonNeeds],
    order: Mapping[str, Sequence[str]],
    problems: Problems,
) -> tuple[Target, ...]:
    readers = Readers.of(config.imagery.readers)
    targets = []
    for number, season in enumerate(seasons):
        into = _folder_of(config, season.paths, is_own=number == 0, problems=problems)
        needs = tuple(need for need in season.needs if order.get(need.family))
        if into is not None and needs:
            targets.append(Target.of(into, needs, _there(season.paths, readers, needs)))
    return tuple(targets)


def _folder_of(
    config: Config, paths: Sequence[Path], is_own: bool, problems: Problems
) -> Path | None:
    """Return the folder that a season's products go to."""
    into = config.retrieval.into if is_own and config.retrieval else None
    if into is None:
        into = next((path for path in paths if not path.is_file()), None)
    elif not any(into == path or into.is_relative_to(path) for path in paths):
        problems.error(
            "E-FETCH-FOLDER",
            f"retrieval.into: {into} is none of `imagery.paths` and lies in none of them, so that "
            "a run would not find what is fetched",
            str(into),
            "add it to `imagery.paths`, or leave it out",
        )
        return None
    if into is None or into.is_file():
        problems.error(
            "E-FETCH-FOLDER",
            "products are fetched into a folder; found files only",
            ", ".join(map(str, paths)),
            "add a folder to `imagery.paths`",
        )
        return None
    return into


def _there(paths: Sequence[Path], readers: Readers, needs: Sequence[Need]) -> tuple[Candidate, ...]:
    """Return the products of the needs that are in the folders of a season."""
    tiles, families = {need.tile for need in needs}, {need.family for need in needs}
    # What is wrong with files there is said by `oso check`; a folder may still be missing.
    found = find_products([path for path in paths if path.exists()], readers, Problems())
    return tuple(one for one in found.candidates if one.tile in tiles and one.family in families)


def _portals(
    used: Table,
    order: Mapping[str, Sequence[str]],
    keys: Keys,
    options: FetchOptions,
    targets: Sequence[Target],
    problems: Problems,
) -> dict[str, Portal]:
    wanted = [name for name in used if any(name in names for names in order.values())]
    unused = {name: _unused(used[name], keys, options.is_offline) for name in wanted}
    without_key = {name: why for name, why in unused.items() if why and why != _OFFLINE}
    if without_key and all(unused.values()) and not options.is_offline:
        shown = "; ".join(f"{name}: {why}" for name, why in without_key.items())
        problems.error(
            "E-FETCH-KEYS",
            f"no provider can be used: {shown}",
            None,
            "set the variable, or write it into the file of `retrieval.keys_file`; "
            "docs/a_year.md says where keys come from",
        )
    for name, why in without_key.items():
        if not problems.errors:
            problems.warn(
                "W-FETCH-UNUSED", f"{name} is searched, but nothing is downloaded from it: {why}"
            )
    if not targets:
        return {}
    cache = CatalogueCache(targets[0].folder.catalogue)
    transport = Transport(options.environ)
    portals = {}
    for name in wanted:
        session = Session(name, used[name], keys, transport)
        catalogue = RememberingCatalogue(
            name, catalogue_of(name, used[name], session), cache, unused[name] == _OFFLINE
        )
        portals[name] = Portal(name, used[name], session, catalogue, unused[name])
    return portals


_OFFLINE = "offline"


def _unused(provider: Provider, keys: Keys, is_offline: bool) -> str:
    """Return why nothing can be downloaded from a provider; empty where something can."""
    if is_offline and not is_on_this_machine(provider):
        return _OFFLINE
    if missing := keys.missing(variables_of(provider.key)):
        return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set"
    return ""


def variables_of(key: Key) -> tuple[str, ...]:
    """Return the variables that hold a key."""
    match key:
        case HeaderKey():
            return (key.variable,)
        case PasswordKey():
            return key.user_variable, key.password_variable
        case SigningKey():
            return tuple(key.headers.values())
        case StoreKey():
            return key.key_variable, key.secret_variable
        case _:
            return ()
