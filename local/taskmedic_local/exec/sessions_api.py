"""ssm:TerminateSession and ssm:ResumeSession."""

from __future__ import annotations

from typing import Any

from taskmedic_local.exec.gateway import Gateway

OPERATIONS = ("TerminateSession", "ResumeSession")
Json = dict[str, Any]


class SessionsApi:
    """Answers the two calls; sessions are found by id alone, whoever asks."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def handle(self, operation: str, body: Json, account: str, region: str) -> tuple[int, Json]:  # noqa: ARG002
        """HTTP status and JSON answer of one call."""
        session_id = body.get("SessionId")
        if not isinstance(session_id, str) or not session_id:
            return 400, {"__type": "ValidationException", "message": "SessionId: must be a text"}
        if operation == "TerminateSession":
            self._gateway.terminate(session_id)
            return 200, {"SessionId": session_id}
        resumed = self._gateway.resume(session_id)
        if resumed is None:
            message = f"Session {session_id} does not exist."
            return 400, {"__type": "DoesNotExistException", "message": message}
        answer = {"SessionId": session_id, "StreamUrl": resumed.stream_url}
        # Without a token the session is over; the call is no error.
        return 200, {**answer, "TokenValue": resumed.token} if resumed.token else answer
