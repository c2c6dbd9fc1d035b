"""The portal of the tests answers in the shapes of the answers that were recorded."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from support.portal import Fault, Mixture, lying_portal, season
from support.real_data import real_data

RECORDED = Path(__file__).parents[3] / "shared/data/sensor_samples/catalogue_answers"


def keys(value: Any, path: str = "") -> Iterator[str]:
    """Paths of all keys; names of assets are all alike."""
    if isinstance(value, dict):
        for name, one in value.items():
            shown = "*" if path.endswith("/assets") else name
            yield f"{path}/{shown}"
            yield from keys(one, f"{path}/{shown}")
    elif isinstance(value, list):
        for one in value:
            yield from keys(one, path)


def asked(url: str, body: dict[str, Any] | None = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=content)) as response:
        return json.load(response)


def recorded(name: str) -> set[str]:
    return set(keys(json.loads((real_data(RECORDED) / name).read_text(encoding="utf-8"))))


def test_geodes_answers_as_recorded() -> None:
    with lying_portal(["geodes"], season(number=3)) as portal:
        body = {"limit": 2, "page": 1, "collections": ["THEIA_REFLECTANCE_SENTINEL2_L2A"]}
        answer = asked(f"{portal.doors['geodes'].root}/api/stac/search", body)
    there = recorded("geodes_search.json")
    political = {key for key in there if "/political/continents/" in key}
    assert set(keys(answer)) == there - political
    (following,) = (one["href"] for one in answer["links"] if one["rel"] == "next")
    assert "limit=4" in following, "the recorded link to the next page has another limit"


def test_the_data_space_answers_as_recorded() -> None:
    with lying_portal(["odata"], season("safe", number=4)) as portal:
        query = {"$filter": "Collection/Name eq 'SENTINEL-2'", "$top": "2", "$expand": "Attributes"}
        answer = asked(f"{portal.doors['odata'].root}/odata/v1/Products?{urlencode(query)}")
    assert set(keys(answer)) == recorded("cop_dataspace_search.json")


def test_earth_search_answers_as_recorded() -> None:
    with lying_portal(["earth-search"], season("stac", number=3)) as portal:
        root = f"{portal.doors['earth-search'].root}/v1/collections/sentinel-2-c1-l2a/items"
        answer = asked(f"{root}?limit=2")
        token = next(one["href"] for one in answer["links"] if one["rel"] == "next")
        rest = asked(token)
    added = {"/features/assets/*/file:size", "/features/assets/*/file:checksum"}
    missing = {"/features/properties/earthsearch:s3_path"}
    there = recorded("earth_search_search.json")
    assert set(keys(answer)) - added == there - missing
    assert "2018-05-02T10%3A54%3A35.918000Z%2C" in token, "a keyset token, as recorded"
    assert len(rest["features"]) == 1


def test_the_same_seed_commits_the_same_faults() -> None:
    names = [one.name for one in season(number=300)]
    drawn = [
        [Mixture.even(0.02, seed=seed).of_product("geodes", name) for name in names]
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) > 10, "all kinds of faults of products"


def test_products_are_the_same_whenever_they_are_made() -> None:
    first, second = season(number=2), season(number=2)
    assert [one.content() for one in first] == [one.content() for one in second]
    assert first[0].content() != first[1].content()
    assert Fault.DRIP == 11
