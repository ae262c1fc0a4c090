"""Layers merge without losing or inventing the place of a value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.config.layers import (
    Layer,
    Origin,
    dotted,
    merge_layers,
    merge_trees,
    prefix,
    respell,
)
from beacon_detect.errors import ConfigError

LEAVES = st.one_of(st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=3))
TREES = st.recursive(
    st.dictionaries(st.sampled_from("abc"), LEAVES, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), st.one_of(LEAVES, inner), max_size=3),
    max_leaves=8,
)


def layer(tree: dict[str, Any], source: str, rank: int) -> Layer:
    """Return a layer in which every node, list items too, was set in ``source``."""
    made = Layer(tree)

    def mark(value: Any, path: tuple[str | int, ...]) -> None:
        if path:
            made.values[path] = made.keys[path] = Origin(rank, source)
        if isinstance(value, dict):
            for key, entry in value.items():
                mark(entry, (*path, key))
        if isinstance(value, list):
            for index, entry in enumerate(value):
                mark(entry, (*path, index))

    mark(tree, ())
    return made


def leaves(tree: Any, path: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], Any]:
    if isinstance(tree, dict):
        return {p: v for key in tree for p, v in leaves(tree[key], (*path, key)).items()}
    return {path: tree}


@given(TREES, TREES)
def test_the_upper_layer_wins_and_the_rest_stays(lower: Any, upper: Any) -> None:
    merged = leaves(merge_trees(lower, upper))

    assert {path: merged[path] for path in leaves(upper)} == leaves(upper)


@given(TREES)
def test_merging_a_tree_with_itself_or_with_nothing_changes_nothing(tree: Any) -> None:
    assert merge_trees(tree, tree) == merge_trees(tree, {}) == merge_trees({}, tree) == tree


@given(TREES, TREES)
def test_every_value_keeps_the_place_it_came_from(lower: Any, upper: Any) -> None:
    merged = merge_layers(layer(lower, "lower", 0), layer(upper, "upper", 1))

    for path in leaves(merged.tree):
        assert merged.values[path].source == ("upper" if path in leaves(upper) else "lower")


@given(TREES, TREES)
def test_no_place_is_left_of_what_was_replaced(lower: Any, upper: Any) -> None:
    merged = merge_layers(layer(lower, "lower", 0), layer(upper, "upper", 1))

    for path in merged.values:
        value: Any = merged.tree
        for part in path:
            value = value[part]


def test_a_place_falls_back_to_the_nearest_parent() -> None:
    made = Layer({}, {("a",): Origin(0, "file", 1, 2)})

    assert str(made.place(("a", "b", 3))) == "file:1:2"
    assert made.place(("b",)) is None


@pytest.mark.parametrize(
    ("flat", "nested"),
    [
        ({"syslog_enabled": False}, {"syslog": {"enabled": False}}),
        ({"file_enabled": False}, {"file": {"enabled": False}}),
        ({"file_path": "/a"}, {"file": {"path": "/a"}}),
        ({"webhook_enabled": True}, {"webhook": {"enabled": True}}),
        ({"webhook_url": "https://a"}, {"webhook": {"url": "https://a"}}),
    ],
)
def test_flat_spellings_move_home_with_their_place(flat: Any, nested: Any) -> None:
    made = layer({"alerting": dict(flat)}, "file", 0)
    respell(made)

    assert made.tree == {"alerting": nested}
    assert [str(made.place(("alerting", *path))) for path in leaves(nested)] == ["file"]


def test_the_items_of_a_respelled_list_keep_their_places() -> None:
    made = layer({"whitelist": {"ports": [53, 70_000]}}, "file", 0)
    made.values[("whitelist", "ports", 1)] = Origin(0, "file", 9, 5)
    respell(made)

    assert str(made.place(("whitelist", "destination_ports", 1))) == "file:9:5"


def test_two_spellings_with_two_values_are_refused_and_with_one_value_are_not() -> None:
    same = layer({"alerting": {"file_path": "/a", "file": {"path": "/a"}}}, "file", 0)
    respell(same)

    assert same.tree == {"alerting": {"file": {"path": "/a"}}}
    with pytest.raises(ConfigError, match=r"alerting.file_path: also set as alerting.file.path"):
        respell(layer({"alerting": {"file_path": "/b", "file": {"path": "/a"}}}, "file", 0))


def test_a_spelling_whose_home_is_no_section_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"alerting.file is not a section"):
        respell(layer({"alerting": {"file_path": "/b", "file": 5}}, "file", 0))


def test_paths_and_places_read_like_in_a_file() -> None:
    assert dotted(("whitelist", "source_ips", 2)) == "whitelist.source_ips[2]"
    assert prefix(Origin(0, "a.yaml", 3, 4)) == "a.yaml:3:4: "
    assert prefix(Origin(2, "environment variable X")) == "environment variable X: "
    assert prefix(None) == ""
