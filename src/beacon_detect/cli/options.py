"""Options that several verbs share: which configuration, which severities, since when."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])")


class _Since(click.ParamType[str]):
    """A moment: how long ago (``15m``), or a date or time as in RFC 3339."""

    name = "when"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the moment as the API takes it."""
        try:
            moment = since_moment(value, datetime.now(UTC))
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is neither like 15m, 2h, 1d nor like 2026-01-31T08:00Z", param, ctx
            )
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Number(click.FloatRange):
    """A number within a range; "nan", which lies in every range, is none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number to reckon with", param, ctx)
        return number


def since_moment(text: str, now: datetime) -> datetime:
    """Return the moment that ``text`` means, in UTC.

    A time without zone is meant in this machine's; ValueError or OverflowError
    when it means none.
    """
    if match := _AGO.fullmatch(text.strip().lower()):
        return now - timedelta(**{_UNITS[match[2]]: float(match[1])})
    return datetime.fromisoformat(text.strip()).astimezone(UTC)


def config_option(command: F) -> F:
    """Give a verb ``-c``/``--config`` as ``config_file``."""
    return click.option(
        "-c", "--config", "config_file", type=click.Path(path_type=Path), metavar="FILE",
        help="Configuration file  [default: $BEACON_DETECT_CONFIG, ./config/config.yaml,"
        " /etc/beacon-detect/config.yaml; the first that is there]",
    )(command)  # fmt: skip


def since_option(command: F) -> F:
    """Give a verb ``--since``."""
    return click.option(
        "--since", type=_Since(), metavar="WHEN",
        help="Only what was seen since: 15m, 2h, 1d (s, m, h, d, w ago) or 2026-01-31T08:00Z.",
    )(command)  # fmt: skip


def severity_option(command: F) -> F:
    """Give a verb ``--severity``, which may be repeated."""
    return click.option(
        "--severity", multiple=True, type=click.Choice(SEVERITIES, case_sensitive=False),
        metavar="NAME", help="Only this severity: CRITICAL, HIGH, MEDIUM or LOW; may be repeated.",
    )(command)  # fmt: skip
