"""From timing to risk: what the control plane knows around its findings, put to the rules.

Counts (hosts, sources of a destination, users of a program) are taken over all
pairs in sight, once for all findings of a pass. Limit: they cover what is within
retention, and findings that no pass touches keep the risk they had.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.analysis.severity import severity
from beacon_detect.context import RULES, ContextSettings, Facts, assess
from beacon_detect.context.crowd import address_ids, crowd_of
from beacon_detect.control_plane.pairs import text_key
from beacon_detect.control_plane.whitelist import Networks, pack_addresses
from beacon_detect.records import SECOND, protocol_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from beacon_detect.config.context import Context
    from beacon_detect.control_plane.findings import Finding
    from beacon_detect.control_plane.pairs import PairColumns, PairTable


def context_settings(config: Context) -> ContextSettings:
    """Return the switches of the configuration as the rules want them."""
    off = {rule.name for rule in RULES if not getattr(config.rules, rule.name)}
    return ContextSettings(enabled=config.enabled, disabled=frozenset(off))


def weigh(
    findings: Sequence[Finding], pairs: PairTable, config: Context, now_ns: int
) -> list[Finding]:
    """Return the findings with risk, reasons and severity, in the order given.

    Parameters
    ----------
    findings
        Findings with their timing scores.
    pairs
        Every pair in sight.
    config
        Switches and internal networks.
    now_ns
        Wall time, ns.
    """
    if not findings:
        return []
    settings = context_settings(config)
    if not settings.enabled:
        return [_judged(finding, finding.score, ()) for finding in findings]
    known = facts_of(findings, pairs.columns(), Networks(config.internal_networks), now_ns)
    found = [
        assess(finding.score, facts, settings)
        for finding, facts in zip(findings, known, strict=True)
    ]
    return [
        _judged(finding, one.risk, one.reasons)
        for finding, one in zip(findings, found, strict=True)
    ]


def _judged(finding: Finding, risk: float, reasons: tuple[Any, ...]) -> Finding:
    return replace(finding, risk=risk, reasons=reasons, severity=severity(risk))


def facts_of(
    findings: Sequence[Finding], columns: PairColumns, internal: Networks, now_ns: int
) -> list[Facts]:
    """Return what is known around each finding."""
    src = pack_addresses([finding.src for finding in findings])
    dst = pack_addresses([finding.dst for finding in findings])
    src_inside, dst_inside = internal.contain(src).tolist(), internal.contain(dst).tolist()
    crowd = crowd_of(
        dst, columns.src, columns.dst, columns.first_seen, internal.contain,
        wanted_names=np.array([text_key(f.name) if f.name else 0 for f in findings], np.uint64),
        names=columns.keys[columns.name],
    )  # fmt: skip
    sources, seen = crowd.sources.tolist(), crowd.first_seen.tolist()
    beside = _side_by_side(findings, columns)
    programs = _programs(columns, {finding.executable for finding in findings})
    watched = (now_ns - int(columns.first_seen.min(initial=now_ns))) / SECOND
    attributed = columns.executable != 0
    attributed_hosts = len(np.unique(address_ids(columns.src[attributed])))
    attributed_pairs = int(attributed.sum())
    return [
        Facts(
            src=finding.src,
            dst=finding.dst,
            dst_port=finding.dst_port,
            protocol=protocol_number(finding.protocol),
            name=finding.name,
            process=finding.process,
            executable=finding.executable,
            src_internal=src_inside[i],
            dst_internal=dst_inside[i],
            sources=sources[i],
            hosts=crowd.hosts,
            executable_hosts=programs.get(finding.executable, (0, 0))[0],
            executable_pairs=programs.get(finding.executable, (0, 0))[1],
            attributed_hosts=attributed_hosts,
            attributed_pairs=attributed_pairs,
            age=(now_ns - min(seen[i], finding.first_seen)) / SECOND,
            watched=max(watched, (now_ns - finding.first_seen) / SECOND),
            connections_per_check_in=(
                finding.connections_per_check_in if finding.series == "connections" else 1.0
            ),
            side_by_side=beside[i],
            size_regularity=finding.size_regularity if finding.bytes_out else None,
        )
        for i, finding in enumerate(findings)
    ]


def _side_by_side(findings: Sequence[Finding], columns: PairColumns) -> list[float | None]:
    """Return which share of a pair's connections is side by side, None where nobody knows.

    Of bursts and of groups of pairs nobody asks.
    """
    wanted = np.unique(np.array([finding.pair_id for finding in findings], np.uint64))
    at = np.minimum(np.searchsorted(wanted, columns.ids), len(wanted) - 1)
    rows = np.flatnonzero((wanted[at] == columns.ids) & ~np.isnan(columns.side_by_side))
    shares = dict(zip(columns.ids[rows].tolist(), columns.side_by_side[rows].tolist(), strict=True))
    return [shares.get(f.pair_id) if f.series == "connections" else None for f in findings]


def _programs(columns: PairColumns, wanted: set[str]) -> dict[str, tuple[int, int]]:
    """Return hosts and pairs of each program."""
    codes = [code for code, name in enumerate(columns.names) if code and name in wanted]
    rows = np.flatnonzero(np.isin(columns.executable, np.array(codes, np.int32)))
    used, sources = columns.executable[rows], address_ids(columns.src[rows])
    return {
        columns.names[code]: (len(np.unique(sources[used == code])), int((used == code).sum()))
        for code in codes
    }
