"""Errors of the ECS API, by the code a client sees."""

from __future__ import annotations


class EcsError(Exception):
    """An API error: ``code`` is the exception's name in the API's model, the message AWS's wording."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def invalid_parameter(message: str) -> EcsError:
    """InvalidParameterException."""
    return EcsError("InvalidParameterException", message)


def client_error(message: str) -> EcsError:
    """ClientException."""
    return EcsError("ClientException", message)


def cluster_not_found() -> EcsError:
    """ClusterNotFoundException."""
    return EcsError("ClusterNotFoundException", "Cluster not found.")


def service_not_found() -> EcsError:
    """ServiceNotFoundException."""
    return EcsError("ServiceNotFoundException", "Service not found.")


def task_not_found() -> EcsError:
    """What StopTask and ExecuteCommand say of a task that is not there."""
    return invalid_parameter("The referenced task was not found.")
