"""botocore's exceptions become ours, here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from taskmedic.domain.errors import (
    AccessDenied,
    AwsRefused,
    AwsUnreachable,
    ClusterNotFound,
    ServiceNotFound,
    TaskmedicError,
    Throttled,
)

# Codes by which AWS services say "too many calls": botocore's own list of throttling codes.
THROTTLING = frozenset(
    {
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "AuthorizationError"}
)
EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}
)

# The request went out, and what AWS made of it is not known. ResponseParserError is no BotoCoreError, and its
# text holds the whole answer, session tokens among it.
NO_ANSWER = (HTTPClientError, ResponseParserError)


def no_answer_because(error: Exception) -> str:
    """Why one of NO_ANSWER came."""
    return "the answer was no answer of AWS" if isinstance(error, ResponseParserError) else str(error)


def from_client_error(error: ClientError, what: str, where: str = "") -> TaskmedicError:
    """Our error for an answer of an AWS API.

    Args:
        error: botocore's exception.
        what: The thing that was tried, as in "cannot list the tasks".
        where: The resource concerned.
    """
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", "") or code
    if code in THROTTLING:
        return Throttled(what, where=where, why=message, remedy="Try again in a minute.")
    if code in DENIED:
        action = error.operation_name
        return AccessDenied(
            what, where=where, why=message, remedy=f"Allow the caller's role the action {action}."
        )
    if code in EXPIRED:
        return AwsUnreachable(
            what, where=where, why=message, remedy="Sign in again or renew the credentials."
        )
    if code == "ClusterNotFoundException":
        return ClusterNotFound(
            f"cluster {where or 'asked for'} does not exist",
            why="ECS knows no such cluster in this account and region",
            remedy="Check the name, the region and the account; `aws ecs list-clusters` shows what there is.",
        )
    if code in {"ServiceNotFoundException", "ServiceNotActiveException"}:
        return ServiceNotFound(
            what, where=where, why=message, remedy="Check the service's name and its cluster."
        )
    return AwsRefused(what, where=where, why=f"{code}: {message}")


@contextmanager
def translated(what: str, where: str = "") -> Iterator[None]:
    """Raises our error in place of botocore's for the calls made inside."""
    try:
        yield
    except ClientError as error:
        raise from_client_error(error, what, where) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise AwsUnreachable(
            what,
            where=where,
            why="there are no AWS credentials",
            remedy="Set AWS_PROFILE, or sign in with `aws sso login`.",
        ) from error
    except NoRegionError as error:
        raise AwsUnreachable(
            what, where=where, why="no AWS region is set", remedy="Set AWS_REGION or give --region."
        ) from error
    except ParamValidationError as error:  # botocore's own check, before anything is sent
        raise AwsRefused(what, where=where, why=" ".join(str(error).split())) from error
    except BotoCoreError as error:
        raise AwsUnreachable(
            what, where=where, why=str(error), remedy="Check the network and the endpoint."
        ) from error
    except ResponseParserError as error:  # no BotoCoreError, and its text holds the whole answer
        raise AwsRefused(
            what,
            where=where,
            why="the answer was no answer of AWS",
            remedy="Check that the endpoint is AWS and that no proxy answers in its place.",
        ) from error
