"""Names that people chose, taken out of a text before words are looked for in it.

An image may be called ``acme/circuitbreaker``, a secret ``forbidden-list``, a service
``CannotPullContainerError-test``: what a name says is never what happened. Names are known by their form (an
ARN, a path, a URL, a word alone in quotes or brackets) or by the words behind which they stand.
"""

from __future__ import annotations

import re

# Stands where a name stood. No wording has it, so that none is found across it.
GONE = "<>"

_QUOTE = r"[\\]{0,4}[\"'`\u2018\u2019\u201c\u201d]"
_NAME = r"[\w.\-/:@+=#$*,]{1,300}"

# The words of AWS, Docker and containerd behind which a name stands; some only with the words that follow it.
_BEHIND = "|".join(
    (
        r"\((?:service|task|task set|deployment|container-instance|elb|target-group) ",
        r"(?:manifest|access denied) for ",
        r"(?:resolve|unpack|pull) (?:ref|reference|image) ",
        r"[Nn]o such (?:image|container|volume): ",
        r"(?:image|repository) (?=\S{1,300} not found)",
        r"secret (?=\S{1,300}: )",
        r"[Ss]ervice (?=\S{1,255} (?:was|is|has|failed|\())",
        r"container (?=\S{1,255} (?:exited|did not))",
        r"alarm (?=\S{1,255} in state)",
        r"invalid (?:ssm )?parameters: \[?",
        r"json key ",
        r"find (?:user|group) ",
        r"on endpoint ",
        r"(?:from|in) bucket ",
        r"(?:of|in) cluster ",
    )
)
_NAMES = re.compile(
    r"(?<!\w)(?:"  # first, because it spares most characters the rest
    r"(?P<arn>arn:[\w\-]{0,20}:[\w\-]{0,40}:[\w\-]{0,30}:[^\s:\"',]{0,30}:)[^\s\"',;()\[\]{}]{1,600}"
    rf"|(?P<exec>exec: {{0,2}}{_QUOTE})[^\"'\\]{{1,300}}"
    rf"|(?P<behind>{_BEHIND})(?:{_QUOTE})?{_NAME}"
    r"|(?P<url>https?://[^\s\"'\\]{1,2000}(?<![:.,)]))"
    r"|[A-Za-z]:\\[^\s\"']{1,500}"
    r"|(?<![.\-/@])(?P<path>[\w.\-]{0,255}(?:/[\w.\-]{0,255})+)(?::\w[\w.\-]{0,127})?(?:@sha256:\w{1,64})?"
    rf"|(?<!:)(?<!\": )(?P<quote>{_QUOTE})[a-z0-9][\w.\-:@+=]{{1,300}}(?={_QUOTE}(?!\w))"
    r"|(?P<bracket>\[)[a-z][\w\-]{1,255}(?=[\](])"
    r")"
)
# The parts of a path or URL that nobody chose: the APIs of registries, and what wordings have slashes for.
_KEPT = re.compile(
    r"|https?:|[\w.\-]{1,255}\.amazonaws\.com(?:\.cn)?|(?:registry-1\.)?docker\.io|v2|manifests|blobs"
    r"|i|o|net|http|etc|passwd|username|password|driver|library|containerd|tmpmounts|GetImageBlob\d{0,20}"
    r"|run|docker|plugins|ecs-svc|stopped|terminated|nvidia-container[\w\-]{0,40}|(?-i:VolumeDriver\.\w{1,30})",
    re.IGNORECASE,
)


def without_names(text: str) -> str:
    """``text`` with ``<>`` for every name that people chose. Linear in its length."""
    return _NAMES.sub(_gone, text)


def _gone(found: re.Match[str]) -> str:
    path = found["url"] or found["path"]
    if path:
        parts = [part if _KEPT.fullmatch(part) else GONE for part in path.split("/")]
        return found[0] if GONE not in parts else "/".join(parts) + GONE
    return (
        found["arn"] or found["exec"] or found["behind"] or found["quote"] or found["bracket"] or ""
    ) + GONE
