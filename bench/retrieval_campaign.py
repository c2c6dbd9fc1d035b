"""A campaign of `oso fetch` against the lying portal, with kills: what it leaves, and what it cost.

The portal runs in this process, `oso fetch` in others, which are killed at random moments and
started again, as a producer's cron job would. What lies in the folder at the end is evaluated.
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import yaml
from support.portal import PERMANENT, SEARCH, Fault, Mixture, Portal, Product, lying_portal
from support.portal.evaluate import Evaluated, evaluate
from support.portal.record import Record

from bench import PROJECT

Say = Callable[[str], None]
LEAST_BYTES, MOST_BYTES = 1_000, 20_000_000
PROTOCOLS = ("geodes", "theia", "odata", "earth-search", "planetary", "mirror")
_SHARES = {"muscate": 0.62, "safe": 0.32, "stac": 0.06}
_DAYS_APART, _DAYS = 3, 120
_OF_SEARCHES, _SEARCHES = 0.02, 20
"""Share of the requests of searches that each fault hits, and how many at most at a provider."""
_QUERIES = {
    "earth-search": {"grid:code": {"eq": "MGRS-{tile}"}},
    "planetary": {"s2:mgrs_tile": {"eq": "{tile}"}},
    "theia": {"grid:code": {"eq": "MGRS-{tile}"}},
}


@dataclass(frozen=True)
class Scale:
    """How large a campaign is.

    Parameters
    ----------
    products
        Their number.
    seconds
        How long the throttle lets it last, without kills and faults.
    kills
        How often the process is killed.
    share
        Of the products that each fault hits, at each provider.
    seed
        Of sizes, faults and moments.
    most_bytes
        Size of the largest product.
    """

    products: int = 10_000
    seconds: float = 1200.0
    kills: int = 20
    share: float = 0.004
    seed: int = 0
    most_bytes: int = MOST_BYTES


def world(scale: Scale) -> list[Product]:
    """Return the products: sizes of a power law; up to 120 days of a tile, most in two halves."""
    content = yaml.safe_load((PROJECT / "configs" / "national.yaml").read_text(encoding="utf-8"))
    draw = random.Random(scale.seed)
    sizes = [_size((n + 0.5) / scale.products, scale.most_bytes) for n in range(scale.products)]
    sizes[-1] = scale.most_bytes
    draw.shuffle(sizes)
    products, first = list[Product](), datetime(2018, 1, 2, 10, 54, 35, 457_000, tzinfo=UTC)
    for family, share in _SHARES.items():
        left, tiles = round(scale.products * share), iter(content["imagery"]["tiles"])
        halves = ("",) if family == "stac" else ("N", "S")
        days = min(_DAYS, max(10, math.ceil(left / 4 / len(halves))))
        while left > 0:
            tile = next(tiles)
            for n in range(min(left, days * len(halves))):
                day, half = divmod(n, len(halves))
                moment = first + timedelta(days=_DAYS_APART * day)
                size = sizes[len(products) % len(sizes)]
                if family == "safe":  # made on the fly, without Range: a kill loses all of it
                    size = min(size, scale.most_bytes // 10)
                made = Product(family, tile, moment, size, 1, halves[half], seed=scale.seed)
                products.append(made)
            left -= days * len(halves)
    return products


def _size(u: float, most: int) -> int:
    """Return a quantile of sizes whose frequency falls with the root of the size."""
    return int(LEAST_BYTES / (1 - u * (1 - math.sqrt(LEAST_BYTES / most))) ** 2)


def mixtures(scale: Scale) -> dict[str, Mixture]:
    """Return the faults of each provider; what one never gives, another one has.

    The first provider of each family commits the permanent ones, the others those that pass.
    """
    even = Mixture.even(scale.share, scale.seed, tries=2, searches=_SEARCHES)
    every = replace(even, shares={**even.shares, **dict.fromkeys(SEARCH, _OF_SEARCHES)})
    passing = replace(every, shares={f: s for f, s in every.shares.items() if f not in PERMANENT})
    first = ("geodes", "odata", "earth-search")
    return {name: every if name in first else passing for name in PROTOCOLS}


def write_config(folder: Path, portal: Portal, tiles: list[str], settings: dict[str, Any]) -> Path:
    """Write the configuration and the table of providers."""
    table = portal.table
    for name, provider in table.items():
        provider["limits"] = settings | ({"page": 80} if name == "geodes" else {})
        for collection in provider["collections"].values():
            if name in _QUERIES:
                collection["query"] = _QUERIES[name]
    (folder / "providers.yaml").write_text(yaml.safe_dump(table), encoding="utf-8")
    config = {
        "name": "campaign",
        "run_dir": "run",
        "year": 2018,
        "season": {"start": "2018-01-01", "end": "2018-12-31"},
        "imagery": {
            "paths": ["products"],
            "tiles": tiles,
            "readers": [{"kind": kind} for kind in _SHARES],
        },
        "reference": {"sources": [{"path": "reference.gpkg"}]},
        "retrieval": {
            "providers": list(table),
            "providers_file": "providers.yaml",
            "keep_free_gb": 1,
            "pauses_s": [10, 30, 60, 120],
        },
    }
    path = folder / "campaign.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


@dataclass
class Life:
    """One process of `oso fetch`, from its start to its end."""

    began_s: float
    ended_s: float = 0.0
    end: str = ""
    samples: list[tuple[float, int, int, int]] = field(default_factory=list)


@dataclass
class Campaign:
    """Starts `oso fetch`, kills it, and starts it again.

    Parameters
    ----------
    folder
        With the configuration; the log is written there.
    config
        The configuration.
    portal
        With its environment.
    scale
        How often it is killed.
    say
        Gets lines for people.
    """

    folder: Path
    config: Path
    portal: Portal
    scale: Scale
    say: Say
    lives: list[Life] = field(default_factory=list)
    outages: list[str] = field(default_factory=list)

    def run(self, most_s: float) -> float:
        """Run to the end, at most so long; return how long it took, seconds."""
        began = time.monotonic()
        draw = random.Random(self.scale.seed + 1)
        until = self.scale.seconds * 0.75
        kills = sorted(draw.uniform(0.02 * until, until) for _ in range(self.scale.kills))
        events = [(moment, self._kill) for moment in kills] + self._outages()
        events.sort(key=lambda event: event[0])
        process = self._start()
        try:
            while (now := time.monotonic() - began) < most_s:
                if events and events[0][0] <= now:
                    process = events.pop(0)[1](process) or process
                elif (code := process.poll()) is not None:
                    self._ended(f"exit {code}")
                    if code == 0 and not events:
                        return now
                    if code not in (0, 75):
                        raise RuntimeError(f"exit code {code}: {self._tail()}")
                    time.sleep(0.0 if code else 1.0)
                    process = self._start()
                self._sample(process, now)
                time.sleep(0.1)
            return time.monotonic() - began
        finally:
            process.kill()
            process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "oso_pipeline.cli", "fetch", str(self.config)]
        environ = {**os.environ, **self.portal.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.lives.append(Life(time.monotonic()))
        with (self.folder / "fetch.log").open("ab") as log:
            return subprocess.Popen(command, env=environ, stdout=log, stderr=log, cwd=self.folder)

    def _kill(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
            self._ended("killed")
        else:
            self._ended(f"exit {process.returncode}, before it could be killed")
        return self._start()

    def _ended(self, how: str) -> None:
        life = self.lives[-1]
        life.ended_s, life.end = time.monotonic(), how
        seconds = life.ended_s - life.began_s
        kills = sum(one.end == "killed" for one in self.lives)
        sent = sum(self.portal.record.good_bytes.values())
        line = f"life {len(self.lives)}: {seconds:.0f} s, {how}; {kills} kills"
        self.say(f"{line}, {sent / 1e6:.0f} MB")

    def _outages(self) -> list[tuple[float, Callable[[Any], None]]]:
        """Return when providers are down, one after another, and a collection has another name."""
        seconds, events = self.scale.seconds, list[tuple[float, Callable[[Any], None]]]()
        for number, name in enumerate(PROTOCOLS):
            door = self.portal.doors[name]
            begin = seconds * (0.1 + 0.1 * number)

            def down(_: Any, door: Any = door, is_down: bool = True) -> None:
                door.is_down = is_down
                self.outages.append(f"{door.name} {'down' if is_down else 'up'}")

            def up(_: Any, down: Callable[..., None] = down) -> None:
                down(_, is_down=False)

            events += [(begin, down), (begin + 0.04 * seconds, up)]
        geodes = self.portal.doors["geodes"]
        usual = geodes.mixture

        def rename(_: Any) -> None:
            shares = {**usual.shares, Fault.COLLECTION_RENAMED: 1.0}
            geodes.mixture = replace(usual, shares=shares)

        def restore(_: Any) -> None:
            geodes.mixture = usual

        return [*events, (0.3 * seconds, rename), (0.34 * seconds, restore)]

    def _sample(self, process: subprocess.Popen[bytes], now: float) -> None:
        life = self.lives[-1]
        if life.samples and now - life.samples[-1][0] < 1.0:
            return
        try:
            one = psutil.Process(process.pid)
            life.samples.append((now, one.memory_info().rss, one.num_fds(), one.num_threads()))
        except psutil.Error:
            return

    def _tail(self) -> str:
        text = (self.folder / "fetch.log").read_text(encoding="utf-8", errors="replace")
        return text[-2000:]


@contextmanager
def prepared(scale: Scale, say: Say) -> Iterator[tuple[Portal, list[Product]]]:
    """Open the portal of a campaign."""
    products = world(scale)
    total = sum(product.size_bytes for product in products)
    rate = total / (0.85 * scale.seconds)
    with lying_portal(
        PROTOCOLS, products, mixtures(scale), bytes_per_s=rate, hang_s=3600.0
    ) as portal:
        for product in products:
            for key in product.bands if product.family == "stac" else ("",):
                portal.store.sums(product, key)
        _distribute(portal)
        least, most = min(map(_true_size, products)), max(map(_true_size, products))
        say(
            f"{len(products)} products of {least} to {most} bytes, {total / 1e9:.2f} GB, "
            f"{rate / 1e6:.2f} MB/s"
        )
        yield portal, products


def _distribute(portal: Portal) -> None:
    """Leave some tiles to each provider, so that none has all the work; the mirror has all.

    Some products of the first provider are published only while pages of a search are read.
    """
    for family, names in (("muscate", ("geodes", "theia", "")), ("safe", ("odata", "odata", ""))):
        theirs = [one for one in portal.doors["mirror"].products if one.family == family]
        tiles = list(dict.fromkeys(one.tile for one in theirs))
        for name in filter(None, dict.fromkeys(names)):
            own = {tile for n, tile in enumerate(tiles) if names[n % len(names)] == name}
            portal.doors[name].products = [one for one in theirs if one.tile in own]
    geodes = portal.doors["geodes"]
    geodes.late = geodes.products[:: max(1, len(geodes.products) // 10)]
    geodes.products = [one for one in geodes.products if one not in geodes.late]


def _true_size(product: Product) -> int:
    return max(product.size_bytes, 1353 if product.family == "stac" else 5352)


LIMITS = {
    "connections": 3, "connect_s": 5.0, "silence_s": 8.0, "search_s": 20.0, "bytes_per_s": 500.0,
    "download_s": 300.0, "tape_s": 15.0,
}  # fmt: skip
"""Deadlines of the campaign; the default ones are longer than the campaign."""


def measure(folder: Path, scale: Scale, say: Say) -> dict[str, Any]:
    """Run a campaign below a folder that is empty, and return its figures."""
    folder.mkdir(parents=True, exist_ok=True)
    with prepared(scale, say) as (portal, products):
        tiles = sorted({product.tile for product in products})
        config = write_config(folder, portal, tiles, LIMITS)
        campaign = Campaign(folder, config, portal, scale, say)
        seconds = campaign.run(scale.seconds * 3 + 300)
        evaluated = evaluate(folder / "products", products, portal.store)
        say(f"{seconds:.0f} s: {evaluated}")
        (folder / "evaluated.json").write_text(
            json.dumps(vars(evaluated), indent=1), encoding="utf-8"
        )
        return figures(campaign, evaluated, products, seconds)


def figures(
    campaign: Campaign, evaluated: Evaluated, products: list[Product], seconds: float
) -> dict[str, Any]:
    """Return the figures of a campaign."""
    record, store = campaign.portal.record, campaign.portal.store
    good, spoilt = dict[str, int](), dict[str, int]()
    for counter, sums in ((record.good_bytes, good), (record.spoilt_bytes, spoilt)):
        for (_, label), number in counter.items():
            sums[label] = sums.get(label, 0) + number
    true = dict[str, int]()
    for product in products:
        for one in (product, product.again):
            for key in one.bands if one.family == "stac" else ("",):
                label = f"{one.name}/{key}" if key else one.name
                if label in good or one is product:
                    true[label] = store.sums(one, key)[0]
    total = sum(true.values())
    twice = sum(max(0, number - true.get(label, 0)) for label, number in good.items())
    lives = campaign.lives
    return {
        "products": len(products),
        "bytes": total,
        "seconds": round(seconds),
        "kills": sum(life.end == "killed" for life in lives),
        "lives": len(lives),
        "right": len(evaluated.right),
        "flagged": len(evaluated.flagged),
        "wrong": len(evaluated.wrong),
        "named": len(evaluated.named),
        "missing": len(evaluated.lost) + len(evaluated.named),
        "twice_percent": round(100 * twice / total, 2),
        "spoilt_percent": round(100 * sum(spoilt.values()) / total, 2),
        "twice_bytes": _by_door(record, true),
        "faults": {fault.name: record.faults[fault] for fault in Fault},
        "at_once": dict(record.at_once),
        "memory": _course([life.samples for life in lives]),
    }


def _by_door(record: Record, true: dict[str, int]) -> dict[str, int]:
    """Return how many bytes too many each provider sent of products that had no fault."""
    found = dict.fromkeys(PROTOCOLS, 0)
    for (door, label), number in record.good_bytes.items():
        found[door] += max(0, number - true.get(label, 0))
    return found


def _course(lives: list[list[tuple[float, int, int, int]]]) -> dict[str, Any]:
    """Return memory and open files: early and late in the longest life, and the most of all."""
    longest = max(lives, key=len, default=[])
    if len(longest) < 8:
        return {}
    quarter = len(longest) // 4
    early, late = longest[quarter : 2 * quarter], longest[-quarter:]

    def median(samples: list[tuple[float, int, int, int]], column: int) -> float:
        return statistics.median(sample[column] for sample in samples)

    return {
        "longest_s": round(longest[-1][0] - longest[0][0]),
        "rss_mb": [round(median(part, 1) / 1e6, 1) for part in (early, late)],
        "files": [median(part, 2) for part in (early, late)],
        "most_rss_mb": round(max(s[1] for life in lives for s in life) / 1e6, 1),
        "most_files": max(s[2] for life in lives for s in life),
    }
