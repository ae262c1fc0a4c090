"""The verdict says flagged exactly where a list would show the pair, and else why not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.analysis import Settings
from beacon_detect.analysis.explanation import SeriesExplanation, explain_series
from beacon_detect.context import Adjustment, Assessment
from beacon_detect.context.risk import risk_of
from beacon_detect.control_plane.verdict import Case, decide

NTP = Adjustment("infrastructure", -0.6, "polls time (NTP), as every machine does")
RARE = Adjustment("process_rarity", -0.1, "the program runs on every host")
TMP = Adjustment("process_location", 0.3, "runs from /tmp")


def explain(seconds: np.ndarray) -> SeriesExplanation:
    times = np.rint(seconds * 1e9).astype(np.int64)
    nothing = np.zeros(len(times), np.int64)
    return explain_series(times, nothing, nothing, Settings())


BEACON = explain(np.arange(40) * 60.0)
CHANCE = explain(np.cumsum(np.random.default_rng(3).exponential(60.0, 60)))
SCORE = float(BEACON.episodes.score[0])
FEW = explain(np.arange(4) * 60.0)
NONE = explain(np.zeros(0))


def case(found: SeriesExplanation | None = BEACON, *said: Adjustment) -> Case:
    assessment = None
    if found is not None and found.scored:
        risk = risk_of(float(found.episodes.score[0]), [one.delta for one in said])
        assessment = Assessment(risk, said)
    return Case(found, Settings(), 0.7, "the last 24.0 h", assessment)


@given(
    st.sampled_from([None, NONE, FEW, CHANCE, BEACON]),
    st.lists(st.sampled_from([NTP, RARE, TMP]), unique=True),
    st.none() | st.floats(0, 1),
    st.lists(st.just("destination_ports 53"), max_size=1),
    st.sampled_from([0, 10, 50]),
)
def test_a_pair_is_flagged_or_there_are_reasons(
    found: SeriesExplanation | None,
    said: list[Adjustment],
    flagged: float | None,
    entries: list[str],
    least: int,
) -> None:
    verdict = decide(
        replace(
            case(found, *said), flagged_risk=flagged, whitelisted_by=entries, least_events=least
        )
    )

    assert verdict.flagged == (flagged is not None and flagged >= 0.7 and not entries)
    assert bool(verdict.why_not) != verdict.flagged
    assert all(reason and reason.isprintable() for reason in verdict.why_not)


def test_a_flagged_pair_is_told_with_severity_and_risk() -> None:
    verdict = decide(replace(case(), flagged_risk=0.84))

    assert (verdict.text, verdict.why_not) == ("flagged: HIGH, risk 84.0%", ())


def test_a_whitelisted_finding_is_hidden_by_its_entry() -> None:
    verdict = decide(replace(case(), flagged_risk=0.95, whitelisted_by=["destination_ports 53"]))

    assert verdict.text == "hidden: it is whitelisted; else it would be CRITICAL, risk 95.0%"
    assert verdict.why_not == ("whitelisted by destination_ports 53",)


@pytest.mark.parametrize("found", [None, NONE])
def test_without_records_that_is_the_reason(found: SeriesExplanation | None) -> None:
    [reason] = decide(case(found)).why_not

    assert reason == "no connection of this pair is on record in the last 24.0 h"


def test_too_few_check_ins_are_counted() -> None:
    fewer, unscored = decide(replace(case(FEW), least_events=10)).why_not

    assert fewer == (
        "only 4 events in the last 24.0 h; detection.min_connections asks for 10"
        " before a pair is scored"
    )
    assert unscored.startswith("only 4 check-ins; at least 6")


def test_random_traffic_is_below_the_threshold() -> None:
    reasons = decide(case(CHANCE)).why_not

    assert reasons[0].endswith("is below 70.0%")
    assert any("densest window" in reason for reason in reasons)


def test_context_that_lowers_the_risk_is_named_step_by_step() -> None:
    verdict = decide(replace(case(BEACON, NTP, RARE), flagged_risk=0.3))

    first, second = verdict.why_not
    assert first.startswith(f"risk lowered from {SCORE:.1%} to ")
    assert first.endswith("polls time (NTP), as every machine does (infrastructure -0.60)")
    assert second.startswith("risk lowered further: the program runs")
    assert verdict.text.startswith("not flagged: risk lowered")


def test_a_group_that_tells_of_the_pair_is_named() -> None:
    verdict = decide(replace(case(), told_with="finding ab, 12 addresses of c2.example"))

    assert verdict.why_not == ("told together with others: finding ab, 12 addresses of c2.example",)


def test_what_no_pass_has_seen_yet_waits_for_the_next() -> None:
    [reason] = decide(replace(case(), pass_after=60.0)).why_not

    assert reason.startswith(f"measured now it reaches risk {SCORE:.1%}: ")
    assert "one every 60 s" in reason
