"""The table of providers: what is known of each, as data that a file of the user can change."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from oso_pipeline.config.section import Section
from oso_pipeline.imagery.remote.addresses import is_allowed, is_listed

_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?(:[0-9]{1,5})?", re.IGNORECASE)
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


# What is refused is not shown: somebody may have written a key in its place.
def _address(text: str) -> str:
    if not is_allowed(text) or text.startswith("s3:"):
        raise ValueError("found no address that is allowed, expected one with https")
    parts = urlsplit(text)
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("the address holds a user; keys belong into the environment")
    return text


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError("found no name of a host, expected for example data.example.org")
    return text


def _variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise ValueError(
            "expected the name of a variable in capitals, for example MY_KEY, never the key itself"
        )
    return text


def _header(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise ValueError("found no name of a header, expected for example X-API-Key")
    return text


Address = Annotated[str, AfterValidator(_address)]
Host = Annotated[str, AfterValidator(_host)]
Variable = Annotated[str, AfterValidator(_variable)]
HeaderName = Annotated[str, AfterValidator(_header)]


class Collection(Section):
    """A collection of a provider."""

    id: str
    """Identifier, as the provider names it today."""
    product_type: str | None = None
    """Value of `productType` for catalogues that hold several types in one collection."""
    query: dict[str, dict[str, str | float]] = Field(default_factory=dict)
    """What restricts a search of a STAC catalogue, with `{tile}` in place of 31TCJ; without it, the
    box of the tile does."""


class NoKey(Section):
    """Access without a key."""

    kind: Literal["none"] = "none"


class HeaderKey(Section):
    """A key in a header of each request."""

    kind: Literal["header"]
    header: HeaderName
    variable: Variable
    """Variable of the environment, or name in the file of keys."""
    prefix: str = ""
    """Text before the key, for example ``Bearer ``."""


class PasswordKey(Section):
    """A token of an identity server for a user and a password (OpenID Connect)."""

    kind: Literal["password"]
    token_url: Address
    client_id: str
    user_variable: Variable
    password_variable: Variable


class SigningKey(Section):
    """Addresses that a server signs, one at a time."""

    kind: Literal["signing"]
    url: Address
    """With ``{url}`` in place of the address to sign, or ``{collection}`` for a shared token."""
    headers: dict[HeaderName, Variable] = Field(default_factory=dict)
    """Names of headers and the variables with their values."""

    @model_validator(mode="after")
    def _has_place(self) -> SigningKey:
        if ("{url}" in self.url) == ("{collection}" in self.url):
            raise ValueError("expected either {url} or {collection} in the address that signs")
        return self


class StoreKey(Section):
    """Keys of an object store (S3)."""

    kind: Literal["s3"]
    endpoint: Address
    region: str = "default"
    key_variable: Variable
    secret_variable: Variable
    requester_pays: bool = False
    """Whether the one who requests agrees to pay."""


Key = Annotated[
    NoKey | HeaderKey | PasswordKey | SigningKey | StoreKey, Field(discriminator="kind")
]


class Limits(Section):
    """What a provider allows, and how long it is waited for."""

    connections: int = Field(3, ge=1, le=64)
    """Downloads at the same time."""
    page: int = Field(100, ge=1, le=10_000)
    """Entries of a page of a search."""
    requests_per_minute: int | None = Field(None, ge=1)
    """null sets no limit."""
    connect_s: float = Field(20.0, gt=0)
    """Seconds until a connection is there."""
    silence_s: float = Field(60.0, gt=0)
    """Seconds without a byte after which a connection is given up."""
    search_s: float = Field(180.0, gt=0)
    """Seconds for one search, with all its pages and tries."""
    bytes_per_s: float = Field(20_000.0, gt=0)
    """Least rate of a download, over a minute."""
    stated_bytes_per_s: float | None = Field(None, gt=0)
    """Rate of one connection as the provider states it, for forecasts; null where it does not."""
    download_s: float = Field(7200.0, gt=0)
    """Seconds for one product, with all tries."""
    tape_s: float = Field(86_400.0, gt=0)
    """Seconds for a product to come from tape."""


class Provider(Section):
    """A provider of products."""

    protocol: Literal["geodes", "stac", "odata", "mirror"]
    address: str
    """Of the catalogue: ``https://...``; a path or ``http(s)`` address for a mirror."""
    download: Address | None = None
    """Where products are downloaded, where that is not in the entries of the catalogue."""
    hosts: tuple[Host, ...] = ()
    """Hosts of files, beside that of the catalogue: requests and redirections go nowhere else."""
    key_hosts: tuple[Host, ...] = ()
    """Hosts that get the key; by default the host of the catalogue and `hosts`."""
    collections: dict[str, Collection]
    """By the kind of the reader of the products."""
    key: Key = NoKey()
    limits: Limits = Limits()
    state: Literal["recorded", "unverified"] = "unverified"
    """Whether its answers were compared with recorded ones."""

    @model_validator(mode="after")
    def _is_sound(self) -> Provider:
        is_folder = self.protocol == "mirror" and "://" not in self.address
        if not is_folder:
            _address(self.address)
        elif self.key.kind != "none":
            raise ValueError("a mirror that is a folder has no key")
        strange = [
            host for host in self.key_hosts if not is_listed(f"https://{host}", self.all_hosts)
        ]
        if strange:
            raise ValueError(f"key_hosts names {strange[0]}, which is not one of `hosts`")
        return self

    @property
    def all_hosts(self) -> frozenset[str]:
        """Hosts that requests may go to, with ports where they are named."""
        addresses = [self.address, self.download or ""]
        if self.key.kind == "s3":
            addresses.append(self.key.endpoint)
        named = [urlsplit(one).netloc.rpartition("@")[2] for one in addresses]
        return frozenset(host.lower() for host in (*named, *self.hosts) if host)

    @property
    def all_key_hosts(self) -> frozenset[str]:
        """Hosts that get the key."""
        return frozenset(host.lower() for host in self.key_hosts) or self.all_hosts

    @property
    def variables(self) -> tuple[str, ...]:
        """Variables that hold its keys."""
        match self.key:
            case HeaderKey():
                return (self.key.variable,)
            case PasswordKey():
                return (self.key.user_variable, self.key.password_variable)
            case SigningKey():
                return tuple(self.key.headers.values())
            case StoreKey():
                return (self.key.key_variable, self.key.secret_variable)
            case _:
                return ()
