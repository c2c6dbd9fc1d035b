"""Sessions that answer searches of catalogues from a list of products, well or with faults."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.offers import Need
from oso_pipeline.retrieval.provider_table import Provider

Entry = dict[str, Any]
MD5 = "86f828c4c7e921615d1cd0476604f780"
NEED = Need("muscate", "31TCJ", date(2018, 1, 1), date(2018, 12, 31))
SAFE_NEED = Need("safe", "31TCJ", date(2018, 1, 1), date(2018, 12, 31))


def provider(protocol: str, family: str = "muscate", page: int = 10, **values: Any) -> Provider:
    return Provider.model_validate(
        {
            "protocol": protocol,
            "address": "https://catalogue.test/api",
            "collections": {family: {"id": "THE_COLLECTION"}},
            "limits": {"page": page, "search_s": 60},
            **values,
        }
    )


def muscate_name(day: date, tile: str = "31TCJ", version: str = "1-4", platform: str = "A") -> str:
    return f"SENTINEL2{platform}_{day:%Y%m%d}-105435-000_L2A_T{tile}_D_V{version}"


def safe_name(day: date, tile: str = "31TCJ", made: str = "20180301T120000") -> str:
    return f"S2A_MSIL2A_{day:%Y%m%d}T105431_N0206_R051_T{tile}_{made}"


def geodes_entry(name: str, urn: str | None = None, **properties: Any) -> Entry:
    day = re.search(r"_(\d{4})(\d\d)(\d\d)-", name)
    assert day
    start = f"{'-'.join(day.groups())}T10:54:35.000Z"
    text = f"File size: 1000 bytes\n\nIs online: true\n\nChecksum MD5: {MD5}"
    urn = urn or f"URN:FEATURE:DATA:gdh:{name}:V1"
    return {
        "type": "Feature",
        "id": urn,
        "geometry": None,
        "properties": {
            "identifier": name,
            "start_datetime": start,
            "end_datetime": start,
            "datetime": "2025-01-01T00:00:00Z",
            "latest": True,
            **properties,
        },
        "assets": {
            f"{name}.zip": {
                "href": f"https://catalogue.test/api/download/{urn}/files/{MD5}",
                "type": "application/zip",
                "description": text,
            }
        },
    }


def odata_entry(name: str, identifier: str | None = None, **values: Any) -> Entry:
    day = re.search(r"_(\d{4})(\d\d)(\d\d)T", name)
    assert day
    return {
        "Id": identifier or f"uuid-{name}",
        "Name": f"{name}.SAFE",
        "ContentLength": 1000,
        "Online": True,
        "Checksum": [{"Value": MD5, "Algorithm": "MD5"}],
        "S3Path": f"/eodata/Sentinel-2/MSI/L2A/{'/'.join(day.groups())}/{name}.SAFE",
        "ContentDate": {"Start": f"{'-'.join(day.groups())}T10:54:31.000000Z"},
        **values,
    }


@dataclass
class Asked:
    """One request that came."""

    url: str
    body: Mapping[str, Any] | None


@dataclass
class FakeSession:
    """Answers requests by a function, and keeps what came."""

    answer: Callable[[Asked], Any]
    requests: list[Asked] = field(default_factory=list)

    def json(self, url: str, deadline: Deadline, body: Mapping[str, Any] | None = None) -> Any:
        one = Asked(url, body)
        self.requests.append(one)
        found = self.answer(one)
        if isinstance(found, Failure):
            raise found
        return json.loads(json.dumps(found))


@contextmanager
def failing(code: str) -> Iterator[None]:
    """Expect a failure of a code."""
    with pytest.raises(Failure) as caught:
        yield
    assert caught.value.code == code


def status(code: int, url: str = "https://catalogue.test/api/search") -> Failure:
    return Failure("E-FETCH-SERVER", f"the server answers with status {code}", url, status=code)


@dataclass
class Shelf:
    """Products of a catalogue that answers as each protocol does; `fault` changes a page.

    ``fault(number, entries, matched)`` gets the number of the request, and returns what is sent
    instead.
    """

    entries: list[Entry]
    fault: Callable[[int, list[Entry], int], tuple[list[Entry], int | None]] | None = None
    collections: tuple[str, ...] = ("THE_COLLECTION",)
    _pages: int = 0

    def geodes(self, one: Asked) -> Any:
        if "/collections" in one.url:
            return {"collections": [{"id": name} for name in self.collections]}
        assert one.body is not None
        if one.body["collections"][0] not in self.collections:
            return status(400)
        query = one.body["query"]
        found = [
            entry
            for entry in self.entries
            if entry["properties"]["start_datetime"] <= query["start_datetime"]["lte"]
            and entry["properties"]["end_datetime"] >= query["end_datetime"]["gte"]
        ]
        found.sort(key=lambda entry: entry["properties"]["start_datetime"])
        begin = (one.body["page"] - 1) * one.body["limit"]
        page, matched = self._sent(found[begin : begin + one.body["limit"]], len(found))
        lie = {"rel": "next", "href": "https://catalogue.test/api/x/items?limit=2&page=7"}
        context = {"returned": len(page), "limit": one.body["limit"], "matched": matched}
        return {"type": "FeatureCollection", "features": page, "links": [lie], "context": context}

    def odata(self, one: Asked) -> Any:
        query = {key: values[0] for key, values in parse_qs(urlsplit(one.url).query).items()}
        first, after = re.findall(r"ContentDate/Start (?:ge|lt) (\S+)Z", query["$filter"])
        found = [e for e in self.entries if first <= e["ContentDate"]["Start"] < after]
        assert query["$orderby"]
        found.sort(key=lambda entry: entry["ContentDate"]["Start"])
        begin, top = int(query["$skip"]), int(query["$top"])
        page, matched = self._sent(found[begin : begin + top], len(found))
        counted = {} if matched is None else {"@odata.count": matched}
        return {"value": page, **counted, "@odata.nextLink": "https://elsewhere.test/?$skip=999"}

    def stac(self, one: Asked) -> Any:
        """Answer with keyset tokens: the token names the last item before the page."""
        if one.url.endswith("/collections"):
            return {"collections": [{"id": name} for name in self.collections]}
        assert one.body is not None
        first, last = one.body["datetime"].split("/")
        found = [e for e in self.entries if first <= e["properties"]["datetime"] <= last]
        found.sort(key=lambda entry: entry["id"])
        rest = [entry for entry in found if entry["id"] > one.body.get("next", "")]
        page, matched = self._sent(rest[: one.body["limit"]], len(found))
        answer: Entry = {"type": "FeatureCollection", "features": page, "links": []}
        if matched is not None:
            answer["numberMatched"] = matched
        if page and len(rest) > len(page):
            body = {"next": page[-1]["id"], "limit": 1}
            link = {"rel": "next", "method": "POST", "href": "https://evil.test/", "body": body}
            answer["links"] = [link]
        return answer

    def _sent(self, page: list[Entry], matched: int) -> tuple[list[Entry], int | None]:
        self._pages += 1
        return self.fault(self._pages, page, matched) if self.fault else (page, matched)


def recorded(shared_data: Path, name: str) -> Any:
    path = shared_data / "sensor_samples" / "catalogue_answers" / f"{name}_search.json"
    return json.loads(path.read_text())


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
