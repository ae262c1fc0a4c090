"""Problems: counted without bound, shown with one."""

from __future__ import annotations

from beacon_detect.readers.base import MAX_EXAMPLES, Problems


def test_every_problem_is_counted_and_the_first_are_shown() -> None:
    problems = Problems()
    for line in range(97):
        problems.note("no address", f"f:{line}")
    problems.note("nothing", "f", 0)

    assert problems.total == 97
    assert problems.counts == {"no address": 97}
    assert problems.examples == [f"f:{i}: no address" for i in range(MAX_EXAMPLES)]


def test_the_same_example_is_shown_once() -> None:
    problems = Problems()
    problems.note("damaged", "f")
    problems.note("damaged", "f")

    assert (problems.total, problems.examples) == (2, ["f: damaged"])
