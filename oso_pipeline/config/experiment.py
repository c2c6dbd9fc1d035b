"""The YAML file of an experiment: variants of one configuration, to be compared."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from oso_pipeline.config.findings import section_findings
from oso_pipeline.config.layers import expand
from oso_pipeline.config.loader import load_with, name_from
from oso_pipeline.config.model import MAX_NAME, NAME_PATTERN, Config
from oso_pipeline.config.nodes import Node, read_yaml
from oso_pipeline.config.section import Section
from oso_pipeline.core.errors import ConfigError, Problem, Problems

FOLDER = "evaluation/experiments"
"""Within the run folder of the base: a folder for each experiment, with a run for each variant."""
_OF_THE_EXPERIMENT = ("name", "run_dir", "extends")
_HINT = "docs/experiments.md describes the keys of an experiment"


class Variant(Section):
    """One of the configurations that are compared."""

    name: str = Field(pattern=NAME_PATTERN, max_length=MAX_NAME)
    """Name in the table, and of the run folder."""
    set: dict[str, Any] = Field({})
    """Values that replace those of the base, by dotted key as after `--set`:
    `learning.n_trees: 50`. Empty for the base as it is."""


class Experiment(Section):
    """Variants of one configuration. Differences are those to the first."""

    base: Path
    """Configuration of a run, relative to this file."""
    name: str | None = Field(None, pattern=NAME_PATTERN, max_length=MAX_NAME)
    """Name of the folder of the results. By default the name of this file."""
    variants: tuple[Variant, ...] = Field(min_length=2)
    """Configurations to compare."""
    price_per_core_hour: float | None = Field(None, ge=0)
    """Price of a core-hour in any currency, for the column of the cost."""


@dataclass(frozen=True)
class Experimental:
    """A variant that was checked.

    Parameters
    ----------
    name
        Of the variant.
    settings
        Its settings, by dotted key.
    config
        The whole configuration, in a run folder of its own.
    """

    name: str
    settings: Mapping[str, Any]
    config: Config


@dataclass(frozen=True)
class LoadedExperiment:
    """An experiment that was checked in itself.

    Parameters
    ----------
    name
        Of the experiment.
    base_run_dir
        Run folder of the base.
    variants
        In the order of the file.
    price
        Of a core-hour; None where no price is given.
    """

    name: str
    base_run_dir: Path
    variants: tuple[Experimental, ...]
    price: float | None = None

    @property
    def folder(self) -> Path:
        """Folder of the results."""
        return self.base_run_dir / FOLDER / self.name


def is_experiment(path: Path) -> bool:
    """Whether a file describes an experiment rather than a run: it has the key ``variants``."""
    node = read_yaml(Path(os.path.expanduser(path)), Problems())
    return node is not None and node.child("variants") is not None


def load_experiment(path: Path, environ: Mapping[str, str] | None = None) -> LoadedExperiment:
    """Load the file of an experiment and the configuration of each variant.

    Raises
    ------
    ConfigError
        With every problem of the file and of all variants; see `experiment_of`.
    """
    path = Path(os.path.abspath(os.path.expanduser(path)))
    problems = Problems()
    tree = read_yaml(path, problems)
    if tree is None:
        raise ConfigError(*problems.errors)
    return experiment_of(tree, name_from(path), problems, environ)


def node_of(value: Any, where: str) -> Node:
    """Return values that stand in no file as a tree; paths are relative to the current folder."""
    if isinstance(value, Mapping):
        children = {str(key): node_of(one, where) for key, one in value.items()}
        return Node(children, where, Path.cwd(), dict.fromkeys(children, where))
    if isinstance(value, list | tuple):
        return Node([node_of(one, where) for one in value], where, Path.cwd())
    known = value is None or isinstance(value, bool | int | float | str)
    return Node(value if known else str(value), where, Path.cwd())


def experiment_of(
    tree: Node, name: str, problems: Problems, environ: Mapping[str, str] | None = None
) -> LoadedExperiment:
    """Check the content of an experiment, and the configuration of each variant.

    Parameters
    ----------
    tree
        The content.
    name
        Of the experiment, where the content gives none.
    problems
        Problems found while the content was read.
    environ
        Environment variables; those of the process by default.

    Raises
    ------
    ConfigError
        With every problem found, each with its place: those of the file, a base that does not
        exist (``E-PATH-MISSING``), two variants of one name (``E-EXPERIMENT-NAME``), two with equal
        configurations (``E-EXPERIMENT-EQUAL``), a key that the experiment sets itself
        (``E-EXPERIMENT-KEY``), and what is wrong with the configuration of a variant.
    """
    environ = os.environ if environ is None else environ
    content = tree.plain()
    try:
        Experiment.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        problems.extend(section_findings(error, tree, _HINT))
    base = _base_of(tree, environ, problems)
    _check_names(tree, problems)
    configs = {} if base is None else _configs_of(base, tree, environ, problems)
    _check_equal(configs, problems)
    problems.raise_errors(ConfigError)
    experiment = Experiment.model_validate(content)
    run_dir = next(iter(configs.values()))[1].run_dir
    loaded = LoadedExperiment(experiment.name or name, run_dir, (), experiment.price_per_core_hour)
    variants = tuple(
        Experimental(
            one.name,
            one.set,
            configs[number][1].model_copy(update={"run_dir": loaded.folder / one.name}),
        )
        for number, one in enumerate(experiment.variants)
    )
    return LoadedExperiment(loaded.name, run_dir, variants, loaded.price)


def _base_of(tree: Node, environ: Mapping[str, str], problems: Problems) -> Path | None:
    """Return the path of the base, None where there is no such file."""
    node = tree.child("base")
    if node is None or not isinstance(node.value, str) or not node.value:
        return None  # a finding says so
    text = expand(node.value, node.where, "base", environ, problems)
    path = Path(os.path.abspath(node.folder / text))
    if path.is_file():
        return path
    hint = "the path is relative to the file of the experiment"
    problems.error("E-PATH-MISSING", f"base: there is no file {path}", node.where, hint)
    return None


def _variants_of(tree: Node) -> Iterator[tuple[int, str, Node]]:
    """Yield number, name and node of the variants that can be read."""
    variants = tree.child("variants")
    items = variants.value if variants is not None and isinstance(variants.value, list) else []
    for number, node in enumerate(items):
        name, settings = node.child("name"), node.child("set")
        if settings is not None and not isinstance(settings.value, dict):
            continue
        if name is not None and isinstance(name.value, str):
            yield number, name.value, node


def _check_names(tree: Node, problems: Problems) -> None:
    seen: dict[str, str] = {}
    for _, name, node in _variants_of(tree):
        where = node.value["name"].where
        # Some file systems ignore the case of letters.
        if name.lower() in seen:
            message = f"two variants are called {name}, the first at {seen[name.lower()]}"
            problems.error("E-EXPERIMENT-NAME", message, where, "give one of them another name")
        seen.setdefault(name.lower(), where)


def _configs_of(
    base: Path, tree: Node, environ: Mapping[str, str], problems: Problems
) -> dict[int, tuple[Node, Config]]:
    """Return the configuration of each variant that has one, by its number."""
    found: dict[int, tuple[Node, Config]] = {}
    # Problems of the base are reported once; a variant may also correct them.
    of_base = {(one.message, one.where) for one in _loaded(base, {}, environ)[1]}
    reported: set[Problem] = set()
    for number, name, node in _variants_of(tree):
        settings = _settings_of(name, node, problems)
        config, wrong = _loaded(base, settings, environ)
        for one in wrong:
            if (one.message, one.where) not in of_base:
                message = f"variant {name}: {one.message}"
                problems.extend([Problem(one.code, message, one.where, one.hint)])
            elif one not in reported:
                reported.add(one)
                problems.extend([one])
        if config is not None:
            found[number] = (node, config)
    return found


def _settings_of(name: str, node: Node, problems: Problems) -> dict[str, Node]:
    """Return what a variant sets, without what the experiment sets itself."""
    given = node.child("set")
    settings: dict[str, Node] = {} if given is None else dict(given.value)
    for key in [key for key in settings if key.split(".")[0] in _OF_THE_EXPERIMENT]:
        message = f"variant {name}: {key} cannot be set: every variant has a run folder of its own"
        if key == "extends":
            message = f"variant {name}: extends cannot be set: all variants share one base"
        where = settings.pop(key).where
        problems.error("E-EXPERIMENT-KEY", message, where, f"remove {key}")
    return settings


def _loaded(
    base: Path, settings: Mapping[str, Node], environ: Mapping[str, str]
) -> tuple[Config | None, tuple[Problem, ...]]:
    try:
        return load_with(base, settings, environ), ()
    except ConfigError as error:
        return None, error.problems


def _check_equal(configs: Mapping[int, tuple[Node, Config]], problems: Problems) -> None:
    seen: dict[str, str] = {}
    for node, config in configs.values():
        name = node.value["name"].value
        content = config.model_dump_json()
        if content in seen:
            message = f"variants {seen[content]} and {name} have the same configuration"
            hint = "remove one of them, or set what they differ in"
            problems.error("E-EXPERIMENT-EQUAL", message, node.where, hint)
        seen.setdefault(content, name)
