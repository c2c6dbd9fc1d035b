"""The keys that authenticate driver, scheduler and workers on a network.

All of them hold the same pair, signed by an authority whose own key is thrown away: whoever
has the folder may take part, nobody else.
"""

from __future__ import annotations

import os
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from oso_pipeline.core.errors import EnvironmentFailure, InputDataError, Problem, Problems

if TYPE_CHECKING:
    from distributed import Security

_LONG = timedelta(days=20 * 365)
AUTHORITY, CERTIFICATE, KEY = "ca.pem", "cert.pem", "key.pem"


def make_keys(folder: Path, days: int = 365) -> tuple[Path, Path, Path]:
    """Write an authority, a certificate and its key into a folder; only the owner may read them.

    Returns
    -------
    tuple of Path
        ``ca.pem``, ``cert.pem`` and ``key.pem``.

    Raises
    ------
    InputDataError
        If there are keys already.
    EnvironmentFailure
        If the folder cannot be written.
    """
    paths = folder / AUTHORITY, folder / CERTIFICATE, folder / KEY
    there = [path for path in paths if path.exists()]
    if there:
        raise InputDataError(
            Problem(
                "E-CLUSTER-KEYS",
                "there are keys already; runs may be using them",
                str(there[0]),
                "name another folder, or remove the old keys when no run uses them",
            )
        )
    contents = _signed_pair(timedelta(days=days))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path, content in zip(paths, contents, strict=True):
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
    except OSError as error:
        problem = f"the keys cannot be written: {error.strerror or error}"
        raise EnvironmentFailure(
            Problem("E-CLUSTER-KEYS", problem, str(folder), "name a folder that you may write")
        ) from error
    return paths


def security_of(folder: Path) -> Security:
    """Return dask's description of the keys in a folder; nothing is sent unencrypted.

    Raises
    ------
    EnvironmentFailure
        If keys are missing, do not fit each other, have expired, or others may read them.
    """
    from distributed import Security

    check_keys(folder).raise_errors(EnvironmentFailure)
    pair = {}
    for role in ("client", "scheduler", "worker"):
        pair[f"tls_{role}_cert"] = str(folder / CERTIFICATE)
        pair[f"tls_{role}_key"] = str(folder / KEY)
    return Security(tls_ca_file=str(folder / AUTHORITY), require_encryption=True, **pair)


def temporary_security() -> Security:
    """Return keys that are made here, for the processes that this one starts.

    They are written nowhere but for a moment in a file that only this user can read, since
    OpenSSL takes them from there, and end with the processes. They are valid for decades to both
    sides, so that a clock that is set again does not close the connections of a run.
    """
    from distributed import Security

    authority, certificate, key = (part.decode() for part in _signed_pair(_LONG, early=_LONG))
    pair = {}
    for role in ("client", "scheduler", "worker"):
        pair[f"tls_{role}_cert"] = certificate
        pair[f"tls_{role}_key"] = key
    return Security(tls_ca_file=authority, require_encryption=True, **pair)


def worker_variables(folder: Path) -> dict[str, str]:
    """Return the environment variables with the paths of the keys of a worker, never the keys."""
    prefix = "DASK_DISTRIBUTED__COMM__"
    return {
        f"{prefix}REQUIRE_ENCRYPTION": "True",
        f"{prefix}TLS__CA_FILE": str(folder / AUTHORITY),
        f"{prefix}TLS__WORKER__CERT": str(folder / CERTIFICATE),
        f"{prefix}TLS__WORKER__KEY": str(folder / KEY),
    }


def check_keys(folder: Path) -> Problems:
    """Check that the keys in a folder can be used, and only by their owner."""
    problems = Problems()
    hint = "make keys with `oso cluster-keys DIR` and name their folder in `runtime.cluster.tls`"
    paths = [folder / name for name in (AUTHORITY, CERTIFICATE, KEY)]
    for path in paths:
        if not os.access(path, os.R_OK):
            problems.error("E-CLUSTER-KEYS", "a key is missing or cannot be read", path, hint)
    if problems.errors:
        return problems
    mode = stat.S_IMODE(paths[2].stat().st_mode)
    if mode & 0o077:
        problems.error(
            "E-CLUSTER-KEYS",
            f"others may read the key: its mode is {mode:o}, expected 600",
            paths[2],
            f"chmod 600 {paths[2]}; if somebody may have copied it, make new keys",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(paths[0])
        context.load_cert_chain(paths[1], paths[2])
        ends = str(context.get_ca_certs()[0]["notAfter"])
    except (ssl.SSLError, OSError, IndexError) as error:
        problems.error("E-CLUSTER-KEYS", f"the keys cannot be used: {error}", folder, hint)
        return problems
    if datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) < datetime.now(UTC):
        problems.error("E-CLUSTER-KEYS", f"the keys expired on {ends}", folder, hint)
    return problems


def _signed_pair(
    valid: timedelta, early: timedelta = timedelta(hours=1)
) -> tuple[bytes, bytes, bytes]:
    """Return a new authority, a certificate signed by it and the key of that, in PEM.

    Parameters
    ----------
    valid
        For how long from now.
    early
        Also for so long before now, as clocks of nodes may be behind.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    names = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        for name in ("oso_pipeline authority", "oso_pipeline")
    ]
    now = datetime.now(UTC)

    def signed(name: x509.Name, public: ec.EllipticCurvePublicKey, is_authority: bool) -> bytes:
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(names[0])
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - early)
            .not_valid_after(now + valid)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .sign(authority_key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return (
        signed(names[0], authority_key.public_key(), True),
        signed(names[1], key.public_key(), False),
        pem,
    )
