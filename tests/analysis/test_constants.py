"""The numbers of the method fit each other."""

from __future__ import annotations

import itertools

from beacon_detect.analysis import constants


def test_a_late_interval_is_longer_than_the_longest_multiple() -> None:
    assert constants.MAX_MULTIPLE < constants.LATE_INTERVALS < constants.SPECTRUM_GAP_LIMIT


def test_silences_grow_in_steps_of_two_from_half_a_minute() -> None:
    assert constants.SILENCES[0] == 30
    assert all(b == 2 * a for a, b in itertools.pairwise(constants.SILENCES))


def test_segments_overlap_by_half_and_hold_whole_intervals() -> None:
    assert constants.SEGMENT_STEP * 2 == constants.SEGMENT_BINS
    assert constants.SEGMENT_BINS % constants.BINS_PER_INTERVAL == 0
