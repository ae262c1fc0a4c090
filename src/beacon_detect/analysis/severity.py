"""Words for scores: the four severities and where they begin.

Every surface (API, alerts, command line) asks here, so that a score never has
two names.  Limit: the cut-offs are part of the documented behaviour and are not
settings.
"""

from __future__ import annotations

CUT_OFFS: tuple[tuple[float, str], ...] = ((0.9, "CRITICAL"), (0.8, "HIGH"), (0.7, "MEDIUM"))
"""Lowest score of each severity, highest first; anything lower is LOW."""

SEVERITIES: tuple[str, ...] = ("CRITICAL", "HIGH", "MEDIUM", "LOW")


def severity(score: float) -> str:
    """Name the severity of a score.

    Parameters
    ----------
    score
        From 0 to 1.

    Returns
    -------
    str
        ``CRITICAL``, ``HIGH``, ``MEDIUM`` or ``LOW``.
    """
    return next((name for lowest, name in CUT_OFFS if score >= lowest), "LOW")
