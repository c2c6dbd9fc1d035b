"""A server of databases: lists in Atom with pages, and archives, as the Géoplateforme has them.

The form is that of the guide of the service; the content is made here.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from support.file_server import FileServer

_NAMESPACES = (
    'xmlns="http://www.w3.org/2005/Atom" '
    'xmlns:gpf_dl="https://data.geopf.fr/annexes/ressources/xsd/gpf_dl.xsd"'
)
HERE = "0.2 43.1 2.3 44.5"
"""Around tile 31TCJ."""
ELSEWHERE = "-5.2 47.2 -0.9 49.0"


@dataclass
class Listed:
    """An edition in a list.

    Parameters
    ----------
    title
        Its name.
    files
        Content by name of file.
    box
        Where it lies; empty where the list does not say it.
    sums
        MD5 by name of file in place of the right ones; empty for none.
    sum_file
        Whether the sums are in a file beside, and not in the list.
    """

    title: str
    files: Mapping[str, bytes]
    box: str = ""
    sums: Mapping[str, str] = field(default_factory=dict)
    sum_file: bool = False


@dataclass
class AtomLists:
    """Serves editions.

    Parameters
    ----------
    server
        What answers.
    per_page
        Entries of a page.
    pages
        Number of pages that lists state; None for the right one.
    """

    server: FileServer
    per_page: int = 50
    pages: int | None = None

    def serve(self, name: str, editions: Sequence[Listed]) -> str:
        """Serve the list of a resource; return its address."""
        address = f"{self.server.address}/resource/{name}"
        entries = [self._entry(address, one) for one in editions]
        self._pages(f"/resource/{name}", entries)
        for one in editions:
            zone = one.title.split("LAMB93_")[-1].split("_")[0].split("-")[0]
            own = [
                entry
                for other, entry in zip(editions, entries, strict=True)
                if f"_{zone}_" in other.title or f"_{zone}-" in other.title
            ]
            self._pages(f"/resource/{name}", own, zone)
            self._files(f"/resource/{name}/{one.title}", one)
        return address

    def _entry(self, address: str, one: Listed) -> str:
        box = f' gpf_dl:bbox="{one.box}"' if one.box else ""
        return (
            f"<entry><title>{one.title}</title>"
            f'<link href="{address}/{one.title}" rel="alternate"{box}/></entry>'
        )

    def _files(self, path: str, one: Listed) -> None:
        entries, sums = [], []
        for name, content in one.files.items():
            url = self.server.put(f"/download/{one.title}/{name}", content)
            md5 = one.sums.get(name, hashlib.md5(content).hexdigest())
            sums.append(f"{md5}  {name}")
            entries.append(
                f'<entry><link href="{url}" gpf_dl:length="{len(content)}"/>'
                f"<content>{'' if one.sum_file else md5}</content></entry>"
            )
        if one.sum_file:
            url = self.server.put(
                f"/download/{one.title}/{one.title}.md5", "\n".join(sums).encode()
            )
            entries.append(f'<entry><link href="{url}"/></entry>')
        self._pages(path, entries)

    def _pages(self, path: str, entries: Sequence[str], zone: str = "") -> None:
        count = max(1, -(-len(entries) // self.per_page))
        stated = count if self.pages is None else self.pages
        for page in range(1, count + 1):
            query = {"page": page, "limit": 50, **({"zone": zone} if zone else {})}
            content = "".join(entries[(page - 1) * self.per_page : page * self.per_page])
            counts = f'gpf_dl:pagecount="{stated}" gpf_dl:totalentries="{len(entries)}"'
            text = f"<feed {_NAMESPACES} {counts}>{content}</feed>"
            self.server.files[f"{path}?{urlencode(query)}"] = text.encode()


def packed(title: str, layer: str, content: bytes = b"geometry") -> bytes:
    """Return a zip with a layer, as a delivery has it."""
    with io.BytesIO() as stream:
        with zipfile.ZipFile(stream, "w") as archive:
            for suffix in (".shp", ".dbf", ".shx", ".prj"):
                info = zipfile.ZipInfo(f"{title}/1_DONNEES/{title}/{layer}{suffix}")
                archive.writestr(info, content)
        return stream.getvalue()
