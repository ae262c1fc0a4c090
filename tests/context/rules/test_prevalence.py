"""The more hosts talk to a destination, the lower its risk."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.context import Facts
from beacon_detect.context.rules.prevalence import LEAST_HOSTS, RULE


@given(st.integers(LEAST_HOSTS, 5000), st.data())
def test_more_sources_never_mean_more_risk(hosts: int, data: st.DataObject) -> None:
    few, many = sorted(data.draw(st.tuples(*[st.integers(1, hosts)] * 2)))
    deltas = []
    for sources in (few, many):
        said = RULE(Facts(src="10.0.0.1", dst="203.0.113.7", sources=sources, hosts=hosts))
        deltas.append(said.delta if said else 0.0)

    assert deltas[0] >= deltas[1]


def test_one_host_of_a_hundred_is_rare_and_half_of_them_common(facts: Any) -> None:
    rare, common = RULE(facts(sources=1, hosts=100)), RULE(facts(sources=50, hosts=100))

    assert rare is not None
    assert common is not None
    assert (rare.delta, common.delta) == (0.1, -0.3)
    assert "1 of 100" in rare.reason


def test_a_share_of_few_hosts_says_nothing(facts: Any) -> None:
    assert RULE(facts(sources=1, hosts=LEAST_HOSTS - 1)) is None
    assert RULE(facts(sources=90, hosts=100, src_internal=False)) is None
