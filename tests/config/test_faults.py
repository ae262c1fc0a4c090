"""Faults name place, key, value and the next step, in order, without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from beacon_detect.config.faults import nearest_key
from beacon_detect.config.load import load_config
from beacon_detect.config.schema import settings
from beacon_detect.errors import ConfigError, ExitCode

KNOWN = {path for path, _ in settings()}


def faults(folder: Path, text: str, **environment: str) -> list[str]:
    path = folder / "c.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path, environment=environment)
    assert caught.value.exit_code == ExitCode.CONFIG
    return caught.value.message.replace(f"{folder}/", "").splitlines()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "detection:\n  min_conections: 5\n",
            (
                "c.yaml:2:3: detection.min_conections: unknown key;"
                " did you mean detection.min_connections?"
            ),
        ),
        ("detectoin:\n  a: 5\n", "c.yaml:1:1: detectoin: unknown key; did you mean detection?"),
        (
            "alerting:\n  webhok_url: 'https://example.org/SECRET'\n",
            "c.yaml:2:3: alerting.webhok_url: unknown key; did you mean alerting.webhook_url?",
        ),
        (
            "detection:\n  listen_port: 5\n",
            (
                "c.yaml:2:3: detection.listen_port: unknown key;"
                " did you mean control_plane.listen_port?"
            ),
        ),
        ("zzz: {}\n", "c.yaml:1:1: zzz: unknown key"),
        (
            "detection: 5\n",
            "c.yaml:1:12: detection: must be a section with keys of its own (got 5)",
        ),
        (
            "alerting:\n  syslog: yes\n",
            "c.yaml:2:11: alerting.syslog: must be a section with keys of its own (got True)",
        ),
        (
            "detection:\n  cv_threshold: low\n",
            "c.yaml:2:17: detection.cv_threshold: must be a number (got 'low')",
        ),
        (
            "detection:\n  min_connections: '10'\n",
            (
                "c.yaml:2:20: detection.min_connections: must be a whole number of check-ins"
                " (got '10')"
            ),
        ),
        (
            "detection:\n  min_connections: 1.5\n",
            "c.yaml:2:20: detection.min_connections: must be a whole number of check-ins (got 1.5)",
        ),
        (
            "data_plane:\n  export_interval: 0\n",
            "c.yaml:2:20: data_plane.export_interval: must be at least 0.2 seconds (got 0)",
        ),
        (
            "control_plane:\n  listen_port: 99999\n",
            "c.yaml:2:16: control_plane.listen_port: must be at most 65535 (got 99999)",
        ),
        (
            "detection:\n  alert_threshold: .nan\n",
            "c.yaml:2:20: detection.alert_threshold: must be at most 1 (got nan)",
        ),
        (
            "alerting:\n  syslog_enabled: 1\n",
            "c.yaml:2:19: alerting.syslog.enabled: must be true or false (got 1)",
        ),
        (
            "alerting:\n  syslog:\n    transport: carrier pigeon\n",
            (
                "c.yaml:3:16: alerting.syslog.transport: must be 'unix', 'udp' or 'tcp'"
                " (got 'carrier pigeon')"
            ),
        ),
        (
            "data_plane:\n  sensor_name: 1234\n",
            "c.yaml:2:16: data_plane.sensor_name: must be text (put it in quotes) (got 1234)",
        ),
        (
            "data_plane:\n  sensor_name: ''\n",
            "c.yaml:2:16: data_plane.sensor_name: must not be empty (got '')",
        ),
        (
            "data_plane:\n  interface: averyveryverylongname\n",
            (
                "c.yaml:2:14: data_plane.interface: must be at most 15 characters long"
                " (got 'averyveryverylongname')"
            ),
        ),
        (
            "control_plane:\n  listen_port:\n",
            "c.yaml:2:3: control_plane.listen_port: has no value; must be a whole number",
        ),
        (
            "whitelist:\n  source_ips:\n",
            "c.yaml:2:3: whitelist.source_ips: has no value; must be a list, like [a, b]",
        ),
        (
            "whitelist:\n  ports: [53, 70000]\n",
            "c.yaml:2:15: whitelist.destination_ports[1]: must be at most 65535 (got 70000)",
        ),
        (
            "whitelist:\n  source_ips:\n    - 10.0.0.0/33\n",
            (
                "c.yaml:3:7: whitelist.source_ips[0]: must be an IP address or network like"
                " 10.0.0.0/8 (got '10.0.0.0/33')"
            ),
        ),
        (
            "data_plane:\n  ring_buffer_pages: 65\n",
            (
                "c.yaml:2:22: data_plane.ring_buffer_pages: must be a power of two"
                " (for example 128) (got 65)"
            ),
        ),
        (
            "detection:\n  weights: {cv: 0, periodicity: 0, jitter: 0}\n",
            "c.yaml:2:12: detection.weights: cv, periodicity and jitter must not all be 0",
        ),
        (
            "detection:\n  weights:\n    cv: -1\n",
            "c.yaml:3:9: detection.weights.cv: must be at least 0 (got -1)",
        ),
        (
            "alerting:\n  webhook_enabled: true\n",
            "alerting.webhook: enabled is true but url is empty",
        ),
    ],
)
def test_one_fault_one_line(tmp_path: Path, text: str, line: str) -> None:
    found = faults(tmp_path, text)

    assert len(found) == 1
    assert found[0].endswith(line)


@given(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), st.sampled_from(sorted(KNOWN)))
def test_any_unknown_key_is_refused_at_its_own_line_and_column(
    tmp_path_factory: pytest.TempPathFactory, key: str, beside: tuple[str, ...]
) -> None:
    assume((beside[0], key) not in {path[:2] for path in KNOWN})
    assume(f"{beside[0]}.{key}" != "whitelist.ports")
    assume(not key.startswith(("syslog_", "file_", "webhook_")))
    text = f"# first\n{beside[0]}:\n  # second\n  {key!r}: some value\n"
    found = faults(tmp_path_factory.mktemp("f"), text)

    assert len(found) == 1
    assert found[0].startswith(f"c.yaml:4:3: {beside[0]}.{key}: unknown key")


def test_faults_come_in_the_order_of_the_file_then_of_the_environment(tmp_path: Path) -> None:
    text = (
        "whitelist:\n  port: [53]\n  ports: [99999]\ndetection:\n  min_connections: 1\n"
        "data_plane:\n  interfac: a\n"
    )
    found = faults(tmp_path, text, BEACON_DETECT_CONTROL_PLANE__LISTEN_PORT="0")

    assert [line.split(": ")[0] for line in found] == [
        "c.yaml:2:3",
        "c.yaml:3:11",
        "c.yaml:5:20",
        "c.yaml:7:3",
        "environment variable BEACON_DETECT_CONTROL_PLANE__LISTEN_PORT",
    ]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://", "must name a host, like https://example.org/path"),
        ("https:///PASSWORD", "must name a host, like https://example.org/path"),
        ("https://[PASSWORD", "must name a host, like https://example.org/path"),
        ("https://example.org:PASSWORD/", "must name a host, like https://example.org/path"),
        ("https://example.org/\\nPASSWORD", "must not hold spaces or control characters"),
        ("https://example.org/ PASSWORD", "must not hold spaces or control characters"),
    ],
)
def test_a_webhook_that_could_never_be_called_is_refused(
    tmp_path: Path, url: str, message: str
) -> None:
    found = faults(tmp_path, f'alerting:\n  webhook_url: "{url}"\n')

    assert found == [f"c.yaml:2:16: alerting.webhook.url: {message}"]


@pytest.mark.parametrize(
    "header", ['X-A: "PASSWORD\\nX-B: 1"', '"X A": PASSWORD', '"": PASSWORD', '"X-Ä": PASSWORD']
)
def test_a_header_that_could_never_be_sent_is_refused(tmp_path: Path, header: str) -> None:
    [found] = faults(tmp_path, f"alerting:\n  webhook:\n    headers:\n      {header}\n")

    assert found.startswith("c.yaml:4:")
    assert "alerting.webhook.headers." in found
    assert "PASSWORD" not in found


@pytest.mark.parametrize("key", ["url: 'ftp://user:PASSWORD@example.org'", "headers: PASSWORD"])
def test_a_secret_is_not_repeated(tmp_path: Path, key: str) -> None:
    found = faults(tmp_path, f"alerting:\n  webhook:\n    {key}\n")

    assert "PASSWORD" not in "\n".join(found)


def test_a_secret_in_a_header_is_not_repeated(tmp_path: Path) -> None:
    found = faults(tmp_path, "alerting:\n  webhook:\n    headers:\n      X-Token: 8675309\n")

    assert found == [
        "c.yaml:4:16: alerting.webhook.headers.X-Token: must be text (put it in quotes)"
    ]


def test_many_faults_are_cut_short_and_long_values_too(tmp_path: Path) -> None:
    entries = "".join(f"    - {'x' * 500}\n" for _ in range(1000))
    found = faults(tmp_path, f"whitelist:\n  source_ips:\n{entries}")

    assert len(found) == 21
    assert found[-1] == "and 980 more faults"
    assert len(found[0]) < 250


def test_the_nearest_key_of_a_very_long_key_is_found_in_little_time() -> None:
    assert nearest_key(("detection", "m" * 100_000)) == ""
