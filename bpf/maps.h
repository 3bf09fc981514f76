/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps, and the scratch that a record is put together in.
 */
#ifndef BUILDWARDEN_MAPS_H
#define BUILDWARDEN_MAPS_H

#include "core.h"
#include "record.h"
#include <bpf/bpf_helpers.h>

#define MAX_SCOPES 4	  /* scopes that one process can be in: nested cgroups */
#define MAX_PID_LEVELS 32 /* MAX_PID_NS_LEVEL */
#define MAX_COMPONENTS 64
#define NAME_MAX 255
#define PF_FORKNOEXEC 0x40
#define SIGNAL_GROUP_EXIT 0x4
#define OVERLAYFS_SUPER_MAGIC 0x794c7630

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, BW_SLOTS);
	__uint(key_size, sizeof(__u32));
	__array(values, struct ring);
} rings SEC(".maps");

/* cgroup id to slot */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BW_SLOTS);
	__type(key, __u64);
	__type(value, __u32);
} scopes SEC(".maps");

/* inode number of a container's own pid namespace to slot */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BW_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} pid_namespaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, BW_SLOTS);
	__type(key, __u32);
	__type(value, struct bw_slot);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bw_host);
} host SEC(".maps");

/*
 * Execs of each slot on each CPU. Numbering them over all CPUs would take a lock
 * or an atomic add that returns a value, and 5.10 has neither for these programs;
 * and one CPU's records are in the ring in the order of their numbers, so a hole
 * is seen at the next record.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BW_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");

struct spill {
	__u8 bytes[BW_SPILL_SIZE];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, BW_SPILLS);
	__type(key, __u32);
	__type(value, struct spill);
} spills SEC(".maps");

/*
 * Names of listed tools and of what carries them, each with its bw_rank, cut as
 * task_struct.comm is.
 * A trie, because some are the beginning of a name ("qemu-"); a whole name includes
 * its NUL.
 */
struct name {
	__u32 bits;
	char bytes[BW_NAME_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct name);
	__type(value, __u32);
} names SEC(".maps");

/*
 * Where a record is put together; it holds at most 32 KiB, the kernel's limit
 * for a per-CPU value. `path` is filled from its end towards its beginning, and
 * the slack behind each part lets the verifier see that no write leaves it.
 */
struct scratch {
	struct bw_exit exit;
	struct bw_exec exec;
	union {
		__u8 tail[BW_PARENTS * sizeof(struct bw_process) + 2 * BW_PATH_MAX +
			  BW_ARGV_INLINE];
		struct bw_environment environment;
	};
	__u8 path[BW_PATH_MAX + NAME_MAX + 1];
	__u32 path_len;
	__u32 count;
	__u32 entered; /* bit i: the exec came into slot[i]'s container from outside */
	__u32 slot[MAX_SCOPES];
	__u32 container_pid[MAX_SCOPES];
	__u64 dentry; /* where read_path has come to */
	__u64 vfsmount;
	__u64 argument; /* what follows the one that rank_of_argument looked at, or 0 */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline struct scratch *get_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratches, &zero);
}

#endif
