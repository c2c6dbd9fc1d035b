"""Plug-ins of other packages: found by their entry points, refused with the reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from oso_pipeline.core import plugins as module
from oso_pipeline.core.errors import ConfigError
from oso_pipeline.core.plugins import RESERVED_KEYS, Group, Plugin, plugin_of, plugins


class Settings(BaseModel):
    kind: Literal["toy"] = "toy"
    size: int = 1


class Reserved(Settings):
    paths: tuple[str, ...] = ()


class Kindless(BaseModel):
    size: int = 1


TOY = Plugin("toy", Settings, "decimal:Decimal")
TWIN = Plugin("toy", Settings, "fractions:Fraction")
RESERVED = Plugin("toy", Reserved, "decimal:Decimal")
KINDLESS = Plugin("toy", Kindless, "decimal:Decimal")
ABSENT = Plugin("toy", Settings, "no_such_module:X")
NO_PLUGIN = "toy"

Offer = Callable[..., None]


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Offer]:
    """Install entry points for readers, each by the name of an object of this module."""

    def install(*names: str) -> None:
        points = [EntryPoint(n.lower(), f"{__name__}:{n}", "oso_pipeline.readers") for n in names]
        monkeypatch.setattr(module, "entry_points", lambda group: points)

    plugins.cache_clear()
    yield install
    plugins.cache_clear()


def test_a_plug_in_is_found_and_its_member_loaded(offer: Offer) -> None:
    from decimal import Decimal

    offer("TOY")
    assert plugin_of("readers", "toy").load() is Decimal


def test_an_unknown_kind_names_the_installed_ones(offer: Offer) -> None:
    offer("TOY")
    with pytest.raises(ConfigError, match=r"E-PLUGIN-KIND.*'tyo' of readers, installed:.* toy"):
        plugin_of("readers", "tyo")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("TOY", "TWIN"), "offers the kind 'toy' already"),
        (("RESERVED",), "use the reserved key paths"),
        (("KINDLESS",), "lack the field `kind"),
        (("NO_PLUGIN",), "found a str, expected an oso_pipeline.core.plugins.Plugin"),
        (("NOTHING_THERE",), "cannot be imported"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(
    offer: Offer, names: tuple[str, ...], said: str
) -> None:
    offer(*names)
    with pytest.raises(ConfigError, match=said):
        plugins("readers")


def test_everything_that_is_wrong_is_said_at_once(offer: Offer) -> None:
    offer("RESERVED", "KINDLESS", "NOTHING_THERE")
    with pytest.raises(ConfigError) as caught:
        plugins("readers")
    assert len(caught.value.problems) == 3


def test_a_member_that_cannot_be_imported_is_named(offer: Offer) -> None:
    offer("ABSENT")
    with pytest.raises(ConfigError, match=r"E-PLUGIN-LOAD.*no_such_module"):
        plugin_of("readers", "toy").load()


@pytest.mark.parametrize("group", RESERVED_KEYS)
def test_the_page_names_the_reserved_keys(group: Group) -> None:
    page = (Path(__file__).parents[2] / "docs/plugins.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{group}` \| `[\w.]+` \| (.*) \|$", page, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == RESERVED_KEYS[group]
