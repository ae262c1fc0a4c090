/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The part of the kernel's BPF interface that the programs use, written by hand.
 *
 * Helper numbers and the context structs below belong to the kernel's stable
 * user-space ABI (include/uapi/linux/bpf.h): they never change, so neither
 * vmlinux.h nor the kernel's BTF is needed, at build time or at run time.
 */
#ifndef BEACON_KERNEL_COMPAT_H
#define BEACON_KERNEL_COMPAT_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef _Bool bool;

#define true  1
#define false 0
#define NULL  ((void *)0)

#define SEC(name)	    __attribute__((section(name), used))
#define __always_inline	    inline __attribute__((always_inline))
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name

#define bpf_ntohs(value)       __builtin_bswap16(value)
#define bpf_ntohl(value)       __builtin_bswap32(value)
#define bpf_be64_to_cpu(value) __builtin_bswap64(value)
#define bpf_htons(value)       __builtin_bswap16(value)
#define bpf_htonl(value)       __builtin_bswap32(value)

/*
 * An add whose result nobody reads. This spelling compiles to the plain atomic
 * add that every kernel knows; since clang 22 __sync_fetch_and_add() compiles
 * to the fetching form of Linux 5.12 and is refused by 5.10.
 */
#define atomic_add(pointer, value)                                                                 \
	((void)__c11_atomic_fetch_add((_Atomic __u64 *)(pointer), (value), __ATOMIC_RELAXED))

#define BPF_MAP_TYPE_ARRAY	  2
#define BPF_MAP_TYPE_PERCPU_ARRAY 6
#define BPF_MAP_TYPE_LRU_HASH	  9
#define BPF_MAP_TYPE_SK_STORAGE	  24
#define BPF_MAP_TYPE_RINGBUF	  27

#define BPF_F_NO_PREALLOC	    1
#define BPF_F_CLONE		    0x200
#define BPF_NOEXIST		    1
#define BPF_RB_NO_WAKEUP	    1
#define BPF_SK_STORAGE_GET_F_CREATE 1

#define TC_ACT_UNSPEC (-1) /* also TCX_NEXT: leave the decision to whoever comes after */
#define EEXIST	      17
#define SOCK_RAW      3

struct bpf_spin_lock {
	__u32 val;
};

struct bpf_sock {
	__u32 bound_dev_if;
	__u32 family;
	__u32 type;
	__u32 protocol;
};

struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto;
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u32 tc_index;
	__u32 cb[5];
	__u32 hash;
	__u32 tc_classid;
	__u32 data;
	__u32 data_end;
	__u32 napi_id;
	__u32 family;
	__u32 remote_ip4;
	__u32 local_ip4;
	__u32 remote_ip6[4];
	__u32 local_ip6[4];
	__u32 remote_port;
	__u32 local_port;
	__u32 data_meta;
	__u64 flow_keys;
	__u64 tstamp;
	__u32 wire_len;
	__u32 gso_segs;
	struct bpf_sock *sk;
	__u32 gso_size;
};

struct bpf_sock_addr {
	__u32 user_family;
	__u32 user_ip4;
	__u32 user_ip6[4];
	__u32 user_port;
	__u32 family;
	__u32 type;
	__u32 protocol;
	__u32 msg_src_ip4;
	__u32 msg_src_ip6[4];
	struct bpf_sock *sk;
};

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value,
					 __u64 flags) = (void *)2;
static __u64 (*const bpf_get_current_pid_tgid)(void) = (void *)14;
static __u64 (*const bpf_get_current_uid_gid)(void) = (void *)15;
static long (*const bpf_get_current_comm)(void *buffer, __u32 size) = (void *)16;
static long (*const bpf_skb_load_bytes)(const void *skb, __u32 offset, void *to,
					__u32 size) = (void *)26;
static __u64 (*const bpf_get_current_cgroup_id)(void) = (void *)80;
static void (*const bpf_spin_lock)(struct bpf_spin_lock *lock) = (void *)93;
static void (*const bpf_spin_unlock)(struct bpf_spin_lock *lock) = (void *)94;
static struct bpf_sock *(*const bpf_sk_fullsock)(struct bpf_sock *sk) = (void *)95;
static void *(*const bpf_sk_storage_get)(void *map, void *sk, void *value,
					 __u64 flags) = (void *)107;
static __u64 (*const bpf_ktime_get_boot_ns)(void) = (void *)125;
static void *(*const bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;

#endif /* BEACON_KERNEL_COMPAT_H */
