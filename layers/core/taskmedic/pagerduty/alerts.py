"""From an incident to the ECS things it is about: by its alerts, or by a map from PagerDuty services."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from taskmedic.domain.errors import InvalidTrigger
from taskmedic.pagerduty.shapes import MAX_FOUND, Target, fullest, targets_of

__all__ = ["Target", "Targets", "parse_service_map", "targets_for_incident", "targets_in"]

# An alert can lag the webhook that announces its incident. Seconds between looks.
WAITS: Final = (1.0, 2.0, 4.0)
# An incident may hold hundreds of alerts, and all this travels through the state machine.
MAX_TARGETS: Final = 25
MAX_LOOKED_AT: Final = 20
MAX_LEFT_OUT: Final = 20


@dataclass(frozen=True)
class Targets:
    """What was found and, for a person who finds it wrong, where it was looked for.

    ``left_out`` names the targets that are too many, with that reason.
    """

    targets: tuple[Target, ...] = ()
    looked_at: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


class Alerts(Protocol):
    """What can list an incident's alerts: ``client.Client``."""

    def alerts(self, incident_id: str) -> list[Mapping[str, Any]]: ...


def targets_in(alerts: Sequence[Mapping[str, Any]]) -> Targets:
    """The targets named in ``alerts`` (objects of GET /incidents/{id}/alerts), in the order of the alerts.

    Open alerts count; resolved and suppressed ones only when there is no other.
    """
    opened = [a for a in alerts if a.get("status") != "resolved" and not a.get("suppressed")]
    found: dict[Target, None] = {}
    looked_at = []
    for alert in opened or alerts:
        targets = targets_of(alert.get("body"))
        found |= dict.fromkeys(targets)
        looked_at.append(_looked_at(alert, targets))
    if more := looked_at[MAX_LOOKED_AT:]:
        looked_at[MAX_LOOKED_AT:] = [f"{len(more)} more alerts"]
    targets = fullest(list(found)[:MAX_FOUND])
    left_out = [*targets[MAX_TARGETS:], *list(found)[MAX_FOUND:]]
    return Targets(tuple(targets[:MAX_TARGETS]), tuple(looked_at), tuple(_too_many(left_out)))


def targets_for_incident(
    client: Alerts,
    incident_id: str,
    service_map: Mapping[str, Sequence[Target]],
    sleep: Callable[[float], None],
    *,
    service_id: str = "",
    service_name: str = "",
) -> Targets:
    """The targets of an incident, from its alerts; without any there, from ``service_map``.

    Where the alerts name whole clusters only, a service in the map says more and is taken. An empty list of
    alerts is asked for again, a few seconds in all; an incident opened by hand has none.

    Args:
        client: Lists the alerts.
        incident_id: PagerDuty's id of the incident.
        service_map: Targets by PagerDuty service id or name (``parse_service_map``).
        sleep: Waits that many seconds.
        service_id: The incident's PagerDuty service; as the webhook has it.
        service_name: Its name, likewise.

    Raises:
        PagerDutyUnavailable, PagerDutyRefused: the alerts cannot be read.
    """
    alerts = client.alerts(incident_id)
    for seconds in WAITS:
        if alerts:
            break
        sleep(seconds)
        alerts = client.alerts(incident_id)
    found = targets_in(alerts)
    mapped = service_map.get(service_id) or service_map.get(service_name) or ()
    if found.targets and not (_name_services(mapped) and not _name_services(found.targets)):
        return found
    looked_at = found.looked_at or (f"incident {incident_id} has no alerts",)
    service = f"{service_id} ({service_name})" if service_name else service_id or "unknown"
    if mapped:
        return Targets(tuple(mapped), (*looked_at, f"service map: entry of PagerDuty service {service}"))
    return Targets((), (*looked_at, f"service map: no entry for PagerDuty service {service}"))


def _name_services(targets: Sequence[Target]) -> bool:
    return any(target.service or target.task for target in targets)


def parse_service_map(text: str, where: str) -> dict[str, tuple[Target, ...]]:
    """The service map from its JSON: ``{"PABC123": {"cluster": "prod", "service": "checkout"}, …}``.

    A key is a PagerDuty service's id or name; a value is one target or a list of them, with the fields of
    ``Target``.

    Args:
        text: The JSON; empty means an empty map.
        where: What it was read from, for the error.

    Raises:
        InvalidTrigger: it is no such JSON; the text names the entry.
    """
    try:
        entries = json.loads(text or "{}")
    except ValueError as error:
        raise _bad_map(where, f"it is no JSON: {error}") from None
    if not isinstance(entries, dict):
        raise _bad_map(where, "it must be an object with a PagerDuty service as each key")
    return {key: tuple(_mapped(key, value, where)) for key, value in entries.items()}


def _mapped(key: str, value: Any, where: str) -> Iterable[Target]:
    known = set(Target.__dataclass_fields__)
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, dict) or not entry.get("cluster"):
            raise _bad_map(where, f"the entry {key} names no cluster")
        if strange := sorted(set(entry) - known):
            raise _bad_map(where, f"the entry {key} has the unknown field {strange[0]}")
        if wrong := sorted(name for name in entry if not isinstance(entry[name], str)):
            raise _bad_map(where, f"the field {wrong[0]} of the entry {key} is no text")
        yield Target(**entry)


def _bad_map(where: str, why: str) -> InvalidTrigger:
    return InvalidTrigger(
        "the map from PagerDuty services to ECS services cannot be used",
        where=where,
        why=why,
        remedy='Write it as {"PABC123": {"cluster": "prod", "service": "checkout"}}.',
    )


def _too_many(targets: Sequence[Target]) -> Iterator[str]:
    why = f"a run works on {MAX_TARGETS} targets at most"
    yield from (f"{_described(target)}: {why}" for target in targets[:MAX_LEFT_OUT])
    if more := targets[MAX_LEFT_OUT:]:
        yield f"{len(more)} more targets: {why}"


def _looked_at(alert: Mapping[str, Any], targets: Sequence[Target]) -> str:
    title = str(alert.get("summary") or "").strip()[:120]
    alert_text = f'alert {alert.get("id") or "?"} "{title}"'
    if not alert.get("body"):
        return f"{alert_text}: it has no details"
    if not targets:
        seen = _glimpse(alert["body"])
        return f"{alert_text}: no ECS cluster in its dimensions, labels, tags, details or ARNs{seen}"
    found = ", ".join(_described(target) for target in targets)
    return f"{alert_text}: {found}"


def _glimpse(body: Any) -> str:
    """What the details hold, for a person to see what could be mapped."""
    details = body.get("details") if isinstance(body, Mapping) else None
    if not isinstance(details, Mapping) or not details:
        return ""
    tags = f'; tags "{details["tags"]}"' if details.get("tags") else ""
    return f" (it has {', '.join(map(str, list(details)[:8]))}{tags})"[:300]


def _described(target: Target) -> str:
    return " ".join(f"{field} {value}" for field, value in vars(target).items() if value)
