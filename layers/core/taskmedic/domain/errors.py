"""Every error Taskmedic raises on purpose.

    TaskmedicError
    ├── InputError                  what was asked cannot be understood        exit 2
    │   ├── InvalidTrigger          the execution's input is none of the three triggers
    │   ├── RunbookNotFound         no runbook of that name is deployed
    │   ├── RunbookInvalid          a runbook's file breaks its schema
    │   ├── OptionInvalid           a runbook's option is missing, unknown or breaks its rule
    │   ├── FilterInvalid           a node filter cannot be parsed
    │   ├── CommandInvalid          a command cannot be delivered to a container as it stands
    │   └── NotAStoppedTask         a diagnosis was asked of something that is no stopped task
    ├── ActionFailed                it was understood, tried, and did not succeed  exit 1
    │   ├── ClusterNotFound         no such cluster in that account and region
    │   ├── ServiceNotFound         no such service in that cluster
    │   ├── TaskNotFound            no such task, or ECS has forgotten it
    │   ├── NodeNotFound            no running container matches
    │   ├── ExecAgentNotReady       ECS Exec cannot reach the container; nothing ran
    │   ├── CommandMayHaveRun       a command was sent and no answer came; it must not be sent again
    │   ├── TooManyTargets          more tasks would be stopped than the runbook allows
    │   └── StepInvalid             a step's text cannot be completed at run time
    ├── AwsError                    AWS or the network refused                 exit 3
    │   ├── AccessDenied            a permission is missing; the text names the action
    │   ├── RoleNotAssumable        sts:AssumeRole was refused
    │   ├── AwsUnreachable          no credentials, no region or no route
    │   ├── AwsRefused              any other answer of an AWS API that is no success
    │   └── Throttled               transient: too many calls; a retry is safe
    ├── PagerDutyError              PagerDuty refused                          exit 3
    │   ├── PagerDutyRefused        permanent: the request would be refused again
    │   └── PagerDutyUnavailable    transient: a later try may succeed
    ├── SlackRefused                Slack refused or cannot be reached         exit 3
    └── SettingMissing              an environment variable of the function is not set

A class's name is the error's name in Step Functions (Retry and Catch match on it), so names are public.
"""

from __future__ import annotations


class TaskmedicError(Exception):
    """Base of all errors here.

    Args:
        what: What went wrong, a sentence without its final stop.
        where: The field, file, resource or call concerned.
        why: The cause, as far as it is known.
        remedy: What the reader can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", why: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.why = why
        self.remedy = remedy
        super().__init__(self.text())

    def text(self) -> str:
        """One line: ``what (where): why. remedy``."""
        return f"{self.reason()} {self.remedy}".rstrip()

    def reason(self) -> str:
        """One line: ``what (where): why.``, for where the remedy has a place of its own."""
        line = self.what
        if self.where:
            line += f" ({self.where})"
        if self.why:
            line += f": {self.why}"
        return line.rstrip(".") + "."


class InputError(TaskmedicError):
    """What was asked for cannot be understood; asking again unchanged gives the same answer."""

    exit_code = 2


class InvalidTrigger(InputError):
    """The execution's input is neither an ECS event, a webhook's delivery nor a manual start."""


class RunbookNotFound(InputError):
    """No runbook of that name is deployed."""


class RunbookInvalid(InputError):
    """A runbook's file breaks its schema; the text names file, line and field."""


class OptionInvalid(InputError):
    """An option of a runbook is missing, unknown or breaks its rule."""


class FilterInvalid(InputError):
    """A node filter cannot be parsed; the text shows the place."""


class CommandInvalid(InputError):
    """A command is empty, too long, or would make AWS's agent hang; nothing was sent."""


class NotAStoppedTask(InputError):
    """A diagnosis was asked of something that is no stopped ECS task."""


class ActionFailed(TaskmedicError):
    """The request was understood and tried, and did not succeed."""


class ClusterNotFound(ActionFailed):
    """No such cluster in that account and region."""


class ServiceNotFound(ActionFailed):
    """No such service in that cluster."""


class TaskNotFound(ActionFailed):
    """No such task, or it stopped more than an hour ago and ECS has forgotten it."""


class NodeNotFound(ActionFailed):
    """No running container matches the node source and filter."""


class ExecAgentNotReady(ActionFailed):
    """ECS Exec is off in the container's task, or its agent is not connected. Nothing ran."""


class CommandMayHaveRun(ActionFailed):
    """A command was sent and the answer was lost. Whether it ran is not known; it must not be sent again."""


class TooManyTargets(ActionFailed):
    """More tasks would be stopped than the runbook allows."""


class StepInvalid(ActionFailed):
    """A step's text cannot be completed at run time: it names something that is not there."""


class AwsError(TaskmedicError):
    """AWS or the network refused."""

    exit_code = 3


class AccessDenied(AwsError):
    """A permission is missing; the text names the action and the resource where AWS says them."""


class RoleNotAssumable(AwsError):
    """sts:AssumeRole was refused."""


class AwsUnreachable(AwsError):
    """There are no credentials, there is no region, or the endpoint cannot be reached."""


class AwsRefused(AwsError):
    """Any other answer of an AWS API that is no success."""


class Throttled(AwsError):
    """AWS asked for fewer calls. Transient: a later retry of the same call is safe."""


class PagerDutyError(TaskmedicError):
    """PagerDuty refused or did not answer."""

    exit_code = 3


class PagerDutyRefused(PagerDutyError):
    """PagerDuty refused for good: the same request would be refused again."""


class PagerDutyUnavailable(PagerDutyError):
    """PagerDuty is down, slow or limits the rate. Transient: a later try may succeed."""


class SlackRefused(TaskmedicError):
    """Slack's incoming webhook refused or cannot be reached."""

    exit_code = 3


class SettingMissing(TaskmedicError):
    """An environment variable that the function needs is not set or not readable."""
