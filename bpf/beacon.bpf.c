// SPDX-License-Identifier: (GPL-2.0-only OR MIT)
/*
 * Tracks connections and reports when they start, wake up and end.
 *
 * 1. Every packet finds its flow in one map and adds to its counters; the
 *    first packet of a flow creates it and sends START.
 * 2. Activity in an open flow after config.burst_idle of silence sends BURST.
 * 3. FIN from both sides or a RST sends END. Flows that fall silent are ended,
 *    and ended ones deleted, by user space, which sweeps the map.
 *
 * Host mode runs on the sockets of every process (cgroup hooks), gateway mode
 * on the packets of one interface (tc hooks). No program ever drops a packet.
 */
#include "kernel_compat.h"
#include "events.h"
#include "maps.h"
#include "parse.h"
#include "flow.h"

#define VERDICT_PASS 1 /* of the cgroup hooks: let it through */

char LICENSE[] SEC("license") = "Dual MIT/GPL";

static __always_inline void track(struct __sk_buff *skb, __u32 link_header, struct sighting *seen)
{
	struct packet packet = {};
	struct flow_value *flow;
	__u32 segments = skb->gso_segs;
	int result;

	count(COUNTER_PACKETS);
	result = parse_packet(skb, link_header, &packet);
	if (result != PARSED) {
		count(result);
		return;
	}
	if (seen->raw && packet.key.protocol != PROTOCOL_ICMP &&
	    packet.key.protocol != PROTOCOL_ICMP6) {
		count(COUNTER_OTHER_VIEW);
		return;
	}
	if (!segments)
		segments = 1;
	seen->now = bpf_ktime_get_boot_ns();
	seen->local = seen->egress ? packet.side : !packet.side;
	flow = bpf_map_lookup_elem(&flows, &packet.key);
	if (!flow)
		flow = open_flow(&packet, seen, segments);
	if (flow)
		continue_flow(&packet, seen, flow, segments);
}

/* The process noted on a packet's socket; also says whether the socket is a raw one. */
static __always_inline void find_process(struct __sk_buff *skb, struct sighting *seen)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return;
	/* Not there while a handshake or TIME_WAIT stands in for the socket. */
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return;
	seen->raw = !seen->egress && sk->type == SOCK_RAW;
	seen->process = bpf_sk_storage_get(&processes, sk, NULL, 0);
}

static __always_inline int track_socket(struct __sk_buff *skb, bool egress)
{
	struct sighting seen = {.host = true, .egress = egress};

	find_process(skb, &seen);
	track(skb, 0, &seen);
	return VERDICT_PASS;
}

static __always_inline int track_link(struct __sk_buff *skb, __u32 link_header, bool egress)
{
	struct sighting seen = {.egress = egress};

	track(skb, link_header, &seen);
	return TC_ACT_UNSPEC;
}

/* Note the current process on its socket; NULL if the socket has no room for it. */
static __always_inline struct process *note_owner(void *sk)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct process *process;

	process = bpf_sk_storage_get(&processes, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!process) {
		count(COUNTER_NO_STORAGE);
		return NULL;
	}
	/* Called for every datagram sent: the same process need not be noted again. */
	if (process->tgid == id >> 32)
		return process;
	process->tgid = id >> 32;
	process->uid = bpf_get_current_uid_gid();
	process->cgroup_id = bpf_get_current_cgroup_id();
	bpf_get_current_comm(process->comm, sizeof(process->comm));
	return process;
}

static __always_inline int note_sender(struct bpf_sock_addr *context)
{
	if (context->sk)
		note_owner(context->sk);
	return VERDICT_PASS;
}

SEC("cgroup_skb/ingress")
int host_ingress(struct __sk_buff *skb)
{
	return track_socket(skb, false);
}

SEC("cgroup_skb/egress")
int host_egress(struct __sk_buff *skb)
{
	return track_socket(skb, true);
}

SEC("cgroup/sock_create")
int socket_create(struct bpf_sock *sk)
{
	note_owner(sk);
	return VERDICT_PASS;
}

/* Of its last file descriptor: a closing socket. What it still has to send follows. */
SEC("cgroup/sock_release")
int socket_release(struct bpf_sock *sk)
{
	struct process *process = bpf_sk_storage_get(&processes, sk, NULL, 0);

	if (!process) /* made before the programs were attached */
		process = note_owner(sk);
	if (process)
		process->closed = 1;
	return VERDICT_PASS;
}

SEC("cgroup/connect4")
int socket_connect4(struct bpf_sock_addr *context)
{
	return note_sender(context);
}

SEC("cgroup/connect6")
int socket_connect6(struct bpf_sock_addr *context)
{
	return note_sender(context);
}

SEC("cgroup/sendmsg4")
int socket_sendmsg4(struct bpf_sock_addr *context)
{
	return note_sender(context);
}

SEC("cgroup/sendmsg6")
int socket_sendmsg6(struct bpf_sock_addr *context)
{
	return note_sender(context);
}

SEC("tc")
int link_ingress(struct __sk_buff *skb)
{
	return track_link(skb, ETHERNET_HEADER, false);
}

SEC("tc")
int link_egress(struct __sk_buff *skb)
{
	return track_link(skb, ETHERNET_HEADER, true);
}

/* Tunnel devices (tun, WireGuard, IPIP) carry no link-layer header. */
SEC("tc")
int link_ingress_l3(struct __sk_buff *skb)
{
	return track_link(skb, 0, false);
}

SEC("tc")
int link_egress_l3(struct __sk_buff *skb)
{
	return track_link(skb, 0, true);
}

/* What an attached program costs at the least; for the benchmark only. */
SEC("tc")
int link_empty(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}
