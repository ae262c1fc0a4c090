"""Services that every network polls: time, names, leases, directories, reachability.

A port alone proves nothing, so a service counts only where its real traffic goes:
to a group, to the own network, or (time, names) to servers that serve everybody.
Limit: a command channel that speaks to an internal resolver looks like any other
name lookup from here; what is asked for, not when, gives it away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from beacon_detect.context.adjustment import Rule
from beacon_detect.records import Protocol

if TYPE_CHECKING:
    from beacon_detect.context.facts import Facts

LOWERED = -0.6


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
_NAME_PORTS = {53, 853}
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
_ROUTER_SOLICITATION = 133
_METADATA = {"169.254.169.254", "fd00:ec2::254"}


def _judge(facts: Facts) -> tuple[float, str] | None:
    what = _service(facts)
    return (LOWERED, f"polls {what}, as every machine does") if what else None


def _service(facts: Facts) -> str:
    """Return the service in words, empty when it is none of these."""
    if facts.protocol == Protocol.ICMPV6 and facts.dst_port == _ROUTER_SOLICITATION:
        return "routers (ICMPv6 solicitation)"
    if facts.dst in _METADATA and facts.dst_port == 80:
        return "the cloud's instance metadata"
    if facts.dst_port == 80 and facts.name.lower().rstrip(".") in _PORTAL_CHECKS:
        return "a page that tells whether the network is up"
    service = _SERVICES.get(facts.dst_port)
    if service is None:
        return ""
    over_udp = service.udp and facts.protocol == Protocol.UDP
    over_tcp = service.tcp and facts.protocol == Protocol.TCP
    if not (over_udp or over_tcp):
        return ""
    known = facts.dst_port in _NAME_PORTS and facts.dst in _RESOLVERS
    return service.name if service.anywhere or known or facts.is_local else ""


RULE = Rule("infrastructure", LOWERED, 0.0, _judge)
