"""iam:SimulatePrincipalPolicy for roles, which moto has not: its own policy engine, asked by that call.

Looks at the role's policies and one resource, as the call does when it is given nothing else: no permissions
boundary, no service control policy, and conditions as moto understands them.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.iam.exceptions import NotFoundException
from moto.iam.models import Role, iam_backends

from taskmedic_local.answers import Environ, StartResponse, answer, answer_error, body_of
from taskmedic_local.front import ACCOUNT_KEY

OPERATION = "SimulatePrincipalPolicy"
_ANSWER = (
    '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
    "<SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated>"
    "<EvaluationResults>{results}</EvaluationResults></SimulatePrincipalPolicyResult>"
    "</SimulatePrincipalPolicyResponse>"
)
_RESULT = (
    "<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName>"
    "<EvalDecision>{decision}</EvalDecision></member>"
)


def simulate_principal_policy(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """The WSGI application that answers the call."""
    form = parse_qs(body_of(environ).decode())
    arn = form.get("PolicySourceArn", [""])[0]
    actions = [values[0] for name, values in form.items() if name.startswith("ActionNames.member.")]
    try:
        role = iam_backends[environ[ACCOUNT_KEY]]["aws"].get_role_by_arn(arn)
    except NotFoundException:
        message = f"The role with name {arn.rsplit('/', 1)[-1]} cannot be found."
        return answer_error(environ, start_response, "NoSuchEntity", message, 404)
    resource = form.get("ResourceArns.member.1", ["*"])[0]
    policies = [IAMPolicy(document) for document in _documents(role)]
    results = "".join(
        _RESULT.format(
            action=escape(action), resource=escape(resource), decision=_decision(policies, action, resource)
        )
        for action in actions
    )
    return answer(start_response, 200, _ANSWER.format(results=results).encode(), content_type="text/xml")


def _documents(role: Role) -> Iterator[str]:
    yield from role.policies.values()
    for policy in role.managed_policies.values():
        yield next(version.document for version in policy.versions if version.is_default)


def _decision(policies: list[IAMPolicy], action: str, resource: str) -> str:
    found = {policy.is_action_permitted(action, resource) for policy in policies}
    if PermissionResult.DENIED in found:
        return "explicitDeny"
    return "allowed" if PermissionResult.PERMITTED in found else "implicitDeny"
