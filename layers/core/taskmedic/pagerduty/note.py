"""One note per incident and run: posted once and edited from then on.

Three things could post a second one. An earlier call of the function that died after it had posted: the notes
are listed and the run's mark is looked for before anything is posted. A request that got no answer and may
still be under way: the ledger knows since when, and until it is old nothing is posted again. Two calls at a
time: a lock in the ledger is held for longer than a call can last. Should PagerDuty take in a request even
later than that, the end of the run removes the note that is too many; never a note of somebody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from taskmedic.domain.errors import PagerDutyRefused, PagerDutyUnavailable
from taskmedic.domain.report import Report
from taskmedic.domain.report_text import text_of
from taskmedic.pagerduty.client import Client
from taskmedic.pagerduty.events import MARK
from taskmedic.pagerduty.http import Ambiguous

# A note holds 65,535 single-byte characters (PagerDuty's support site, "Incident Notes").
MAX_NOTE_BYTES: Final = 65_535
SETTLE_SECONDS: Final = 2.0
# How long a post without an answer may still come to pass. The state machine's retries last longer.
UNDER_WAY_SECONDS: Final = 120.0
TOO_MANY: Final = "Written twice because PagerDuty was late with its answer; the report is in the other note."
# Longer than the function's time-out in template.yaml.
LOCK_SECONDS: Final = 75.0
# Marks the second note of a run whose first could not be edited.
FINAL: Final = ":final"


class Memory(Protocol):
    """What remembers between calls: ``aws.ledger.Ledger``."""

    def note_of(self, incident: str, run: str) -> str | None: ...
    def remember_note(self, incident: str, run: str, note_id: str) -> None: ...
    def acquire_lock(self, key: str, owner: str, seconds: float, now: float) -> bool: ...
    def release_lock(self, key: str, owner: str) -> None: ...


@dataclass(frozen=True)
class NoteWriter:
    """Writes a run's note.

    Args:
        client: PagerDuty.
        memory: Remembers the note's id and the time of a post, and holds the lock.
        owner: Of the lock: something that no other call has.
    """

    client: Client
    memory: Memory
    owner: str

    def now(self) -> float:
        """Epoch seconds."""
        return self.client.patience.now()

    def write(self, report: Report) -> str:
        """Posts the run's note or brings it up to date; ``posted`` or ``edited``.

        While an earlier post may still be under way, an earlier phase than the final is ``skipped``. Where
        PagerDuty refuses to edit, the final report is a second note; an earlier phase's is not written.

        Raises:
            PagerDutyRefused: it would be refused again.
            PagerDutyUnavailable: it may be written later; nothing is written twice by then.
        """
        incident, mark = report.incident_id, MARK + report.run
        note_id = self.memory.note_of(incident, report.run)
        if not note_id:
            with self._alone(report):
                note_id = next(iter(self._listed(incident, mark)), "")
                if not note_id and report.phase != "final" and self._under_way(incident, mark):
                    return "skipped"
                if not note_id:
                    note_id = self._posted(incident, _content(report, mark), mark)
                    self.memory.remember_note(incident, report.run, note_id)
                    self._remove_others(report, mark, note_id)
                    return "posted"
        try:
            self.client.edit_note(incident, note_id, _content(report, mark))
        except PagerDutyRefused:
            if report.phase != "final":
                raise
            return self._second(report, mark + FINAL)
        self.memory.remember_note(incident, report.run, note_id)
        self._remove_others(report, mark, note_id)
        return "edited"

    def _second(self, report: Report, mark: str) -> str:
        """The end as a note of its own. The first one stays the one that is remembered."""
        with self._alone(report):
            note_id = next(iter(self._listed(report.incident_id, mark)), "")
            note_id = note_id or self._posted(report.incident_id, _content(report, mark), mark)
            self._remove_others(report, mark, note_id)
        return "posted"

    @contextmanager
    def _alone(self, report: Report) -> Iterator[None]:
        key = f"note#{report.incident_id}#{report.run}"
        if not self.memory.acquire_lock(key, self.owner, LOCK_SECONDS, self.now()):
            raise PagerDutyUnavailable(
                "cannot post the note", where=key, why="another call is at it", remedy="Try again later."
            )
        try:
            yield
        finally:
            self.memory.release_lock(key, self.owner)

    def _posted(self, incident: str, content: str, mark: str) -> str:
        """Posts and returns the note's id. When it was asked for is remembered until the answer is there."""
        if self._under_way(incident, mark):
            raise PagerDutyUnavailable(
                "cannot post the note",
                where=f"incident {incident}",
                why="it was posted a moment ago without an answer, and may appear yet",
                remedy="Try again later.",
            )
        in_doubt = self._asked_at(incident, mark)
        self._remember_asking(incident, mark, self.now())
        try:
            note_id = self.client.post_note(incident, content)
        except Ambiguous as unknown:
            self.client.patience.waited(SETTLE_SECONDS)
            if listed := self._listed(incident, mark):
                return next(iter(listed))
            raise PagerDutyUnavailable(
                unknown.what, where=unknown.where, why=unknown.why, remedy="Try again later."
            ) from unknown
        except (PagerDutyRefused, PagerDutyUnavailable):
            self._remember_asking(incident, mark, in_doubt)  # nothing happened
            raise
        if not in_doubt:
            self._remember_asking(incident, mark, 0)
        return note_id

    def _under_way(self, incident: str, mark: str) -> bool:
        return self.now() - self._asked_at(incident, mark) < UNDER_WAY_SECONDS

    def _asked_at(self, incident: str, mark: str) -> float:
        """When PagerDuty was asked for a note that may be there or not; 0 when there is no doubt."""
        return float(self.memory.note_of(f"asked#{incident}", mark) or 0)

    def _remember_asking(self, incident: str, mark: str, at: float) -> None:
        self.memory.remember_note(f"asked#{incident}", mark, str(at) if at else "")

    def _listed(self, incident: str, mark: str) -> dict[str, str]:
        """The notes that end with ``mark``, for a person may quote ours: id and author, the oldest first.

        A copy of the whole note by a person is younger than ours.
        """
        notes = sorted(self.client.notes(incident), key=lambda note: str(note.get("created_at") or ""))
        return {
            str(note.get("id") or ""): _author(note)
            for note in notes
            if str(note.get("content") or "").rstrip().rpartition("\n")[2] == mark
        }

    def _remove_others(self, report: Report, mark: str, note_id: str) -> None:
        """At the end of a run whose post was in doubt, no other note of ours stays than ``note_id``.

        Ours are those by its author: a person may have pasted the whole of one. What cannot be removed
        becomes one line.
        """
        incident = report.incident_id
        if report.phase != "final" or not self._asked_at(incident, mark):
            return
        listed = self._listed(incident, mark)
        us = listed.pop(note_id, "")
        for other in (other for other, author in listed.items() if author == us != ""):
            try:
                self.client.delete_note(incident, other)
            except PagerDutyRefused:
                with suppress(PagerDutyRefused):
                    self.client.edit_note(incident, other, TOO_MANY)


def _author(note: Mapping[str, Any]) -> str:
    user = note.get("user")
    return str(user.get("id") or "") if isinstance(user, Mapping) else ""


def _content(report: Report, mark: str) -> str:
    return text_of(report, limit_bytes=MAX_NOTE_BYTES, last_line=mark)
