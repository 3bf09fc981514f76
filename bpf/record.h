/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The wire truth: what the kernel side and user space share. The Rust side
 * (src/wire, src/trace) is checked against this file by a test that reads the
 * compiled object's BTF.
 *
 * Fixed widths, explicit padding, natural alignment. A record begins with its
 * type and its size in bytes.
 */
#ifndef BUILDWARDEN_RECORD_H
#define BUILDWARDEN_RECORD_H

enum bw_limits {
	BW_SLOTS = 2048, /* scopes that can live at once */
	BW_DEPTHS = 64,	 /* cgroup depths a scope can lie at: bits of bw_host.depths */
	BW_PARENTS = 8,
	BW_PATH_MAX = 4096,
	BW_ARGV_INLINE = 16384, /* longer argv goes to spill buffers */
	BW_SPILL_SIZE = 2097152,
	BW_SPILLS = 4,
	BW_SPILLS_PER_EXEC = 3, /* 6 MiB: the kernel's limit for any stack limit */
	BW_ENVIRONMENT_MAX = 24576,
	BW_NAME_LEN = 16, /* as task_struct.comm: 15 bytes and a NUL */
	BW_NO_SPILL = 255,
};

/* What an exec may claim: tools wake the collector and have the last of the room. */
enum bw_rank {
	BW_ORDINARY = 0,
	BW_CARRIER = 1, /* multi-call programs, loaders, emulators */
	BW_TOOL = 2,
};

enum bw_record_type {
	BW_EXEC = 1,
	BW_EXIT = 2,
	BW_ENVIRONMENT = 3,
};

enum bw_flags {
	BW_TRUNCATED = 1 << 0,
	BW_UNREADABLE = 1 << 1,
	BW_MEMFD = 1 << 2,
	BW_DELETED = 1 << 3,
	BW_UPPER_LAYER = 1 << 4,
	BW_LEFT_CGROUP = 1 << 5,
	BW_PATH_TRUNCATED = 1 << 6,
	BW_SCRIPT = 1 << 7,
	BW_ENTERED = 1 << 8,
};

struct bw_process {
	__u64 start; /* ns since boot */
	__u32 pid;   /* thread group id, initial pid namespace */
	__u32 pad;
};

/*
 * Behind it, in this order and without padding: `parents` bw_process, path,
 * name, then argv: `argv_len` bytes right here, or, when spill[0] is not
 * BW_NO_SPILL, in those buffers one after the other.
 */
struct bw_exec {
	__u32 type;
	__u32 size;
	__u64 number; /* of this scope's execs on this CPU, from 1: a hole is a loss */
	__u64 time;   /* ns since boot */
	struct bw_process process;
	__u64 inode;
	__u64 argv_total; /* bytes before anything was cut */
	__u32 argv_len;
	__u32 container_pid;
	__u32 uid;
	__u32 gid;
	__u32 loginuid;
	__u32 flags;
	__u32 device;
	__u16 path_len;
	__u16 name_len;
	__u8 parents;
	__u8 spill[BW_SPILLS_PER_EXEC];
	__u32 cpu;
};

struct bw_exit {
	__u32 type;
	__u32 size;
	__u64 time; /* ns since boot */
	struct bw_process process;
	__u32 status; /* as in wait(2) */
	__u32 pad;
};

/*
 * The environment of an exec that came into the container from outside, right
 * before its bw_exec. Behind it as many bytes of the environment as `size` says.
 */
struct bw_environment {
	__u32 type;
	__u32 size;
	struct bw_process process;
	__u64 total; /* bytes before anything was cut */
};

/* One scope: written by the kernel side where nothing else is said. */
struct bw_slot {
	__u32 state;
	__u32 pid_namespace; /* inode number, or 0 */
	__u64 cgroup;
	__u64 execs; /* delivered or lost */
	__u64 lost_execs;
	__u64 exits;
	__u64 lost_exits;
	__u32 truncated;
	__u32 lost_environments;
	__u32 urgent;	/* execs of a listed tool: drain at once */
	__u32 owner;	/* whose scope it is, among several configurations; user space's */
	__u32 disowned; /* a process inside has given a child a parent outside */
	__u32 pad;
	__u64 first; /* when that namespace's first process began, clock ticks since boot, or 0;
			its collector says it */
	__u64 registered; /* when its recording began, nanoseconds since boot, or 0; user space's */
};

/*
 * A buffer for a long argv. It is free while nobody claims it; whoever finds
 * itself to be the only claimer has it, until user space has read it.
 */
struct bw_spill {
	__u32 claims;
	__u32 owner; /* slot + 1, or 0 */
};

/* Facts of the probe set as a whole. */
struct bw_host {
	__u64 depths; /* bit d: some scope lies, or lay, at cgroup depth d */
	struct bw_spill spills[BW_SPILLS];
};

#endif
