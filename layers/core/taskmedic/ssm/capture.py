"""Keeps the beginning and the end of an output of any length."""

from __future__ import annotations


class Capture:
    """The first ``head_bytes`` and the last ``tail_bytes`` of what was written, and how much that was."""

    def __init__(self, head_bytes: int, tail_bytes: int) -> None:
        self._head_bytes = head_bytes
        self._tail_bytes = tail_bytes
        self._head = bytearray()
        self._tail = bytearray()
        self.total_bytes = 0

    def write(self, data: bytes) -> None:
        """Takes the next piece of output."""
        self.total_bytes += len(data)
        room = self._head_bytes - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        # Cut only now and then: each cut moves all that is kept.
        if len(self._tail) > 2 * self._tail_bytes:
            self._cut_tail()

    @property
    def head(self) -> bytes:
        """The beginning."""
        return bytes(self._head)

    @property
    def tail(self) -> bytes:
        """The end, without what ``head`` holds."""
        self._cut_tail()
        return bytes(self._tail)

    def _cut_tail(self) -> None:
        del self._tail[: max(0, len(self._tail) - self._tail_bytes)]
