"""How the agent cuts a terminal's output between characters."""

from __future__ import annotations

REPLACEMENT = "\ufffd"
LONGEST = 4


def cut(data: bytes) -> tuple[bytes, bytes]:
    """``data`` as (what is sent now, what waits for the next read).

    An incomplete character within the last three bytes waits; an invalid byte before that is passed on as it
    is. The agent takes a genuine U+FFFD for an invalid byte and sends only the first of its three bytes; so
    does this.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        pass
    else:
        if REPLACEMENT not in text:
            return data, b""
    return _cut_slowly(data)


def _cut_slowly(data: bytes) -> tuple[bytes, bytes]:
    ready = bytearray()
    at = 0
    while at < len(data):
        size = _character(data, at)
        if size and data[at : at + size] != REPLACEMENT.encode():
            ready += data[at : at + size]
        elif len(data) - at < LONGEST:
            break
        else:
            ready.append(data[at])
        at += size or 1
    return bytes(ready), data[at:]


def _character(data: bytes, at: int) -> int:
    """The length in bytes of the character that begins at ``at``; 0 when none does."""
    for size in range(1, LONGEST + 1):
        try:
            data[at : at + size].decode()
        except UnicodeDecodeError:
            continue
        return min(size, len(data) - at)
    return 0
