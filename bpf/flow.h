/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The life of a flow: opened, counted, woken up, ended, replaced.
 *
 * Counters are added to atomically. Steps that must happen once, whichever CPU
 * comes first, are decided under the flow's lock and reported after it.
 */
#ifndef BEACON_FLOW_H
#define BEACON_FLOW_H

#include "kernel_compat.h"
#include "events.h"
#include "maps.h"
#include "parse.h"

/* A SYN in a connection that was silent this long opens a new one. */
#define SYN_SILENCE 60000000000ULL
/* Longer than packets travel. */
#define LATE_DATA 1000000000ULL

/* Where a packet was seen, and by which socket. */
struct sighting {
	__u64 now;
	struct process *process; /* of the socket, NULL where unknown */
	bool host; /* seen by a socket, not on an interface */
	bool egress;
	bool raw; /* the receiver is a raw socket: it gets a copy of a packet */
	__u8 local; /* the side at this end: the sender's on egress */
};

static __always_inline bool is_over(const struct flow_value *flow)
{
	return flow->outcome > OUTCOME_ESTABLISHED;
}

/* Shifted, not indexed: verifiers are wary of computed addresses. */
static __always_inline bool has_sent_fin(const struct flow_value *flow, __u8 side)
{
	__u32 both = flow->tcp_flags[0] | flow->tcp_flags[1] << 8;

	return both >> (side ? 8 : 0) & TCP_FIN;
}

static __always_inline bool is_opening_syn(const struct packet *packet)
{
	return (packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST)) == TCP_SYN;
}

static __always_inline void note_process(struct flow_value *flow, const struct process *process)
{
	flow->tgid = process->tgid;
	flow->uid = process->uid;
	flow->cgroup_id = process->cgroup_id;
	__builtin_memcpy(flow->comm, process->comm, COMM_LENGTH);
}

static __always_inline void add_packet(struct flow_value *flow, const struct packet *packet,
				       __u32 segments)
{
	/* Spelled out twice: an index computed into a map value is what verifiers refuse. */
	if (packet->side) {
		flow->tcp_flags[1] |= packet->tcp_flags;
		atomic_add(&flow->bytes[1], packet->payload);
		atomic_add(&flow->packets[1], segments);
	} else {
		flow->tcp_flags[0] |= packet->tcp_flags;
		atomic_add(&flow->bytes[0], packet->payload);
		atomic_add(&flow->packets[0], segments);
	}
}

/* Which view of the flow this sighting is, given who opened it. */
static __always_inline __u8 view_of(const struct sighting *seen, __u8 opener)
{
	if (!seen->host)
		return DIRECTION_UNKNOWN;
	return seen->local == opener ? DIRECTION_OUTBOUND : DIRECTION_INBOUND;
}

static __always_inline void describe_flow(struct flow_value *flow, const struct packet *packet,
					  const struct sighting *seen, __u32 segments)
{
	flow->first = seen->now;
	flow->last = seen->now;
	flow->started = DELIVERED_START; /* taken back if it could not be delivered */
	flow->opener = packet->reply ? !packet->side : packet->side;
	if (packet->key.protocol == PROTOCOL_TCP) {
		if (packet->tcp_flags & TCP_SYN) {
			flow->isn = packet->isn;
			flow->syns = !packet->reply;
		} else {
			/* In the middle of it: the lower port is taken for the server's. */
			flow->origin = ORIGIN_MIDSTREAM;
			if (packet->key.port_a != packet->key.port_b)
				flow->opener = packet->key.port_a < packet->key.port_b;
		}
	}
	if (packet->reply || flow->origin == ORIGIN_MIDSTREAM)
		flow->outcome = OUTCOME_ESTABLISHED;
	flow->direction = view_of(seen, flow->opener);
	if (seen->process)
		note_process(flow, seen->process);
	add_packet(flow, packet, segments);
}

static __always_inline void send_start(const struct flow_key *key, struct flow_value *flow)
{
	if (!deliver(EVENT_START, flow->first, key, flow)) {
		count(COUNTER_RING_FULL);
		flow = bpf_map_lookup_elem(&flows, key);
		if (flow)
			flow->started = 0;
	}
}

/* Create the flow of a first packet; the flow itself if another CPU was faster. */
static __always_inline struct flow_value *open_flow(const struct packet *packet,
						    const struct sighting *seen, __u32 segments)
{
	struct flow_value flow = {};
	long error;

	if (packet->tcp_flags & (TCP_FIN | TCP_RST)) {
		count(COUNTER_STRAY);
		return NULL;
	}
	describe_flow(&flow, packet, seen, segments);
	error = bpf_map_update_elem(&flows, &packet->key, &flow, BPF_NOEXIST);
	if (error == -EEXIST)
		return bpf_map_lookup_elem(&flows, &packet->key);
	if (error) {
		count(COUNTER_MAP_FULL);
		return NULL;
	}
	count(COUNTER_OPENED);
	send_start(&packet->key, &flow);
	return NULL;
}

/* End the flow once, whoever asks; the event carries its final counters. */
static __always_inline void end_flow(const struct packet *packet, struct flow_value *flow,
				     __u8 outcome)
{
	struct lock_slot *slot = lock_of(&packet->key);
	bool ours;

	if (!slot)
		return;
	bpf_spin_lock(&slot->lock);
	ours = !is_over(flow);
	if (ours)
		flow->outcome = outcome;
	bpf_spin_unlock(&slot->lock);
	if (!ours)
		return;
	count(COUNTER_ENDED);
	if (deliver(EVENT_END, flow->last, &packet->key, flow))
		flow->started |= DELIVERED_END;
	else
		count(COUNTER_RING_FULL);
}

/* How a flow ended if this SYN opens a new one on its ports; UNKNOWN if it does not. */
static __always_inline __u8 ended_by_syn(const struct flow_value *flow, const struct packet *packet,
					 __u64 now)
{
	if (packet->side == flow->opener && packet->isn == flow->isn)
		return OUTCOME_UNKNOWN; /* sent again */
	if (is_over(flow) || ((flow->tcp_flags[0] | flow->tcp_flags[1]) & TCP_FIN))
		return OUTCOME_CLOSED;
	if (flow->outcome == OUTCOME_UNKNOWN && packet->side == flow->opener)
		return OUTCOME_UNANSWERED;
	/* Otherwise it may be forged, and an open connection answers it with an ACK (RFC 5961). */
	if (flow->origin != ORIGIN_OPENED || now - flow->last > SYN_SILENCE)
		return OUTCOME_IDLE;
	return OUTCOME_UNKNOWN;
}

/* Put a new connection in the place of one that is over. */
static __always_inline void replace_flow(const struct packet *packet, const struct sighting *seen,
					 struct flow_value *flow, __u32 segments)
{
	struct lock_slot *slot = lock_of(&packet->key);
	struct flow_value fresh = {};
	bool ours;

	if (!slot)
		return;
	describe_flow(&fresh, packet, seen, segments);
	if (fresh.origin == ORIGIN_MIDSTREAM) {
		fresh.opener = flow->opener;
		fresh.direction = flow->direction;
	}
	bpf_spin_lock(&slot->lock);
	ours = is_over(flow);
	if (ours)
		*flow = fresh;
	bpf_spin_unlock(&slot->lock);
	if (!ours)
		return;
	count(COUNTER_OPENED);
	count(COUNTER_REOPENED);
	send_start(&packet->key, &fresh);
}

/* Send the START that had no room in the ring, or a BURST, each only once. */
static __always_inline void send_due(const struct packet *packet, const struct sighting *seen,
				     struct flow_value *flow)
{
	bool active = packet->payload || packet->key.protocol != PROTOCOL_TCP;
	bool start, burst, answered;
	struct lock_slot *slot;

	start = !(flow->started & DELIVERED_START);
	/* Signed: another CPU may have stamped a later packet already. */
	burst = active && (long long)(seen->now - flow->last) > (long long)config.burst_idle;
	answered = flow->outcome == OUTCOME_UNKNOWN && !(packet->tcp_flags & TCP_RST) &&
		   (packet->side != flow->opener ||
		    (packet->key.protocol == PROTOCOL_TCP && !(packet->tcp_flags & TCP_SYN)));
	if (!start && !burst && !answered)
		return;
	slot = lock_of(&packet->key);
	if (!slot)
		return;
	bpf_spin_lock(&slot->lock);
	if (answered && flow->outcome == OUTCOME_UNKNOWN)
		flow->outcome = OUTCOME_ESTABLISHED;
	start = start && !(flow->started & DELIVERED_START);
	if (start)
		flow->started |= DELIVERED_START;
	burst = burst && (long long)(seen->now - flow->last) > (long long)config.burst_idle;
	if (burst) {
		flow->bursts++;
		flow->burst_first = seen->now;
		flow->last = seen->now;
	}
	bpf_spin_unlock(&slot->lock);
	if (start) {
		if (deliver(EVENT_START, flow->first, &packet->key, flow))
			count(COUNTER_LATE_STARTS);
		else
			flow->started &= ~DELIVERED_START;
	}
	if (burst && !deliver(EVENT_BURST, seen->now, &packet->key, flow))
		count(COUNTER_RING_FULL);
}

/* Is this the flow as the socket at the other end sees it, or a copy? */
static __always_inline bool is_other_view(const struct packet *packet, const struct sighting *seen,
					  struct flow_value *flow)
{
	__u8 view = view_of(seen, flow->opener);

	if (!seen->host)
		return false;
	if (flow->direction == DIRECTION_UNKNOWN)
		flow->direction = view; /* put into the map by user space */
	if (view != flow->direction)
		return true;
	/* Every raw socket of the host gets every echo reply. */
	return seen->raw && seen->process && flow->tgid && seen->process->tgid != flow->tgid;
}

/*
 * New data long after the end: the RST was forged, or meant for somebody else.
 * After its own FIN a side only sends again what it has sent.
 */
static __always_inline bool is_revived(const struct flow_value *flow, const struct packet *packet,
				       __u64 now)
{
	return packet->payload && !(packet->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)) &&
	       !has_sent_fin(flow, packet->side) && now - flow->last > LATE_DATA;
}

/*
 * FIN from both sides; or from ours, if the process has closed its socket: the
 * kernel then keeps only a stub that takes the other FIN past the socket hooks.
 */
static __always_inline bool is_closed(const struct flow_value *flow, const struct sighting *seen)
{
	if (flow->tcp_flags[0] & flow->tcp_flags[1] & TCP_FIN)
		return true;
	return seen->process && seen->process->closed && has_sent_fin(flow, seen->local);
}

static __always_inline void continue_flow(const struct packet *packet, const struct sighting *seen,
					  struct flow_value *flow, __u32 segments)
{
	bool other = is_other_view(packet, seen, flow);
	__u8 outcome;

	if (is_opening_syn(packet) && (!other || seen->egress)) {
		outcome = ended_by_syn(flow, packet, seen->now);
		if (outcome) {
			end_flow(packet, flow, outcome);
			replace_flow(packet, seen, flow, segments);
			return;
		}
	}
	if (other) {
		count(COUNTER_OTHER_VIEW);
		return;
	}
	if (is_over(flow)) {
		if (is_revived(flow, packet, seen->now))
			replace_flow(packet, seen, flow, segments);
		else
			count(COUNTER_LATE);
		return;
	}
	if (is_opening_syn(packet) && flow->syns < 255)
		flow->syns++;
	if (!flow->tgid && seen->process)
		note_process(flow, seen->process);
	add_packet(flow, packet, segments);
	send_due(packet, seen, flow);
	flow->last = seen->now;
	if (packet->tcp_flags & TCP_RST)
		end_flow(packet, flow,
			 flow->outcome == OUTCOME_UNKNOWN && packet->side != flow->opener
				 ? OUTCOME_REFUSED
				 : OUTCOME_RESET);
	else if (is_closed(flow, seen))
		end_flow(packet, flow, OUTCOME_CLOSED);
}

#endif /* BEACON_FLOW_H */
