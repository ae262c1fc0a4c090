"""What every registered channel must do, and the file, test and page that each must have."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from alert_factory import NOW, alert, finding
from beacon_detect.config.schema import AlertFile, Alerting, Section, Syslog, Webhook
from beacon_detect.control_plane.alerts import channels
from beacon_detect.control_plane.alerts.channel import Channel, TemporaryFailureError
from beacon_detect.control_plane.alerts.channels import CHANNELS
from beacon_detect.control_plane.alerts.message import SEVERITIES, AlertKind, make_alert
from patience import PATIENCE

ROOT = Path(__file__).parents[4]
NAMES = list(CHANNELS)
SOURCES = Path(channels.__file__).parent
PAGES = ROOT / "docs" / "reference"


class Places:
    """Settings of each channel with a receiver that works, and with one that is not there."""

    def __init__(self, folder: Path, http: Any, dead_port: int) -> None:
        self.folder = folder
        self.syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.syslog.bind(str(folder / "log.sock"))
        self.syslog.settimeout(PATIENCE)
        self._http = http
        (folder / "blocked").touch()
        self.working: dict[str, Section] = {
            "syslog": Syslog(socket_path=str(folder / "log.sock")),
            "file": AlertFile(path=str(folder / "alerts.json")),
            "webhook": Webhook(enabled=True, url=http.url(), timeout=PATIENCE),
        }
        self.missing: dict[str, Section] = {
            "syslog": Syslog(socket_path=str(folder / "none.sock")),
            "file": AlertFile(path=str(folder / "blocked" / "alerts.json")),
            "webhook": Webhook(enabled=True, url=f"http://127.0.0.1:{dead_port}/"),
        }

    def received(self, name: str) -> str:
        """Return the next thing that the working receiver got."""
        if name == "syslog":
            return self.syslog.recv(65536).decode()
        if name == "webhook":
            return str(self._http.next().body.decode())
        return (self.folder / "alerts.json").read_text("utf-8").splitlines()[-1]


@pytest.fixture
def places(tmp_path: Path, http_receiver: Any, dead_port: int) -> Iterator[Places]:
    places = Places(tmp_path, http_receiver, dead_port)
    with places.syslog:
        yield places


@pytest.fixture
def opened() -> Iterator[Any]:
    """Open a channel and close it at the end."""
    with ExitStack() as stack:

        def open_channel(name: str, settings: Any) -> Channel:
            channel = CHANNELS[name].open(settings)
            stack.callback(channel.close)
            return channel

        yield open_channel


def test_the_suite_knows_every_channel(places: Places) -> None:
    assert set(places.working) == set(places.missing) == set(NAMES)


def test_every_file_is_registered_under_its_own_name() -> None:
    files = {path.stem for path in SOURCES.glob("*.py")} - {"__init__"}

    assert files == set(NAMES)
    assert all(spec.name == name for name, spec in CHANNELS.items())


@pytest.mark.parametrize("name", NAMES)
def test_a_channel_has_a_file_a_test_a_page_and_a_place_in_the_list(name: str) -> None:
    assert (SOURCES / f"{name}.py").is_file()
    assert (Path(__file__).parent / f"test_{name}.py").is_file()
    assert (PAGES / "channels" / f"{name}.md").is_file()
    assert f"(channels/{name}.md)" in (PAGES / "alerts.md").read_text("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_its_page_explains_every_setting_of_its_section(name: str) -> None:
    page = (PAGES / "channels" / f"{name}.md").read_text("utf-8")
    section = Alerting.model_fields[name].annotation

    assert section is not None
    assert issubclass(section, Section)
    assert "enabled" in section.model_fields
    for setting in section.model_fields:
        assert f"`{setting}`" in page


def test_the_pages_link_only_to_channels_that_exist() -> None:
    linked = re.findall(r"\(channels/(\w+)\.md\)", (PAGES / "alerts.md").read_text("utf-8"))

    assert set(linked) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_opening_does_no_input_or_output(name: str, places: Places, opened: Any) -> None:
    before = sorted(places.folder.iterdir())
    opened(name, places.missing[name])
    opened(name, places.working[name])

    assert sorted(places.folder.iterdir()) == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", AlertKind)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_it_delivers_every_kind_of_alert_with_its_id(
    name: str, kind: AlertKind, severity: str, places: Places, opened: Any
) -> None:
    told = make_alert(finding(severity), kind, NOW, before="LOW", silence=7200.0)
    opened(name, places.working[name]).deliver(told)

    assert told.id in places.received(name)


@pytest.mark.parametrize("name", NAMES)
def test_it_delivers_whatever_a_process_calls_itself(
    name: str, places: Places, opened: Any
) -> None:
    odd = 'a"b]c\\d\n\r\0\x1b[31m\udcff\u202e' + "x" * 5000
    told = alert(process=odd, executable=odd, container=odd, name=odd)
    opened(name, places.working[name]).deliver(told)

    received = places.received(name)
    assert told.id in received
    assert not set("\n\r\0\x1b") & set(received)


@pytest.mark.parametrize("name", NAMES)
def test_it_delivers_one_alert_after_the_other(name: str, places: Places, opened: Any) -> None:
    channel = opened(name, places.working[name])
    for told in [alert() for _ in range(3)]:
        channel.deliver(told)
        assert told.id in places.received(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_receiver_is_a_temporary_failure_in_plain_words(
    name: str, places: Places, opened: Any
) -> None:
    channel = opened(name, places.missing[name])
    for _ in range(2):
        with pytest.raises(TemporaryFailureError) as caught:
            channel.deliver(alert())

    assert "Errno" not in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_closing_twice_and_unused_does_no_harm(name: str, places: Places) -> None:
    unused = CHANNELS[name].open(places.working[name])
    unused.close()
    used = CHANNELS[name].open(places.working[name])
    used.deliver(alert())
    used.close()
    used.close()


@pytest.mark.parametrize("name", NAMES)
def test_its_retries_wait_and_the_wait_is_bounded(name: str, places: Places) -> None:
    policy = CHANNELS[name].policy(places.working[name])

    assert 0 < policy.wait(1) <= policy.wait(1000) <= 3600
