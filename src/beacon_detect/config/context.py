"""The settings of the context rules: one switch for all, one for each.

A test holds the switches equal to the registry of the rules; the rules' strengths
are no settings, so that a risk means the same everywhere.
"""

from __future__ import annotations

from pydantic import Field

from beacon_detect.config.declare import Network, Section, setting


def _internal_networks() -> list[str]:
    """Return the private networks (RFC 1918, RFC 4193)."""
    return ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]


class ContextRules(Section):
    """Which rules may move the risk."""

    infrastructure: bool = setting(
        True, "Lower the polling of time, names, leases, directories, push services and pings"
    )
    destination: bool = setting(
        True,
        "Lower multicast, broadcast, loopback, link-local and internal destinations, and calls from outside",
    )
    prevalence: bool = setting(
        True, "Lower destinations that many internal hosts talk to, raise those of very few"
    )
    parallel_connections: bool = setting(
        True, "Lower pairs that open several connections at once, as browsers do"
    )
    process_location: bool = setting(
        True, "Raise programs that are deleted, in memory only, or in temporary or hidden folders"
    )
    name_look: bool = setting(True, "Raise destinations whose name looks random")
    first_seen: bool = setting(True, "Raise new destinations, lower those known for a month")
    size_regularity: bool = setting(True, "Raise check-ins that are all of one size")
    process_rarity: bool = setting(True, "Raise programs that few hosts run, lower common ones")
    interpreter: bool = setting(
        True, "Raise shells, script interpreters and transfer tools that talk to the internet"
    )


class Context(Section):
    """What surrounds a pair and moves its timing score to a risk."""

    enabled: bool = setting(True, "Use context; without it the risk is the score")
    internal_networks: list[Network] = setting(
        _internal_networks, "Networks of your own, in which hosts are counted", max_length=10_000
    )
    rules: ContextRules = Field(
        default_factory=ContextRules, description="Which rules may move the risk"
    )
