"""Key `runtime.cluster`: kinds, what is refused, and that nothing leaves a machine unencrypted."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.minimal_config import MINIMAL_YAML

from oso_pipeline.config.cluster import ExistingCluster, LocalCluster, PilotCluster, SerialCluster
from oso_pipeline.config.loader import load_config
from oso_pipeline.core.errors import ConfigError, Problem


def written(folder: Path, runtime: str = "") -> Path:
    path = folder / "run.yaml"
    path.write_text(MINIMAL_YAML + (f"runtime: {runtime}\n" if runtime else ""))
    return path


def refused(folder: Path, cluster: str, *overrides: str) -> list[Problem]:
    path = written(folder, f"{{cluster: {cluster}}}")
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides, {})
    return list(caught.value.problems)


def test_kinds_and_their_defaults(tmp_path: Path) -> None:
    def cluster(runtime: str = "") -> object:
        return load_config(written(tmp_path, runtime), (), {}).runtime.cluster

    assert cluster() == LocalCluster()
    assert cluster("{executor: serial}") == SerialCluster(kind="serial"), "as of old"
    assert cluster("{cluster: {kind: serial}}") == SerialCluster(kind="serial")
    pilot = cluster(
        "{cluster: {kind: pilot, system: slurm, tls: keys, walltime: 10:30:00, "
        "directives: [--qos=a], prologue: [module load python]}}"
    )
    assert isinstance(pilot, PilotCluster)
    assert (pilot.directives, pilot.prologue) == (("--qos=a",), ("module load python",))
    assert (pilot.tls, pilot.walltime_s) == (tmp_path / "keys", 37800)
    assert pilot.scratch == "${TMPDIR:-/tmp}", "left to the shell of the job"
    existing = cluster("{cluster: {kind: existing, address: 'tls://node:8786', tls: /keys}}")
    assert isinstance(existing, ExistingCluster)


def test_another_kind_replaces_the_section_below(tmp_path: Path) -> None:
    path = written(tmp_path, "{cluster: {kind: pilot, system: slurm, tls: keys}}")
    replaced = load_config(path, ["runtime.cluster={kind: serial}"], {})
    assert replaced.runtime.cluster == SerialCluster(kind="serial")
    changed = load_config(path, ["runtime.cluster={kind: pilot, jobs: 7}"], {}).runtime.cluster
    assert isinstance(changed, PilotCluster)
    assert (changed.system, changed.jobs) == ("slurm", 7)


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        ("{kind: pilot, system: slurm}", "oso cluster-keys"),
        ("{kind: pilot, system: slurm, interface: ib0}", "oso cluster-keys"),
        ("{kind: pilot, system: slurm, host: node1}", "oso cluster-keys"),
        ("{kind: existing, address: 'tcp://node1:8786'}", "oso cluster-keys"),
        ("{kind: existing, address: 'tcp://127.0.0.1.evil.org:8786'}", "oso cluster-keys"),
        ("{kind: existing, address: 'tls://node1:8786'}", "oso cluster-keys"),
        ("{kind: existing, address: 'tcp://[::1]:8786', tls: keys}", "begins with tls://"),
        ("{kind: pilot, system: pbs, tls: k, host: a, interface: b}", "either `host` or"),
        ("{kind: pilot, system: pbs, tls: k, walltime: '00:10:00'}", "no time to work"),
        ("{kind: pilot, system: pbs, tls: k, walltime: 90}", "a time such as 02:00:00"),
        ("{kind: pilot, system: sge, tls: k}", "slurm, pbs"),
        ("{kind: existing, address: 'http://node1', tls: k}", "an address such as tls://"),
    ],
)
def test_what_is_refused(tmp_path: Path, cluster: str, words: str) -> None:
    (problem,) = refused(tmp_path, cluster)
    assert words in problem.message
    assert problem.message.startswith("runtime.cluster")
    assert problem.where is not None
    assert problem.where.startswith(f"{tmp_path / 'run.yaml'}:5:")


@pytest.mark.parametrize(
    "cluster",
    [
        "{kind: pilot, system: slurm, insecure_network: true}",
        "{kind: pilot, system: slurm, host: 127.0.0.1}",
        "{kind: existing, address: 'tcp://node1:8786', insecure_network: true}",
        "{kind: existing, address: 'tcp://[::1]:8786'}",
    ],
)
def test_loopback_and_waived_networks_need_no_keys(tmp_path: Path, cluster: str) -> None:
    load_config(written(tmp_path, f"{{cluster: {cluster}}}"), (), {})


def test_messages_name_the_kind_meant(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, "{kind: serial, jobs: 3}")
    assert problem.message.startswith("runtime.cluster.jobs: not a key of kind serial")
    assert problem.hint == "jobs is a key of kind pilot; `kind` of this section is serial"
    (problem,) = refused(tmp_path, "{kind: pilots}")
    assert "allowed: local, serial, pilot, existing" in problem.message
    assert problem.hint == "did you mean pilot?"
    (problem,) = refused(tmp_path, "{kind: pilot, system: slurm, tls: k, job: 3}")
    assert problem.hint == "did you mean jobs?"
    (problem,) = refused(tmp_path, "{kind: pilot, tls: k}")
    assert problem.message.startswith("runtime.cluster.system: is missing")
