"""Get a file of a product until it is right, or until it is clear that it never will be."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from oso_pipeline.core.commit import publish_json
from oso_pipeline.core.json_files import read_object
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.remote.transport import Version
from oso_pipeline.retrieval.offers import Offer, RemoteFile
from oso_pipeline.retrieval.transfer.members import Expected, listed
from oso_pipeline.retrieval.transfer.outcomes import OnTape, Quarantined
from oso_pipeline.retrieval.transfer.part import Part
from oso_pipeline.retrieval.transfer.quarantine import Quarantine
from oso_pipeline.retrieval.transfer.receive import Receiver, StillOnTape
from oso_pipeline.retrieval.transfer.verify import Checked, TapeText, check_archive, check_file

_TAPE_CODES = ("E-FETCH-SERVER", "E-FETCH-GONE")
_LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True)
class Habits:
    """How products are fetched, from any provider.

    Parameters
    ----------
    bands
        Bands that the run reads: a product without one of them is incomplete.
    tries
        How often in a row requests may fail without progress before the product is left for later.
    same_times
        How often a download that is wrong has to come with the same content until the fault is
        the provider's.
    most_wrong
        After so many downloads that are wrong, each in another way, the product is left for later.
    sleep
        Waits for so many seconds.
    """

    bands: tuple[str, ...] = SENTINEL2.names
    tries: int = 4
    same_times: int = 2
    most_wrong: int = 4
    sleep: Callable[[float], None] = field(default=time.sleep)


@dataclass
class Attempts:
    """Downloads of the files of an offer.

    Parameters
    ----------
    offer
        The product as one provider offers it.
    work
        Folder of its parts.
    quarantine
        Takes what is damaged where it comes from.
    receiver
        Gets files.
    habits
        How often what is tried.
    flags
        Why files are accepted although something is not as published.
    remarks
        What could not be checked.
    """

    offer: Offer
    work: Path
    quarantine: Quarantine
    receiver: Receiver
    habits: Habits
    flags: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def expected(self) -> Expected:
        """What the product is expected to hold."""
        return Expected(self.offer.need.family, self.offer.product_id, tuple(self.habits.bands))

    def part_of(self, file: RemoteFile) -> Part:
        """Return the part of a file."""
        return Part.of(self.work, self.offer, file)

    def whole(self, file: RemoteFile) -> tuple[Part, Checked]:
        """Return a file that passes the checks.

        Raises
        ------
        Failure
            If it cannot be had now.
        OnTape, Quarantined
            If the provider does not have it at hand, or has it damaged.
        """
        part = self.part_of(file)
        for number in range(1, self.habits.most_wrong + 1):
            version = self._receive(part, file)
            found = self.checked(file, part.path)
            if self._is_accepted(file, found):
                return part, found
            reason = found.damage or found.unlike or f"it lacks {listed(found.missing)}"
            is_cut = _is_short(file, found)
            is_known = version.size_bytes is not None or not is_cut
            if is_known and self.count(file, found) >= self.habits.same_times:
                return self._settled(part, file, found, reason)
            if is_cut:  # the server stated no size, or that of what it sent
                part.remember(replace(version, size_bytes=None))
            else:
                part.forget()
            if number == self.habits.most_wrong or not self._waits(number):
                break
        text = f"{counted(number, 'download was', 'downloads were')} wrong: {reason}"
        code = "E-FETCH-NETWORK" if is_cut else "E-FETCH-CHECKSUM"
        raise Failure(code, text, file.url, is_passing=True)

    def _receive(self, part: Part, file: RemoteFile) -> Version:
        """Fill a part; return which content the server says that it is."""
        for is_second in (False, True):
            try:
                return self.receiver.receive(part, file)
            except (StillOnTape, TapeText) as error:
                part.forget()
                found = str(error)
            except Failure as failure:
                if self.offer.is_online is not False or failure.code not in _TAPE_CODES:
                    raise
                found = failure.found
            # Of what is not said to be on tape, it may be a fault that passes.
            if is_second or self.offer.is_online is False or not self._waits(1):
                break
        raise OnTape(self.offer.product_id, self.offer.provider, found)

    def checked(self, file: RemoteFile, path: Path) -> Checked:
        """Return what checks of a file find."""
        if self.offer.form != "zip":
            return check_file(path, file, file.name)
        return check_archive(path, file, self.expected)

    def _is_accepted(self, file: RemoteFile, found: Checked) -> bool:
        """Return whether a download is published as it is, perhaps with a flag."""
        if found.damage or (found.unlike and not self._is_only_size(file, found)):
            return False
        if found.missing and not found.is_proven:
            return False
        if found.unlike:
            self.flags.append(found.unlike)
        if found.missing:
            self.flags.append(f"it lacks {listed(found.missing)}, as published")
        self.remarks += found.remarks
        return True

    def _is_only_size(self, file: RemoteFile, found: Checked) -> bool:
        """Return whether only the stated size is wrong of an archive that is whole.

        Copernicus Data Space states that of the unpacked product for some.
        """
        return self.offer.form == "zip" and file.checksum is None and found.damage is None

    def count(self, file: RemoteFile, found: Checked) -> int:
        """Note a download that is wrong; return how often it came with this content."""
        path = self.work / "wrong.json"
        if self.quarantine.holds(found.identity):
            return self.habits.same_times
        seen = read_object(path)
        key = f"{file.name} {found.identity}"
        counts = Counter({name: n for name, n in seen.items() if isinstance(n, int)})
        counts[key] += 1
        publish_json(path, dict(counts))
        return counts[key]

    def _settled(
        self, part: Part, file: RemoteFile, found: Checked, reason: str
    ) -> tuple[Part, Checked]:
        """Accept with a flag what is whole by itself; put the rest into quarantine."""
        is_size = file.checksum is None  # then nothing but the size is not as published
        proves = self.offer.form == "zip" or is_size
        if found.damage is None and not found.missing and proves:
            times = self.habits.same_times
            self.flags.append(f"{reason}, but it is whole and came {times} times the same")
            self.remarks += found.remarks
            return part, found
        kept = self.quarantine.take(file, part.path, found, reason)
        raise Quarantined(self.offer.product_id, self.offer.provider, reason, kept)

    def _waits(self, number: int) -> bool:
        """Wait before the next try; return whether there is time for one."""
        pause = min(_LONGEST_PAUSE_S, 2.0 ** (number - 1))
        if self.receiver.deadline.left_s <= pause:
            return False
        self.habits.sleep(pause)
        return True


def _is_short(file: RemoteFile, found: Checked) -> bool:
    """Return whether a file that is damaged has fewer bytes than are published."""
    size = None if file.is_size_a_hint else file.size_bytes
    return found.damage is not None and size is not None and found.size_bytes < size
