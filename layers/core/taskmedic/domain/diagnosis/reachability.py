"""Could the task's subnet reach what it needed? Told from routes, endpoints and security groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# The VPC endpoints that a start needs when there is no other way out, by category.
# Source: ECS developer guide, "Amazon ECS interface VPC endpoints".
NEEDED: Mapping[str, tuple[str, ...]] = {
    "image_pull": ("ecr.api", "ecr.dkr", "s3"),
    "secrets": ("secretsmanager", "ssm", "kms"),
    "logs": ("logs",),
    "env_file": ("s3",),
}
HTTPS = 443
ANYWHERE = ("0.0.0.0/0", "::/0")

Described = Mapping[str, Any]


@dataclass(frozen=True)
class Network:
    """What was read around a subnet, each as EC2 describes it; None is what could not be read."""

    subnet: str
    public_ip: bool | None = None
    route_table: Described | None = None
    endpoints: Sequence[Described] | None = None
    security_groups: Sequence[Described] = field(default_factory=tuple)


def reachability(network: Network, family: str) -> tuple[str, ...]:
    """Facts of the way out for a failure of that family, a line each; the first says if there is one."""
    return tuple(_facts(network, NEEDED.get(family, ())))


def _facts(network: Network, needed: Sequence[str]) -> Iterator[str]:
    if network.route_table is not None:
        yield _way_out(network)
    if network.endpoints is not None and needed:
        yield _endpoints(network, needed)
    for group in network.security_groups:
        if not _lets_out(group):
            yield f"security group {group.get('GroupId')} lets nothing out on port {HTTPS}"


def _way_out(network: Network) -> str:
    table = network.route_table or {}
    name = f"route table {table.get('RouteTableId')} of {network.subnet}"
    target = next((_target(route) for route in table.get("Routes") or () if _is_default(route)), "")
    if not target:
        return f"{name} has no default route: no way out but VPC endpoints"
    if not target.startswith("igw-"):
        return f"{name} has a default route to {target}"
    if network.public_ip is False:
        return f"{name} has a default route to {target}, but the task has no public IP: no way out"
    return f"{name} has a default route to {target}"


def _is_default(route: Described) -> bool:
    """A default route that is in force; a blackhole leads nowhere."""
    destination = route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock")
    return destination in ANYWHERE and route.get("State", "active") == "active"


def _target(route: Described) -> str:
    names = ("GatewayId", "NatGatewayId", "TransitGatewayId", "NetworkInterfaceId", "VpcPeeringConnectionId")
    return next((str(route[name]) for name in names if route.get(name)), "an unnamed target")


def _endpoints(network: Network, needed: Iterable[str]) -> str:
    """Which of the needed endpoints the VPC has. An endpoint counts when it is available."""
    there = {
        str(endpoint.get("ServiceName", "")).split(".", 3)[-1]
        for endpoint in network.endpoints or ()
        if str(endpoint.get("State", "available")).lower() == "available"
    }
    has = [name for name in needed if name in there]
    lacks = [name for name in needed if name not in there]
    return f"VPC endpoints: has {', '.join(has) or 'none of them'}; lacks {', '.join(lacks) or 'none'}"


def _lets_out(group: Described) -> bool:
    return any(_covers(rule) for rule in group.get("IpPermissionsEgress") or ())


def _covers(rule: Described) -> bool:
    if rule.get("IpProtocol") == "-1":
        return True
    first, last = rule.get("FromPort"), rule.get("ToPort")
    in_range = first is not None and last is not None and first <= HTTPS <= last
    return rule.get("IpProtocol") == "tcp" and in_range
