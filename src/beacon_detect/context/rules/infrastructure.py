"""Services that every network polls: time, names, leases, directories, reachability, push.

A port alone proves nothing, so a service counts only where its real traffic goes:
to a group, to the own network, or (time, names, push) to servers that serve
everybody. Two services carry commands in real implants and are judged by their
sizes: people and programs look up names of all lengths, so lookups that are all of
one length are one program asking by itself, an agent or a tunnel, and are lowered
little; pings are of one length when they are only pings. Limit: a tunnel whose
lookups vary in length looks like any other name lookup from here; what is asked
for, not when, gives it away.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, NamedTuple

from beacon_detect.context.adjustment import Rule
from beacon_detect.records import Protocol

if TYPE_CHECKING:
    from beacon_detect.context.facts import Facts

LOWERED = -0.6
LOOKUPS_ALIKE = -0.25
"""For lookups of one length."""
PINGS = -0.4
_UNLIKE, _ALIKE = 0.5, 0.8
"""Size regularity up to which lookups are ordinary, and from which they are of one length."""
_PING_ALIKE = 0.9


class _Service(NamedTuple):
    name: str
    udp: bool
    tcp: bool
    anywhere: bool = False
    """Normal towards the internet, too."""


_SERVICES = {
    53: _Service("name resolution (DNS)", udp=True, tcp=True),
    67: _Service("address leases (DHCP)", udp=True, tcp=False),
    68: _Service("address leases (DHCP)", udp=True, tcp=False),
    88: _Service("logon (Kerberos)", udp=True, tcp=True),
    123: _Service("time (NTP)", udp=True, tcp=False, anywhere=True),
    135: _Service("remote procedure calls (RPC)", udp=True, tcp=True),
    137: _Service("NetBIOS names", udp=True, tcp=False),
    138: _Service("NetBIOS datagrams", udp=True, tcp=False),
    389: _Service("the directory (LDAP)", udp=True, tcp=True),
    546: _Service("address leases (DHCPv6)", udp=True, tcp=False),
    547: _Service("address leases (DHCPv6)", udp=True, tcp=False),
    853: _Service("name resolution (DNS over TLS)", udp=True, tcp=True),
    1900: _Service("device discovery (SSDP)", udp=True, tcp=False),
    5353: _Service("local names (mDNS)", udp=True, tcp=False),
    5355: _Service("local names (LLMNR)", udp=True, tcp=False),
}
_DNS = 53
_ICMP = (Protocol.ICMP, Protocol.ICMPV6)
_RESOLVERS = frozenset({
    "1.0.0.1", "1.1.1.1", "8.8.4.4", "8.8.8.8", "9.9.9.9", "9.9.9.10", "149.112.112.112",
    "208.67.220.220", "208.67.222.222", "2001:4860:4860::8844", "2001:4860:4860::8888",
    "2606:4700:4700::1001", "2606:4700:4700::1111", "2620:119:35::35", "2620:119:53::53",
    "2620:fe::9", "2620:fe::fe",
})  # fmt: skip
"""Addresses that public resolvers announce."""
_PORTAL_CHECKS = frozenset({
    "captive.apple.com", "clients3.google.com", "connectivity-check.ubuntu.com",
    "connectivitycheck.android.com", "connectivitycheck.gstatic.com", "detectportal.firefox.com",
    "fedoraproject.org", "ipv6.msftconnecttest.com",
    "nmcheck.gnome.org", "ping.archlinux.org", "www.msftconnecttest.com", "www.msftncsi.com",
})  # fmt: skip
"""Names that operating systems and browsers fetch to see whether they are online."""
_PUSH_PORTS = {5223, 5228, 5229, 5230}
_PUSH_NETWORKS = tuple(map(ip_network, (
    "17.249.0.0/16", "17.252.0.0/16", "17.57.144.0/22", "17.188.20.0/23", "17.188.128.0/18",
    "2403:300:a42::/48", "2403:300:a51::/48", "2620:149:a44::/48", "2a01:b740:a42::/48",
)))  # fmt: skip
"""Networks that Apple publishes for its push service, and uses for nothing else."""
_PUSH_NAMES = (".push.apple.com", "mtalk.google.com")
_ROUTER_SOLICITATION = 133
_METADATA = {"169.254.169.254", "fd00:ec2::254"}


def _judge(facts: Facts) -> tuple[float, str] | None:
    if _is_ping(facts):
        return PINGS, "sends pings of one size, which carry no orders"
    what = _service(facts)
    if not what:
        return None
    share = _alike(facts)
    if share > 0:
        lowered = LOWERED + share * (LOOKUPS_ALIKE - LOWERED)
        return lowered, "looks up names (DNS), but all of one length: one program by itself"
    return LOWERED, f"polls {what}, as every machine does"


def _is_ping(facts: Facts) -> bool:
    return (
        facts.protocol in _ICMP
        and facts.dst_port != _ROUTER_SOLICITATION
        and (facts.size_regularity or 0.0) >= _PING_ALIKE
    )


def _alike(facts: Facts) -> float:
    """Return how far lookups are of one length, 0 to 1; DNS over TLS pads them all (RFC 8467)."""
    if facts.dst_port != _DNS or facts.size_regularity is None:
        return 0.0
    return min(max((facts.size_regularity - _UNLIKE) / (_ALIKE - _UNLIKE), 0.0), 1.0)


def _service(facts: Facts) -> str:
    """Return the service in words, empty when it is none of these."""
    if facts.protocol == Protocol.ICMPV6 and facts.dst_port == _ROUTER_SOLICITATION:
        return "routers (ICMPv6 solicitation)"
    if facts.dst in _METADATA and facts.dst_port == 80:
        return "the cloud's instance metadata"
    if facts.dst_port == 80 and facts.name.lower().rstrip(".") in _PORTAL_CHECKS:
        return "a page that tells whether the network is up"
    if _is_push(facts):
        return "a push service"
    service = _SERVICES.get(facts.dst_port)
    if service is None:
        return ""
    over_udp = service.udp and facts.protocol == Protocol.UDP
    over_tcp = service.tcp and facts.protocol == Protocol.TCP
    if not (over_udp or over_tcp):
        return ""
    known = facts.is_lookup and facts.dst in _RESOLVERS
    return service.name if service.anywhere or known or facts.is_local else ""


def _is_push(facts: Facts) -> bool:
    """Say whether it is the push service of a phone or desktop, by its port and network or name."""
    if facts.protocol != Protocol.TCP or facts.dst_port not in _PUSH_PORTS:
        return False
    return facts.name.lower().rstrip(".").endswith(_PUSH_NAMES) or _in_push_network(facts.dst)


@lru_cache(maxsize=4096)
def _in_push_network(address: str) -> bool:
    parsed = ip_address(address)
    return any(parsed in network for network in _PUSH_NETWORKS)


RULE = Rule("infrastructure", LOWERED, 0.0, _judge)
