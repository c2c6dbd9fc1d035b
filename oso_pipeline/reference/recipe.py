"""What the task of the stage consists of: contents, parameters, and paths apart from both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oso_pipeline.config.model import Config, Strata
from oso_pipeline.config.reference import Reference, VectorSource
from oso_pipeline.core.commit import sha256_file
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.reference.split import SplitRules
from oso_pipeline.reference.vector_files import VectorFile


def inputs(config: Config) -> tuple[dict[str, str], int]:
    """Return the digests of all files read, and their size in bytes."""
    problems = Problems()
    digests, size = {}, 0
    vectors: list[tuple[str, VectorFile | Path]] = []
    for number, source in enumerate(config.reference.sources):
        layer = source.layer if isinstance(source, VectorSource) else None
        vectors.append((f"source {number}", VectorFile(source.path, layer)))
        vectors += [(f"{key} {number}", path) for key, path in source.tables.items()]
    if config.strata is not None:
        vectors.append(("strata", VectorFile(config.strata.path, config.strata.layer)))
    for role, item in vectors:
        files = item.files if isinstance(item, VectorFile) else (item,)
        try:
            digests[role] = item.digest() if isinstance(item, VectorFile) else sha256_file(item)
            size += sum(file.stat().st_size for file in files)
        except OSError as error:
            path = item.path if isinstance(item, VectorFile) else item
            hint = "correct the path; relative paths begin at the configuration file"
            problems.error("E-INPUT-058", f"{role} cannot be read: {error.strerror}", path, hint)
    problems.raise_errors(InputDataError)
    return digests, size


def without_paths(config: Config) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what determines the result, and the paths, which do not."""
    reference = config.reference.model_dump(mode="json")
    strata = None if config.strata is None else config.strata.model_dump(mode="json")
    paths: dict[str, Any] = {"sources": [], "strata": None}
    for typed, plain in zip(config.reference.sources, reference["sources"], strict=True):
        named = {"path": typed.path, **typed.tables}
        paths["sources"].append({key: str(path) for key, path in named.items()})
        plain.update({key: path.name for key, path in named.items()})
    if strata is not None and config.strata is not None:
        paths["strata"] = strata["path"]
        strata["path"] = config.strata.path.name
    del reference["split"]
    column = config.reference.split.column
    rules = vars(SplitRules.of(config))
    params = {"reference": reference, "strata": strata, "epsg": config.map.epsg}
    return {**params, "split_rules": rules, "side_column": column}, paths


def with_paths(
    params: Mapping[str, Any], paths: Mapping[str, Any]
) -> tuple[Reference, Strata | None]:
    """Undo `without_paths`."""
    sources = [
        {**source, **named}
        for source, named in zip(params["reference"]["sources"], paths["sources"], strict=True)
    ]
    content = {**params["reference"], "sources": sources}
    if params["side_column"] is not None:
        content["split"] = {"method": "column", "column": params["side_column"]}
    reference = Reference.model_validate(content)
    if params["strata"] is None:
        return reference, None
    return reference, Strata.model_validate({**params["strata"], "path": paths["strata"]})
