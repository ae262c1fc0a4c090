"""Errors carry what a user needs: a message, a hint, an exit code of their own."""

from __future__ import annotations

from beacon_detect import errors


def test_each_reaction_has_an_exit_code_of_its_own() -> None:
    # Those of this module only: parts of the planes have further ones with a shared code.
    classes = [kind for kind in vars(errors).values() if hasattr(kind, "exit_code")]
    codes = [c.exit_code for c in classes]

    assert len(set(codes)) == len(codes)
    assert errors.ExitCode.OK not in codes


def test_the_hint_is_shown_after_the_message() -> None:
    error = errors.ConfigError("the port is taken", hint="choose another")

    assert str(error) == "the port is taken\n  hint: choose another"
    assert str(errors.ConfigError("the port is taken")) == "the port is taken"
