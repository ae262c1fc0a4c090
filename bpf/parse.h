/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * From a packet to the flow it belongs to.
 *
 * Everything is read with bpf_skb_load_bytes(), which also reaches the paged
 * part of a packet, and every length is checked against the packet's own: what
 * does not add up is counted as unparsed and never guessed.
 */
#ifndef BEACON_PARSE_H
#define BEACON_PARSE_H

#include "kernel_compat.h"
#include "events.h"
#include "maps.h"

#define ETHERNET_HEADER 14
#define ETH_P_IP	0x0800
#define ETH_P_8021Q	0x8100
#define ETH_P_IPV6	0x86dd
#define ETH_P_8021AD	0x88a8

#define VLAN_TAGS      2
#define VLAN_ID_BITS   12
#define VLAN_ID_MASK   0x0fff
#define IP_MF	       0x2000
#define IP_OFFSET      0x1fff
#define IP6_MF	       0x0001
#define IP6_OFFSET     0xfff8
#define IP6_EXTENSIONS 8 /* longer chains are counted as unparsed */

#define PROTOCOL_HOP_BY_HOP  0
#define PROTOCOL_ICMP	     1
#define PROTOCOL_TCP	     6
#define PROTOCOL_UDP	     17
#define PROTOCOL_ROUTING     43
#define PROTOCOL_FRAGMENT    44
#define PROTOCOL_AUTH	     51
#define PROTOCOL_ICMP6	     58
#define PROTOCOL_DESTINATION 60

#define ICMP_ECHO_REPLY	   0
#define ICMP_ECHO_REQUEST  8
#define ICMP6_ECHO_REQUEST 128
#define ICMP6_ECHO_REPLY   129

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define LOOPBACK_NET 127

/* Not a counter: the packet was read and belongs to a flow. */
#define PARSED COUNTERS

union address {
	__u8 bytes[16];
	__u32 words[4];
	__u64 halves[2];
};

struct packet {
	struct flow_key key;
	union address source;
	union address destination;
	__u16 source_port;
	__u16 destination_port;
	__u32 payload; /* bytes after the L4 header */
	__u32 isn; /* of the opener, where a SYN tells it */
	__u8 tcp_flags;
	__u8 side; /* 0: sent by side a of the key, 1: by side b */
	bool reply; /* known to be an answer: SYN-ACK, echo reply */
};

/* Where the parser stands: what follows is `protocol`, `length` bytes long in all. */
struct cursor {
	__u32 offset;
	__u32 length;
	__u8 protocol;
	bool fragmented; /* first fragment: more follow */
};

struct ipv4_header {
	__u8 version_length;
	__u8 tos;
	__u16 total_length;
	__u16 id;
	__u16 fragment;
	__u8 ttl;
	__u8 protocol;
	__u16 checksum;
	__u32 source;
	__u32 destination;
};

struct ipv6_header {
	__u32 version_class_label;
	__u16 payload_length;
	__u8 next_header;
	__u8 hop_limit;
	union address source;
	union address destination;
};

struct tcp_header {
	__u16 source_port;
	__u16 destination_port;
	__u32 sequence;
	__u32 acknowledgement;
	__u8 data_offset;
	__u8 flags;
	__u16 window;
	__u16 checksum;
	__u16 urgent;
};

struct udp_header {
	__u16 source_port;
	__u16 destination_port;
	__u16 length;
	__u16 checksum;
};

struct icmp_header {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u16 identifier;
	__u16 sequence;
};

static __always_inline int parse_tcp(struct __sk_buff *skb, struct cursor *at,
				     struct packet *packet)
{
	struct tcp_header tcp;
	__u32 header;

	if (!config.track_tcp)
		return COUNTER_IGNORED;
	if (bpf_skb_load_bytes(skb, at->offset, &tcp, sizeof(tcp)))
		return COUNTER_UNPARSED;
	header = (tcp.data_offset >> 4) * 4;
	if (header < sizeof(tcp) || header > at->length)
		return COUNTER_UNPARSED;
	packet->source_port = bpf_ntohs(tcp.source_port);
	packet->destination_port = bpf_ntohs(tcp.destination_port);
	packet->tcp_flags = tcp.flags;
	packet->payload = at->length - header;
	packet->isn = bpf_ntohl(tcp.sequence);
	if ((tcp.flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK)) {
		packet->reply = true;
		packet->isn = bpf_ntohl(tcp.acknowledgement) - 1;
	}
	return PARSED;
}

static __always_inline int parse_udp(struct __sk_buff *skb, struct cursor *at,
				     struct packet *packet)
{
	struct udp_header udp;
	__u32 length;

	if (!config.track_udp)
		return COUNTER_IGNORED;
	if (bpf_skb_load_bytes(skb, at->offset, &udp, sizeof(udp)))
		return COUNTER_UNPARSED;
	/* The length of a first fragment covers the fragments that follow it. */
	length = bpf_ntohs(udp.length);
	if (!length)
		length = at->length;
	if (length < sizeof(udp) || (length > at->length && !at->fragmented))
		return COUNTER_UNPARSED;
	packet->source_port = bpf_ntohs(udp.source_port);
	packet->destination_port = bpf_ntohs(udp.destination_port);
	packet->payload = length - sizeof(udp);
	return PARSED;
}

static __always_inline int parse_echo(struct __sk_buff *skb, struct cursor *at,
				      struct packet *packet)
{
	struct icmp_header icmp;

	if (!config.track_icmp)
		return COUNTER_IGNORED;
	if (at->length < sizeof(icmp) || bpf_skb_load_bytes(skb, at->offset, &icmp, sizeof(icmp)))
		return COUNTER_UNPARSED;
	if (at->protocol == PROTOCOL_ICMP) {
		if (icmp.type != ICMP_ECHO_REQUEST && icmp.type != ICMP_ECHO_REPLY)
			return COUNTER_IGNORED;
		packet->reply = icmp.type == ICMP_ECHO_REPLY;
	} else {
		if (icmp.type != ICMP6_ECHO_REQUEST && icmp.type != ICMP6_ECHO_REPLY)
			return COUNTER_IGNORED;
		packet->reply = icmp.type == ICMP6_ECHO_REPLY;
	}
	packet->source_port = bpf_ntohs(icmp.identifier);
	packet->destination_port = packet->source_port;
	packet->payload = at->length - sizeof(icmp);
	return PARSED;
}

static __always_inline int parse_ipv4(struct __sk_buff *skb, struct cursor *at,
				      struct packet *packet)
{
	struct ipv4_header ip;
	__u32 header, total, available;
	__u16 fragment;

	if (bpf_skb_load_bytes(skb, at->offset, &ip, sizeof(ip)))
		return COUNTER_UNPARSED;
	header = (ip.version_length & 0x0f) * 4;
	total = bpf_ntohs(ip.total_length);
	available = skb->len - at->offset;
	/* Aggregated packets above 64 kB (BIG TCP, Linux 6.3) carry no total. */
	if (!total && skb->gso_segs)
		total = available;
	if (ip.version_length >> 4 != 4 || header < sizeof(ip) || total < header ||
	    total > available)
		return COUNTER_UNPARSED;
	fragment = bpf_ntohs(ip.fragment);
	if (fragment & IP_OFFSET)
		return COUNTER_FRAGMENTS;
	if (!config.include_loopback &&
	    ((ip.source & 0xff) == LOOPBACK_NET || (ip.destination & 0xff) == LOOPBACK_NET))
		return COUNTER_IGNORED;
	packet->source.words[2] = packet->destination.words[2] = bpf_htonl(0x0000ffff);
	packet->source.words[3] = ip.source;
	packet->destination.words[3] = ip.destination;
	at->fragmented = fragment & IP_MF;
	at->protocol = ip.protocol;
	at->offset += header;
	at->length = total - header;
	return PARSED;
}

static __always_inline bool is_ipv6_loopback(const union address *address)
{
	return !address->halves[0] && bpf_be64_to_cpu(address->halves[1]) == 1;
}

/* Step over the extension headers to the L4 header. */
static __always_inline int skip_extensions(struct __sk_buff *skb, struct cursor *at)
{
	for (int i = 0; i <= IP6_EXTENSIONS; i++) {
		struct {
			__u8 next_header;
			__u8 length;
			__u16 fragment;
		} extension;
		__u32 size;

		switch (at->protocol) {
		case PROTOCOL_HOP_BY_HOP:
		case PROTOCOL_ROUTING:
		case PROTOCOL_DESTINATION:
		case PROTOCOL_FRAGMENT:
		case PROTOCOL_AUTH:
			break;
		default:
			return PARSED;
		}
		if (bpf_skb_load_bytes(skb, at->offset, &extension, sizeof(extension)))
			return COUNTER_UNPARSED;
		size = (extension.length + 1) * 8;
		if (at->protocol == PROTOCOL_AUTH)
			size = (extension.length + 2) * 4;
		if (at->protocol == PROTOCOL_FRAGMENT) {
			if (extension.fragment & bpf_htons(IP6_OFFSET))
				return COUNTER_FRAGMENTS;
			at->fragmented = extension.fragment & bpf_htons(IP6_MF);
			size = 8;
		}
		if (size > at->length)
			return COUNTER_UNPARSED;
		at->protocol = extension.next_header;
		at->offset += size;
		at->length -= size;
	}
	return COUNTER_UNPARSED;
}

static __always_inline int parse_ipv6(struct __sk_buff *skb, struct cursor *at,
				      struct packet *packet)
{
	struct ipv6_header ip;
	__u32 length, available;

	if (bpf_skb_load_bytes(skb, at->offset, &ip, sizeof(ip)))
		return COUNTER_UNPARSED;
	length = bpf_ntohs(ip.payload_length);
	available = skb->len - at->offset - sizeof(ip);
	if (!length && skb->gso_segs)
		length = available;
	if ((ip.version_class_label & 0xf0) != 0x60 || length > available)
		return COUNTER_UNPARSED;
	if (!config.include_loopback &&
	    (is_ipv6_loopback(&ip.source) || is_ipv6_loopback(&ip.destination)))
		return COUNTER_IGNORED;
	packet->source = ip.source;
	packet->destination = ip.destination;
	at->protocol = ip.next_header;
	at->offset += sizeof(ip);
	at->length = length;
	return skip_extensions(skb, at);
}

/*
 * Read the tags the card left in the packet (it strips the outer one). Two
 * nested tags share the 16 bits of the zone: the inner id whole, 4 bits of the outer.
 */
static __always_inline int parse_vlan(struct __sk_buff *skb, struct cursor *at,
				      struct packet *packet, __u16 *type)
{
	packet->key.zone = skb->vlan_present ? skb->vlan_tci & VLAN_ID_MASK : 0;
	for (int i = 0; i < VLAN_TAGS; i++) {
		struct {
			__u16 tci;
			__u16 type;
		} tag;

		if (*type != bpf_htons(ETH_P_8021Q) && *type != bpf_htons(ETH_P_8021AD))
			break;
		if (bpf_skb_load_bytes(skb, at->offset, &tag, sizeof(tag)))
			return COUNTER_UNPARSED;
		packet->key.zone <<= VLAN_ID_BITS;
		packet->key.zone |= bpf_ntohs(tag.tci) & VLAN_ID_MASK;
		*type = tag.type;
		at->offset += sizeof(tag);
	}
	return PARSED;
}

static __always_inline bool source_is_larger(const struct packet *packet)
{
	for (int i = 0; i < 2; i++) {
		__u64 source = bpf_be64_to_cpu(packet->source.halves[i]);
		__u64 destination = bpf_be64_to_cpu(packet->destination.halves[i]);

		if (source != destination)
			return source > destination;
	}
	if (packet->source_port != packet->destination_port)
		return packet->source_port > packet->destination_port;
	/* A host that pings itself: the reply counts for the other side. */
	return packet->reply;
}

static __always_inline void fill_key(struct packet *packet, __u8 protocol)
{
	struct flow_key *key = &packet->key;

	key->protocol = protocol;
	packet->side = source_is_larger(packet);
	if (packet->side) {
		__builtin_memcpy(key->address_a, &packet->destination, sizeof(key->address_a));
		__builtin_memcpy(key->address_b, &packet->source, sizeof(key->address_b));
		key->port_a = packet->destination_port;
		key->port_b = packet->source_port;
	} else {
		__builtin_memcpy(key->address_a, &packet->source, sizeof(key->address_a));
		__builtin_memcpy(key->address_b, &packet->destination, sizeof(key->address_b));
		key->port_a = packet->source_port;
		key->port_b = packet->destination_port;
	}
}

/* Return PARSED with the packet filled, or the counter that says why not. */
static __always_inline int parse_packet(struct __sk_buff *skb, __u32 link_header,
					struct packet *packet)
{
	struct cursor at = {.offset = link_header};
	__u16 type = skb->protocol;
	int result = PARSED;

	if (link_header)
		result = parse_vlan(skb, &at, packet, &type);
	if (result != PARSED)
		return result;
	if (type == bpf_htons(ETH_P_IP))
		result = parse_ipv4(skb, &at, packet);
	else if (type == bpf_htons(ETH_P_IPV6))
		result = parse_ipv6(skb, &at, packet);
	else
		return COUNTER_IGNORED;
	if (result != PARSED)
		return result;
	if (at.protocol == PROTOCOL_TCP)
		result = parse_tcp(skb, &at, packet);
	else if (at.protocol == PROTOCOL_UDP)
		result = parse_udp(skb, &at, packet);
	else if (at.protocol == PROTOCOL_ICMP || at.protocol == PROTOCOL_ICMP6)
		result = parse_echo(skb, &at, packet);
	else
		return COUNTER_IGNORED;
	if (result == PARSED)
		fill_key(packet, at.protocol);
	return result;
}

#endif /* BEACON_PARSE_H */
