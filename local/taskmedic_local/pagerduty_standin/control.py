"""Control of the stand-in over HTTP, for tests and the demo. JSON in, JSON out.

POST    incidents            opens one: {"title", "service_id"?, "service_name"?, "urgency"?, "alerts"?}
GET     incidents/ID         the incident with notes, fields and history
PUT     incidents/ID         {"status"}: a person acknowledges or resolves it
POST    incidents/ID/notes   {"content"}: a person's note
POST    faults               {"kind", "times"?, "method"?, "path"?, "seconds"?}; kinds in faults.py
DELETE  faults               forgets those that wait
POST    late                 lets the requests take effect that the fault timeout_late keeps
POST    webhooks             any body {"event": ...}, signed and sent
GET     webhooks             the deliveries, and whether the subscription is disabled
POST    webhooks/enable      enables it again
GET     requests             every API request with its status
GET     changes              the change events
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from taskmedic_local.pagerduty_standin.account import Incident
from taskmedic_local.pagerduty_standin.faults import Fault

if TYPE_CHECKING:
    from taskmedic_local.pagerduty_standin.standin import PagerDutyStandIn

Body = dict[str, Any]
PERSON = "ines@example.com"


def control(standin: PagerDutyStandIn, method: str, path: list[str], body: dict[str, Any]) -> Any:
    """Does what is asked and returns the answer.

    Raises:
        LookupError: there is no such thing to control.
        ValueError, TypeError: the body is wrong.
    """
    match path:
        case ["incidents"] if method == "POST":
            return standin.open_incident(**body)
        case ["incidents", incident_id, *rest]:
            return _incident(standin, method, standin.account.incidents[incident_id], rest, body)
    what = f"{method} {'/'.join(path)}"
    if what not in ACTIONS:
        raise LookupError(what)
    return ACTIONS[what](standin, body)


def _incident(
    standin: PagerDutyStandIn, method: str, incident: Incident, rest: list[str], body: dict[str, Any]
) -> Any:
    person = standin.account.users[PERSON]
    match method, rest:
        case "GET", []:
            pass
        case "PUT", []:
            standin.account.set_status(incident, body["status"], person)
        case "POST", ["notes"]:
            standin.account.add_note(incident, body["content"], person)
        case _:
            raise LookupError(f"{method} incidents/{incident.id}/{'/'.join(rest)}")
    return standin.incident(incident.id)


def _set_fault(standin: PagerDutyStandIn, body: Body) -> Body:
    standin.faults.set(Fault.from_json(body))
    return {}


def _clear_faults(standin: PagerDutyStandIn, _: Body) -> Body:
    standin.faults.clear()
    return {}


def _let_late_happen(standin: PagerDutyStandIn, _: Body) -> Body:
    standin.let_late_happen()
    return {}


def _send_webhook(standin: PagerDutyStandIn, body: Body) -> Body:
    resource_id = str(body.get("event", {}).get("data", {}).get("id", ""))
    return standin.webhooks.send(resource_id, body).to_json()


def _webhooks(standin: PagerDutyStandIn, _: Body) -> Body:
    deliveries = [delivery.to_json() for delivery in standin.webhooks.deliveries]
    return {"deliveries": deliveries, "temporarily_disabled": standin.webhooks.temporarily_disabled}


def _enable(standin: PagerDutyStandIn, _: Body) -> Body:
    standin.webhooks.enable()
    return {}


def _requests(standin: PagerDutyStandIn, _: Body) -> Body:
    return {"requests": [asdict(request) for request in standin.requests]}


def _changes(standin: PagerDutyStandIn, _: Body) -> Body:
    return {"changes": standin.account.changes}


ACTIONS: Final[Mapping[str, Callable[[PagerDutyStandIn, Body], Body]]] = {
    "POST faults": _set_fault,
    "DELETE faults": _clear_faults,
    "POST late": _let_late_happen,
    "POST webhooks": _send_webhook,
    "GET webhooks": _webhooks,
    "POST webhooks/enable": _enable,
    "GET requests": _requests,
    "GET changes": _changes,
}
