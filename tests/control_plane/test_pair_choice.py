"""One pair is chosen only where one is meant; else there is something to choose from."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from beacon_detect.control_plane.pair_choice import NAMED, PairQuery, SeveralPairsError, choose
from beacon_detect.errors import NotFoundError

A, B = "10.0.0.5", "203.0.113.7"
TCP, UDP = 6, 17


@dataclass(frozen=True)
class Pair:
    dst_port: int
    protocol: int = TCP


WEB, DNS, DNS_TCP = Pair(443), Pair(53, UDP), Pair(53)
ALL = (WEB, DNS, DNS_TCP)


def chosen(query: PairQuery, *between: Pair, backwards: bool = False) -> Pair:
    return choose(query, between, backwards=backwards, where="the last hour")


@pytest.mark.parametrize(
    ("query", "pair"),
    [
        (PairQuery(A, B, 443), WEB),
        (PairQuery(A, B, 443, TCP), WEB),
        (PairQuery(A, B, 53, UDP), DNS),
        (PairQuery(A, B, None, UDP), DNS),
    ],
)
def test_a_clear_question_has_its_pair(query: PairQuery, pair: Pair) -> None:
    assert chosen(query, *ALL) == pair


def test_where_there_is_one_pair_its_addresses_are_enough() -> None:
    assert chosen(PairQuery(A, B), WEB) == WEB


def test_an_unclear_question_is_answered_with_the_choices() -> None:
    with pytest.raises(SeveralPairsError, match="53/UDP, 53/TCP") as refused:
        chosen(PairQuery(A, B, 53), *ALL)

    assert "443" not in refused.value.message
    assert "name the port" in refused.value.hint


def test_many_choices_are_counted_not_listed() -> None:
    with pytest.raises(SeveralPairsError, match="and 30 more") as refused:
        chosen(PairQuery(A, B), *map(Pair, range(NAMED + 30)))

    assert len(refused.value.message) < 500


@pytest.mark.parametrize(
    ("between", "backwards", "hint"),
    [
        ([WEB], False, "between the two there is 443/TCP"),
        ([], True, f"the other way: {B} opens connections to {A}"),
        ([], False, "source is the side that opens connections"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is_near(
    between: list[Pair], backwards: bool, hint: str
) -> None:
    with pytest.raises(NotFoundError, match="is on record in the last hour") as refused:
        chosen(PairQuery(A, B, 8080), *between, backwards=backwards)

    assert hint in refused.value.hint


def test_a_query_reads_as_it_was_typed() -> None:
    assert str(PairQuery(A, B)) == f"{A} to {B}"
    assert str(PairQuery("::1", "2001:db8::7", 443, TCP)) == "::1 to [2001:db8::7]:443 (TCP)"
