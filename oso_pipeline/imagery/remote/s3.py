"""Requests to object stores: from ``s3://bucket/key`` to a signed request over HTTPS.

The usual variables of the environment say which store and who is there: ``AWS_ENDPOINT_URL_S3``,
``AWS_ENDPOINT_URL`` or ``AWS_S3_ENDPOINT``; ``AWS_REGION`` or ``AWS_DEFAULT_REGION``;
``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``; ``AWS_NO_SIGN_REQUEST`` for
public buckets; ``AWS_REQUEST_PAYER=requester`` where the reader pays. Signatures are version 4
(Signature Version 4 of the reference of Amazon S3).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_AMAZON = "amazonaws.com"
_LISTING = ("list-type=", "continuation-token=")
_YES = ("yes", "true", "1", "on")


@dataclass(frozen=True, slots=True, repr=False)
class Store:
    """An object store and who requests. It is never shown, as it holds a secret.

    Parameters
    ----------
    endpoint
        Its address, ``https://eodata.dataspace.copernicus.eu``; None for that of Amazon.
    region
        Where it is.
    key_id, secret, token
        Who requests; None for requests without a signature.
    requester_pays
        Whether the one who requests agrees to pay.
    """

    endpoint: str | None
    region: str
    key_id: str | None
    secret: str | None
    token: str | None
    requester_pays: bool

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Store:
        """Return the store that the variables of the environment name."""

        def first(*names: str) -> str | None:
            return next((environ[name] for name in names if environ.get(name)), None)

        endpoint = first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_S3_ENDPOINT")
        if endpoint is not None and "://" not in endpoint:
            plain = environ.get("AWS_HTTPS", "YES").lower() not in _YES
            endpoint = f"{'http' if plain else 'https'}://{endpoint}"
        signs = environ.get("AWS_NO_SIGN_REQUEST", "").lower() not in _YES
        return cls(
            endpoint=None if endpoint is None else endpoint.rstrip("/"),
            region=first("AWS_REGION", "AWS_DEFAULT_REGION") or "us-east-1",
            key_id=first("AWS_ACCESS_KEY_ID") if signs else None,
            secret=first("AWS_SECRET_ACCESS_KEY") if signs else None,
            token=first("AWS_SESSION_TOKEN") if signs else None,
            requester_pays=environ.get("AWS_REQUEST_PAYER", "").lower() == "requester",
        )

    def address_of(self, url: str) -> str:
        """Return where an object of ``s3://bucket/key`` is, over HTTPS.

        The name of the bucket is part of the path, but at Amazon of the host, where it can be.
        """
        parts = urlsplit(url)
        bucket, path = parts.netloc, quote(parts.path, safe="/-_.~")
        if parts.query.startswith(_LISTING):  # of objects; others hold no query
            path = f"{path}?{parts.query}"
        if self.endpoint is not None:
            return f"{self.endpoint}/{bucket}{path}"
        host = f"s3.{self.region}.{_AMAZON}"
        return (
            f"https://{host}/{bucket}{path}" if "." in bucket else f"https://{bucket}.{host}{path}"
        )

    def headers(
        self, address: str, others: Mapping[str, str], now: datetime | None = None
    ) -> dict[str, str]:
        """Return the headers of a request for an object, signed where there is a key.

        Parameters
        ----------
        address
            As of :meth:`address_of`.
        others
            Other headers of the request, which are signed too.
        now
            Time of the request, UTC.
        """
        headers = dict(others)
        if self.requester_pays:
            headers["x-amz-request-payer"] = "requester"
        if self.key_id is None or self.secret is None:
            return headers
        moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
        headers["x-amz-date"] = moment
        headers["x-amz-content-sha256"] = EMPTY_SHA256
        if self.token:
            headers["x-amz-security-token"] = self.token
        headers["Authorization"] = self._authorization(address, headers, moment)
        return headers

    def _authorization(self, address: str, headers: Mapping[str, str], moment: str) -> str:
        parts = urlsplit(address)
        signed = {name.lower(): value.strip() for name, value in headers.items()}
        signed["host"] = parts.netloc
        names = ";".join(sorted(signed))
        request = "\n".join(
            (
                "GET",
                parts.path,
                parts.query,
                *(f"{name}:{signed[name]}" for name in sorted(signed)),
                "",
                names,
                EMPTY_SHA256,
            )
        )
        scope = f"{moment[:8]}/{self.region}/s3/aws4_request"
        hashed = hashlib.sha256(request.encode()).hexdigest()
        key = f"AWS4{self.secret}".encode()
        for part in (moment[:8], self.region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashed}"
        signature = hmac.new(key, text.encode(), "sha256").hexdigest()
        return (
            f"AWS4-HMAC-SHA256 Credential={self.key_id}/{scope}, SignedHeaders={names}, "
            f"Signature={signature}"
        )
