"""From the alerts of an incident to the ECS things it is about."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmedic.domain.errors import InvalidTrigger
from taskmedic.pagerduty.alerts import Target, parse_service_map, targets_for_incident, targets_in

ACCOUNT, REGION = "123456789012", "eu-west-1"
ECS = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
TASK = "0123456789abcdef0123456789abcdef"
SEARCH = Target(cluster="prod", service="search")
SEARCH_THERE = Target(ACCOUNT, REGION, "prod", "search")


def an_alert(details: Any = None, **facts: Any) -> dict[str, Any]:
    """An alert as GET /incidents/{id}/alerts gives it: the details stand in two places."""
    body = {"type": "alert_body", "contexts": [], "details": details, "cef_details": {"details": details}}
    return {"id": "QALERT", "summary": "search is slow", "status": "triggered", "body": body, **facts}


def an_alarm(**trigger: Any) -> dict[str, Any]:
    """CloudWatch's message about an alarm."""
    return {
        "AlarmName": "search-5xx",
        "AlarmArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:search-5xx",
        "AWSAccountId": ACCOUNT,
        "Region": "EU (Ireland)",
        "NewStateValue": "ALARM",
        "Trigger": trigger,
    }


ECS_DIMENSIONS = [{"name": "ServiceName", "value": "search"}, {"name": "ClusterName", "value": "prod"}]
DIMENSIONS_BY_NAME = {"ClusterName": "prod", "ServiceName": "search"}
METRIC_ALARM = an_alarm(MetricName="CPUUtilization", Namespace="AWS/ECS", Dimensions=ECS_DIMENSIONS)
FIRING = """Labels:
 - alertname = HighErrorRate
 - ecs_cluster = prod
 - ecs_service = search
Annotations:
 - summary = service checkout depends on it
Source: http://prometheus/graph
"""
BY_NAME = ("ClusterName = prod", "ServiceName = search")
PLAINLY = ("cluster = prod", "service = search")


def firing(*labels: str) -> dict[str, str]:
    """Alertmanager's text about one series; ``alertname`` is on every one."""
    lines = "".join(f" - {label}\n" for label in ("alertname = Slow", *labels))
    return {"firing": f"Labels:\n{lines}Annotations:\n - summary = x\n"}


TASK_EVENT = {
    "version": "0",
    "detail-type": "ECS Task State Change",
    "account": ACCOUNT,
    "region": REGION,
    "resources": [f"{ECS}:task/prod/{TASK}"],
    "detail": {
        "clusterArn": f"{ECS}:cluster/prod",
        "taskArn": f"{ECS}:task/prod/{TASK}",
        "taskDefinitionArn": f"{ECS}:task-definition/search:7",
        "group": "service:search",
        "containers": [{"taskArn": f"{ECS}:task/prod/{TASK}", "name": "app"}],
    },
}


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        pytest.param(METRIC_ALARM, SEARCH_THERE, id="cloudwatch metric alarm"),
        pytest.param({"custom_details": METRIC_ALARM}, SEARCH_THERE, id="one level deeper"),
        pytest.param({"Message": json.dumps(METRIC_ALARM)}, SEARCH_THERE, id="sns message as text"),
        pytest.param(json.dumps({"Message": json.dumps(METRIC_ALARM)}), SEARCH_THERE, id="text in text"),
        pytest.param(
            an_alarm(
                Metrics=[
                    {"Id": "rate", "Expression": "errors / all"},
                    {"Id": "errors", "MetricStat": {"Metric": {"Dimensions": ECS_DIMENSIONS}}},
                ]
            ),
            SEARCH_THERE,
            id="metric math",
        ),
        pytest.param(
            {**an_alarm(), "AlarmName": "TargetTracking-service/prod/search-AlarmHigh-5e1c9f3a-0b1c"},
            SEARCH_THERE,
            id="target tracking alarm",
        ),
        pytest.param(
            {
                "detail-type": "CloudWatch Alarm State Change",
                "account": ACCOUNT,
                "region": REGION,
                "detail": {
                    "alarmName": "search-5xx",
                    "configuration": {
                        "metrics": [
                            {"metricStat": {"metric": {"dimensions": DIMENSIONS_BY_NAME}}},
                        ]
                    },
                },
            },
            SEARCH_THERE,
            id="alarm by eventbridge",
        ),
        pytest.param(TASK_EVENT, Target(ACCOUNT, REGION, "prod", "search", TASK), id="ecs task event"),
        pytest.param(
            {"detail-type": "ECS Service Action", "resources": [f"{ECS}:service/prod/search"]},
            SEARCH_THERE,
            id="ecs service by eventbridge",
        ),
        pytest.param({"tags": "env:prod, ecs_cluster:prod, service:search"}, SEARCH, id="datadog tags"),
        pytest.param(
            {"tags": ["cluster_name:prod", "ecs_service:search", f"region:{REGION}", f"account:{ACCOUNT}"]},
            SEARCH_THERE,
            id="datadog tags as a list",
        ),
        pytest.param(
            {"tags": f"ecs_cluster_name:prod,task_arn:arn:aws:ecs:{REGION}:{ACCOUNT}:task/prod/{TASK}"},
            Target(ACCOUNT, REGION, "prod", task=TASK),
            id="datadog task",
        ),
        pytest.param({"firing": FIRING, "num_firing": "1"}, SEARCH, id="alertmanager text"),
        pytest.param(
            {"commonLabels": {"aws_ecs_cluster_name": "prod", "aws_ecs_service_name": "search"}},
            SEARCH,
            id="prometheus labels",
        ),
        pytest.param({"ecs_cluster": "prod", "ecs_service": "search"}, SEARCH, id="events api, our own keys"),
        pytest.param(
            {"cluster": "prod", "service": "search", "region": REGION, "account": ACCOUNT},
            SEARCH_THERE,
            id="plain keys",
        ),
        pytest.param(
            {"aws.ecs.cluster.arn": f"{ECS}:cluster/prod", "ecs_service": "search"},
            SEARCH_THERE,
            id="opentelemetry",
        ),
        pytest.param(f"{ECS}:service/prod/search has failed", SEARCH_THERE, id="arn in text"),
        pytest.param(
            an_alarm(Namespace="AWS/ECS", Dimensions=[{"name": "ClusterName", "value": "prod"}]),
            Target(ACCOUNT, REGION, "prod"),
            id="cluster alarm",
        ),
        pytest.param(
            an_alarm(
                Namespace="ECS/ContainerInsights",
                Dimensions=[*ECS_DIMENSIONS, {"name": "TaskId", "value": TASK}],
            ),
            Target(ACCOUNT, REGION, "prod", "search", TASK),
            id="container insights of ecs",
        ),
        pytest.param(
            {"namespace": "AWS/ECS", "clusterName": "prod"}, Target(cluster="prod"), id="flat metric"
        ),
        pytest.param(
            {"clusterArn": f"{ECS}:cluster/prod", "serviceName": "search"},
            SEARCH_THERE,
            id="arn and a plain name",
        ),
        pytest.param(
            {"labels": {"alertname": "Lag", "ecs_cluster": "prod", "service": "search", "job": "app"}},
            SEARCH,
            id="a plain service beside a name that says ecs",
        ),
        pytest.param(
            {"cluster": "prod", "servicename": "search"}, SEARCH, id="service name beside a cluster"
        ),
        pytest.param(
            {"targets": [{"labels": {"aws.ecs.clusterName": "prod", "aws.ecs.serviceName": "search"}}]},
            SEARCH,
            id="new relic",
        ),
        pytest.param(
            {
                "labels": [
                    {"key": "ecs_cluster", "value": "prod"},
                    {"key": "ecs_service", "value": "search"},
                ]
            },
            SEARCH,
            id="labels as a list",
        ),
        pytest.param(
            {"ecs_cluster": "prod", "ecs_service": "search", "task_id": TASK},
            Target(cluster="prod", service="search", task=TASK),
            id="a task id beside a name that says ecs",
        ),
        pytest.param(
            {"cluster": "prod", "service": "search", "task_id": TASK},
            Target(cluster="prod", service="search", task=TASK),
            id="a task id beside plain keys",
        ),
        pytest.param(
            {"ecs_cluster": "prod", "service": "search", "namespace": "shop", "deployment": "ecs-svc/123"},
            SEARCH,
            id="a name that says ecs beside words of kubernetes",
        ),
        pytest.param(
            {"tags": "env:prod, namespace: AWS/ECS, clustername: prod"},
            Target(cluster="prod"),
            id="datadog tags with blanks",
        ),
        pytest.param(firing("Namespace = AWS/ECS", *BY_NAME), SEARCH, id="alertmanager, metric of ecs"),
        pytest.param(firing(*BY_NAME), SEARCH, id="alertmanager, dimensions of cloudwatch"),
        pytest.param(
            firing("cluster_name = prod", "instance = ", "job = aws_ecs", "service_name = search"),
            SEARCH,
            id="alertmanager, exporter of cloudwatch",
        ),
        pytest.param(firing("job = ecs", *PLAINLY), SEARCH, id="alertmanager, plain keys in a job of ecs"),
        pytest.param(
            firing("namespace = aws_ecs", *PLAINLY), SEARCH, id="alertmanager, plain keys in ecs's namespace"
        ),
    ],
)
def test_the_target_is_found_wherever_the_source_puts_it(details: Any, expected: Target) -> None:
    found = targets_in([an_alert(details)])

    assert found.targets == (expected,)
    assert "QALERT" in found.looked_at[0]
    assert "cluster prod" in found.looked_at[0]


@pytest.mark.parametrize(
    "details",
    [
        pytest.param(None, id="opened by hand"),
        pytest.param({"tags": "service:payment-api, env:prod"}, id="a service that need not be ecs's"),
        pytest.param({"cluster": "prod"}, id="a cluster that need not be ecs's"),
        pytest.param(
            {"firing": "Labels:\n - cluster = k8s\n - namespace = default\n - service = web\n"}, id="k8s"
        ),
        pytest.param(
            an_alarm(Namespace="AWS/Kafka", Dimensions=[{"name": "Cluster Name", "value": "events"}]),
            id="msk",
        ),
        pytest.param(
            an_alarm(Namespace="AWS/RDS", Dimensions=[{"name": "DBInstance", "value": "x"}]), id="rds"
        ),
        pytest.param(
            an_alarm(Namespace="ContainerInsights", Dimensions=DIMENSIONS_BY_NAME),
            id="container insights of eks",
        ),
        pytest.param(
            an_alarm(
                Dimensions=[{"name": "ClusterName", "value": "eks"}, {"name": "PodName", "value": "web"}]
            ),
            id="a pod's dimensions",
        ),
        pytest.param(
            {"tags": "cluster_name:eks,kube_cluster_name:eks,kube_namespace:x,service:web,service_name:web"},
            id="datadog on kubernetes",
        ),
        pytest.param({"tags": "cluster_name:events,topic:orders,servicename:x"}, id="datadog on msk"),
        pytest.param(
            {"clusterName": "Cluster0", "replicaSetName": "r", "typeName": "HOST"}, id="mongodb atlas"
        ),
        pytest.param({"cluster_name": "logs-es", "service": "logs"}, id="elasticsearch"),
        pytest.param(
            {"labels": {"clusterName": "eks", "namespaceName": "default"}}, id="new relic on kubernetes"
        ),
        pytest.param({"task_id": "550e8400-e29b-41d4-a716-446655440000"}, id="a task of celery"),
        pytest.param({"ecs_task_id": TASK}, id="a task without its cluster"),
        pytest.param(f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/{TASK}", id="old task arn without a cluster"),
        pytest.param(
            {"firing": "Labels:\n - alertname = Lag\n - cluster = eu1\n - service = db\n - instance = a\n"},
            id="prometheus labels that name no ecs",
        ),
        pytest.param(firing("job = app", *PLAINLY), id="prometheus' own cluster and service"),
        pytest.param(firing("Namespace = AWS/EKS", *BY_NAME), id="prometheus on a metric of eks"),
        pytest.param(firing("pod = web-1", *BY_NAME), id="prometheus on a pod"),
        pytest.param(firing("namespace = shop", *BY_NAME), id="prometheus in a namespace"),
        pytest.param(firing("kube_app = x", "job = ecs", *BY_NAME), id="prometheus on kubernetes"),
        pytest.param(firing("job = ecs", "cluster_name = prod"), id="a job of ecs without a service"),
        pytest.param({**an_alarm(), "AlarmRule": 'ALARM("a") OR ALARM("b")'}, id="composite alarm"),
        pytest.param({"ecs_cluster": "prod; rm -rf /", "ecs_service": "search"}, id="no name ecs would take"),
        pytest.param({"ecs_cluster": ["prod"], "ecs_service": 7}, id="no texts"),
        pytest.param("arn:aws:ecs:eu-west-1:123456789012:service/search", id="old arn without a cluster"),
        pytest.param("{not json", id="broken json"),
    ],
)
def test_a_target_is_never_guessed(details: Any) -> None:
    found = targets_in([an_alert(details)])

    assert found.targets == ()
    assert found.looked_at[0].startswith('alert QALERT "search is slow": ')


def test_several_alerts_are_several_targets_each_once() -> None:
    checkout = {"ecs_cluster": "prod", "ecs_service": "checkout"}

    found = targets_in([an_alert(METRIC_ALARM), an_alert(checkout), an_alert(METRIC_ALARM), an_alert("?")])

    assert found.targets == (SEARCH_THERE, Target(cluster="prod", service="checkout"))
    assert len(found.looked_at) == 4


def test_hundreds_of_alerts_stay_few_lines() -> None:
    alerts = [an_alert({"ecs_cluster": "prod", "ecs_service": f"s{n}"}) for n in range(300)]

    found = targets_in(alerts)

    assert len(found.targets) == 25
    assert len(found.looked_at) == 21
    assert found.looked_at[-1] == "280 more alerts"
    assert found.left_out[0] == "cluster prod service s25: a run works on 25 targets at most"
    assert len(found.left_out) == 21
    assert found.left_out[-1].startswith("255 more targets: ")


def test_one_text_that_fires_for_two_services_is_two_targets() -> None:
    both = FIRING + FIRING.replace("ecs_service = search", "ecs_service = checkout")

    assert targets_in([an_alert({"firing": both})]).targets == (
        SEARCH,
        Target(cluster="prod", service="checkout"),
    )


def test_a_fuller_finding_swallows_a_part_of_it() -> None:
    cluster_only = an_alert({"ecs_cluster": "prod"})

    assert targets_in([cluster_only, an_alert(METRIC_ALARM)]).targets == (SEARCH_THERE,)


def test_resolved_and_suppressed_alerts_count_only_when_there_is_no_other() -> None:
    resolved = an_alert({"ecs_cluster": "prod", "ecs_service": "old"}, status="resolved")
    suppressed = an_alert({"ecs_cluster": "prod", "ecs_service": "quiet"}, suppressed=True)

    assert targets_in([resolved, suppressed, an_alert(METRIC_ALARM)]).targets == (SEARCH_THERE,)
    assert len(targets_in([resolved, suppressed]).targets) == 2


@pytest.mark.parametrize("alert", [{}, {"body": None}, {"body": "text"}, {"body": {"details": None}}])
def test_an_alert_of_any_form_is_looked_at(alert: dict[str, Any]) -> None:
    assert targets_in([alert]).targets == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_no_details_whatever_bring_it_down(details: Any) -> None:
    for target in targets_in([an_alert(details)]).targets:
        assert target.cluster or target.task


@given(JSON, st.integers(0, 5))
def test_the_target_is_found_under_any_neighbours(noise: Any, depth: int) -> None:
    tree: Any = {"ecs_cluster": "prod", "ecs_service": "search"}
    for level in range(depth):
        tree = {f"level{level}": tree, "x_noise": noise}

    assert SEARCH in targets_in([an_alert(tree)]).targets


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 200_000,
        "- a = b" + " " * 200_000 + "\n",
        "a" * 200_000,
        "arn:aws" * 30_000,
        f"{ECS}:service/prod/search{TASK} " * 3_000,
        "".join(f"{ECS}:service/prod/s{n} " for n in range(5_000)),
        "TargetTracking-service/" + "a-" * 100_000,
    ],
)
def test_hostile_text_takes_time_linear_in_its_length(text: str) -> None:
    # A pattern that goes back over the text would take minutes here.
    alerts = [an_alert({"tags": text, "firing": text, "Message": text, "x": text})]

    assert len(targets_in(alerts).targets) <= 25


def test_json_in_json_without_end_ends() -> None:
    tree: Any = "{}"
    for _ in range(12):
        tree = json.dumps({"Message": tree})
    assert targets_in([an_alert(tree)]).targets == ()


# with PagerDuty, and the map


class Incidents:
    """Gives the alerts of one incident, look by look."""

    def __init__(self, *looks: Sequence[Mapping[str, Any]]) -> None:
        self._looks = list(looks)
        self.count = 0

    def alerts(self, incident_id: str) -> list[Mapping[str, Any]]:
        self.count += 1
        return list(self._looks.pop(0) if len(self._looks) > 1 else self._looks[0])


def test_an_alert_that_lags_its_webhook_is_waited_for() -> None:
    waited: list[float] = []
    incidents = Incidents([], [], [an_alert(METRIC_ALARM)])

    found = targets_for_incident(incidents, "Q1", {}, waited.append)

    assert found.targets == (SEARCH_THERE,)
    assert len(waited) == 2
    assert sum(waited) < 10


def test_without_alerts_the_map_says_what_the_service_is() -> None:
    waited: list[float] = []
    service_map = parse_service_map('{"PSEARCH": {"cluster": "prod", "service": "search"}}', "parameter")

    found = targets_for_incident(
        Incidents([]), "Q1", service_map, waited.append, service_id="PSEARCH", service_name="Search"
    )

    assert found.targets == (SEARCH,)
    assert found.looked_at == (
        "incident Q1 has no alerts",
        "service map: entry of PagerDuty service PSEARCH (Search)",
    )


def test_the_map_knows_services_by_name_and_may_give_several() -> None:
    text = '{"Search": [{"cluster": "prod", "service": "search"}, {"cluster": "eu", "region": "eu-west-1"}]}'

    found = targets_for_incident(
        Incidents([an_alert({"x": 1})]),
        "Q1",
        parse_service_map(text, "p"),
        lambda _: None,
        service_id="PSEARCH",
        service_name="Search",
    )

    assert found.targets == (SEARCH, Target(region="eu-west-1", cluster="eu"))


def test_what_the_alerts_say_is_before_what_the_map_says() -> None:
    service_map = parse_service_map('{"PSEARCH": {"cluster": "prod", "service": "other"}}', "p")

    found = targets_for_incident(
        Incidents([an_alert(METRIC_ALARM)]), "Q1", service_map, lambda _: None, service_id="PSEARCH"
    )

    assert found.targets == (SEARCH_THERE,)


def test_a_service_in_the_map_is_before_a_cluster_in_the_alerts() -> None:
    cluster_only = [an_alert({"ecs_cluster": "prod"})]
    by_service = parse_service_map('{"PSEARCH": {"cluster": "prod", "service": "search"}}', "p")
    by_cluster = parse_service_map('{"PSEARCH": {"cluster": "other"}}', "p")

    found = targets_for_incident(
        Incidents(cluster_only), "Q1", by_service, lambda _: None, service_id="PSEARCH"
    )
    assert found.targets == (SEARCH,)
    assert found.looked_at[-1] == "service map: entry of PagerDuty service PSEARCH"

    found = targets_for_incident(
        Incidents(cluster_only), "Q1", by_cluster, lambda _: None, service_id="PSEARCH"
    )
    assert found.targets == (Target(cluster="prod"),)


def test_nothing_found_tells_every_place_that_was_looked_at() -> None:
    found = targets_for_incident(
        Incidents([an_alert({"x": 1})]), "Q1", {}, lambda _: None, service_id="PX", service_name="X"
    )

    assert found.targets == ()
    assert found.looked_at[-1] == "service map: no entry for PagerDuty service PX (X)"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "no JSON"),
        ("[]", "object"),
        ('{"P1": {"service": "search"}}', "P1"),
        ('{"P1": {"cluster": "prod", "servise": "search"}}', "servise"),
        ('{"P1": {"cluster": "prod", "service": 7}}', "service"),
        ('{"P1": ["prod"]}', "P1"),
    ],
)
def test_a_wrong_map_names_its_entry(text: str, named: str) -> None:
    with pytest.raises(InvalidTrigger, match=named) as raised:
        parse_service_map(text, "parameter /taskmedic/service-map")

    assert "parameter /taskmedic/service-map" in str(raised.value)


def test_what_an_unmapped_alert_holds_is_shown() -> None:
    details = {"monitor_state": "Triggered", "tags": "service:payment-api, env:prod"}

    (line,) = targets_in([an_alert(details)]).looked_at

    assert line.endswith('(it has monitor_state, tags; tags "service:payment-api, env:prod")')


def test_an_empty_map_is_one() -> None:
    assert parse_service_map("", "p") == {} == parse_service_map("{}", "p")
