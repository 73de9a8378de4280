"""One note per incident and run: posted once, edited from then on, never posted twice.

Three things could post a second one, and each is ruled out: an earlier call of the function that died after
it had posted (the notes are listed and the run's mark is looked for before anything is posted), a request
that got no answer (the same; and without the mark there, nothing more is posted in this call, since the
request may still be under way), and two calls at a time (a lock in the ledger, held for longer than a call
can last).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
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
        memory: Remembers the note's id, and holds the lock.
        owner: Of the lock: something that no other call has.
        now: Epoch seconds.
    """

    client: Client
    memory: Memory
    owner: str
    now: Callable[[], float] = time.time

    def write(self, report: Report) -> str:
        """Posts the run's note or brings it up to date; ``posted`` or ``edited``.

        Where PagerDuty refuses to edit, the final report is a second note; an earlier phase's is not written.

        Raises:
            PagerDutyRefused: it would be refused again.
            PagerDutyUnavailable: it may be written later; nothing is written twice by then.
        """
        incident, mark = report.incident_id, MARK + report.run
        note_id = self.memory.note_of(incident, report.run)
        if not note_id:
            with self._alone(report):
                note_id = self._listed(incident, mark)
                if not note_id:
                    note_id = self._posted(incident, _content(report, mark), mark)
                    self.memory.remember_note(incident, report.run, note_id)
                    return "posted"
        try:
            self.client.edit_note(incident, note_id, _content(report, mark))
        except PagerDutyRefused:
            if report.phase != "final":
                raise
            return self._second(report, mark + FINAL)
        self.memory.remember_note(incident, report.run, note_id)
        return "edited"

    def _second(self, report: Report, mark: str) -> str:
        """The end as a note of its own. The first one stays the one that is remembered."""
        with self._alone(report):
            if not self._listed(report.incident_id, mark):
                self._posted(report.incident_id, _content(report, mark), mark)
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
        try:
            return self.client.post_note(incident, content)
        except Ambiguous as unknown:
            self.client.patience.waited(SETTLE_SECONDS)
            if note_id := self._listed(incident, mark):
                return note_id
            raise PagerDutyUnavailable(
                unknown.what, where=unknown.where, why=unknown.why, remedy="Try again later."
            ) from unknown

    def _listed(self, incident: str, mark: str) -> str:
        """The id of the note that ends with ``mark``; empty when there is none."""
        return _marked(self.client.notes(incident), mark)


def _content(report: Report, mark: str) -> str:
    return text_of(report, limit_bytes=MAX_NOTE_BYTES, last_line=mark)


def _marked(notes: Iterable[Mapping[str, Any]], mark: str) -> str:
    """A person may quote our note in one of their own: the mark counts only as the last line."""
    for note in notes:
        if str(note.get("content") or "").rstrip().rpartition("\n")[2] == mark:
            return str(note.get("id") or "")
    return ""
