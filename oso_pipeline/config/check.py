"""Checks of a configuration against the machine: paths, nomenclature, size of blocks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Literal

from oso_pipeline.config.model import Config
from oso_pipeline.config.season_check import check_adaptation
from oso_pipeline.core.errors import ConfigError, Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.core.regular_files import is_odd, real_place

Kind = Literal["file", "folder", "any"]

_ADDRESS = re.compile(r"(?:^|/)(https?|ftp|s3|gs):/+(.*)")
_OF_THE_WEB = (
    "download it and name the file or folder; images on the web can be described by STAC items, "
    "with `remote: true` of the reader"
)


def check_paths(config: Config) -> Problems:
    """Check that what the configuration names is there and readable.

    Every path is tried as the run will use it, and every problem is collected: missing, a
    file where a folder is expected or the reverse, no permission (``E-PATH-...``); a run
    folder that is or lies in an input (``E-RUN-INSIDE``); a nomenclature that cannot
    be used (``E-NOMENCLATURE``, ``E-NOMENCLATURE-CODE``, ``E-TEXT-ENCODING``); past seasons that
    do not fit (see `season_check`).
    """
    problems = Problems()
    file = f" in {config.file}" if config.file else ""
    for key, path, kind in _named_paths(config):
        hint = f"paths are relative to the file that holds them; correct {key}{file}"
        _check(key, path, kind, hint, problems)
    try:
        nomenclature = load_nomenclature(config.nomenclature, Path())
        problems.extend(check_adaptation(config, nomenclature))
    except ConfigError as error:
        problems.extend(error.problems)
    _check_run_dir(config, problems)
    return problems


def check_writable(config: Config) -> Problems:
    """Check that the run folder may be written, or made (``E-PATH-PERMISSION``)."""
    problems, run_dir = Problems(), real_place(config.run_dir)
    existing = next((f for f in (run_dir, *run_dir.parents) if f.exists()), run_dir)
    if existing.is_dir() and not os.access(existing, os.W_OK | os.X_OK):
        message = f"run_dir: no permission to write in {existing}"
        problems.error("E-PATH-PERMISSION", message, run_dir, "choose a folder you may write in")
    return problems


def check_block(config: Config, fitting: int, worker_bytes: float) -> Problems:
    """Check that a block of the requested size fits into the memory of a worker.

    Parameters
    ----------
    config
        Gives ``runtime.block_pixels`` and ``runtime.memory_per_worker_gb``.
    fitting
        Most pixels of a block that fit.
    worker_bytes
        Memory that a worker needs for a block of the requested size.

    Returns
    -------
    Problems
        ``E-BLOCK-MEMORY`` with an estimate and a size that fits, or nothing.
    """
    problems = Problems()
    pixels, memory = config.runtime.block_pixels, config.runtime.memory_per_worker_gb
    if pixels is None or pixels <= fitting:
        return problems
    needed = ceil(worker_bytes / 1e8) / 10
    problems.error(
        "E-BLOCK-MEMORY",
        f"runtime.block_pixels: blocks of {pixels} pixels need workers of about {needed:.1f} GB, "
        f"runtime.memory_per_worker_gb is {memory:g}",
        None,
        f"set runtime.block_pixels to {fitting} or less, or leave it out; or set "
        f"runtime.memory_per_worker_gb to {needed:.1f}",
    )
    return problems


def _named_paths(config: Config) -> Iterator[tuple[str, Path, Kind]]:
    """Yield all paths that are read, each with its key and what is expected there."""
    described = tuple(end for reader in config.imagery.readers for end in reader.files)
    for key, path in _image_folders(config):
        yield key, path, "any" if path.name.lower().endswith(described) else "folder"
    for index, source in enumerate(config.reference.sources):
        key = f"reference.sources[{index}]"
        yield f"{key}.path", source.path, "any"
        for table, path in source.tables.items():
            yield f"{key}.{table}", path, "file"
    if config.learning.model is not None:
        yield "learning.model", config.learning.model, "folder"
    if config.strata is not None:
        yield "strata.path", config.strata.path, "any"
    if config.map.area is not None:
        yield "map.area.path", config.map.area.path, "any"
    if (independent := config.validation.independent) is not None:
        yield "validation.independent.path", independent.path, "any"
        if isinstance(independent.crosswalk, Path):
            yield "validation.independent.crosswalk", independent.crosswalk, "file"


def _image_folders(config: Config) -> Iterator[tuple[str, Path]]:
    """Yield the folders with images of all seasons, by the key that names them."""
    for index, path in enumerate(config.imagery.paths):
        yield f"imagery.paths[{index}]", path
    for number, past in enumerate(config.adaptation.sources if config.adaptation else ()):
        for index, path in enumerate(past.imagery.paths):
            yield f"adaptation.sources[{number}].imagery.paths[{index}]", path


def _check(key: str, path: Path, kind: Kind, hint: str, problems: Problems) -> None:
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:  # no permission above it, or an impossible name
        reason = getattr(error, "strerror", None) or error
        problems.error("E-PATH-READ", f"{key}: cannot be read: {reason}", path, hint)
        return
    if not exists and (address := _ADDRESS.search(path.as_posix())):
        message = f"{key}: {address[1]}://{address[2]} is an address on the web, expected a path"
        problems.error("E-PATH-MISSING", message, path, _OF_THE_WEB)
    elif not exists:
        above = next((folder for folder in path.parents if os.path.isdir(folder)), path)
        message = f"{key}: there is nothing at {path}; the part that exists is {above}"
        problems.error("E-PATH-MISSING", message, path, hint)
    elif is_odd(path):
        found = "found a device, a pipe or a socket"
        problems.error("E-PATH-KIND", f"{key}: {found}, expected a file", path, hint)
    elif is_folder and kind == "file":
        problems.error("E-PATH-KIND", f"{key}: found a folder, expected a file", path, hint)
    elif not is_folder and kind == "folder":
        problems.error("E-PATH-KIND", f"{key}: found a file, expected a folder", path, hint)
    elif not os.access(path, os.R_OK | (os.X_OK if is_folder else 0)):
        what = "folder" if is_folder else "file"
        problems.error(
            "E-PATH-PERMISSION",
            f"{key}: no permission to read the {what}",
            path,
            "grant permission to read it",
        )


def _check_run_dir(config: Config, problems: Problems) -> None:
    run_dir = real_place(config.run_dir)
    hint = "choose a run_dir apart from the input"
    for key, path in _image_folders(config):
        folder = real_place(path)
        if run_dir == folder:
            message = f"run_dir: is the same folder as {key}"
        elif run_dir.is_relative_to(folder):
            message = f"run_dir: lies inside {key}, {folder}"
        else:
            continue
        problems.error("E-RUN-INSIDE", message, run_dir, hint)
    model = config.learning.model
    if model is not None and real_place(model).is_relative_to(run_dir):
        message = "run_dir: holds the models that learning.model names"
        problems.error("E-RUN-INSIDE", message, run_dir, "choose a run_dir apart from the models")
    for index, source in enumerate(config.reference.sources):
        if real_place(source.path) == run_dir:
            message = f"run_dir: is the same as reference.sources[{index}].path"
            problems.error("E-RUN-INSIDE", message, run_dir, hint)
    if run_dir.exists() and not run_dir.is_dir():
        message = "run_dir: found a file, expected a folder"
        problems.error("E-PATH-KIND", message, run_dir, hint)
        return
