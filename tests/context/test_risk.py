"""The laws of the formula: bounded, monotone, blind to order, silent without reasons."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.context.risk import MOST_LOWERED, MOST_RAISED, risk_of

SCORES = st.floats(0, 1)
DELTAS = st.lists(st.floats(-1, 1), max_size=12)


@given(SCORES)
def test_without_reasons_the_risk_is_the_score_exactly(score: float) -> None:
    assert risk_of(score, []) == score


@given(SCORES, DELTAS)
def test_a_risk_is_between_0_and_1(score: float, deltas: list[float]) -> None:
    assert 0 <= risk_of(score, deltas) <= 1


@given(SCORES, DELTAS, st.randoms())
def test_the_order_of_the_reasons_never_matters(
    score: float, deltas: list[float], random: object
) -> None:
    shuffled = list(deltas)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert risk_of(score, shuffled) == risk_of(score, deltas)


@given(SCORES, SCORES, DELTAS)
def test_a_higher_score_never_has_a_lower_risk(one: float, other: float, deltas: list[float]) -> None:  # fmt: skip
    low, high = sorted((one, other))

    assert risk_of(low, deltas) <= risk_of(high, deltas) + 1e-12


@given(SCORES, DELTAS, st.floats(-1, 1), st.floats(-1, 1))
def test_a_larger_delta_never_gives_a_lower_risk(
    score: float, deltas: list[float], one: float, other: float
) -> None:
    low, high = sorted((one, other))

    assert risk_of(score, [*deltas, low]) <= risk_of(score, [*deltas, high]) + 1e-12


@given(SCORES, DELTAS)
def test_the_whole_shift_is_bounded(score: float, deltas: list[float]) -> None:
    assert risk_of(score, [MOST_LOWERED]) <= risk_of(score, deltas) <= risk_of(score, [MOST_RAISED])


@given(st.floats(0, 0.55), DELTAS)
def test_context_alone_never_reaches_an_alert(score: float, deltas: list[float]) -> None:
    assert risk_of(score, deltas) < 0.7
