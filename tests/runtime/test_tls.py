"""Keys of a cluster: private, checked before use, and nobody without them takes part."""

from __future__ import annotations

import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from distributed import Client, LocalCluster, Security

from oso_pipeline.core.errors import EnvironmentFailure, InputDataError
from oso_pipeline.runtime.executors.tls import check_keys, make_keys, security_of


def test_keys_are_private_and_fit_by_the_verification_of_openssl(tmp_path: Path) -> None:
    authority, certificate, key = make_keys(tmp_path / "keys")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (authority, certificate, key)} == {0o600}
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert not check_keys(tmp_path / "keys").errors
    words = ["openssl", "verify", "-CAfile", str(authority), str(certificate)]
    assert "OK" in subprocess.run(words, capture_output=True, text=True, check=True).stdout
    texts = b"".join(path.read_bytes() for path in (authority, certificate, key))
    assert texts.count(b"PRIVATE KEY-----\n") == 2, "one key; that of the authority is gone"


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    paths = make_keys(tmp_path)
    before = [path.read_bytes() for path in paths]
    with pytest.raises(InputDataError, match="keys already"):
        make_keys(tmp_path)
    assert [path.read_bytes() for path in paths] == before


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda keys: keys[2].chmod(0o644), "others may read the key: its mode is 644"),
        (lambda keys: keys[0].unlink(), "missing"),
        (lambda keys: keys[1].write_text("no certificate"), "cannot be used"),
    ],
    ids=["readable", "missing", "garbled"],
)
def test_bad_keys_are_refused_before_anything_starts(tmp_path: Path, damage, words: str) -> None:
    damage(make_keys(tmp_path))
    with pytest.raises(EnvironmentFailure, match=words) as caught:
        security_of(tmp_path)
    assert "PRIVATE" not in str(caught.value)


def test_expired_keys_are_refused(tmp_path: Path) -> None:
    make_keys(tmp_path, days=0)
    with pytest.raises(EnvironmentFailure, match="expired"):
        security_of(tmp_path)


def test_only_holders_of_the_keys_get_in(tmp_path: Path) -> None:
    make_keys(tmp_path / "ours")
    make_keys(tmp_path / "theirs")
    ours, theirs = security_of(tmp_path / "ours"), security_of(tmp_path / "theirs")
    options = {"processes": False, "dashboard_address": None, "threads_per_worker": 1}
    with LocalCluster(
        n_workers=1, protocol="tls://", security=ours, host="127.0.0.1", **options
    ) as cluster:
        address = cluster.scheduler_address
        with Client(address, security=ours) as client:
            assert client.submit(sum, [1, 2]).result(timeout=20) == 3
        for stranger in (theirs, Security(require_encryption=False)):
            place = address if stranger is theirs else address.replace("tls://", "tcp://")
            with pytest.raises((OSError, ssl.SSLError)):
                Client(place, security=stranger, timeout=3)
