"""The default file and the reference page say what the schema says, and load as it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from beacon_detect.config.load import load_config
from beacon_detect.config.render import generated_files, main, render_yaml
from beacon_detect.config.schema import SPELLINGS, Config, settings

ROOT = Path(__file__).resolve().parent.parent.parent
DEFAULT_FILE = ROOT / "config" / "config.yaml"


@given(st.data())
@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50)
def test_any_configuration_rendered_loads_equal(
    tmp_path_factory: pytest.TempPathFactory, any_config: Any, data: st.DataObject
) -> None:
    config = data.draw(any_config)
    file = tmp_path_factory.mktemp("r") / "config.yaml"
    file.write_text(render_yaml(config), "utf-8")

    assert load_config(file, environment={}).config == config


def test_the_default_file_loads_and_equals_the_defaults() -> None:
    assert load_config(DEFAULT_FILE, environment={}).config == Config()


@pytest.mark.parametrize("path", list(generated_files(ROOT)), ids=lambda path: path.name)
def test_generated_files_are_current(path: Path) -> None:
    assert path.read_text("utf-8") == generated_files(ROOT)[path]


def test_the_default_file_holds_every_key_with_unit_and_meaning() -> None:
    text = DEFAULT_FILE.read_text("utf-8")
    tree = yaml.safe_load(text)
    words = " ".join(text.replace("#", " ").split())
    for path, info in settings():
        branch: Any = tree
        for part in path[:-1]:
            branch = branch[part]
        commented = f"# {path[-1]}: {info.json_schema_extra['shown']}"
        assert path[-1] in branch or commented in text
        assert info.description in words
        assert info.json_schema_extra["unit"] in words


def test_the_default_file_mentions_every_second_spelling() -> None:
    words = " ".join(DEFAULT_FILE.read_text("utf-8").replace("#", " ").split())

    assert all(f"also spelled {'.'.join(path)}" in words for path in SPELLINGS)


def test_the_default_file_names_nothing_of_the_machine_it_was_made_on() -> None:
    text = DEFAULT_FILE.read_text("utf-8")

    assert f"sensor_name: {os.uname().nodename}" not in text
    assert str(ROOT) not in text


def test_stale_files_are_told_and_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "config", "config")

    assert main(["--check"]) == 1
    assert "docs/reference/configuration.md: not current" in capsys.readouterr().err
    assert main(["--write"]) == 0
    assert main(["--check"]) == 0
    Path("config/config.yaml").write_text("# mine\n", "utf-8")
    assert main(["--check"]) == 1


def test_the_default_file_is_printed_and_other_arguments_are_not_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == render_yaml()
    assert main(["--wirte"]) == 2
