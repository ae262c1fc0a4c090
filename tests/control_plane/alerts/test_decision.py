"""When a finding is told: once per level, again after silence, never one a minute."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_factory import HOUR, LEVELS, MINUTE, NOW, finding
from beacon_detect.analysis.severity import severity as severity_of
from beacon_detect.control_plane.alerts.decision import Decision, Memory, Rules, decide
from beacon_detect.control_plane.alerts.message import SEVERITIES, AlertKind, severity_rank
from beacon_detect.control_plane.findings import Finding
from beacon_detect.records import SECOND

RULES = Rules(threshold=0.7, cooldown=HOUR)


def told(first: Finding, rules: Rules = RULES, now: int = NOW) -> Memory:
    memory = decide(first, None, rules, now).memory
    assert memory is not None
    return memory


def test_a_finding_below_the_threshold_is_neither_told_nor_remembered() -> None:
    assert decide(finding("LOW"), None, RULES, NOW) == Decision(None, None)


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9, LEVELS["CRITICAL"]])
def test_the_first_score_at_the_threshold_is_new(threshold: float) -> None:
    rules = replace(RULES, threshold=threshold)

    assert decide(finding(score=threshold), None, rules, NOW).kind is AlertKind.NEW
    assert decide(finding(score=threshold - 1e-9), None, rules, NOW).kind is None


def test_the_same_finding_again_is_not_told() -> None:
    again = finding(last_seen=NOW + HOUR * 50)

    assert decide(again, told(finding()), RULES, NOW + HOUR * 50).kind is None


@pytest.mark.parametrize("now", [NOW, NOW + SECOND, NOW + 2 * HOUR, NOW - HOUR])
def test_a_rise_in_severity_is_told_whatever_the_time(now: int) -> None:
    decision = decide(finding("HIGH"), told(finding("MEDIUM")), RULES, now)

    assert decision.kind is AlertKind.WORSE
    assert decision.memory is not None
    assert decision.memory.severity == "HIGH"


def test_falling_and_climbing_back_to_a_level_already_told_is_not_told() -> None:
    memory = told(finding("CRITICAL"))
    fallen = decide(finding("MEDIUM"), memory, RULES, NOW + 5 * HOUR)
    back = decide(finding("CRITICAL"), fallen.memory, RULES, NOW + 9 * HOUR)

    assert (fallen.kind, back.kind) == (None, None)


def test_a_rise_below_the_threshold_waits_until_it_is_above() -> None:
    strict = replace(RULES, threshold=0.9)
    quiet = decide(finding("HIGH"), told(finding("MEDIUM")), strict, NOW)

    assert quiet.kind is None
    assert decide(finding("CRITICAL"), quiet.memory, strict, NOW).kind is AlertKind.WORSE


def returned(silence: int, **changes: object) -> Finding:
    at = NOW - SECOND + silence
    return finding(returned_at=at, last_seen=at + SECOND, **changes)


def test_a_return_after_a_silence_longer_than_the_cooldown_is_told_with_its_length() -> None:
    decision = decide(returned(3 * HOUR), told(finding()), RULES, NOW + 3 * HOUR)

    assert decision.kind is AlertKind.BACK
    assert decision.silence == 3 * HOUR
    assert decision.memory is not None
    assert decision.memory.silence == 0


def test_a_return_is_told_once() -> None:
    first = decide(returned(3 * HOUR), told(finding()), RULES, NOW + 3 * HOUR)
    later = replace(returned(3 * HOUR), last_seen=NOW + 8 * HOUR)

    assert decide(later, first.memory, RULES, NOW + 8 * HOUR).kind is None


def test_a_return_after_a_shorter_silence_is_not_told() -> None:
    assert decide(returned(HOUR - SECOND), told(finding()), RULES, NOW + 2 * HOUR).kind is None


def test_a_slow_beacon_must_miss_ten_check_ins() -> None:
    slow = {"interval": 3600.0}

    assert decide(returned(9 * HOUR, **slow), told(finding()), RULES, NOW + 9 * HOUR).kind is None
    long_gone = decide(returned(11 * HOUR, **slow), told(finding()), RULES, NOW + 11 * HOUR)
    assert long_gone.kind is AlertKind.BACK


def test_the_cooldown_decides_how_soon_a_return_is_told() -> None:
    eager = replace(RULES, cooldown=0)
    silence = 11 * MINUTE

    assert decide(returned(silence), told(finding()), RULES, NOW + silence).kind is None
    assert decide(returned(silence), told(finding()), eager, NOW + silence).kind is AlertKind.BACK


def test_an_outage_of_the_control_plane_is_not_a_silence_of_the_beacon() -> None:
    went_on = finding(last_seen=NOW + 20 * HOUR)

    assert decide(went_on, told(finding()), RULES, NOW + 20 * HOUR).kind is None


def test_a_return_with_a_low_score_is_told_when_it_beacons_again() -> None:
    noise = decide(returned(3 * HOUR, current_score=0.2), told(finding()), RULES, NOW + 3 * HOUR)
    beacon = decide(returned(3 * HOUR), noise.memory, RULES, NOW + 4 * HOUR)

    assert noise.kind is None
    assert beacon.kind is AlertKind.BACK
    assert beacon.silence == 3 * HOUR


def test_records_that_arrive_late_do_not_shorten_the_cooldown() -> None:
    """A spool that is emptied brings hours of activity within minutes."""
    held = decide(returned(3 * HOUR), told(finding()), RULES, NOW + MINUTE)

    assert held.kind is None
    assert decide(returned(3 * HOUR), held.memory, RULES, NOW + HOUR).kind is AlertKind.BACK


def test_a_finding_that_was_deleted_and_detected_anew_is_back() -> None:
    anew = finding(detected_at=NOW + 90 * HOUR, last_seen=NOW + 90 * HOUR)

    assert decide(anew, told(finding()), RULES, NOW + 90 * HOUR).kind is AlertKind.BACK


def test_a_clock_that_was_years_ahead_does_not_mute_a_finding() -> None:
    memory = told(finding(), now=NOW + 80_000 * HOUR)

    assert decide(returned(3 * HOUR), memory, RULES, NOW + 3 * HOUR).kind is AlertKind.BACK


@dataclass(frozen=True)
class Step:
    """One pass: how much later, at which score, after which silence."""

    pause: int
    score: float
    current: float
    silence: int


steps = st.lists(
    st.builds(
        Step,
        pause=st.integers(1, 4 * HOUR),
        score=st.floats(0, 1),
        current=st.floats(0, 1),
        silence=st.one_of(st.just(0), st.integers(1, 6 * HOUR)),
    ),
    min_size=1,
    max_size=40,
)
rules = st.builds(
    Rules,
    threshold=st.floats(0.05, 0.95),
    cooldown=st.integers(0, 3 * HOUR),
)


@dataclass
class Told:
    at: int
    kind: AlertKind
    severity: str


def run(passes: list[Step], rules: Rules) -> tuple[list[Told], list[Finding]]:
    """Return what is told over the passes, and the finding after each."""
    memory, now, seen, highest, back_at = None, NOW, NOW, 0.0, 0
    alerts, history = [], []
    for step in passes:
        now += step.pause
        if step.silence and seen + step.silence <= now:
            back_at = seen + step.silence
        seen = now
        highest = max(highest, step.score)
        current = finding(
            score=highest,
            current_score=min(step.current, highest),
            severity=severity_of(highest),
            returned_at=back_at,
            last_seen=seen,
        )
        decision = decide(current, memory, rules, now)
        memory = decision.memory
        history.append(current)
        if decision.kind is not None:
            alerts.append(Told(now, decision.kind, current.severity))
    return alerts, history


@given(steps, rules)
def test_within_the_cooldown_only_a_rise_in_severity_is_told_again(
    passes: list[Step], rules: Rules
) -> None:
    alerts, _ = run(passes, rules)

    for earlier, later in pairwise(alerts):
        rose = severity_rank(later.severity) > severity_rank(earlier.severity)
        assert rose or later.at - earlier.at >= rules.cooldown


@given(steps, rules)
def test_every_rise_in_severity_above_the_threshold_is_told(
    passes: list[Step], rules: Rules
) -> None:
    alerts, history = run(passes, rules)

    reached = {found.severity for found in history if found.score >= rules.threshold}
    assert reached <= {alert.severity for alert in alerts}


@given(steps, rules)
def test_new_is_told_once_and_first_and_each_level_worsens_once(
    passes: list[Step], rules: Rules
) -> None:
    alerts, history = run(passes, rules)
    kinds = [alert.kind for alert in alerts]

    assert kinds[:1] == ([AlertKind.NEW] if history[-1].score >= rules.threshold else [])
    assert AlertKind.NEW not in kinds[1:]
    assert kinds.count(AlertKind.WORSE) < len(SEVERITIES)


@given(steps, rules)
def test_a_beacon_without_silence_is_never_back(passes: list[Step], rules: Rules) -> None:
    alerts, _ = run([replace(step, silence=0) for step in passes], rules)

    assert AlertKind.BACK not in {alert.kind for alert in alerts}


@given(steps, rules, st.integers(1, 39))
def test_a_decision_depends_on_nothing_but_finding_and_memory(
    passes: list[Step], rules: Rules, cut: int
) -> None:
    """So a restart between two passes, with the memory stored, changes nothing."""
    alerts, _ = run(passes, rules)
    shorter, _ = run(passes[:cut], rules)

    assert alerts[: len(shorter)] == shorter
