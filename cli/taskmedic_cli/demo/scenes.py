"""The five scenes of the demo: each plays one incident through the deployed application and checks its end.

Nothing here is shown that did not come out of an execution, the incident, the ledger, a queue or ECS.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from taskmedic.aws.clients import Clients
from taskmedic.domain.triggers import DRILL_SOURCE
from taskmedic_cli import executions, stack
from taskmedic_cli.commands.send import put_event
from taskmedic_cli.demo.story import Scene, Story
from taskmedic_cli.executions import Execution, Follower
from taskmedic_local.cloud import LocalCloud

PATIENCE_S = 30.0
SLOW_TITLE = "ALARM: search p99 latency above 2 s for 5 minutes"
JAVA_CRASH = (
    'Exception in thread "main" java.nio.file.AccessDeniedException: /var/lib/search/index.lock',
    "    at com.example.search.Index.open(Index.java:44)",
    "    at com.example.search.Main.main(Main.java:18)",
)


@dataclass
class Stage:
    """What every scene plays on."""

    cloud: LocalCloud
    clients: Clients
    story: Story

    def __post_init__(self) -> None:
        self.states = self.clients.get("stepfunctions")
        self.ecs = self.clients.get("ecs")
        self.outputs = stack.outputs(self.clients, stack.DEFAULT_NAME)
        self.machine = self.outputs[stack.STATE_MACHINE]

    def follow(self, arn: str) -> Execution:
        """Tells the execution state by state until it ends."""
        follower = Follower(self.states, arn)

        def look() -> None:
            for visit in follower.advance():
                self.story.state(visit)

        with self.story.at_work("waiting for the execution"):
            ended = executions.wait(self.states, arn, seconds=PATIENCE_S, on_look=look)
        if ended.output:
            self.story.decision(ended.output)
        return ended

    def started_by(self, matches: Callable[[Mapping[str, Any]], bool]) -> str:
        """The execution that an event or a webhook started."""
        arn = executions.find_by_input(self.states, self.machine, matches, seconds=PATIENCE_S)
        if arn is None:
            raise TimeoutError("no execution was started")
        return arn

    def input_of(self, arn: str) -> dict[str, Any]:
        given: dict[str, Any] = json.loads(self.states.describe_execution(executionArn=arn)["input"])
        return given

    def tasks_of(self, service: str) -> list[str]:
        """ARNs of the service's running tasks."""
        found = self.ecs.list_tasks(cluster="prod", serviceName=service, desiredStatus="RUNNING")
        return [str(arn) for arn in found["taskArns"]]


def out_of_memory(stage: Stage) -> Scene:
    scene = Scene("a", "A task of checkout dies out of memory")
    stage.story.heading(
        scene, "The kernel kills a container. ECS says only that an essential container exited."
    )
    task = stage.cloud.world.strike("out_of_memory", "prod", service="checkout")[0]
    ended = stage.follow(stage.started_by(lambda given: _task_of(given) == task.arn))
    step = _step(ended, "stopped_tasks")
    found = (step.get("data") or {}).get("diagnoses") or [{}]
    if found[0]:
        stage.story.diagnosis(found[0])
    scene.facts = {"execution": ended.to_json()}
    scene.expected = [
        ("the event started an execution that ended SUCCEEDED", ended.status == "SUCCEEDED"),
        ("runbook diagnose was chosen", (ended.output or {}).get("runbook") == "diagnose"),
        ("the cause is named: container.oom_killed", found[0].get("category") == "container.oom_killed"),
        ("the evidence can be read in S3", _readable(stage, step)),
        ("subscribers of the SNS topic got the report", _channel(ended, "sns") == "posted"),
    ]
    return scene


def incident(stage: Stage) -> Scene:
    scene = Scene("b", "PagerDuty opens an incident for search")
    stage.story.heading(scene, f'A task of search has crashed, and an alarm pages on-call: "{SLOW_TITLE}".')
    crashed = stage.cloud.world.strike("exit", "prod", service="search", log_lines=JAVA_CRASH)[0]
    stage.started_by(lambda given: _task_of(given) == crashed.arn)
    opened = stage.cloud.pagerduty.open_incident(SLOW_TITLE, alerts=[_alarm("prod", "search")])
    ended = stage.follow(stage.started_by(lambda given: _incident_of(given) == opened["id"]))
    errors, command = _step(ended, "stopped_tasks"), _step(ended, "command")
    results = (command.get("data") or {}).get("results") or []
    for result in results[:1]:
        stage.story.output(result)
    notes = stage.cloud.pagerduty.incident(opened["id"])["notes"]
    for note in notes:
        stage.story.note(note["content"])
    found = (errors.get("data") or {}).get("diagnoses") or [{}]
    title = str(found[0].get("title") or "?")
    scene.facts = {"execution": ended.to_json(), "notes": [note["content"] for note in notes]}
    scene.expected = [
        ("the signed webhook started one execution that ended SUCCEEDED", ended.status == "SUCCEEDED"),
        ("the crash was found and its cause named", found[0].get("category") == "app.exit_nonzero"),
        (
            "the command ran in every container of the service, exit code 0",
            len(results) == len(_containers(stage, "search")) and all(r["exit_code"] == 0 for r in results),
        ),
        ("there is exactly one note on the incident", len(notes) == 1),
        ("the note names the cause", bool(notes) and title in notes[0]["content"]),
    ]
    return scene


def replace(stage: Stage) -> Scene:
    scene = Scene("c", "A hung task is replaced by hand")
    stage.story.heading(scene, "A task of checkout answers nobody. On-call starts the runbook replace-task.")
    hung = stage.cloud.world.strike("hang", "prod", service="checkout")[0].arn
    before = set(stage.tasks_of("checkout"))
    options = {"cluster": "prod", "task": hung, "reason": "hung, diagnostics taken"}
    arn = executions.start(stage.states, stage.machine, {"runbook": "replace-task", "options": options})
    ended = stage.follow(arn)
    command = _step(ended, "command")
    for result in (command.get("data") or {}).get("results") or []:
        stage.story.output(result)
    task = stage.ecs.describe_tasks(cluster="prod", tasks=[hung])["tasks"][0]
    service = stage.ecs.describe_services(cluster="prod", services=["checkout"])["services"][0]
    after = set(stage.tasks_of("checkout"))
    stage.story.say(f"  ECS: {task['lastStatus']}, {task['stopCode']}: {task['stoppedReason']}")
    stage.story.say(f"  checkout: {service['runningCount']} of {service['desiredCount']} tasks running")
    scene.facts = {"execution": ended.to_json(), "task": hung}
    scene.expected = [
        ("both steps ended well", executions.succeeded(ended)),
        ("the diagnostics were taken before the stop", bool(command.get("evidence"))),
        ("ECS says STOPPED, with our reason", "hung, diagnostics taken" in str(task.get("stoppedReason"))),
        ("a new task runs in its place", len(after) == len(before) and hung in before - after),
        ("the service is whole again", service["runningCount"] == service["desiredCount"] == 2),
    ]
    return scene


def nothing_to_do(stage: Stage, seen: Mapping[str, Any], own: str) -> Scene:
    """``seen``: the input of an execution that was handled; ``own``: the ARN of a task that we stopped."""
    scene = Scene("d", "The same event twice, and the event of our own stop")
    stage.story.heading(scene, "EventBridge delivers at least once, and our own stop makes an event as well.")
    stage.story.say("  the event of scene (a), once more:")
    event_id = put_event(stage.clients, seen)
    again = stage.follow(stage.started_by(lambda given: given.get("id") == event_id))
    stage.story.say("  the event of our own stop, given past the rule that keeps it out:")
    detail = stage.ecs.describe_tasks(cluster="prod", tasks=[own])["tasks"][0]
    event = dict(seen) | {"id": "own-stop", "source": DRILL_SOURCE, "detail": _as_event(detail)}
    stopped = stage.follow(executions.start(stage.states, stage.machine, event))
    kept_out = executions.find_by_input(
        stage.states,
        stage.machine,
        lambda given: _task_of(given) == own and given["id"] != "own-stop",
        seconds=0,
    )
    scene.facts = {"again": again.to_json(), "own_stop": stopped.to_json()}
    scene.expected = [
        ("the repeat was seen and nothing done", _skipped(again)),
        ("our own stop was seen and nothing done", _skipped(stopped)),
        ("the rule itself had kept our stop's event out", kept_out is None),
        ("both decisions are in the ledger with their reason", _in_ledger(stage, again, stopped)),
    ]
    return scene


def not_understood(stage: Stage) -> Scene:
    scene = Scene("e", "An event that cannot be parsed")
    stage.story.heading(scene, "Something puts an event on the bus that only looks like a stopped task.")
    broken = {"detail-type": "ECS Task State Change", "detail": {"lastStatus": "STOPPED", "taskArn": 42}}
    event_id = put_event(stage.clients, broken)
    ended = stage.follow(stage.started_by(lambda given: given.get("id") == event_id))
    stage.story.say(f"  {ended.error}: {ended.cause}")
    queue = stage.outputs["DeadLetterQueueUrl"]
    sqs = stage.clients.get("sqs")
    got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", [])
    kept = [message for message in got if json.loads(message["Body"]).get("id") == event_id]
    if kept:
        stage.story.say(f"  dead-letter queue: {kept[0]['Body'][:160]}")
    scene.facts = {"execution": ended.to_json(), "dead_letters": len(kept)}
    scene.expected = [
        (
            "the execution FAILED with InvalidTrigger",
            (ended.status, ended.error) == ("FAILED", "InvalidTrigger"),
        ),
        ("its cause names the field", "taskArn" in ended.cause),
        ("the event lies whole in the dead-letter queue", len(kept) == 1),
    ]
    return scene


def play(stage: Stage) -> list[Scene]:
    """Plays all scenes in order and tells how each ended."""
    began = time.monotonic()
    scenes: list[Scene] = []

    def done(scene: Scene) -> Scene:
        stage.story.checks(scene)
        scenes.append(scene)
        return scene

    first = done(out_of_memory(stage))
    done(incident(stage))
    third = done(replace(stage))
    done(nothing_to_do(stage, stage.input_of(first.facts["execution"]["execution_arn"]), third.facts["task"]))
    done(not_understood(stage))
    stage.story.end(scenes, time.monotonic() - began)
    return scenes


def _task_of(given: Mapping[str, Any]) -> str:
    detail = given.get("detail")
    return str(detail.get("taskArn", "")) if isinstance(detail, dict) else ""


def _incident_of(given: Mapping[str, Any]) -> str:
    return str(((given.get("event") or {}).get("data") or {}).get("id", ""))


def _step(ended: Execution, kind: str) -> dict[str, Any]:
    steps = (ended.output or {}).get("steps") or []
    return next((dict(step) for step in steps if step["type"] == kind), {})


def _channel(ended: Execution, name: str) -> str:
    channels = ((ended.output or {}).get("report") or {}).get("channels", [])
    return next((str(each["status"]) for each in channels if each["channel"] == name), "")


def _skipped(ended: Execution) -> bool:
    output = ended.output or {}
    return output.get("decision") == "skip" and bool(output.get("reason")) and not output.get("steps")


def _readable(stage: Stage, step: Mapping[str, Any]) -> bool:
    s3 = stage.clients.get("s3")
    refs = step.get("evidence") or []
    return bool(refs) and all(
        s3.get_object(Bucket=ref["bucket"], Key=ref["key"])["ContentLength"] > 0 for ref in refs
    )


def _containers(stage: Stage, service: str) -> list[str]:
    tasks = stage.ecs.describe_tasks(cluster="prod", tasks=stage.tasks_of(service))["tasks"]
    return [container["name"] for task in tasks for container in task["containers"]]


def _in_ledger(stage: Stage, *ended: Execution) -> bool:
    """Whether the ledger holds, for each execution, its decision with the same reason."""
    pages = (
        stage.clients.get("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=stage.outputs["LedgerTableName"])
    )
    reasons = {item["reason"]["S"] for page in pages for item in page["Items"] if "reason" in item}
    return all((each.output or {}).get("reason") in reasons for each in ended)


def _as_event(task: Mapping[str, Any]) -> dict[str, Any]:
    """What DescribeTasks gives, in the form of an event's detail: times as text."""
    detail: dict[str, Any] = json.loads(json.dumps(task, default=lambda moment: moment.isoformat()))
    return detail


def _alarm(cluster: str, service: str) -> dict[str, Any]:
    """The alert PagerDuty makes of a CloudWatch alarm on a service."""
    dimensions = [{"name": "ServiceName", "value": service}, {"name": "ClusterName", "value": cluster}]
    return {
        "summary": SLOW_TITLE,
        "details": {
            "AlarmName": f"{service}-latency-p99",
            "AlarmArn": f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{service}-latency-p99",
            "AWSAccountId": "123456789012",
            "NewStateValue": "ALARM",
            "NewStateReason": "Threshold Crossed: 5 datapoints were greater than the threshold (2.0).",
            "Trigger": {"MetricName": "Latency", "Namespace": "Shop", "Dimensions": dimensions},
        },
    }
