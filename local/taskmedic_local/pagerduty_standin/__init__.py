"""PagerDuty's stand-in: its REST API as far as we use it, its webhooks, and a page to look at.

account.py    incidents, alerts, notes, users: what PagerDuty keeps
rest.py       the REST API and Events API, as strict as the real ones
faults.py     what can be made to go wrong
webhooks.py   signed deliveries by PagerDuty's rules of retrying
page.py       incidents and notes, as a person on call sees them
control.py    for tests and the demo: open an incident, set a fault, look at what was sent
"""

from taskmedic_local.pagerduty_standin.standin import PagerDutyStandIn

__all__ = ["PagerDutyStandIn"]
