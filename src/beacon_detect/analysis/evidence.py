"""One plain sentence that says why a series was scored as it was.

Written for the person who reads an alert at night: numbers first, no jargon.
Limit: it describes timing only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from beacon_detect.analysis.types import MIN_CHECK_INS, Abstention

if TYPE_CHECKING:
    from beacon_detect.analysis.types import Results

CHANGED_SHARE = 0.2
"""Share of intervals in a second window from which it is mentioned."""
_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def evidence(results: Results, index: int, events: str = "connections") -> str:
    """Describe one row of the results.

    Parameters
    ----------
    results
        What :func:`analyze` returned.
    index
        The row.
    events
        What the events of the series are.

    Returns
    -------
    str
        One sentence without a final full stop.
    """
    if results.abstained[index] != Abstention.NONE:
        return f"fewer than {MIN_CHECK_INS} check-ins: watching, not scored"
    parts = [_rhythm(results, index)]
    if results.missed[index]:
        parts.append(f"{int(results.missed[index])} check-ins explained as missed")
    if results.second_count[index] >= CHANGED_SHARE * results.intervals[index]:
        low, high = results.second_low[index], results.second_high[index]
        parts.append(f"{int(results.second_count[index])} intervals within {_span(low, high)}")
    if results.connections_per_check_in[index] >= 1.5:
        parts.append(f"{results.connections_per_check_in[index]:.1f} {events} per check-in")
    if results.left_out[index]:
        small = int(results.left_out[index])
        parts.append(f"{small} smaller one{'s' * (small > 1)} between them left out")
    if results.episodes[index] > 1:
        parts.append(f"the best of {int(results.episodes[index])} episodes")
    return "; ".join(parts)


def preface(series: str, addresses: int = 1, name: str = "") -> str:
    """Begin the evidence of a series that is not simply the connections of a pair.

    Parameters
    ----------
    series
        ``connections``, ``bursts``, or the kind of a group of pairs.
    addresses, name
        How many addresses the group is spread over, and the name they share.

    Returns
    -------
    str
        Nothing for connections; else words with a separator behind them.
    """
    if series == "connections":
        return ""
    if series == "bursts":
        return "bursts inside open connections; "
    if addresses > 1:
        return f"rotates over {addresses} addresses of {name}; "
    return f"all services of {name} together; "


def _rhythm(results: Results, index: int) -> str:
    """Say how many intervals lie together and how many chance would put there."""
    total = int(results.intervals[index])
    inside = int(results.window_count[index])
    most = math.floor(results.chance_share[index] * total)
    low, high, interval = (
        float(column[index])
        for column in (results.window_low, results.window_high, results.interval)
    )
    # Where others tell that the usual interval is several sleeps, the window holds those.
    sleeps = round(math.sqrt(low * high) / interval) if interval > 0 else 1
    several = f" ({sleeps} sleeps)" if sleeps > 1 else ""
    return (
        f"{int(results.check_ins[index])} check-ins about every "
        f"{duration(interval)}: {inside} of {total} intervals within {_span(low, high)}{several}, "
        f"where a random source would put at most {most}"
    )


def _span(low: float, high: float) -> str:
    """Write a window of seconds, the unit once where both ends share it."""
    first, last = duration(low).split(), duration(high).split()
    return f"{first[0]}-{last[0]} {last[1]}" if first[1] == last[1] else " to ".join(
        (" ".join(first), " ".join(last))
    )  # fmt: skip


def duration(seconds: float) -> str:
    """Write seconds as people say them: ``0.5 s``, ``61 s``, ``5.0 min``, ``12.0 h``."""
    for length, name in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {name}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
