/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The maps of the programs, and the smallest operations on them.
 */
#ifndef BEACON_MAPS_H
#define BEACON_MAPS_H

#include "kernel_compat.h"
#include "events.h"

/*
 * The process behind a socket, noted when it creates, connects, sends or closes;
 * an accepted socket inherits its listener's (BPF_F_CLONE).
 */
struct process {
	__u64 cgroup_id;
	__u32 tgid;
	__u32 uid;
	char comm[COMM_LENGTH];
	__u32 closed; /* the last process that held the socket has closed it */
	__u32 pad;
};

struct lock_slot {
	struct bpf_spin_lock lock;
};

#define LOCKS 256

const volatile struct config config SEC(".rodata.config") = {
	.burst_idle = 1000000000,
	.track_tcp = 1,
	.track_udp = 1,
	.track_icmp = 1,
};

/*
 * Key: a flow in both directions. Value: its counters and state.
 * Bound: set by user space before the load; the least recently used entry goes
 * first. Shared by all CPUs, since a flow's two directions meet on any of them.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct flow_key);
	__type(value, struct flow_value);
} flows SEC(".maps");

/* Records of struct event only: their fixed stride is what the reader relies on. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} events SEC(".maps");

/* Key: enum counter. Value: the count of one CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* Value: the process of a socket. Lives in the socket and goes with it. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct process);
} processes SEC(".maps");

/*
 * Key: a hash of a flow's ports. Value: the lock for steps that must happen
 * once (START, BURST, END); a spin lock cannot live in an LRU map itself.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LOCKS);
	__type(key, __u32);
	__type(value, struct lock_slot);
} locks SEC(".maps");

/*
 * Keeps the types that only code uses in the object's BTF, where a test compares
 * them with user space. The loader skips the section.
 */
const struct {
	struct event event;
	enum event_kind kind;
	enum flow_outcome outcome;
	enum flow_origin origin;
	enum flow_direction direction;
	enum counter counter;
} shared_types SEC(".shared_types");

static __always_inline void count(__u32 counter)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &counter);

	/* Atomic although per CPU: a receiving softirq may interrupt a sender. */
	if (value)
		atomic_add(value, 1);
}

static __always_inline struct lock_slot *lock_of(const struct flow_key *key)
{
	__u32 slot = (key->port_a ^ key->port_b) % LOCKS;

	return bpf_map_lookup_elem(&locks, &slot);
}

/* Put an event into the ring; false when it has no room. */
static __always_inline bool deliver(__u8 kind, __u64 time, const struct flow_key *key,
				    const struct flow_value *value)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return false;
	event->time = time;
	event->kind = kind;
	__builtin_memset(event->pad, 0, sizeof(event->pad));
	event->key = *key;
	event->value = *value;
	/* User space polls: a wake-up would cost more than everything else here. */
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	count(COUNTER_EVENTS);
	return true;
}

#endif /* BEACON_MAPS_H */
