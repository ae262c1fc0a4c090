/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Structures shared between the kernel program and user space.
 *
 * The Python side is src/beacon_detect/data_plane/events.py; a test compares
 * sizes and offsets with the BTF of the compiled object. All padding is
 * explicit and zero. Times are bpf_ktime_get_boot_ns().
 */
#ifndef BEACON_EVENTS_H
#define BEACON_EVENTS_H

#define COMM_LENGTH 16

#define DELIVERED_START 1
#define DELIVERED_END	2

enum event_kind {
	EVENT_START = 1,
	EVENT_BURST = 2,
	EVENT_END = 3,
};

/* Also Outcome in records.py. */
enum flow_outcome {
	OUTCOME_UNKNOWN = 0, /* open, no answer yet */
	OUTCOME_ESTABLISHED = 1, /* open, answered */
	OUTCOME_CLOSED = 2, /* FIN from both sides */
	OUTCOME_RESET = 3, /* RST after an answer */
	OUTCOME_REFUSED = 4, /* RST as the answer to the SYN */
	OUTCOME_UNANSWERED = 5, /* given up without any answer (set by the sweep) */
	OUTCOME_IDLE = 6, /* silent past its timeout (set by the sweep) */
};

/* Also Origin in records.py. */
enum flow_origin {
	ORIGIN_OPENED = 0,
	ORIGIN_MIDSTREAM = 1,
	ORIGIN_SNAPSHOT = 2,
};

/* Also Direction in records.py; which socket's view of the flow is counted. */
enum flow_direction {
	DIRECTION_UNKNOWN = 0,
	DIRECTION_OUTBOUND = 1,
	DIRECTION_INBOUND = 2,
};

/* One flow in both directions: the numerically smaller (address, port) is side a. */
struct flow_key {
	__u8 address_a[16]; /* IPv4 as ::ffff:0:0/96 */
	__u8 address_b[16];
	__u16 port_a; /* host order; ICMP echo: the identifier in both */
	__u16 port_b;
	__u8 protocol;
	__u8 pad;
	__u16 zone; /* VLAN id, 0 without */
};

struct flow_value {
	__u64 first; /* boot ns of the first packet */
	__u64 last; /* boot ns of the newest packet */
	__u64 bytes[2]; /* L4 payload sent by side a, by side b */
	__u64 packets[2]; /* wire packets (gso_segs) sent by side a, by side b */
	__u64 cgroup_id;
	__u64 burst_first; /* boot ns at which the newest burst began */
	__u32 tgid;
	__u32 uid;
	__u32 isn; /* sequence number of the opener's SYN: tells a retry from port reuse */
	__u32 bursts;
	__u8 tcp_flags[2]; /* OR of the flags sent by side a, by side b */
	__u8 opener; /* 0: side a opened, 1: side b */
	__u8 outcome; /* enum flow_outcome */
	__u8 origin; /* enum flow_origin */
	__u8 direction; /* enum flow_direction */
	__u8 started; /* delivered events, DELIVERED_* */
	__u8 syns; /* SYNs seen, saturating */
	char comm[COMM_LENGTH];
};

struct event {
	__u64 time; /* boot ns of what the event reports */
	__u8 kind; /* enum event_kind */
	__u8 pad[7];
	struct flow_key key;
	struct flow_value value;
};

/* Set by user space before the load; constant for the verifier afterwards. */
struct config {
	__u64 burst_idle; /* ns */
	__u8 track_tcp;
	__u8 track_udp;
	__u8 track_icmp;
	__u8 include_loopback;
	__u8 pad[4];
};

/*
 * What the programs count, one 64-bit number each per CPU. Every packet seen is
 * in PACKETS and either belongs to a flow's counters or is in exactly one of
 * the counters IGNORED to MAP_FULL.
 */
enum counter {
	COUNTER_PACKETS, /* packets (skbs) seen by the programs */
	COUNTER_IGNORED, /* not IP, protocol not tracked, loopback */
	COUNTER_UNPARSED, /* headers truncated or contradictory */
	COUNTER_FRAGMENTS, /* fragments after the first: no ports to go by */
	COUNTER_OTHER_VIEW, /* seen again by the socket at the other end, or a raw socket */
	COUNTER_LATE, /* after the end of their connection */
	COUNTER_STRAY, /* FIN or RST of a connection that is not known */
	COUNTER_MAP_FULL, /* no room for a new flow */
	COUNTER_OPENED, /* connections begun, COUNTER_REOPENED among them */
	COUNTER_REOPENED, /* ... in the place of an older one with the same ports */
	COUNTER_ENDED, /* connections ended by the kernel */
	COUNTER_EVENTS, /* events delivered */
	COUNTER_RING_FULL, /* events without room in the ring at the first attempt */
	COUNTER_LATE_STARTS, /* STARTs among them that a later packet delivered */
	COUNTER_NO_STORAGE, /* processes that could not be noted on their socket */
	COUNTERS,
};

#endif /* BEACON_EVENTS_H */
