"""Alerts over HTTP: what a receiver gets, which answers are final, and secrets that stay secret."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
import traceback
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_factory import alert
from beacon_detect import __version__
from beacon_detect.config.schema import Webhook
from beacon_detect.control_plane.alerts.channel import (
    PermanentFailureError,
    TemporaryFailureError,
)
from beacon_detect.control_plane.alerts.channels.webhook import (
    LONGEST_WAIT,
    SPEC,
    WebhookChannel,
    masked_url,
    parse_retry_after,
)
from beacon_detect.control_plane.alerts.message import Alert
from patience import PATIENCE


def post(told: Alert, url: str, *, timeout: float = PATIENCE, **settings: Any) -> None:
    # Unchecked: the channel keeps a secret even where the schema would let a bad URL through.
    settings |= {"enabled": True, "url": url, "timeout": timeout}
    channel = WebhookChannel(Webhook.model_construct(**settings))
    try:
        channel.deliver(told)
    finally:
        channel.close()


def test_the_receiver_gets_the_document_as_json(http_receiver: Any) -> None:
    told = alert(name="größe.example")
    post(told, http_receiver.url("/hook?team=a"))

    request = http_receiver.next()
    assert request.path == "/hook?team=a"
    assert request.body.decode() == told.document
    assert json.loads(request.body)["id"] == told.id
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"] == f"beacon-detect/{__version__}"


def test_every_attempt_at_an_alert_has_the_same_idempotency_key(http_receiver: Any) -> None:
    told, other = alert(), alert()
    for one in (told, told, other):
        post(one, http_receiver.url())

    keys = [http_receiver.next().headers["Idempotency-Key"] for _ in range(3)]
    assert keys == [f"{told.id}-webhook", f"{told.id}-webhook", f"{other.id}-webhook"]


def test_configured_headers_are_sent_and_win_over_ours(http_receiver: Any) -> None:
    headers = {"Authorization": "Bearer abc", "content-type": "application/vnd.soc+json"}
    post(alert(), http_receiver.url(), headers=headers)

    sent = http_receiver.next().headers
    assert sent["Authorization"] == "Bearer abc"
    assert {value for name, value in sent.items() if name.lower() == "content-type"} == {
        "application/vnd.soc+json"
    }


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_answer_is_an_acknowledgement(http_receiver: Any, status: int) -> None:
    http_receiver.answer = lambda _: answer(status)
    post(alert(), http_receiver.url())


def answer(status: int = 200, **values: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"status": status, "headers": {}, "raw": None, "hold": None} | values)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 413, 422])
def test_a_client_error_is_final(http_receiver: Any, status: int) -> None:
    http_receiver.answer = lambda _: answer(status)

    with pytest.raises(PermanentFailureError, match=rf"^http://127.0.0.1: HTTP {status}$"):
        post(alert(), http_receiver.url())


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_passing_error_is_retried(http_receiver: Any, status: int) -> None:
    http_receiver.answer = lambda _: answer(status)

    with pytest.raises(TemporaryFailureError, match=rf"^http://127.0.0.1: HTTP {status}$"):
        post(alert(), http_receiver.url())


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(http_receiver: Any, status: int) -> None:
    http_receiver.answer = lambda _: answer(status, headers={"Location": "/elsewhere"})

    with pytest.raises(TemporaryFailureError, match="redirects are not followed"):
        post(alert(), http_receiver.url())
    assert http_receiver.next().path == "/hook"
    assert http_receiver.requests.empty()


def test_retry_after_is_handed_on(http_receiver: Any) -> None:
    http_receiver.answer = lambda _: answer(429, headers={"Retry-After": "7"})

    with pytest.raises(TemporaryFailureError) as caught:
        post(alert(), http_receiver.url())
    assert caught.value.wait == 7


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("", 0), ("0", 0), ("12", 12), (" 12 ", 12), ("999999999999", LONGEST_WAIT), ("-5", 0),
     ("soon", 0), ("1e9", 0), ("٣", 0)],
)  # fmt: skip
def test_retry_after_in_seconds_is_bounded(value: str, seconds: float) -> None:
    assert parse_retry_after(value, time.time()) == seconds


@pytest.mark.parametrize(("offset", "seconds"), [(90, 90), (-90, 0), (10**6, LONGEST_WAIT)])
def test_retry_after_may_be_a_date(offset: int, seconds: float) -> None:
    now = 1_790_000_000.0

    assert parse_retry_after(formatdate(now + offset, usegmt=True), now) == seconds


@given(st.text())
def test_any_retry_after_gives_a_bounded_wait(value: str) -> None:
    assert 0 <= parse_retry_after(value, time.time()) <= LONGEST_WAIT


def test_no_answer_within_the_timeout_is_a_failure(http_receiver: Any) -> None:
    hold = threading.Event()
    http_receiver.answer = lambda _: answer(hold=hold)

    with pytest.raises(TemporaryFailureError, match=r"no answer within 0\.2 s"):
        post(alert(), http_receiver.url(), timeout=0.2)
    hold.set()


def test_an_answer_that_trickles_does_not_outlast_the_timeout() -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def trickle() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not stop.wait(0.02):
                    try:
                        connection.sendall(b"a")
                    except OSError:
                        return

        server = threading.Thread(target=trickle)
        server.start()
        with pytest.raises(TemporaryFailureError, match=r"no answer within 0\.3 s"):
            post(alert(), f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.3)
        stop.set()
        server.join()


def test_a_port_where_nobody_listens_is_a_failure(dead_port: int) -> None:
    with pytest.raises(TemporaryFailureError, match=r"^http://127\.0\.0\.1: cannot connect"):
        post(alert(), f"http://127.0.0.1:{dead_port}/hook")


def test_an_answer_that_is_not_http_is_a_failure(http_receiver: Any) -> None:
    http_receiver.answer = lambda _: answer(raw=b"220 mail.example ESMTP\r\n")

    with pytest.raises(TemporaryFailureError, match="the answer is not HTTP"):
        post(alert(), http_receiver.url())


def test_a_channel_delivers_again_after_a_failure(http_receiver: Any) -> None:
    answers = iter([answer(500), answer(200)])
    http_receiver.answer = lambda _: next(answers)
    channel = WebhookChannel(Webhook(enabled=True, url=http_receiver.url(), timeout=PATIENCE))
    with pytest.raises(TemporaryFailureError):
        channel.deliver(alert())
    channel.deliver(alert())
    channel.close()


def failure(told: Alert, url: str, **settings: Any) -> Exception | None:
    try:
        post(told, url, **settings)
    except (TemporaryFailureError, PermanentFailureError) as error:
        return error
    return None


SECRET = "s3cr3t-t0k3n"


@pytest.mark.parametrize(
    "case",
    ["ok", "status 404", "status 503", "redirect", "not http", "dead port", "bad header",
     "bad header name", "bad url", "bad host", "timeout"],
)  # fmt: skip
def test_secrets_never_show_in_errors_or_logs(
    case: str, http_receiver: Any, dead_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hold = threading.Event()
    answers = {
        "status 404": answer(404),
        "status 503": answer(503),
        "redirect": answer(302, headers={"Location": f"/{SECRET}"}),
        "not http": answer(raw=f"{SECRET}\r\n".encode()),
        "timeout": answer(hold=hold),
    }
    http_receiver.answer = lambda _: answers.get(case, answer())
    port = dead_port if case == "dead port" else http_receiver.port
    host = {"bad url": "127.0.0.1\x07", "bad host": "bad..host"}.get(case, "127.0.0.1")
    url = f"http://user:{SECRET}@{host}:{port}/{SECRET}?token={SECRET}#{SECRET}"
    name = f"X-{SECRET} \n" if case == "bad header name" else "X-Token"
    value = f"Bearer\n{SECRET}" if case == "bad header" else f"Bearer {SECRET}"

    error = failure(
        alert(), url, headers={name: value}, timeout=0.3 if case == "timeout" else PATIENCE
    )
    hold.set()

    assert (error is None) == (case == "ok")
    shown = "".join(traceback.format_exception(error)) if error else ""
    assert SECRET not in shown + caplog.text
    assert not [record for record in caplog.records if SECRET in str(record.args)]


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://hooks.example/services/T0/B0/xyz?a=b#c", "https://hooks.example"),
        ("https://user:pass@hooks.example:8443/x", "https://hooks.example"),
        ("http://[2001:db8::1]:8080/x", "http://[2001:db8::1]"),
        ("http://[broken", "webhook"),
    ],
)
def test_a_masked_url_is_scheme_and_host(url: str, masked: str) -> None:
    assert masked_url(url) == masked


def test_retries_and_backoff_are_those_configured() -> None:
    policy = SPEC.policy(Webhook(retries=3, retry_backoff=0.5))

    assert policy.limit == 3
    assert [policy.wait(n) for n in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert policy.wait(1000) == LONGEST_WAIT
