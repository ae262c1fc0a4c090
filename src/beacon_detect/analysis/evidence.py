"""One plain sentence that says why a series was scored as it was.

Written for the person who reads an alert at night: numbers first, no jargon.
Limit: it describes timing only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.analysis.types import MIN_CHECK_INS, Abstention

if TYPE_CHECKING:
    from beacon_detect.analysis.types import Results

_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def evidence(results: Results, index: int) -> str:
    """Describe one row of the results.

    Parameters
    ----------
    results
        What :func:`analyze` returned.
    index
        The row.

    Returns
    -------
    str
        One sentence without a final full stop.
    """
    check_ins = int(results.check_ins[index])
    if results.abstained[index] != Abstention.NONE:
        return f"fewer than {MIN_CHECK_INS} check-ins: watching, not scored"
    text = (
        f"{check_ins} check-ins about every {duration(results.interval[index])}, "
        f"jitter {results.jitter[index]:.0%}, cv {results.cv[index]:.2f}"
    )
    if results.missed[index]:
        text += f"; {int(results.missed[index])} more explained as missed"
    if results.connections_per_check_in[index] >= 1.5:
        text += f"; {results.connections_per_check_in[index]:.1f} connections per check-in"
    return text


def duration(seconds: float) -> str:
    """Write seconds as people say them: ``0.5 s``, ``61 s``, ``5.0 min``, ``12.0 h``."""
    for length, name in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {name}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
