"""Writes the goals of retrieval and what was measured into docs/retrieval.md."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from support.portal import PROTOCOLS
from support.portal.faults import TEXTS, Fault, can_occur

from bench import PROJECT
from bench.retrieval_faults import LIMITS

PAGE = PROJECT / "docs" / "retrieval.md"
BEGIN = "<!-- retrieval: begin, written by `make bench-retrieval` -->"
END = "<!-- retrieval: end -->"
MOST_TWICE = 2.0
"""Percent of the bytes of a campaign."""
_NAMES = {
    "geodes": "GEODES", "odata": "Data Space", "earth-search": "earth-search",
    "planetary": "Planetary Computer", "theia": "Theia STAC", "mirror": "mirror",
}  # fmt: skip


def write(page: Path, results: dict[str, Any]) -> None:
    """Put the tables between the markers of a page.

    Raises
    ------
    ValueError
        If the page does not hold both markers once, in their order.
    """
    text = page.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{page} must hold {BEGIN!r} and, after it, {END!r}, once each")
    head, rest = text.split(BEGIN)
    content = "\n".join(lines(results))
    page.write_text(f"{head}{BEGIN}\n{content}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def lines(results: dict[str, Any]) -> list[str]:
    """Return the tables as lines of Markdown."""
    machine, campaign = results["machine"], results.get("campaign")
    found = [f"Measured at commit `{machine['commit']}` on {machine['cores']} cores."]
    found += ["", "| goal | measured |", "|---|---|", *_goals(results)]
    if campaign is not None:
        found += ["", *_committed(campaign)]
    if results.get("faults"):
        found += ["", *_matrix(results)]
    return found


def _goals(results: dict[str, Any]) -> Iterable[str]:
    if cases := results.get("faults"):
        kinds = ("right", "wrong", "named", "lost")
        sums = {kind: sum(one[kind] for one in cases) for kind in kinds}
        slowest = max(one["seconds"] for one in cases)
        yield (
            f"| 18 faults x providers where they can occur: {len(cases)} cases | "
            f"{sums['wrong']} wrong files published, {sums['lost']} products lost; "
            f"{sums['right']} repaired, {sums['named']} named with a reason; the slowest case took "
            f"{slowest:.1f} s |"
        )
    if (one := results.get("campaign")) is not None:
        yield (
            f"| campaign of {one['products']:,} products, {one['bytes'] / 1e9:.2f} GB, all faults "
            f"mixed, {one['kills']} SIGKILLs | {one['seconds'] / 60:.1f} minutes: {one['wrong']} "
            f"corrupt, {one['missing']} missing, {one['flagged']} accepted with a flag; "
            f"{_twice(one)}, beside {one['spoilt_percent']:.2f} % that faults spoilt |"
        )
        if course := one.get("memory"):
            early, late = course["rss_mb"]
            yield (
                f"| memory and open files | over {course['longest_s']} s without a kill: "
                f"{early:.0f} MB early, {late:.0f} MB late; {course['files'][0]:.0f} and "
                f"{course['files'][1]:.0f} open files; at most {course['most_rss_mb']:.0f} MB and "
                f"{course['most_files']} files at any time |"
            )
        most = max(one["at_once"].values())
        yield f"| connections per provider, at most 3 | {most} downloads at once |"
    if cases := results.get("faults"):
        for fault, text in ((1, "a search that never ends"), (11, "a byte now and then, a stall")):
            those = [one for one in cases if one["fault"] == fault]
            seconds = max(one["seconds"] for one in those)
            yield (
                f"| {text} | given up and repaired at {len(those)} providers; at most "
                f"{seconds:.1f} s for 12 products, with deadlines of {LIMITS['search_s']:.0f} s a "
                f"search and {LIMITS['download_s']:.0f} s a download |"
            )
    if (client := results.get("client")) is not None:
        those = client["cases"]
        wrong = sum(one["wrong"] > 0 for one in those)
        claimed = sum(one["claimed"] > 0 for one in those)
        whole = sum(one["wrong"] + one["named"] + one["lost"] == 0 for one in those)
        lost = sum(one["lost"] > 0 for one in those)
        yield (
            f"| eodag {client['version']} on the same server, 18 faults of GEODES, one run each | "
            f"wrong files under the names of products with {wrong} faults, with {claimed} of them "
            f"reported as a success; products lost in silence with {lost}; all products right "
            f"with {whole} |"
        )


def _twice(campaign: dict[str, Any]) -> str:
    """Return how many bytes were fetched twice, where, and whether that is more than the goal."""
    share, total = campaign["twice_percent"], campaign["bytes"]
    missed = " (**goal missed**: at most 2 %)" if share > MOST_TWICE else ""
    within = campaign["twice_bytes"]
    again = 100 * within["odata"] / total
    rest = 100 * (sum(within.values()) - within["odata"]) / total
    other = share - again - rest
    return (
        f"{share:.2f} % of the bytes fetched twice{missed}: {again:.2f} % at the Data Space, which "
        f"has no ranges, {rest:.2f} % at the other providers, {other:.2f} % where another provider "
        "began what one had not ended"
    )


def _committed(campaign: dict[str, Any]) -> Iterable[str]:
    counts = campaign["faults"]
    shown = ", ".join(f"{fault.value}: {counts.get(fault.name, 0)}" for fault in Fault)
    yield f"Faults that the portal committed in the campaign, by their number: {shown}."


def _matrix(results: dict[str, Any]) -> Iterable[str]:
    """Yield a table of faults: what came of 12 products, by provider, and by client at GEODES."""
    client = results.get("client")
    names = [_NAMES[protocol] for protocol in PROTOCOLS]
    head = ["#", "fault", *names, *(["eodag, GEODES"] if client else [])]
    yield (
        "Of 12 products: right, or named with a reason (n). Bold: wrong files under the name of a "
        "product (w; w! if reported as a success), and products lost in silence (l)."
    )
    yield ""
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for fault in Fault:
        cells = [str(fault.value), TEXTS[fault]]
        for protocol in PROTOCOLS:
            those = (one for one in results["faults"] if one["fault"] == fault)
            found = next((one for one in those if one["protocol"] == protocol), None)
            cells.append(_cell(found) if found and can_occur(fault, protocol) else "")
        if client:
            cells.append(_cell(next(one for one in client["cases"] if one["fault"] == fault)))
        yield f"| {' | '.join(cells)} |"


def _cell(case: dict[str, Any]) -> str:
    parts = [str(case["right"])] if case["right"] else []
    parts += [f"{case['named']} n"] if case["named"] else []
    mark = "!" if case.get("claimed") else ""
    parts += [f"**{case['wrong']} w{mark}**"] if case["wrong"] else []
    parts += [f"**{case['lost']} l**"] if case["lost"] else []
    return ", ".join(parts)
