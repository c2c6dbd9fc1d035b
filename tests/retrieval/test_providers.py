"""The table of providers: whole, sound, and changed by a file of the user without a new release."""

from __future__ import annotations

from pathlib import Path

import pytest

import oso_pipeline
from oso_pipeline.core.errors import ConfigError, Problems
from oso_pipeline.retrieval.provider_table import (
    Collection,
    HeaderKey,
    Limits,
    PasswordKey,
    Provider,
    SigningKey,
    StoreKey,
)
from oso_pipeline.retrieval.providers import check_names, load_providers, order_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "providers.yaml"


def refused(file: Path, text: str) -> list[str]:
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load_providers(file)
    for problem in raised.value.problems:
        assert problem.where is not None
        assert problem.where.startswith(f"{file}:")
    return [f"{problem.message} {problem.hint}" for problem in raised.value.problems]


def test_the_table_of_the_package() -> None:
    table = load_providers()
    assert [*table] == [
        "geodes", "theia", "copernicus", "copernicus-s3", "earth-search", "planetary-computer",
        "copernicus-stac", "landsatlook", "cmr",
    ]  # fmt: skip
    assert {name for name, one in table.items() if one.state == "recorded"} == {
        "geodes", "copernicus", "earth-search",
    }  # fmt: skip
    for provider in table.values():
        assert provider.limits.connections <= 4
        assert provider.all_key_hosts <= provider.all_hosts
        assert all("." in host and ":" not in host for host in provider.all_hosts)


def test_the_order_of_a_family() -> None:
    table = load_providers()
    assert order_of(table, (), "muscate") == ("geodes", "theia")
    assert order_of(table, (), "l3a") == ("geodes",)
    assert order_of(table, (), "safe") == ("copernicus", "copernicus-s3")
    assert order_of(table, (), "stac") == (
        "earth-search", "planetary-computer", "copernicus-stac",
    )  # fmt: skip
    assert order_of(table, ("theia", "earth-search", "geodes"), "muscate") == ("theia", "geodes")
    assert order_of(table, (), "eopf") == ()


def test_a_value_is_replaced_by_name(file: Path) -> None:
    file.write_text(
        "geodes:\n  collections: {muscate: {id: NEW_NAME}}\n  limits: {connections: 1}\n"
    )
    changed, own = load_providers(file)["geodes"], load_providers()["geodes"]
    assert changed.collections["muscate"].id == "NEW_NAME"
    assert changed.collections["l3a"] == own.collections["l3a"]
    assert changed.limits.connections == 1
    assert changed.limits.page == own.limits.page
    assert changed.key == own.key
    assert own.collections["muscate"].id != "NEW_NAME"
    assert [*load_providers(file)] == [*load_providers()]


def test_a_key_of_another_kind_replaces_the_whole_key(file: Path) -> None:
    file.write_text("geodes: {key: {kind: none}}\ncopernicus: {key: {client_id: mine}}\n")
    table = load_providers(file)
    assert table["geodes"].key.kind == "none"
    copernicus = table["copernicus"].key
    assert copernicus.kind == "password"
    assert copernicus.client_id == "mine"
    assert copernicus.user_variable == "CDSE_USER"


def test_an_entry_with_a_protocol_replaces_the_whole_provider(file: Path) -> None:
    file.write_text(
        "theia: {protocol: stac, address: 'https://a.org/', collections: {muscate: {id: b}}}\n"
    )
    table = load_providers(file)
    assert table["theia"].key.kind == "none"
    assert table["theia"].all_key_hosts == {"a.org"}
    assert [*table] == [*load_providers()]


def test_a_mirror_of_the_user(file: Path) -> None:
    file.write_text(
        "disk: {protocol: mirror, address: mirror/s2, collections: {safe: {id: any}}}\n"
        "web: {protocol: mirror, address: 'https://mirror.org/s2', collections: {safe: {id: a}}}\n"
    )
    table = load_providers(file)
    assert table["disk"].address == str(file.parent / "mirror" / "s2")
    assert table["web"].address == "https://mirror.org/s2"
    assert order_of(table, (), "safe")[-2:] == ("disk", "web")


def test_an_empty_file_changes_nothing(file: Path) -> None:
    file.write_text("# nothing yet\n")
    assert load_providers(file) == load_providers()


def test_typos_are_named_all_at_once(file: Path) -> None:
    found = refused(
        file,
        "geodes:\n  colections: {}\n  limits: {connections: many, pages: 3}\n"
        "geodse:\n  limits: {connections: 1}\n"
        "earth-search:\n  collections: {stac: {idd: a}}\n",
    )
    text = "\n".join(found)
    for part in (
        "geodes.colections: unknown key",
        "geodes.limits.connections: found 'many'",
        "geodes.limits.pages: unknown key",
        "geodse.protocol: is missing",
        "did you mean geodes?",
        "earth-search.collections.stac.idd: unknown key",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {protocol: ftp, address: 'https://a.org', collections: {}}", "protocol"),
        ("a: {protocol: stac, address: 'http://a.org', collections: {}}", "https"),
        ("a: {protocol: stac, address: 'file:///a', collections: {}}", "https"),
        ("a: {protocol: stac, address: /a, collections: {}}", "https"),
        ("a: {protocol: stac, address: 'https://me:pw@a.org', collections: {}}", "user"),
        ("geodes: {hosts: ['https://a.org/b']}", "name of a host"),
        ("geodes: {hosts: ['*.org']}", "name of a host"),
        ("geodes: {key_hosts: [evil.org]}", "key_hosts names evil.org"),
        ("geodes: {key: {kind: magic}}", "geodes.key"),
        ("geodes: {key: {header: 'X Key'}}", "name of a header"),
        ("theia: {key: {url: 'https://a.org/sign'}}", "{url}"),
        ("geodes: {limits: {connections: 0}}", "connections"),
        ("geodes: {limits: {silence_s: .inf}}", "silence_s"),
        ("geodes: 3", "geodes"),
        ("../a: {protocol: stac, address: 'https://a.org', collections: {}}", "'../a'"),
        ("geodes: {address: 'https://a.org', address: 'https://b.org'}", "twice"),
        ("- a", "keys with values"),
        ("a: {protocol: mirror, address: /a, collections: {}, key: &k {kind: none}}\n*k : 1", ""),
    ],
)
def test_values_that_are_refused(file: Path, text: str, message: str) -> None:
    assert message in "\n".join(refused(file, text))


def test_a_key_in_place_of_a_variable_is_not_shown(file: Path) -> None:
    found = refused(file, "geodes: {key: {variable: abcd-1234-secret}}")
    assert "abcd-1234-secret" not in "\n".join(found)
    assert "never the key itself" in found[0]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_providers(tmp_path / "missing.yaml")
    assert raised.value.problems[0].code == "E-PATH-READ"


def test_unknown_providers() -> None:
    problems = Problems()
    check_names(load_providers(), ("geodse", "theia", "qqqq"), problems)
    first, second = problems.errors
    assert first.code == second.code == "E-FETCH-PROVIDER"
    assert first.hint == "did you mean geodes?"
    assert "planetary-computer" in second.message


def test_the_page_names_every_key_and_provider() -> None:
    page = (Path(oso_pipeline.__file__).parents[1] / "docs" / "retrieval.md").read_text()
    sections = (Provider, Collection, HeaderKey, PasswordKey, SigningKey, StoreKey, Limits)
    names = {name for section in sections for name in section.model_fields} - {"kind"}
    for name in (*names, *load_providers()):
        assert f"`{name}" in page or f".{name}`" in page, name
    for provider in load_providers().values():
        if not {"landsat", "hls"} & {*provider.collections}:
            assert all(f"`{variable}`" in page for variable in provider.variables)
