"""Summary of a run, as text."""

from __future__ import annotations

from oso_pipeline.cli.console import err, out
from oso_pipeline.config import Config
from oso_pipeline.config.seasons import has_labels
from oso_pipeline.core.wording import counted
from oso_pipeline.runtime.outcome import Outcome


def print_outcome(config: Config, outcome: Outcome) -> None:
    """Print failures, paths of the products and the accuracy of the map."""
    # Cells that meet the same flaw of a file say the same.
    alike: dict[str | None, list[str]] = {}
    for failure in outcome.failures:
        alike.setdefault(failure.error, []).append(f"{failure.stage} {failure.name}")
    for error, names in [*alike.items()][:20]:
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        err.print(f"{names[0]}{others} failed:\n{error}", markup=False)
    if outcome.waiting:
        out.print(outcome.waiting)
    if outcome.stopped:
        out.print("stopped before all was done; run the same command again to go on")
    if outcome.went_on:
        out.print(f"without {', '.join(sorted(outcome.passed_over))} all else was made")
    if not outcome.failures:
        redone = (
            f"{counted(outcome.done, 'task')} done" if outcome.done else "nothing had to be redone"
        )
        were = "was" if outcome.up_to_date == 1 else "were"
        out.print(f"{redone}, {outcome.up_to_date} {were} up to date")
    as_of = config.imagery.as_of
    of_map = "map" if as_of is None else f"map, with images up to {as_of}"
    for label, name in ((of_map, f"maps/OCS_{config.year}.tif"), ("report", "report.html")):
        path = config.run_dir / name
        if path.exists():
            out.print(f"{label}: {path}")
    if not outcome.failures or outcome.went_on:
        _print_accuracy(config)


def _print_accuracy(config: Config) -> None:
    """Print the accuracy of the map, the classes it covers, and the comparison with other maps.

    Raises
    ------
    InputDataError
        As `read_accuracy`: a file of it has changed, or cannot be read.
    """
    from oso_pipeline.core.coverage import covered_in_words
    from oso_pipeline.validation.figures import read_accuracy

    folder, evaluated = config.run_dir / "validation", [("independent/", "the independent set")]
    if config.learning.model is not None:
        out.print(f"models: {config.learning.model}; no polygon was held out to evaluate the map")
    elif has_labels(config):
        evaluated.insert(0, ("", "held-out polygons"))
    else:
        out.print(
            f"no label of {config.year} is known: no polygon was held out to evaluate the map"
        )
    for name, units in evaluated:
        path = folder / f"{name}accuracy.json"
        if not path.exists():
            continue
        content = read_accuracy(path).content
        overall = content["overall_accuracy"]
        low, high = overall["low"], overall["high"]
        interval = "" if low is None else f" ({low:.3f} to {high:.3f})"
        covered = covered_in_words(content)
        out.print(f"overall accuracy on {units}: {overall['estimate']:.3f}{interval} {covered}")
        for other in content.get("compared_maps", ()):
            gain = other["difference"]
            ends = "" if gain["low"] is None else f" ({gain['low']:+.3f} to {gain['high']:+.3f})"
            out.print(
                f"  {other['name']}: {other['overall_accuracy']['other']:.3f} there, this map "
                f"{other['overall_accuracy']['run']:.3f}: {gain['estimate']:+.3f}{ends}"
            )
