"""Checks of the section ``retrieval`` against the machine, for `oso check`; offline."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from oso_pipeline.config import Config
from oso_pipeline.core.errors import ConfigError, Problems
from oso_pipeline.core.regular_files import real_place
from oso_pipeline.retrieval.access.keys import Keys
from oso_pipeline.retrieval.providers import Table, check_names, load_providers, order_of
from oso_pipeline.retrieval.reference_table import load_databases

_WRITE = os.W_OK | os.X_OK


def check_retrieval(config: Config, environ: Mapping[str, str] | None = None) -> Problems:
    """Check what `oso fetch` needs: providers, keys, the folder, and disk space.

    Problems: a file of providers or databases with mistakes (``E-CONFIG-...``), unknown providers
    (``E-FETCH-PROVIDER``), a file of keys that is damaged or that others can read
    (``E-FETCH-KEYS``), keys that are missing (``W-FETCH-NO-KEY``), a folder that runs do not search
    (``E-FETCH-FOLDER``) or that cannot be written (``E-PATH-PERMISSION``, ``E-PATH-KIND``), too
    little disk space (``W-FETCH-DISK``). A configuration that does not name the section has none.

    Parameters
    ----------
    config
        The configuration.
    environ
        Variables of the environment; those of the process by default.
    """
    problems = Problems()
    if "retrieval" not in config.model_fields_set:
        return problems
    section = config.retrieval
    keys = Keys(environ)
    try:
        keys = Keys.of(section.keys_file, environ)
    except ConfigError as error:
        problems.extend(error.problems)
    try:
        table = load_providers(section.providers_file)
        load_databases(section.providers_file)
    except ConfigError as error:
        problems.extend(error.problems)
    else:
        check_names(table, section.providers, problems)
        known = tuple(name for name in section.providers if name in table)
        if len(known) == len(section.providers):
            _check_keys(config, table, keys, problems)
    _check_folder(config, problems)
    return problems


def _check_keys(config: Config, table: Table, keys: Keys, problems: Problems) -> None:
    """Warn of providers that are used and lack a key; note those that are ready."""
    for family in (reader.kind for reader in config.imagery.readers):
        ready = []
        for name in order_of(table, config.retrieval.providers, family):
            missing = keys.missing(table[name].variables)
            if not missing:
                ready.append(name)
                continue
            problems.warn(
                "W-FETCH-NO-KEY",
                f"{name}: there is no value of {' and '.join(missing)}, so nothing is downloaded "
                "from it",
                None,
                "set it in the environment or in `retrieval.keys_file`, or leave the provider out "
                "of `retrieval.providers`",
            )
        if ready:
            problems.notes.append(f"oso fetch gets {family} products from {', '.join(ready)}")


def _check_folder(config: Config, problems: Problems) -> None:
    """Check the folder that images of the season go to."""
    folders = [path for path in config.imagery.paths if not path.is_file()]
    into = config.retrieval.into or next(iter(folders), None)
    if into is None:
        message = "imagery.paths names files only, and products are fetched into a folder"
        problems.error("E-FETCH-FOLDER", message, None, "add a folder to imagery.paths")
        return
    place = real_place(into)
    if not any(place.is_relative_to(real_place(path)) for path in folders):
        problems.error(
            "E-FETCH-FOLDER",
            f"retrieval.into: {into} is none of imagery.paths and lies in none of them, so a run "
            "would not find what is fetched",
            into,
            "add it to imagery.paths, or leave it out",
        )
        return
    existing = next((one for one in (place, *place.parents) if one.exists()), place)
    if not existing.is_dir():
        message = f"retrieval.into: found a file at {existing}, expected a folder"
        problems.error("E-PATH-KIND", message, into, "choose another folder")
    elif not os.access(existing, _WRITE):
        message = f"retrieval.into: no permission to write in {existing}"
        problems.error("E-PATH-PERMISSION", message, into, "choose a folder you may write in")
    else:
        _check_disk(existing, config.retrieval.keep_free_gb, problems)


def _check_disk(folder: Path, keep_free_gb: float, problems: Problems) -> None:
    try:
        free_gb = shutil.disk_usage(folder).free / 1e9
    except OSError:  # a file system that does not say
        return
    if free_gb <= keep_free_gb:
        problems.warn(
            "W-FETCH-DISK",
            f"{free_gb:.1f} GB are free, and oso fetch leaves {keep_free_gb:g} GB free, so it "
            "would stop at once",
            folder,
            "free disk space, or lower retrieval.keep_free_gb",
        )
