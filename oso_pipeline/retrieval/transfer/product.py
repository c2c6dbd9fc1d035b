"""Fetch a product: get its files, check them, and publish it, whatever the server does."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.core.commit import publish_json
from oso_pipeline.core.json_files import read_object
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.folder import FetchFolder, UnsafeName, safe_name, safe_path
from oso_pipeline.retrieval.offers import Offer, RemoteFile
from oso_pipeline.retrieval.transfer.attempts import Attempts, Habits
from oso_pipeline.retrieval.transfer.members import listed
from oso_pipeline.retrieval.transfer.outcomes import AtWork, Fetched, OnTape, Quarantined
from oso_pipeline.retrieval.transfer.part import owned
from oso_pipeline.retrieval.transfer.prefix import with_files
from oso_pipeline.retrieval.transfer.publish import (
    as_bytes,
    final_path,
    item_name,
    local_item,
    publish_archive,
    publish_tree,
)
from oso_pipeline.retrieval.transfer.quarantine import Quarantine
from oso_pipeline.retrieval.transfer.receive import Receiver, Source
from oso_pipeline.retrieval.transfer.verify import Checked, check_file

__all__ = ["AtWork", "Fetched", "Habits", "OnTape", "Quarantined", "fetch_product"]


def _nobody(_: int) -> None:
    """Report nothing."""


def fetch_product(
    offer: Offer,
    session: Source,
    folder: FetchFolder,
    deadline: Deadline,
    on_bytes: Callable[[int], None] = _nobody,
    habits: Habits | None = None,
) -> Fetched:
    """Get a product whole and publish it, or leave what came for the next time.

    It takes a slot of the session for each request; the caller must not hold one. What is
    published already and whole is not downloaded.

    Parameters
    ----------
    offer
        The product.
    session
        Sends requests to its provider.
    folder
        Where it is published, and where its parts are.
    deadline
        When it is given up for now.
    on_bytes
        Gets the number of bytes that came, also of what has to come again.
    habits
        How products are fetched.

    Raises
    ------
    Failure
        If it cannot be had; where that is passing, later or from another provider.
    OnTape
        If it has to come from tape first.
    Quarantined
        If the provider has it damaged; another one may have it whole.
    AtWork
        If another process fetches it.
    EnvironmentFailure
        If the disk is full (``E-DISK``) or the folder cannot be written (``E-FOLDER``).
    """
    habits = habits or Habits()
    with _safe_names(offer):
        lock = folder.locks / f"{safe_name(offer.product_id)}.lock"
        final = final_path(folder, offer)
    with folder.writing(), owned(lock) as is_owner:
        if not is_owner:
            raise AtWork(offer.product_id)
        family = offer.need.family
        receiver = Receiver(session, family, deadline, habits.tries, habits.sleep, on_bytes)
        offer = with_files(offer, receiver.small)
        with _safe_names(offer):
            paths = {file.name: safe_path(file.name) for file in offer.files}
        home = folder.parts / final.name
        work = home / safe_name(offer.provider)
        attempts = Attempts(offer, work, Quarantine.of(folder, offer), receiver, habits)
        return _Fetch(offer, final, paths, home, attempts).run()


def has_part(folder: FetchFolder, offer: Offer) -> bool:
    """Return whether a part of a product, of the provider that offers it, is there."""
    try:
        home = folder.parts / final_path(folder, offer).name
        work = home / safe_name(offer.provider)
    except UnsafeName:
        return False
    return home.is_dir() and any(part.stat().st_size for part in work.glob("*.part"))


@contextmanager
def _safe_names(offer: Offer) -> Iterator[None]:
    """Refuse an offer with names that are none of files, or lead out of the folder."""
    try:
        yield
    except UnsafeName as error:
        url = offer.files[0].url if offer.files else ""
        text = f"the catalogue gives a name that is not used: {error}"
        raise Failure("E-FETCH-REFUSED", text, url) from None


@dataclass
class _Fetch:
    """A product that is being fetched, by the process that owns it."""

    offer: Offer
    final: Path
    paths: dict[str, Path]
    home: Path
    attempts: Attempts

    def run(self) -> Fetched:
        """Get, check and publish."""
        try:
            if (done := self._published()) is None:
                done = self._archive() if self.offer.form == "zip" else self._tree()
        except Quarantined:
            self._clean()
            raise
        self._clean()
        return done

    def _published(self) -> Fetched | None:
        """Return the product that is there already, if it is what is offered."""
        is_zip = self.offer.form == "zip"
        if not (self.final.is_file() if is_zip else self.final.is_dir()):
            return None
        files = []
        for file in self.offer.files:
            path = self.final if is_zip else self.final / self.paths[file.name]
            if not path.is_file():
                return None
            found = self.attempts.checked(file, path)
            if found.damage or found.unlike or (found.missing and not found.is_proven):
                if not found.damage:
                    self.attempts.count(file, found)
                return None
            files.append((path.name if is_zip else file.name, found.size_bytes, found.sha256))
        item = item_name(self.offer)
        if item is not None and not is_zip and not (self.final / item).is_file():
            return None
        return Fetched(self.final, tuple(files), was_there=True)

    def _archive(self) -> Fetched:
        (file,) = self.offer.files
        part, found = self.attempts.whole(file)
        publish_archive(part.path, self.final)
        return self._fetched(((self.final.name, found.size_bytes, found.sha256),))

    def _tree(self) -> Fetched:
        tree, files = self.attempts.work / "tree", []
        state = read_object(self.attempts.work / "tree.json")
        for file in self.offer.files:
            path = tree / self.paths[file.name]
            found = self._kept(file, path, state)
            if found is None:
                part, found = self.attempts.whole(file)
                path.parent.mkdir(parents=True, exist_ok=True)
                part.path.replace(path)
                part.forget()
                state[file.name] = [part.origin, found.size_bytes, found.sha256]
                publish_json(self.attempts.work / "tree.json", state)
            files.append((file.name, found.size_bytes, found.sha256))
        self._require_all(files)
        if (name := item_name(self.offer)) is not None:
            (tree / name).write_bytes(as_bytes(local_item(self.offer)))
            item = check_file(tree / name, RemoteFile(name, ""), name)
            files.append((name, item.size_bytes, item.sha256))
        self._drop_others(tree, {name for name, _, _ in files})
        publish_tree(tree, self.final)
        return self._fetched(tuple(files))

    def _kept(self, file: RemoteFile, path: Path, state: dict[str, object]) -> Checked | None:
        """Return a file that came whole before the process ended; None without one."""
        part = self.attempts.part_of(file)
        known = state.get(file.name)
        if not path.is_file() or not isinstance(known, list) or known[:1] != [part.origin]:
            return None
        found = self.attempts.checked(file, path)
        if known[1:] != [found.size_bytes, found.sha256]:
            return None
        if found.unlike:
            self.attempts.flags.append(found.unlike)
        return found

    def _require_all(self, files: list[tuple[str, int, str]]) -> None:
        """Flag a folder in which files are missing that its reader needs."""
        if missing := self.attempts.expected.missing(name for name, _, _ in files):
            self.attempts.flags.append(f"it lacks {listed(missing)}, as the catalogue lists it")

    def _drop_others(self, tree: Path, names: set[str]) -> None:
        """Remove what an earlier offer had and this one has not."""
        for path in tree.rglob("*"):
            if path.is_file() and path.relative_to(tree).as_posix() not in names:
                path.unlink()

    def _fetched(self, files: tuple[tuple[str, int, str], ...]) -> Fetched:
        self.attempts.quarantine.clear()
        flag = "; ".join(dict.fromkeys(self.attempts.flags)) or None
        return Fetched(self.final, files, flag, tuple(dict.fromkeys(self.attempts.remarks)))

    def _clean(self) -> None:
        """Remove all parts of the product."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.home)
