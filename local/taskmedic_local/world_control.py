"""The levers of the local ECS over HTTP, for tests and demonstrations from outside the process.

Under ``/_local/world/``, with a JSON object each:

POST causes          {"cause": "out_of_memory", "cluster": "prod", "service": "checkout"}; also task,
                     container, exit_code, log_lines, image_tag, secret, after_s, account, region.
                     Answers {"tasks": [ARN]}. What there is: ecs/causes.py
POST heal            {"cluster": "prod"}: images and secrets are as they should be again
POST wire            faults of the message gateway: exec/wire.py. With cluster, task and container only
                     for the sessions of one container. GET shows those for all, DELETE ends them
POST agents          {"cluster", "task", "container", "connected": false}: out of the gateway's reach
POST expired-tokens  every token of a page given out so far is refused
POST crowd           {"clusters": 20, "tasks": 500}: clusters crowd-0, crowd-1, … of so many tasks each
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from taskmedic_local.answers import Environ, StartResponse, answer, json_body
from taskmedic_local.ecs.causes import CauseInvalid
from taskmedic_local.ecs.errors import EcsError
from taskmedic_local.exec.wire import WireFaults, WireFaultsInvalid

if TYPE_CHECKING:
    from taskmedic_local.world import World

PREFIX = "/_local/world/"
_TEXTS = ("cause", "cluster", "service", "task", "container", "account", "region", "image_tag", "secret")
_NUMBERS = ("exit_code", "after_s", "clusters", "tasks")


class WorldControl:
    """WSGI application."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Status 400 and ``{"error": …}``, naming the field, for what cannot be done."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix(PREFIX)
        try:
            body = json_body(environ)
            _check(body)
            status, value = self._answer(method, path, body)
        except (ValueError, TypeError, CauseInvalid, WireFaultsInvalid, EcsError) as error:
            status, value = 400, {"error": str(error)}
        except KeyError as error:
            status, value = 400, {"error": f"{error.args[0]}: is missing"}
        return answer(start_response, status, json.dumps(value).encode())

    def _answer(self, method: str, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        world = self._world
        match method, path:
            case "POST", "causes":
                order = {name: value for name, value in body.items() if name not in {"cause", "cluster"}}
                tasks = world.strike(body["cause"], body["cluster"], **order)
                return 200, {"tasks": [task.arn for task in tasks]}
            case "POST", "heal":
                world.causes.heal(world.cluster(body["cluster"]))
            case "GET", "wire":
                return 200, dataclasses.asdict(world.gateway.faults)
            case "POST", "wire":
                self._mistreat(dict(body))
            case "DELETE", "wire":
                world.gateway.faults = WireFaults()
            case "POST", "agents":
                container = world.container(body["cluster"], body["task"], body["container"])
                world.connect_agent(container, connected=bool(body["connected"]))
            case "POST", "expired-tokens":
                world.ecs.pager.expire_tokens()
            case "POST", "crowd":
                world.crowd(body["clusters"], body["tasks"])
            case _:
                return 404, {"error": f"there is no {method} {PREFIX}{path}"}
        return 200, {}

    def _mistreat(self, body: dict[str, Any]) -> None:
        """Faults for all sessions, or for those of the container that is named."""
        named = [body.pop(name, "") for name in ("cluster", "task", "container")]
        faults = WireFaults.from_json(body)
        if any(named):
            self._world.mistreat(self._world.container(*named), faults)
        else:
            self._world.gateway.faults = faults


def _check(body: Mapping[str, Any]) -> None:
    """See that each field is of its kind.

    Raises:
        ValueError: One is not; the message names it.
    """
    for name, value in body.items():
        if name in _TEXTS and not isinstance(value, str):
            raise ValueError(f"{name}: must be a text")
        if name in _NUMBERS and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
            raise ValueError(f"{name}: must be a number, 0 or more")
