"""The control plane that is meant, and the token sent to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from beacon_detect.cli.session import MAX_TOKEN_BYTES, Session
from beacon_detect.errors import ExitCode, PermissionMissingError


def test_addresses_are_written_as_people_and_urls_want_them() -> None:
    assert Session().server == "localhost:9090"
    assert Session().url == "http://localhost:9090/api/v1"
    assert Session(host="::1", port=1).url == "http://[::1]:1/api/v1"


def test_a_named_file_beats_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEACON_API_TOKEN", " from-variable\n")
    file = tmp_path / "token"
    file.write_text("from-file\n", "ascii")

    assert Session().token() == "from-variable"
    assert Session(token_file=file).token() == "from-file"
    monkeypatch.delenv("BEACON_API_TOKEN")
    assert Session().token() == ""


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"two words", b"x" * (MAX_TOKEN_BYTES + 1), b"\xff"]
)
def test_a_file_without_one_token_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(PermissionMissingError, match="must hold one token") as caught:
        Session(token_file=file).token()
    assert caught.value.exit_code == ExitCode.PERMISSION
    assert "xxx" not in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(PermissionMissingError, match="No such file"):
        Session(token_file=tmp_path / "none").token()


def test_a_variable_that_is_no_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEACON_API_TOKEN", "g\u00fcnther")
    with pytest.raises(PermissionMissingError, match="BEACON_API_TOKEN: must hold one token"):
        Session().token()
