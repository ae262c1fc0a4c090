"""The shapes of the answers: a finding is shown with every field under its documented name."""

from __future__ import annotations

import json

from alert_factory import NOW, finding
from beacon_detect.control_plane.alerts.message import AlertKind, make_alert
from beacon_detect.control_plane.api.models import Beacon, BeaconList, rfc3339_or_none


def test_never_is_null() -> None:
    assert rfc3339_or_none(0) is None
    assert rfc3339_or_none(NOW) == "2026-09-21T14:13:20.000000Z"


def test_a_finding_is_shown_as_it_is() -> None:
    known = finding()

    shown = Beacon.of(known, known.last_seen)

    assert (shown.src_ip, shown.dst_ip, shown.score) == (known.src, known.dst, known.score)
    assert (shown.interval_seconds, shown.missed_check_ins) == (known.interval, known.missed)
    assert (shown.state, shown.whitelisted) == ("active", False)


def test_alert_and_beacon_name_the_fields_of_a_finding_alike() -> None:
    known = finding()
    alert = json.loads(make_alert(known, AlertKind.NEW, NOW).document)
    shown = Beacon.of(known, NOW).model_dump(exclude={"id", "state", "whitelisted", "severity"})

    assert {name: alert[name] for name in shown} == shown


def test_the_schema_is_named_on_the_wire() -> None:
    wire = json.loads(BeaconList(count=0, total=0, beacons=[]).model_dump_json())

    assert wire == {"schema": "beacon-detect.beacons/1", "count": 0, "total": 0, "beacons": []}
