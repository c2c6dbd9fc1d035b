"""The pages on retrieval say what the tables and the command are."""

from __future__ import annotations

import re
from pathlib import Path

import typer.main

from oso_pipeline.cli import app
from oso_pipeline.retrieval.providers import load_providers
from oso_pipeline.retrieval.reference_table import load_databases
from oso_pipeline.retrieval.unpack import EXTENSIONS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "retrieval.md").read_text(encoding="utf-8")
YEAR = (DOCS / "a_year.md").read_text(encoding="utf-8")


def rows(page: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()]


def test_every_provider_is_on_the_page_with_its_keys_and_what_is_verified() -> None:
    shown = {
        name: row
        for row in rows(PAGE)
        if len(row) == 5
        for name in re.findall(r"`([a-z0-9-]+)`", row[0])
    }
    for name, provider in load_providers().items():
        row = shown[name]
        assert row[4] == ("form of answers" if provider.state == "recorded" else "no"), name
        if "see the file" not in row[3]:
            assert all(f"`{variable}`" in row[3] for variable in provider.variables), name
        assert any(f"`{family}`" in row[2] for family in provider.collections), name
        for family in re.findall(r"`([a-z0-9]+)`", row[2]):
            assert name in ("landsatlook", "cmr") or family in provider.collections, name


def test_every_database_is_on_the_page() -> None:
    named = {"rpg": "RPG", "bdtopo": "BD TOPO", "admin_express": "Admin Express", "clc": "Corine"}
    for name, database in load_databases().items():
        row = next(one for one in rows(PAGE) if len(one) == 5 and named[name] in one[0])
        assert row[4] == ("reported" if database.state == "reported" else "no"), name
    years = {*load_databases()["clc"].editions}  # type: ignore[union-attr]
    assert all(str(year) in PAGE for year in years)


def test_what_is_unpacked_is_on_the_page() -> None:
    section = PAGE.partition("**Unpacking**")[2].partition("The archive is refused")[0]
    assert {*re.findall(r"`(\.\w+)`", section)} == EXTENSIONS


def test_every_option_of_the_command_is_on_the_page() -> None:
    command = typer.main.get_command(app).commands["fetch"]  # type: ignore[attr-defined]
    options = {name for one in command.params for name in one.opts if name.startswith("--")}
    assert options - {"--set", "--help"} <= {*re.findall(r"`(--[a-z-]+)", PAGE)}


def test_every_variable_of_the_producers_page_is_one_of_a_provider() -> None:
    known = {name for one in load_providers().values() for name in one.variables}
    named = {*re.findall(r"`([A-Z0-9]+_[A-Z0-9_]+)`", YEAR)} - {"SSL_CERT_FILE"}
    assert named <= known
