"""Rules together: named, switchable, bounded, each with a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.context import RULES, ContextSettings, Facts, assess
from beacon_detect.context.risk import risk_of

ON = ContextSettings()
PATHS = ("", "/usr/bin/python3.11", "/tmp/x", "/memfd:a (deleted)", "/home/u/.x/y", "/bin/bash")
ADDRESSES = ("224.0.0.251", "ff02::1", "203.0.113.7", "10.255.255.255", "127.0.0.1", "169.254.3.4")
FACTS = st.builds(
    Facts,
    src=st.just("10.0.0.5"),
    dst=st.sampled_from(ADDRESSES),
    dst_port=st.sampled_from((53, 123, 443, 1900, 5353)),
    protocol=st.sampled_from((1, 6, 17, 58, 99)),
    name=st.sampled_from(("", "example.com", "qxzvkjwpbt.net", "captive.apple.com", "..")),
    process=st.sampled_from(("", "curl", "implant")),
    executable=st.sampled_from(PATHS),
    src_internal=st.booleans(),
    dst_internal=st.booleans(),
    sources=st.integers(0, 100),
    hosts=st.integers(0, 100),
    executable_hosts=st.integers(0, 50),
    attributed_hosts=st.integers(0, 50),
    executable_pairs=st.integers(0, 50),
    attributed_pairs=st.integers(0, 500),
    age=st.floats(0, 1e8),
    watched=st.floats(0, 1e8),
    connections_per_check_in=st.floats(1, 100),
    size_regularity=st.none() | st.floats(0, 1),
)


@given(FACTS)
def test_every_rule_stays_within_its_bounds_and_says_why(pair: Facts) -> None:
    for rule in RULES:
        said = rule(pair)
        if said is not None:
            assert said.rule == rule.name
            assert rule.lowest <= said.delta <= rule.highest
            assert said.reason
            assert not said.reason.endswith(".")


@given(FACTS, st.floats(0, 1))
def test_reasons_explain_the_whole_way_from_score_to_risk(pair: Facts, score: float) -> None:
    found = assess(score, pair, ON)

    assert found.risk == risk_of(score, [reason.delta for reason in found.reasons])
    assert [abs(r.delta) for r in found.reasons] == sorted(
        (abs(r.delta) for r in found.reasons), reverse=True
    )


@given(FACTS, st.floats(0, 1))
def test_with_context_off_the_risk_is_the_score_exactly(pair: Facts, score: float) -> None:
    found = assess(score, pair, ContextSettings(enabled=False))

    assert (found.risk, found.reasons) == (score, ())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@given(FACTS)
def test_a_rule_that_is_switched_off_says_nothing(rule: Any, pair: Facts) -> None:
    found = assess(0.9, pair, ContextSettings(disabled=frozenset({rule.name})))

    assert rule.name not in {reason.rule for reason in found.reasons}


def test_a_pair_of_which_nothing_is_known_keeps_its_score(facts: Any) -> None:
    assert assess(0.93, facts(), ON).risk == 0.93


@pytest.mark.parametrize(
    "known",
    [
        {"dst": "192.0.2.1", "dst_port": 123, "protocol": 17},
        {"dst": "239.255.255.250", "dst_port": 1900, "protocol": 17},
        {"dst": "224.0.0.251", "dst_port": 5353, "protocol": 17},
        {"dst": "10.0.0.1", "dst_internal": True, "dst_port": 53, "protocol": 17},
    ],
)
def test_perfect_timing_of_an_infrastructure_service_is_no_alert(
    facts: Any, known: dict[str, Any]
) -> None:
    assert assess(1.0, facts(**known), ON).risk < 0.5


def test_a_steady_tunnel_over_the_own_resolver_stays_an_alert(facts: Any) -> None:
    tunnel = {"dst": "10.0.0.1", "dst_internal": True, "dst_port": 53, "protocol": 17}

    assert assess(0.95, facts(**tunnel, size_regularity=0.85), ON).risk > 0.7


def test_a_program_in_a_temporary_folder_raises_a_doubtful_score_to_an_alert(facts: Any) -> None:
    found = assess(0.65, facts(executable="/dev/shm/.x/kworker (deleted)"), ON)

    assert found.risk > 0.7
    assert found.reasons[0].rule == "process_location"
