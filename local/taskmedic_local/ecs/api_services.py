"""Operations on services."""

from __future__ import annotations

from taskmedic_local.ecs import render
from taskmedic_local.ecs.call import Call, missing
from taskmedic_local.ecs.errors import EcsError, invalid_parameter
from taskmedic_local.ecs.model import Json, Service, TaskDefinition

PAGE = 10
KEPT = (
    "capacityProviderStrategy",
    "deploymentConfiguration",
    "enableECSManagedTags",
    "healthCheckGracePeriodSeconds",
    "loadBalancers",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
    "platformVersion",
    "propagateTags",
    "serviceRegistries",
)
DEPLOYS = ("taskDefinition", "enableExecuteCommand", "networkConfiguration", "platformVersion")


def create_service(call: Call) -> Json:
    body = call.body
    cluster, name = call.cluster, body["serviceName"]
    existing = cluster.services.get(name)
    if existing and existing.status != "INACTIVE":
        raise invalid_parameter("Creation of service was not idempotent.")
    if not body.get("taskDefinition"):
        raise invalid_parameter("TaskDefinition cannot be null or empty.")
    definition = call.definition(body["taskDefinition"])
    exec_enabled = body.get("enableExecuteCommand", False)
    _needs_role(definition, exec_enabled, "created")
    launch_type = body.get("launchType") or ("FARGATE" if "capacityProviderStrategy" in body else "EC2")
    if launch_type == "EC2" and not cluster.instances:
        raise invalid_parameter("No Container Instances were found in your cluster.")
    service = call.scheduler.create(
        cluster,
        name,
        definition,
        desired_count=body.get("desiredCount", 0),
        launch_type=launch_type,
        exec_enabled=exec_enabled,
        content={key: body[key] for key in KEPT if key in body},
        tags=body.get("tags", []),
    )
    return {"service": render.service(service, tags=True)}


def update_service(call: Call) -> Json:
    body = call.body
    service = _active(call)
    definition = service.primary.definition
    if body.get("taskDefinition"):
        definition = call.definition(body["taskDefinition"])
    exec_enabled = body.get("enableExecuteCommand", service.exec_enabled)
    _needs_role(definition, exec_enabled, "updated")
    service.exec_enabled = exec_enabled
    service.desired_count = body.get("desiredCount", service.desired_count)
    service.content.update({key: body[key] for key in KEPT if key in body})
    if body.get("forceNewDeployment") or any(key in body for key in DEPLOYS):
        call.scheduler.deploy(service, definition)
    else:
        call.scheduler.reconcile(service)
    return {"service": render.service(service)}


def delete_service(call: Call) -> Json:
    service = call.service(call.body["service"])
    if service.desired_count and not call.body.get("force"):
        raise invalid_parameter("The service cannot be stopped while it is scaled above 0.")
    call.scheduler.delete(service)
    return {"service": render.service(service)}


def list_services(call: Call) -> Json:
    wanted = call.body.get("launchType")
    found = [
        each
        for each in call.cluster.services.values()
        if each.status != "INACTIVE" and wanted in {None, each.launch_type}
    ]
    found.sort(key=lambda each: each.arn)
    return call.page("serviceArns", found, key=lambda each: each.arn, show=lambda each: each.arn, size=PAGE)


def describe_services(call: Call) -> Json:
    cluster = call.cluster
    found, failures = [], []
    for name in call.some("services", 10, "service names"):
        service = cluster.services.get(name.rsplit("/", 1)[-1])
        arn = name if name.startswith("arn:") else f"{cluster.prefix}:service/{cluster.name}/{name}"
        if service is None or service.arn != arn:
            failures.append(missing(arn))
        else:
            found.append(render.service(service, tags=call.includes("TAGS")))
    return {"services": found, "failures": failures}


def _active(call: Call) -> Service:
    service = call.service(call.body["service"])
    if service.status != "ACTIVE":
        raise EcsError("ServiceNotActiveException", "Service was not ACTIVE.")
    return service


def _needs_role(definition: TaskDefinition, exec_enabled: bool, done: str) -> None:
    if exec_enabled and not definition.content.get("taskRoleArn"):
        raise invalid_parameter(
            f"The service couldn't be {done} because a valid taskRoleArn is not being used. "
            "Specify a valid task role in your task definition and try again."
        )


OPERATIONS = {
    "CreateService": create_service,
    "UpdateService": update_service,
    "DeleteService": delete_service,
    "ListServices": list_services,
    "DescribeServices": describe_services,
}
