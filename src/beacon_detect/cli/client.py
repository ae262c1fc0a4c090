"""Asks the control plane over HTTP, and turns every failure into one clear error.

Answers are JSON objects that carry a ``schema`` name; an answer of another
shape means that something else listens there. No proxy from the environment
is used: the API is on this machine or a named one.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from beacon_detect import __version__
from beacon_detect.errors import (
    BeaconError,
    NotFoundError,
    PermissionMissingError,
    UnreachableError,
)

if TYPE_CHECKING:
    from types import TracebackType

    from beacon_detect.cli.session import Session

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 30.0
MAX_ANSWER_BYTES = 256 << 20
_START_HINT = (
    "start one with: beacon-detect up (or beacon-detect server);"
    " name another one with --host and --port before the verb"
)
_HOW_TO_PROVE_IT = (
    "give the token with --token-file FILE before the verb, or in the variable BEACON_API_TOKEN"
)


class Client:
    """A connection to one control plane; a context manager.

    Parameters
    ----------
    session
        Which control plane, and the token to send.
    answer_seconds
        Longest wait for an answer.
    """

    def __init__(self, session: Session, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        import httpx2

        self._server = session.server
        headers = {"User-Agent": f"beacon-detect/{__version__}", "Accept": "application/json"}
        self._with_token = bool(token := session.token())
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            self._http = httpx2.Client(
                base_url=session.url,
                headers=headers,
                timeout=httpx2.Timeout(answer_seconds, connect=CONNECT_SECONDS),
                trust_env=False,
            )
        except httpx2.InvalidURL:
            raise UnreachableError(
                f"{session.host!r} is no host name or address", hint="check --host"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, name: str, **parameters: object) -> dict[str, Any]:
        """Return the answer to ``GET /api/v1/name``; parameters that are None are left away.

        Raises
        ------
        UnreachableError
            Nothing answers there, or something that is no control plane.
        PermissionMissingError
            The token is missing or wrong, or the name is not allowed.
        NotFoundError, BeaconError
            The control plane refuses, for the reason in the message.
        """
        import httpx2

        query: dict[str, Any] = {
            key: value for key, value in parameters.items() if value is not None
        }
        try:
            with self._http.stream("GET", f"/{name}", params=query) as response:
                status, body = response.status_code, self._read(response)
        except httpx2.TimeoutException:
            raise UnreachableError(
                f"the control plane at {self._server} does not answer in time", hint=_START_HINT
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
            raise UnreachableError(
                f"no control plane can be reached at {self._server}: {_reason(error)}",
                hint=_START_HINT,
            ) from None
        answer = _parse(body)
        if status != HTTPStatus.OK:
            raise self._refusal(status, answer)
        if answer is None or not str(answer.get("schema", "")).startswith("beacon-detect."):
            raise self._stranger()
        return answer

    def _read(self, response: Any) -> bytes:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise BeaconError(
                    f"the answer of {self._server} is larger than {MAX_ANSWER_BYTES >> 20} MiB",
                    hint="ask for less with --limit",
                )
        return bytes(body)

    def _refusal(self, status: int, answer: dict[str, Any] | None) -> BeaconError:
        detail = str((answer or {}).get("detail", ""))
        if answer is None or not detail:
            if status == HTTPStatus.UNAUTHORIZED:
                detail = "the token is missing or wrong"
            else:
                return self._stranger(status)
        if status == HTTPStatus.UNAUTHORIZED:
            which = "another" if self._with_token else "an"
            return PermissionMissingError(
                f"the control plane at {self._server} wants {which} API token",
                hint=_HOW_TO_PROVE_IT,
            )
        message = f"the control plane at {self._server} refuses: {detail}"
        if status == HTTPStatus.FORBIDDEN:
            return PermissionMissingError(message)
        if status == HTTPStatus.NOT_FOUND:
            return NotFoundError(message)
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            return UnreachableError(message, hint="it is starting, stopping or busy; try again")
        return BeaconError(message)

    def _stranger(self, status: int = 200) -> UnreachableError:
        return UnreachableError(
            f"what answers at {self._server} is no Beacon Detect control plane (HTTP {status})",
            hint="check --host and --port",
        )


def _reason(error: Exception) -> str:
    """Return why a request failed, in the words of the operating system where it has some."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__


def _parse(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in ``body``, None when there is none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None
