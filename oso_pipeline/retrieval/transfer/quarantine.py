"""Downloads that are damaged where they come from: kept apart, and known again."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from oso_pipeline.core.commit import publish_json
from oso_pipeline.core.json_files import read_object
from oso_pipeline.retrieval.folder import FetchFolder, safe_name
from oso_pipeline.retrieval.offers import Offer, RemoteFile
from oso_pipeline.retrieval.transfer.verify import Checked


@dataclass(frozen=True, slots=True)
class Quarantine:
    """The place of what a provider sent of a product that is damaged there.

    One download is kept of each product and provider, beside a record of what is wrong with it.

    Parameters
    ----------
    home
        Folder of the quarantine of the product.
    provider
        Who sent it.
    """

    home: Path
    provider: str

    @classmethod
    def of(cls, folder: FetchFolder, offer: Offer) -> Quarantine:
        """Return the place for an offer."""
        return cls(folder.quarantine / safe_name(offer.product_id), safe_name(offer.provider))

    @property
    def record(self) -> Path:
        """What is wrong with the download."""
        return self.home / f"{self.provider}.json"

    def holds(self, identity: str) -> bool:
        """Return whether a download with the same content is there already."""
        return read_object(self.record).get("identity") == identity

    def take(self, file: RemoteFile, path: Path, found: Checked, reason: str) -> Path:
        """Move a download here, in place of the one before; return where it is.

        Parameters
        ----------
        file, path
            What it should be, and where it is.
        found
            What the checks say.
        reason
            What is wrong.
        """
        kept = self.home / f"{self.provider}.damaged"
        self.home.mkdir(parents=True, exist_ok=True)
        path.replace(kept)
        content = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "name": file.name,
            "reason": reason,
            "identity": found.identity,
            "size_bytes": found.size_bytes,
            "sha256": found.sha256,
            "published": {"size_bytes": file.size_bytes, "checksum": file.checksum},
        }
        publish_json(self.record, content)
        return kept

    def clear(self) -> None:
        """Remove all of the product, once it is there whole from whomever."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.home)
