"""Offers of tiny products on a file server, and a session without keys and limits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.imagery.inventory import Inventory
from oso_pipeline.imagery.inventory_builder import InventoryBuilder, Period
from oso_pipeline.imagery.muscate.settings import MuscateSettings
from oso_pipeline.imagery.protocol import Request
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.remote.transport import Answer, Transport
from oso_pipeline.imagery.safe.settings import SafeSettings
from oso_pipeline.imagery.search import find_products
from oso_pipeline.imagery.stac.settings import StacSettings
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.folder import FetchFolder
from oso_pipeline.retrieval.offers import Form, Need, Offer, RemoteFile
from oso_pipeline.retrieval.provider_table import Limits, Provider
from oso_pipeline.retrieval.transfer.outcomes import Fetched
from oso_pipeline.retrieval.transfer.product import Habits, fetch_product
from support.file_server import FileServer
from support.muscate_factory import Muscate

NAME = "SENTINEL2A_20180105-105435-457_L2A_T31TCJ_C_V2-2"
TILE = "31TCJ"
READERS = (MuscateSettings(), SafeSettings(), StacSettings())


class PlainSession:
    """Sends requests as they are, and counts the slots that are held at a time."""

    def __init__(self, **limits: Any) -> None:
        self.provider = Provider(
            protocol="stac", address="http://127.0.0.1", collections={}, limits=Limits(**limits)
        )
        self.transport = Transport({}, 10.0)
        self.held = self.most_held = 0

    def open(
        self,
        url: str,
        deadline: Deadline,
        start: int = 0,
        condition: str | None = None,
        family: str | None = None,
    ) -> Answer:
        return self.transport.send(url, start, condition=condition)

    @contextmanager
    def slot(self, deadline: Deadline | None = None) -> Iterator[None]:
        self.held += 1
        self.most_held = max(self.most_held, self.held)
        try:
            yield
        finally:
            self.held -= 1


@dataclass
class Fetcher:
    """Fetches into a folder with a clock that only sleeping moves."""

    into: Path
    session: PlainSession = field(default_factory=PlainSession)
    waits: list[float] = field(default_factory=list)
    came: int = 0

    @property
    def folder(self) -> FetchFolder:
        return FetchFolder(self.into)

    def fetch(self, offer: Offer, seconds: float = 3600.0, **habits: Any) -> Fetched:
        now = [0.0]

        def sleep(pause: float) -> None:
            self.waits.append(pause)
            now[0] += pause

        return fetch_product(
            offer,
            self.session,
            self.folder,
            Deadline.after(seconds, lambda: now[0]),
            self._count,
            Habits(sleep=sleep, **habits),
        )

    def _count(self, number: int) -> None:
        self.came += number

    @property
    def published(self) -> list[str]:
        """All files that a search of products would see."""
        paths = (path.relative_to(self.into) for path in self.into.rglob("*") if path.is_file())
        return sorted(path.as_posix() for path in paths if path.parts[0] != ".oso_fetch")

    @property
    def parts(self) -> list[Path]:
        return sorted(path for path in self.folder.parts.rglob("*") if path.is_file())


@cache
def muscate_zip(name: str = NAME, **changes: Any) -> bytes:
    with TemporaryDirectory() as folder:
        return Muscate(name, **changes).write_zip(Path(folder)).read_bytes()


def md5(content: bytes) -> str:
    return "d50110" + hashlib.md5(content).hexdigest()


def offer_of(
    *files: RemoteFile,
    family: str = "muscate",
    product_id: str = NAME,
    form: Form = "zip",
    **more: Any,
) -> Offer:
    day = date(2018, 1, 5)
    need = Need(family, TILE, day, day)
    moment = datetime(2018, 1, 5, 10, 54, 35, tzinfo=UTC)
    values = {"provider": "portal", "observation": (product_id,), "rank": ()} | more
    return Offer(
        need=need, product_id=product_id, acquired=moment, form=form, files=files, **values
    )


def offered(server: FileServer, content: bytes, known: bytes | None = None, **more: Any) -> Offer:
    """Return the offer of a zip on the server; what is published of it is that of `known`."""
    stated = content if known is None else known
    url = server.put("/product.zip", content)
    return offer_of(RemoteFile(f"{NAME}.zip", url, len(stated), md5(stated)), **more)


def read_back(*folders: Path) -> tuple[Inventory, InventoryBuilder]:
    """Return the inventory of folders, as the readers of this package see them."""
    request = Request("31TCJ", SENTINEL2.names, "skip", "oso", READERS)
    problems = Problems()
    found = find_products(folders, Readers.of(READERS), problems)
    assert not problems.errors
    period = Period(date(2017, 12, 1), date(2018, 12, 31))
    builder = InventoryBuilder(request, period, folders[0].parent / "extracted")
    return builder.build(found.candidates, found.unrecognised, may_be_empty=True), builder
