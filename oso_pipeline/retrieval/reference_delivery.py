"""One delivery of a database: its archive downloaded and checked, unpacked, published."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from oso_pipeline.core.commit import publish_json
from oso_pipeline.core.errors import EnvironmentFailure, Problem
from oso_pipeline.imagery.archive import ArchiveError
from oso_pipeline.imagery.remote.addresses import without_secrets
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.folder import FetchFolder, UnsafeName, safe_name
from oso_pipeline.retrieval.offers import RemoteFile, total_bytes
from oso_pipeline.retrieval.reference_feed import Edition
from oso_pipeline.retrieval.reference_needs import ReferenceNeed
from oso_pipeline.retrieval.transfer.outcomes import AtWork
from oso_pipeline.retrieval.transfer.part import Part, owned
from oso_pipeline.retrieval.transfer.receive import Receiver, Source, StillOnTape
from oso_pipeline.retrieval.transfer.verify import Checked, TapeText, check_file
from oso_pipeline.retrieval.unpack import USUAL, Bounds, Unpacked, remove_unfinished, unpack
from oso_pipeline.retrieval.unpack_formats import require_seven_zip


@dataclass(frozen=True)
class Delivery:
    """An edition that is to be fetched.

    Parameters
    ----------
    need
        What needs it.
    edition
        Which it is.
    files
        Its archive, or its parts in order.
    """

    need: ReferenceNeed
    edition: Edition
    files: tuple[RemoteFile, ...]

    @property
    def size_bytes(self) -> int | None:
        """Size of the archive; None where it is not stated."""
        return total_bytes(self.files)


@dataclass(frozen=True)
class Delivered:
    """A delivery that is published.

    Parameters
    ----------
    delivery
        Which.
    unpacked
        Where it is, and its files.
    flag
        Why it is accepted although something is not as published; None for most.
    """

    delivery: Delivery
    unpacked: Unpacked
    flag: str | None


@dataclass(frozen=True)
class DeliveryHabits:
    """How deliveries are fetched.

    Parameters
    ----------
    keep_free_bytes
        Of the disk.
    tries
        How often in a row requests may fail without progress.
    on_bytes
        Gets the number of bytes that came.
    on_unpacked
        Gets the number of bytes that were unpacked.
    sleep
        Waits for so many seconds.
    bounds
        What an archive may hold.
    """

    keep_free_bytes: int = 1 << 30
    tries: int = 6
    on_bytes: Callable[[int], None] = lambda n: None
    on_unpacked: Callable[[int], None] = lambda n: None
    sleep: Callable[[float], None] = time.sleep
    bounds: Bounds = USUAL


def fetch_delivery(
    delivery: Delivery, session: Source, deadline: Deadline, habits: DeliveryHabits
) -> Delivered:
    """Download a delivery, check it, and publish it as a folder of its source.

    Parts of a download stay for the next time. A checksum that is wrong twice with the same
    content is wrong where it is published: the archive counts if all its members are whole.

    Raises
    ------
    Failure
        If it cannot be had now; ``E-FETCH-CHECKSUM`` where it is damaged where it comes from.
    AtWork
        If another process fetches it.
    EnvironmentFailure
        If the disk is full (``E-DISK``), the folder cannot be written (``E-FOLDER``), or py7zr is
        missing (``E-FETCH-EXTRA``).
    """
    folder = FetchFolder(delivery.need.into)
    url = delivery.files[0].url
    if any(".7z" in one.name.lower() for one in delivery.files):
        require_seven_zip(url)
    try:
        title = safe_name(delivery.edition.title)
        names = [safe_name(one.name) for one in delivery.files]
    except UnsafeName as error:
        text = f"the list gives a name that is not used: {error}"
        raise Failure("E-FETCH-REFUSED", text, url) from None
    folder.prepare()
    _require_space(folder, delivery, habits)
    with folder.writing(), owned(folder.locks / f"{title}.lock") as is_owner:
        if not is_owner:
            raise AtWork(title)
        receiver = Receiver(
            session,
            delivery.need.database,
            deadline,
            habits.tries,
            habits.sleep,
            habits.on_bytes,
        )
        return _Fetch(delivery, folder, title, names, receiver, habits).run()


@dataclass
class _Fetch:
    """A delivery that is being fetched, by the process that owns it."""

    delivery: Delivery
    folder: FetchFolder
    title: str
    names: list[str]
    receiver: Receiver
    habits: DeliveryHabits

    def run(self) -> Delivered:
        """Get, check, unpack."""
        remove_unfinished(self._unpacking)
        for is_last in (False, True):
            paths, flags, is_proven, described = [], [], True, []
            for name, file in zip(self.names, self.delivery.files, strict=True):
                path, checked, flag = self._whole(name, file)
                paths.append(path)
                is_proven = is_proven and checked.is_proven
                flags += [flag] if flag else []
                described.append(_described(file, checked))
            try:
                unpacked = self._unpacked(paths, described, flags)
            except ArchiveError as error:
                if is_last or is_proven:
                    home = self._quarantine(paths, str(error), described)
                    text = f"the archive of {self.title} {error}; it is kept in {home}"
                    raise Failure("E-FETCH-CHECKSUM", text, self.delivery.files[0].url) from None
                for path in paths:
                    path.unlink()
                continue
            shutil.rmtree(self._work, ignore_errors=True)
            return Delivered(self.delivery, unpacked, "; ".join(flags) or None)
        raise AssertionError("the last time raises or returns")

    @property
    def _work(self) -> Path:
        return self.folder.parts / self.title

    @property
    def _unpacking(self) -> Path:
        return self.folder.home / "unpacking"

    def _whole(self, name: str, file: RemoteFile) -> tuple[Path, Checked, str | None]:
        """Return a file of the archive as it is published, with what is known of it."""
        final = self._work / name
        if final.is_file():
            checked = check_file(final, file, name)
            if not checked.unlike:
                return final, checked, None
            final.unlink()
        part = self._part(name, file)
        checked = self._received(part, name, file)
        if checked.unlike:
            before = checked.identity
            part.forget()
            checked = self._received(part, name, file)
            if checked.unlike and checked.identity != before:
                part.forget()
                text = f"{name}: {checked.unlike}, and each download is another"
                raise Failure("E-FETCH-CHECKSUM", text, file.url, is_passing=True)
        part.path.replace(final)
        part.forget()
        return final, checked, f"{name}: {checked.unlike}" if checked.unlike else None

    def _received(self, part: Part, name: str, file: RemoteFile) -> Checked:
        try:
            self.receiver.receive(part, file)
            return check_file(part.path, file, name)
        except (StillOnTape, TapeText) as found:
            text = f"the server sends nothing of it: {found}"
            raise Failure("E-FETCH-SERVER", text, file.url, is_passing=True) from None

    def _part(self, name: str, file: RemoteFile) -> Part:
        origin = [self.title, without_secrets(file.url), file.checksum or "", file.size_bytes]
        return Part(self._work / f"{name}.part", json.dumps(origin))

    def _unpacked(
        self, paths: list[Path], described: list[dict[str, object]], flags: list[str]
    ) -> Unpacked:
        record = {
            "database": self.delivery.need.database,
            "edition": self.title,
            "zone": self.delivery.edition.zone,
            "date": self.delivery.edition.date.isoformat(),
            "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
            "archive": described,
            "flag": "; ".join(flags) or None,
        }
        final = self.folder.into / self.title
        habits = self.habits
        return unpack(
            paths, final, self._unpacking, record, habits.bounds, on_bytes=habits.on_unpacked
        )

    def _quarantine(
        self, paths: list[Path], reason: str, described: list[dict[str, object]]
    ) -> Path:
        """Keep what is damaged where it comes from, in place of what was kept before."""
        home = self.folder.quarantine / self.title
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for path in paths:
            path.replace(home / path.name)
        shutil.rmtree(self._work, ignore_errors=True)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        publish_json(home / "reason.json", {"at": at, "reason": reason, "archive": described})
        return home


def _described(file: RemoteFile, checked: Checked) -> dict[str, object]:
    return {
        "name": file.name,
        "address": without_secrets(file.url),
        "size": checked.size_bytes,
        "sha256": checked.sha256,
        "published": file.checksum,
    }


def _require_space(folder: FetchFolder, delivery: Delivery, habits: DeliveryHabits) -> None:
    size, free = delivery.size_bytes or 0, folder.free_bytes()
    if free < size + habits.keep_free_bytes:
        text = (
            f"{delivery.edition.title} has {size / 1e9:.1f} GB, {free / 1e9:.1f} GB are free and "
            f"{habits.keep_free_bytes / 1e9:.1f} GB are to stay free"
        )
        hint = "free the space, or set `retrieval.keep_free_gb`, then run again"
        raise EnvironmentFailure(Problem("E-DISK", text, str(folder.into), hint))
