"""One transfer over several requests: continue where it was cut, begin again where that is unsafe.

Copies of images (``download.py``) and `oso fetch` share it; they differ in terms (``terms.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from random import Random
from typing import BinaryIO

from oso_pipeline.imagery.remote.failures import Failure, failure_of
from oso_pipeline.imagery.remote.terms import NOTHING_SAID, Terms
from oso_pipeline.imagery.remote.transport import Answer, Version

HEAD_BYTES = 512
"""So much of a content is looked at as soon as it is there."""
_CHUNK, _PROGRESS = 1 << 18, 1 << 16
_LEAST_ALIKE = 64
"""With fewer equal bytes before the first that differs, these may be equal by chance."""


class _Unlike(Exception):
    """What came does not continue what is there."""


@dataclass
class Transfer:
    """The state of a transfer: what came, and of which content it is.

    Parameters
    ----------
    url
        Address of the content, for messages.
    file
        Takes the content.
    send
        Requests it from a byte on, with the value of ``If-Range``.
    terms
        What it keeps to.
    version
        Which content the file holds a part of.
    have
        How many bytes of it are there.
    """

    url: str
    file: BinaryIO
    send: Callable[[int, str | None], Answer]
    terms: Terms
    version: Version = NOTHING_SAID
    have: int = 0
    _random: Random = field(default_factory=Random)

    def until_whole(self) -> None:
        """Request what is missing until all is there, with several tries.

        Raises
        ------
        Failure
            If it cannot be had.
        OSError
            If the file cannot be written.
        """
        terms, failures = self.terms, 0
        while not self.is_whole:
            before = self.have
            try:
                self._go_on()
                return
            except Failure as failure:
                has_progress = self.have - before >= _PROGRESS
                failures = 1 if has_progress else failures + 1
                if not failure.is_passing or failures >= terms.patience.tries:
                    raise
                wait_s = terms.patience.wait_s(failures, failure, self._random)
                if terms.clock() + wait_s >= terms.until_s:
                    raise
                terms.sleep(wait_s)

    @property
    def is_whole(self) -> bool:
        """Whether no byte is missing, as far as the server says how many there are."""
        return self.version.size_bytes is not None and self.have == self.version.size_bytes > 0

    def begin_again(self) -> None:
        """Forget what is there."""
        self.have, self.version = 0, NOTHING_SAID

    def _go_on(self) -> None:
        """Request what is missing and write it; begin again where that cannot be continued."""
        start = self._first_byte()
        if start:
            try:
                self._request(start)
            except _Unlike:
                self.begin_again()
            except Failure as failure:
                if not self._may_be_of_range(failure):
                    raise
                self.begin_again()
            else:
                return
        self._request(0)

    def _may_be_of_range(self, failure: Failure) -> bool:
        """Return whether a part is refused, or another one is sent; perhaps not the whole."""
        is_other = failure.code == "E-FETCH-SERVER" and not failure.is_passing
        return self.terms.begins_again and is_other

    def _first_byte(self) -> int:
        size = self.version.size_bytes
        is_known = self.version.condition is not None or (self.terms.is_checked and size)
        if not is_known or not self.have or (size is not None and self.have > size):
            return 0
        return max(0, self.have - self.terms.overlap(self.have))

    def _request(self, start: int) -> None:
        with self.terms.slot():
            self._exchange(start)
        size = self.version.size_bytes
        if size is not None and self.have < size:
            text = f"the connection ended after {self.have} of {size} bytes"
            raise Failure("E-FETCH-NETWORK", text, self.url, is_passing=True)

    def _exchange(self, start: int) -> None:
        answer = self.send(start, self.version.condition if start else None)
        with closing(answer.response):
            self._check(answer)
            if answer.start == 0:
                self.have = 0
                self.file.seek(0)
                self.file.truncate()
            self.terms.on_version(self.version)
            self._receive(answer)

    def _check(self, answer: Answer) -> None:
        """Compare what the server says with what it said, and with what is wanted."""
        found, before = answer.version, self.version
        if found.differs_from(before) and self.terms.begins_again:
            if answer.start:
                raise _Unlike
            before = NOTHING_SAID
        for known, since in (
            (before, "during the download"),
            (self.terms.stated, "since it was listed"),
        ):
            if found.differs_from(known):
                text = f"the file has changed {since}: {_shown(found)}, before {_shown(known)}"
                raise Failure("E-FETCH-CHANGED", text, self.url)
        # Of a part the server need not say the size of the whole; of the whole it said all it says.
        size = before.size_bytes if answer.start or not self.terms.begins_again else None
        self.version = Version(
            found.size_bytes or size, found.etag or before.etag, found.modified or before.modified
        )
        if (found.size_bytes or 0) > self.terms.most_bytes:
            self._refuse(found.size_bytes or 0)

    def _receive(self, answer: Answer) -> None:
        """Write what comes, after comparing what is there already."""
        at = answer.start
        known = self.have
        is_looked_at = at > 0
        for chunk in self._in_time(self._chunks(answer)):
            rest = self._compared(chunk, at, known, answer.start) if at < known else chunk
            at += len(chunk)
            if rest:
                self.file.seek(at - len(rest))
                self.file.truncate()
                self.file.write(rest)
                self.have = known = at
            if at > self.terms.most_bytes:
                self._refuse(at)
            if not is_looked_at and self.have >= HEAD_BYTES:
                self._look()
                is_looked_at = True
        if at < self.have and at == self.version.size_bytes:
            self.file.truncate(at)  # text of an error after the last byte
            self.have = at
        if not is_looked_at and self.have:
            self._look()

    def _compared(self, chunk: bytes, at: int, known: int, start: int) -> bytes:
        """Return what of `chunk` is to be written: from where it differs from what is there."""
        self.file.seek(at)
        there = self.file.read(min(len(chunk), known - at))
        if chunk.startswith(there):
            return chunk[len(there) :]
        same = next(n for n, (a, b) in enumerate(zip(chunk, there, strict=False)) if a != b)
        if at + same < start + _LEAST_ALIKE:
            raise _Unlike
        return chunk[same:]

    def _in_time(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield content while it comes fast enough and there is time left."""
        patience, clock = self.terms.patience, self.terms.clock
        begun, came = clock(), 0
        for chunk in chunks:
            came += len(chunk)
            yield chunk
            self.terms.on_bytes(len(chunk))  # it is written then, whatever this raises
            now = clock()
            if now >= self.terms.until_s:
                text = f"the time for the download is over, with {self.have} bytes of it"
                raise Failure("E-FETCH-NETWORK", text, self.url, is_passing=True)
            if now - begun >= patience.period_s:
                if came < patience.least_bytes:
                    text = f"only {came} bytes came in {patience.period_s:g} s"
                    raise Failure("E-FETCH-NETWORK", text, self.url, is_passing=True)
                begun, came = now, 0

    def _chunks(self, answer: Answer) -> Iterator[bytes]:
        """Yield content as it comes; errors of the connection alone become failures."""
        while True:
            try:
                chunk = answer.response.read1(_CHUNK)
            except Exception as error:  # noqa: BLE001  (whatever is raised is of the connection)
                raise failure_of(error, self.url) from None
            if not chunk:
                return
            yield chunk

    def _look(self) -> None:
        self.file.seek(0)
        try:
            self.terms.look(self.file.read(HEAD_BYTES))
        except Failure:
            self.begin_again()
            self.file.truncate(0)  # nor is it there for the next process
            raise

    def _refuse(self, size: int) -> None:
        most = self.terms.most_bytes
        text = f"the file has {size} bytes or more, at most {most} are accepted"
        raise Failure("E-FETCH-SIZE", text, self.url)


def _shown(version: Version) -> str:
    named = {"bytes": version.size_bytes, "ETag": version.etag, "of": version.modified}
    return ", ".join(f"{key} {value}" for key, value in named.items() if value is not None)
