"""The door of a mirror: folders of tiles with archives, as an ``http`` server lists them."""

from __future__ import annotations

from typing import Any

from support.portal.door import Door
from support.portal.exchange import Ask, Reply, page
from support.portal.faults import Fault
from support.portal.products import Product


class Mirror(Door):
    """A directory on the web."""

    protocol = "mirror"

    def table(self) -> dict[str, Any]:
        """Return its entry in the table of providers."""
        families = ("muscate", "l3a", "safe")
        return {
            "protocol": "mirror",
            "address": f"{self.root}/mirror/",
            "hosts": ["127.0.0.1", "localhost"],
            "key_hosts": ["127.0.0.1", "localhost"],
            "collections": {family: {"id": "mirror"} for family in families},
        }

    def route(self, ask: Ask) -> Reply:
        """Return the faithful reply to a request."""
        parts = ask.path.strip("/").split("/")
        if parts[0] != "mirror" or len(parts) > 3:
            return page("<h1>Not Found</h1>", 404)
        if len(parts) == 3:
            with self._lock:
                found = [one for one in self.products if one.archive == parts[2]]
            return self.download(ask, found[0]) if found else page("<h1>Not Found</h1>", 404)
        if self.search_fault() is Fault.SEARCH_HANGS:
            return Reply(hangs=True)
        products = self.found(lambda one: True)
        if len(parts) == 1:
            names = sorted({f"{one.tile}/" for one in products})
            return page(_listing("/mirror/", [(name, "-") for name in names]))
        inside = [one for one in products if one.tile == parts[1]]
        return page(_listing(ask.path, [(one.archive, self._size(one)) for one in inside]))

    def _size(self, product: Product) -> str:
        return str(self.store.sums(product)[0])


def _listing(path: str, entries: list[tuple[str, str]]) -> str:
    """Return a listing, as Apache and nginx write them."""
    lines = [
        f'<a href="{name}">{name}</a>{" " * 20}26-Jun-2018 08:00{" " * 8}{size}'
        for name, size in [("../", "-"), *entries]
    ]
    body = "\r\n".join(lines)
    return (
        f"<html>\r\n<head><title>Index of {path}</title></head>\r\n<body>\r\n<h1>Index of {path}"
        f"</h1><hr><pre>{body}\r\n</pre><hr></body>\r\n</html>\r\n"
    )
