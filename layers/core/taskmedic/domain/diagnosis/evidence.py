"""The lines that a diagnosis shows: what it rests on, and what else was seen."""

from __future__ import annotations

from taskmedic.domain.diagnosis.model import DiagnosisContext, Evidence
from taskmedic.domain.masking import mask
from taskmedic.domain.printable import printable
from taskmedic.domain.task_record import TaskRecord

EVIDENCE_CHARS = 600
LOG_LINES = 5


def evidence_of(
    record: TaskRecord, context: DiagnosisContext, basis: Evidence, loop: str
) -> tuple[Evidence, ...]:
    """The deciding line first, then what else the task says, then what was collected. Secrets are masked."""
    lines = [basis]
    lines += [
        Evidence(f"containers[{c.name or index}].reason", c.reason)
        for index, c in enumerate(record.containers)
        if c.reason
    ]
    lines.append(Evidence("stoppedReason", record.stopped_reason))
    lines.append(Evidence("stopCode", record.stop_code))
    lines += [
        Evidence(f"containers[{c.name or index}].exitCode", str(c.exit_code))
        for index, c in enumerate(record.containers)
        if c.exit_code is not None
    ]
    lines.append(Evidence("earlier stops", loop))
    lines += [Evidence("task definition", change) for change in context.changes]
    for name, tail in context.log_tail.items():
        lines += [Evidence(f"log of {name}", line) for line in tail[-LOG_LINES:]]
    lines += context.notes
    said = ((line.source, " ".join(line.text[: EVIDENCE_CHARS * 4].split())) for line in lines)
    shown = (Evidence(source, _shown(text)) for source, text in dict.fromkeys(said) if text)
    return tuple(dict.fromkeys(shown))


def _shown(text: str) -> str:
    text = mask(printable(text))
    return text if len(text) <= EVIDENCE_CHARS else text[: EVIDENCE_CHARS - 1] + "…"
