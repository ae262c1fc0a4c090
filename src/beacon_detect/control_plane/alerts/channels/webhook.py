"""Alerts as HTTP POST requests with a JSON body.

One request an alert; any 2xx answer is an acknowledgement, its body is not
read. The URL and the headers may hold secrets, so neither is ever part of an
error or a log line: errors name ``scheme://host`` and what happened. The whole
exchange is bounded by ``timeout``, a receiver that trickles its answer
included (an asyncio deadline; socket timeouts would start anew at each octet).
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from beacon_detect import __version__
from beacon_detect.control_plane.alerts.channel import (
    ChannelSpec,
    PermanentFailureError,
    RetryPolicy,
    TemporaryFailureError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2

    from beacon_detect.config.schema import Webhook
    from beacon_detect.control_plane.alerts.message import Alert

LONGEST_WAIT = 3600.0
"""Longest wait between attempts, seconds; a longer ``Retry-After`` is cut to it."""

_RETRIED = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
"""Client errors (4xx) that pass by themselves."""


class WebhookChannel:
    """Posts each alert to one URL."""

    def __init__(self, settings: Webhook) -> None:
        self._settings = settings
        self._place = masked_url(settings.url)
        self._runner: asyncio.Runner | None = None
        self._client: httpx2.AsyncClient | None = None

    def deliver(self, alert: Alert) -> None:
        """Post the alert; a 2xx answer means that the receiver has it."""
        import httpx2

        if self._runner is None:
            self._runner = asyncio.Runner()
        try:
            status, headers = self._runner.run(self._post(alert))
        except TimeoutError:
            raise TemporaryFailureError(
                f"{self._place}: no answer within {self._settings.timeout:g} s"
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
            # From None: the cause's text, and any traceback of it, may show the URL or a header.
            raise TemporaryFailureError(f"{self._place}: {_explain(error)}") from None
        self._judge(status, headers)

    def close(self) -> None:
        """Close the connection pool and the event loop."""
        runner, client = self._runner, self._client
        self._runner = self._client = None
        if runner is not None:
            if client is not None:
                runner.run(client.aclose())
            runner.close()

    async def _post(self, alert: Alert) -> tuple[int, Mapping[str, str]]:
        """Return the answer's status and headers."""
        import httpx2

        if self._client is None:
            self._client = _open_client()
        headers = httpx2.Headers(
            {"Content-Type": "application/json", "User-Agent": f"beacon-detect/{__version__}"}
        )
        headers.update(self._settings.headers)
        headers["Idempotency-Key"] = f"{alert.id}-{SPEC.name}"
        async with (
            asyncio.timeout(self._settings.timeout),
            self._client.stream(
                "POST", self._settings.url, content=alert.document.encode(), headers=headers
            ) as answer,
        ):
            return answer.status_code, answer.headers

    def _judge(self, status: int, headers: Mapping[str, str]) -> None:
        """Return when the alert was taken, else raise what to do about it."""
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return
        text = f"{self._place}: HTTP {status}"
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            raise TemporaryFailureError(f"{text}: redirects are not followed, set the final URL")
        if status in _RETRIED or not HTTPStatus.BAD_REQUEST <= status < 500:
            wait = parse_retry_after(headers.get("Retry-After", ""), time.time())
            raise TemporaryFailureError(text, wait=wait)
        raise PermanentFailureError(text)


def masked_url(url: str) -> str:
    """Return ``scheme://host`` of a URL: no credentials, port, path or query."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "webhook"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}"


def parse_retry_after(value: str, now: float) -> float:
    """Return the seconds a ``Retry-After`` header asks for, 0 to 3600; 0 when it says nothing.

    Parameters
    ----------
    value
        Seconds or an HTTP date (RFC 9110, section 10.2.3).
    now
        Wall time, seconds since the epoch.
    """
    value = value.strip()
    if value.isascii() and value.isdecimal():
        seconds = float(value)
    else:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return 0.0
        # HTTP dates are GMT even where "-0000" leaves the result without a zone.
        seconds = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _open_client() -> httpx2.AsyncClient:
    """Return a client that keeps no connection: alerts are rare, a kept one would go stale."""
    import httpx2

    # They log full URLs and headers at levels info and debug.
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    limits = httpx2.Limits(max_keepalive_connections=0)
    return httpx2.AsyncClient(timeout=None, limits=limits, follow_redirects=False)


def _explain(error: Exception) -> str:
    """Return what failed; the error's own words only where they cannot hold a secret."""
    import httpx2

    if isinstance(error, httpx2.ConnectError):
        return f"cannot connect: {error}"
    if isinstance(error, httpx2.ProxyError):
        return "the proxy refused (HTTPS_PROXY, HTTP_PROXY, NO_PROXY)"
    if isinstance(error, httpx2.LocalProtocolError | UnicodeError):
        return "a header in alerting.webhook.headers cannot be sent (name or value not valid)"
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return "alerting.webhook.url is not a valid URL"
    if isinstance(error, httpx2.RemoteProtocolError):
        return "the answer is not HTTP, or the connection was closed before it"
    return type(error).__name__


def _policy(settings: Webhook) -> RetryPolicy:
    return RetryPolicy(first=settings.retry_backoff, longest=LONGEST_WAIT, limit=settings.retries)


SPEC = ChannelSpec(name="webhook", open=WebhookChannel, policy=_policy)
