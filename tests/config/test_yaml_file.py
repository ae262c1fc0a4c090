"""A YAML file becomes values with places, or one clear refusal within bounds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.config.layers import Layer
from beacon_detect.config.yaml_file import MAX_FILE_BYTES, read_yaml
from beacon_detect.errors import ConfigError

SCALARS = st.one_of(
    st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8), st.none()
)
TREES = st.dictionaries(
    st.text(st.characters(categories=["L"]), min_size=1, max_size=5),
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.from_regex(r"k[a-z]{0,4}", fullmatch=True), inner, max_size=3),
        ),
        max_leaves=8,
    ),
    max_size=4,
)


def read(folder: Path, text: str | bytes) -> Layer:
    path = folder / "c.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path, 0)


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    return str(caught.value).replace(f"{folder}/", "")


@given(TREES)
def test_values_are_what_yaml_says_and_each_has_a_place(
    tmp_path_factory: pytest.TempPathFactory, tree: Any
) -> None:
    layer = read(tmp_path_factory.mktemp("y"), yaml.safe_dump(tree))

    def check(value: Any, path: tuple[str | int, ...]) -> None:
        if path:
            assert layer.values[path].line >= 1
        entries = value.items() if isinstance(value, dict) else ()
        entries = enumerate(value) if isinstance(value, list) else entries
        for key, entry in entries:
            check(entry, (*path, key))

    assert layer.tree == tree
    check(tree, ())


def test_keys_and_values_know_their_line_and_column(tmp_path: Path) -> None:
    layer = read(tmp_path, "detection:\n  min_connections: 10\nwhitelist:\n  pairs:\n  - a\n")

    assert str(layer.keys[("detection", "min_connections")]).endswith("c.yaml:2:3")
    assert str(layer.values[("detection", "min_connections")]).endswith("c.yaml:2:20")
    assert str(layer.values[("whitelist", "pairs", 0)]).endswith("c.yaml:5:5")


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n"])
def test_an_empty_file_sets_nothing(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).tree == {}


def test_byte_order_marks_and_windows_line_ends_do_not_shift_places(tmp_path: Path) -> None:
    layer = read(tmp_path, "\ufeffdetection:\r\n  cv_threshold: 0.2 # \u00fc\r\n".encode())

    assert str(layer.values[("detection", "cv_threshold")]).endswith("c.yaml:2:17")


def test_a_section_with_all_keys_commented_out_sets_nothing(tmp_path: Path) -> None:
    tree = read(tmp_path, "detection:\n#  cv_threshold: 1\nalerting:\n  syslog:\n").tree

    assert tree == {"detection": {}, "alerting": {"syslog": {}}}


def test_a_setting_without_value_is_not_taken_for_a_section(tmp_path: Path) -> None:
    assert read(tmp_path, "detection:\n  cv_threshold:\n").tree["detection"]["cv_threshold"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "c.yaml:1:1: must hold sections, like detection:"),
        ("5\n", "c.yaml:1:1: must hold sections, like detection:"),
        ("a: 1\nb: 2\na: 3\n", "c.yaml:3:1: a: given twice (first in line 1)"),
        ("a: [1\n", "c.yaml:2:1: not valid YAML"),
        ("a: 1\n  b: 2\n", "c.yaml:2:4: not valid YAML"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ("a: !!python/object:os.system x\n", "c.yaml:1:4: not valid YAML"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "c.yaml:3:3: merge keys (<<) are not supported"),
        ("? [a, b]\n: 1\n", "c.yaml:1:3: a key must be plain text"),
        ("a: 2026-13-45\n", "c.yaml:1:4: a: month must be in 1..12"),
        ("a: " + "9" * 5000 + "\n", "c.yaml:1:4: a: "),
        (b"a: 1\nb: \xff\n", "c.yaml:2: not UTF-8 text (byte 8)"),
        (b"a: \x00\n", "c.yaml: not valid YAML"),
    ],
)
def test_what_is_no_configuration_is_refused_with_its_place(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    assert message in refusal(tmp_path, text)


def test_a_file_that_is_not_there_is_refused_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No such file.*\n.*hint: name a readable file"):
        read_yaml(tmp_path / "missing.yaml", 0)
    with pytest.raises(ConfigError, match="Is a directory"):
        read_yaml(tmp_path, 0)


def test_size_is_bounded_even_for_a_device_without_end(tmp_path: Path) -> None:
    text = b"a: " + b"x" * MAX_FILE_BYTES

    assert refusal(tmp_path, text) == "c.yaml: larger than 4 MiB"
    with pytest.raises(ConfigError, match="larger than 4 MiB"):
        read_yaml(Path("/dev/zero"), 0)


def test_an_alias_bomb_is_refused_in_little_time(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    started = time.monotonic()

    assert "more than 400000 values" in refusal(tmp_path, "\n".join(lines))
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "a: " + "[" * 20 + "]" * 20])
def test_endless_and_deep_nesting_is_refused(tmp_path: Path, text: str) -> None:
    assert "nested deeper than 16 levels" in refusal(tmp_path, text)


def test_nesting_too_deep_for_the_parser_is_refused_too(tmp_path: Path) -> None:
    assert "c.yaml" in refusal(tmp_path, "a: " + "[" * 200_000)


def test_a_whitelist_of_a_hundred_thousand_entries_loads(tmp_path: Path) -> None:
    lines = [f"    - 10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(100_000)]
    layer = read(tmp_path, "\n".join(["whitelist:", "  source_ips:", *lines]))

    assert len(layer.tree["whitelist"]["source_ips"]) == 100_000
