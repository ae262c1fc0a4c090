"""What all channels share: how long they wait, and what they tell of a failure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.control_plane.alerts.channel import (
    ChannelSpec,
    RetryPolicy,
    TemporaryFailureError,
)
from beacon_detect.control_plane.alerts.channels.file import FileChannel
from beacon_detect.control_plane.alerts.message import SEVERITIES

policies = st.builds(
    RetryPolicy,
    first=st.floats(0.05, 3600),
    longest=st.floats(3600, 7200),
    limit=st.none() | st.integers(0, 1000),
)


@given(policies, st.integers(1, 10_000))
def test_waits_double_from_the_first_up_to_the_longest(policy: RetryPolicy, failures: int) -> None:
    wait = policy.wait(failures)

    assert policy.wait(1) == policy.first
    assert policy.first <= wait <= policy.longest
    assert policy.wait(failures + 1) in (2 * wait, policy.longest)


def test_a_failure_asks_for_no_wait_of_its_own_unless_the_receiver_did() -> None:
    assert TemporaryFailureError("dead").wait == 0
    assert TemporaryFailureError("busy", wait=7).wait == 7


def test_a_channel_wants_every_severity_unless_it_says_otherwise() -> None:
    spec = ChannelSpec(
        name="any",
        open=FileChannel,
        policy=lambda _: RetryPolicy(first=1, longest=2, limit=None),
    )

    assert all(spec.wants(None, severity) for severity in SEVERITIES)
