// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Records every exec in a scope, and the exit of what was executed.
 *
 * One copy serves every scope of the host: a scope is an entry in `scopes` that
 * names a slot, and a slot is a ring in `rings` with counters in `slots`. User
 * space registers and drains; nothing here decides what is suspicious.
 */
#include "core.h"
#include "record.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

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
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* A call of its own: inlined, its relocation would be hoisted to where newer kernels reach it. */
static __noinline __u64 ancestor_id_before_6_1(struct cgroup *cgroup, __u32 depth)
{
	struct cgroup___before_6_1 *old = (void *)cgroup;
	__u64 id = 0;

	bpf_probe_read_kernel(&id, sizeof(id), (void *)&old->ancestor_ids + depth * sizeof(id));
	return id;
}

static __always_inline __u64 ancestor_id(struct cgroup *cgroup, __u32 depth)
{
	struct cgroup *ancestor = NULL;

	if (!bpf_core_field_exists(cgroup->ancestors))
		return ancestor_id_before_6_1(cgroup, depth);
	bpf_probe_read_kernel(&ancestor, sizeof(ancestor),
			      (void *)&cgroup->ancestors + depth * sizeof(ancestor));
	return BPF_CORE_READ(ancestor, kn, id);
}

static __always_inline struct upid pid_at(struct pid *pid, __u32 level)
{
	struct upid number = {};

	bpf_probe_read_kernel(&number, sizeof(number),
			      (void *)&pid->numbers + level * bpf_core_type_size(struct upid));
	return number;
}

/* The pid in the namespace `inum`, or in the initial one where there is none. */
static __always_inline __u32 pid_in_namespace(struct task_struct *leader, __u32 inum)
{
	struct pid *pid = BPF_CORE_READ(leader, thread_pid);
	__u32 top = BPF_CORE_READ(pid, level);

	for (__u32 i = 0; inum && i < MAX_PID_LEVELS; i++) {
		struct upid number;

		if (i > top)
			break;
		number = pid_at(pid, top - i);
		if (BPF_CORE_READ(number.ns, ns.inum) == inum)
			return number.nr;
	}
	return BPF_CORE_READ(leader, tgid);
}

static __always_inline struct scratch *get_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratches, &zero);
}

/*
 * Global functions are verified once, on their own, whatever calls them: without
 * that the states of each part multiply those of the next. 5.10 lets them take
 * scalars only, so kernel pointers come as addresses and each finds the scratch
 * itself. What they keep in it over a loop the verifier takes as unknown, which
 * is what lets it see that all iterations are alike.
 */

__noinline int add_scope(__u64 leader_address, __u32 slot)
{
	struct task_struct *leader = (void *)leader_address;
	struct bw_slot *counters = bpf_map_lookup_elem(&slots, &slot);
	struct scratch *scratch = get_scratch();
	__u32 i;

	if (!counters || !scratch)
		return 0;
	i = scratch->count;
	if (i >= MAX_SCOPES)
		return 0;
	scratch->slot[i] = slot;
	scratch->container_pid[i] = pid_in_namespace(leader, counters->pid_namespace);
	scratch->count = i + 1;
	return 0;
}

/* Whether the slot's pid namespace is this one, and not an earlier one of the same number. */
static __always_inline int is_same_namespace(struct pid_namespace *ns, __u32 slot)
{
	struct bw_slot *facts = bpf_map_lookup_elem(&slots, &slot);
	__u64 start = BPF_CORE_READ(ns, child_reaper, group_leader, start_boottime);

	return facts && facts->namespace_start == (__u32)(start / 10000000);
}

/*
 * Puts the scopes that a process is in into the scratch: by its cgroup's
 * ancestors; failing all of them, by its pid namespace. Host processes are at
 * pid namespace level 0 and seldom at depths that a scope lies at, so they cost
 * a few loads. Returns BW_LEFT_CGROUP where the pid namespace decided, else 0.
 */
__noinline int find_scopes(__u64 task_address)
{
	struct task_struct *task = (void *)task_address;
	__u64 leader = (__u64)BPF_CORE_READ(task, group_leader);
	struct cgroup *cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	struct scratch *scratch = get_scratch();
	__u32 zero = 0, depth = BPF_CORE_READ(cgroup, level);
	struct bw_host *facts = bpf_map_lookup_elem(&host, &zero);
	struct pid *pid;
	__u32 level;
	__u64 depths;

	if (!facts || !scratch)
		return 0;
	scratch->count = 0;
	depths = facts->depths;
	for (__u32 i = 1; i < BW_DEPTHS; i++) {
		__u64 id;
		__u32 *slot;

		if (i > depth || !(depths >> i))
			break;
		if (!(depths >> i & 1))
			continue;
		id = ancestor_id(cgroup, i);
		slot = bpf_map_lookup_elem(&scopes, &id);
		if (slot)
			add_scope(leader, *slot);
	}
	if (scratch->count)
		return 0;

	pid = BPF_CORE_READ(task, group_leader, thread_pid);
	level = BPF_CORE_READ(pid, level);
	for (__u32 i = 0; i < MAX_PID_LEVELS; i++) {
		struct upid number;
		__u32 inum;
		__u32 *slot;

		if (i >= level)
			break;
		number = pid_at(pid, level - i);
		inum = BPF_CORE_READ(number.ns, ns.inum);
		slot = bpf_map_lookup_elem(&pid_namespaces, &inum);
		if (slot && is_same_namespace(number.ns, *slot)) {
			add_scope(leader, *slot);
			return BW_LEFT_CGROUP;
		}
	}
	return 0;
}

/*
 * Writes the container's view of the file's path to the end of scratch->path and
 * its length to scratch->path_len. Returns BW_PATH_TRUNCATED or 0.
 */
__noinline int read_path(__u64 task_address, __u64 file_address)
{
	struct task_struct *task = (void *)task_address;
	struct file *file = (void *)file_address;
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct vfsmount *vfsmount = BPF_CORE_READ(file, f_path.mnt);
	struct dentry *root = BPF_CORE_READ(task, fs, root.dentry);
	struct vfsmount *root_mount = BPF_CORE_READ(task, fs, root.mnt);
	struct scratch *scratch = get_scratch();

	if (!scratch)
		return 0;
	scratch->path_len = 0;
	for (__u32 i = 0; i < MAX_COMPONENTS; i++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
		struct dentry *mount_root = BPF_CORE_READ(vfsmount, mnt_root);
		__u32 length, offset;

		if (dentry == root && vfsmount == root_mount)
			return 0;
		if (dentry == mount_root) {
			struct mount *mount =
				(void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
			struct mount *above = BPF_CORE_READ(mount, mnt_parent);

			if (mount == above)
				return 0;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			vfsmount = (void *)above + bpf_core_field_offset(struct mount, mnt);
			continue;
		}
		length = BPF_CORE_READ(dentry, d_name.len);
		offset = BW_PATH_MAX - scratch->path_len;
		if (length > NAME_MAX || length >= offset || offset > BW_PATH_MAX)
			break;
		offset -= length;
		/* the masks change nothing: they are for the verifier */
		bpf_probe_read_kernel(&scratch->path[offset & (BW_PATH_MAX - 1)], length & NAME_MAX,
				      BPF_CORE_READ(dentry, d_name.name));
		/* a memfd's dentry is its own parent: a name without a directory */
		if (dentry != parent) {
			offset--;
			scratch->path[offset & (BW_PATH_MAX - 1)] = '/';
		}
		scratch->path_len = BW_PATH_MAX - offset;
		if (dentry == parent)
			return 0;
		dentry = parent;
	}
	return BW_PATH_TRUNCATED;
}

/* Returns the flags of the file executed. */
__noinline int file_flags(__u64 file_address)
{
	struct file *file = (void *)file_address;
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	const char prefix[] = "memfd:";
	__u32 flags = 0;

	if (!BPF_CORE_READ(inode, i_nlink)) {
		char name[sizeof(prefix)] = {};
		bool memfd = true;

		flags |= BW_DELETED;
		bpf_probe_read_kernel(name, sizeof(name) - 1,
				      BPF_CORE_READ(file, f_path.dentry, d_name.name));
		for (int i = 0; i < sizeof(prefix); i++)
			memfd &= name[i] == prefix[i];
		if (memfd)
			flags |= BW_MEMFD;
	}
	if (BPF_CORE_READ(inode, i_sb, s_magic) == OVERLAYFS_SUPER_MAGIC) {
		/*
		 * struct ovl_inode: the upper dentry stands right behind vfs_inode
		 * in every release. Its BTF may be in a module, which 5.10 cannot
		 * read; struct inode's size always can be.
		 */
		void *upper = NULL;

		bpf_probe_read_kernel(&upper, sizeof(upper),
				      (void *)inode + bpf_core_type_size(struct inode));
		if (upper)
			flags |= BW_UPPER_LAYER;
	}
	return flags;
}

/* Writes the process's nearest ancestors to the scratch and returns how many. */
__noinline int read_parents(__u64 leader_address)
{
	struct task_struct *parent = (void *)leader_address;
	__u32 level = BPF_CORE_READ(parent, thread_pid, level);
	struct scratch *scratch = get_scratch();

	if (!scratch)
		return 0;
	for (__u32 i = 0; i < BW_PARENTS; i++) {
		struct bw_process *entry;

		parent = BPF_CORE_READ(parent, real_parent, group_leader);
		/* the pid namespace's init is the last one of the container */
		if (!parent || BPF_CORE_READ(parent, thread_pid, level) < level)
			return i;
		entry = (struct bw_process *)scratch->tail + i;
		entry->start = BPF_CORE_READ(parent, start_boottime);
		entry->pid = BPF_CORE_READ(parent, tgid);
		entry->pad = 0;
		if (!entry->pid)
			return i;
	}
	return BW_PARENTS;
}

static __always_inline bool is_in_namespace(struct pid *pid, __u32 inum)
{
	__u32 top = BPF_CORE_READ(pid, level);

	for (__u32 i = 0; i < MAX_PID_LEVELS; i++) {
		struct upid number;

		if (i > top)
			break;
		number = pid_at(pid, top - i);
		if (BPF_CORE_READ(number.ns, ns.inum) == inum)
			return true;
	}
	return false;
}

/*
 * Keeps in the scratch which containers a process was put into from outside, as a
 * runtime's `exec` does: its parent is not in the container's pid namespace. Orphans
 * stay in their namespace, but the container's first process has such a parent too, and
 * a process that was put in can give its own to a child (CLONE_PARENT): once one has,
 * nobody is believed any more, and what could have been is counted as lost. Any other
 * process's parent is in the same namespace, at the same level: for those this is one
 * comparison.
 */
__noinline int find_entered(__u64 leader_address)
{
	struct task_struct *leader = (void *)leader_address;
	struct pid *pid = BPF_CORE_READ(leader, thread_pid);
	struct pid *parent = BPF_CORE_READ(leader, real_parent, thread_pid);
	struct scratch *scratch = get_scratch();

	if (!scratch)
		return 0;
	scratch->entered = 0;
	/*
	 * A parent that is reaped right now has no pid any more, and by then the process
	 * has another one. Without any, nothing shows that it came from outside.
	 */
	if (!parent)
		parent = BPF_CORE_READ(leader, real_parent, thread_pid);
	if (!parent)
		return 0;
	if (BPF_CORE_READ(parent, level) >= BPF_CORE_READ(pid, level))
		return 0;
	for (__u32 i = 0; i < MAX_SCOPES && i < scratch->count; i++) {
		__u32 slot = scratch->slot[i];
		struct bw_slot *counters = bpf_map_lookup_elem(&slots, &slot);
		__u32 inum = counters ? counters->pid_namespace : 0;

		if (!inum || scratch->container_pid[i] == 1 || !is_in_namespace(pid, inum) ||
		    is_in_namespace(parent, inum))
			continue;
		if (counters->disowned)
			__sync_fetch_and_add(&counters->lost_environments, 1);
		else
			scratch->entered |= 1U << i;
	}
	return scratch->entered;
}

static __always_inline __u32 rank_of(struct name *name)
{
	__u32 *rank = bpf_map_lookup_elem(&names, name);

	return rank ? *rank : BW_ORDINARY;
}

/* The rank of the base name at `address` in the new image; `*next` is what follows it. */
static __always_inline __u32 rank_of_argument(__u64 address, __u64 *next)
{
	struct name name = {.bits = 8 * BW_NAME_LEN};
	char head[65] = {};
	__u32 begin = 0;
	long length = bpf_probe_read_user_str(head, sizeof(head), (void *)address);

	*next = 0;
	if (length <= 0)
		return BW_ORDINARY;
	if (length < sizeof(head))
		*next = address + length;
	for (__u32 i = 0; i < sizeof(head) - 1; i++) {
		if (!head[i])
			break;
		if (head[i] == '/' || (head[i] == '-' && i == 0))
			begin = i + 1;
	}
	/* the helper leaves the bytes behind the NUL alone: they are zero */
	bpf_probe_read_user_str(name.bytes, sizeof(name.bytes), (void *)(address + begin));
	return rank_of(&name);
}

/*
 * The bw_rank of what runs: by the file's name, the invoked name (comm) or argv[0],
 * whichever ranks highest; and for a carrier by argv[1], its applet or program.
 */
__noinline int rank_exec(__u64 task_address, __u64 file_address, __u64 arg_start)
{
	struct task_struct *task = (void *)task_address;
	struct file *file = (void *)file_address;
	struct name name = {.bits = 8 * BW_NAME_LEN};
	__u32 rank, other;
	__u64 next;

	bpf_probe_read_kernel_str(name.bytes, sizeof(name.bytes),
				  BPF_CORE_READ(file, f_path.dentry, d_name.name));
	rank = rank_of(&name);
	if (rank == BW_TOOL)
		return rank;
	__builtin_memset(name.bytes, 0, sizeof(name.bytes));
	bpf_probe_read_kernel_str(name.bytes, sizeof(name.bytes), &task->comm);
	other = rank_of(&name);
	if (other > rank)
		rank = other;
	if (rank == BW_TOOL)
		return rank;
	other = rank_of_argument(arg_start, &next);
	if (other > rank)
		rank = other;
	if (rank != BW_CARRIER || !next)
		return rank;
	other = rank_of_argument(next, &next);
	return other > rank ? other : rank;
}

/*
 * Whether `size` more bytes may go into a ring: its last quarter is for carriers and
 * tools, and the last half of that for tools alone.
 */
static __always_inline bool has_room(void *ring, __u32 rank, __u64 size)
{
	__u64 eighth = bpf_ringbuf_query(ring, BPF_RB_RING_SIZE) / 8;

	if (rank == BW_TOOL)
		return true;
	return bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) + size <
	       eighth * (rank == BW_CARRIER ? 7 : 6);
}

/* A spill buffer for `slot`, or BW_NO_SPILL; the first half of them is for listed tools. */
static __always_inline __u32 claim_spill(__u32 slot, bool listed)
{
	__u32 zero = 0, first = bpf_get_smp_processor_id();
	struct bw_host *facts = bpf_map_lookup_elem(&host, &zero);

	for (__u32 i = 0; facts && i < BW_SPILLS; i++) {
		/* CPUs begin at different ones, so that they seldom meet */
		__u32 index = (first + i) % BW_SPILLS;
		struct bw_spill *spill = &facts->spills[index];

		if (spill->claims || (!listed && index < BW_SPILLS / 2))
			continue;
		__sync_fetch_and_add(&spill->claims, 1);
		if (*(volatile __u32 *)&spill->claims == 1) {
			spill->owner = slot + 1;
			return index;
		}
		__sync_fetch_and_add(&spill->claims, -1);
	}
	return BW_NO_SPILL;
}

/* Puts an argv that is too long for a record into spill buffers. */
static __always_inline void spill_argv(struct bw_exec *exec, __u32 slot, bool listed,
				       unsigned long start, __u64 total)
{
	__u64 done = 0;

	exec->argv_len = 0;
	for (__u32 i = 0; i < BW_SPILLS_PER_EXEC; i++) {
		struct spill *spill;
		__u64 length = total - done;
		__u32 claimed;

		if (done >= total)
			break;
		claimed = claim_spill(slot, listed);
		spill = bpf_map_lookup_elem(&spills, &claimed);
		if (!spill)
			break;
		exec->spill[i] = claimed;
		if (length > BW_SPILL_SIZE)
			length = BW_SPILL_SIZE;
		if (bpf_probe_read_user(spill->bytes, length, (void *)(start + done)))
			exec->flags |= BW_UNREADABLE;
		done += length;
	}
	exec->argv_len = done;
	if (done < total)
		exec->flags |= BW_TRUNCATED;
}

static __always_inline void free_spills(struct bw_exec *exec)
{
	__u32 zero = 0;
	struct bw_host *facts = bpf_map_lookup_elem(&host, &zero);

	for (__u32 i = 0; facts && i < BW_SPILLS_PER_EXEC; i++) {
		__u32 claimed = exec->spill[i];

		if (claimed < BW_SPILLS) {
			facts->spills[claimed].owner = 0;
			__sync_fetch_and_add(&facts->spills[claimed].claims, -1);
		}
	}
}

/*
 * Sends the environment of an exec from outside to the containers it came into: CI
 * systems tell the job there and nowhere else. Uses the tail that the exec's own record
 * is put together in afterwards; each is whole before the other begins. Counted apart
 * when lost: no exec is missing then.
 */
__noinline int emit_environment(__u64 leader_address, __u64 start, __u64 total)
{
	struct task_struct *leader = (void *)leader_address;
	struct scratch *scratch = get_scratch();
	struct bw_environment *environment;
	__u64 length = total, size;
	bool readable;

	if (!scratch)
		return 0;
	environment = &scratch->environment;
	if (length > BW_ENVIRONMENT_MAX)
		length = BW_ENVIRONMENT_MAX;
	barrier_var(length);
	if (length > BW_ENVIRONMENT_MAX)
		return 0;
	readable = !bpf_probe_read_user(environment + 1, length, (void *)start);
	environment->type = BW_ENVIRONMENT;
	environment->size = sizeof(*environment) + length;
	environment->process.start = BPF_CORE_READ(leader, start_boottime);
	environment->process.pid = BPF_CORE_READ(leader, tgid);
	environment->process.pad = 0;
	environment->total = total;
	for (__u32 i = 0; i < MAX_SCOPES && i < scratch->count; i++) {
		__u32 slot = scratch->slot[i];
		struct bw_slot *counters = bpf_map_lookup_elem(&slots, &slot);
		void *ring = bpf_map_lookup_elem(&rings, &slot);
		long error = -1;

		if (!counters || !(scratch->entered >> i & 1))
			continue;
		size = environment->size;
		barrier_var(size);
		if (ring && readable && has_room(ring, BW_CARRIER, size) &&
		    size <= sizeof(*environment) + BW_ENVIRONMENT_MAX)
			error = bpf_ringbuf_output(ring, environment, size, 0);
		if (error)
			__sync_fetch_and_add(&counters->lost_environments, 1);
	}
	return 0;
}

/* Numbers the record in the scratch and puts it into a slot's ring. */
__noinline int emit_exec(__u64 index, __u64 rank, __u64 arg_start)
{
	struct scratch *scratch = get_scratch();
	struct bw_slot *counters;
	struct bw_exec *exec;
	__u64 *number;
	__u32 slot, flags;
	__u64 size;
	bool listed = rank == BW_TOOL;
	long error = -1;
	void *ring;

	barrier_var(index);
	if (!scratch || index >= MAX_SCOPES)
		return 0;
	exec = &scratch->exec;
	slot = scratch->slot[index];
	flags = exec->flags;
	counters = bpf_map_lookup_elem(&slots, &slot);
	number = bpf_map_lookup_elem(&numbers, &slot);
	ring = bpf_map_lookup_elem(&rings, &slot);
	if (!counters || !number)
		return 0;
	exec->container_pid = scratch->container_pid[index];
	if (scratch->entered >> index & 1)
		exec->flags |= BW_ENTERED;
	*number += 1;
	exec->number = *number;
	__sync_fetch_and_add(&counters->execs, 1);

	if (ring && has_room(ring, rank, exec->size)) {
		if (exec->argv_total > BW_ARGV_INLINE)
			spill_argv(exec, slot, listed, arg_start, exec->argv_total);
		/* right before its use: 5.10 forgets a bound when it spills a register */
		size = exec->size;
		barrier_var(size);
		if (size <= sizeof(*exec) + sizeof(scratch->tail))
			error = bpf_ringbuf_output(ring, exec, size,
						   listed ? BPF_RB_FORCE_WAKEUP : 0);
		if (error)
			free_spills(exec);
	}
	if (error)
		__sync_fetch_and_add(&counters->lost_execs, 1);
	else if (exec->flags & BW_TRUNCATED)
		__sync_fetch_and_add(&counters->truncated, 1);
	if (listed)
		__sync_fetch_and_add(&counters->urgent, 1);
	exec->flags = flags;
	__builtin_memset(exec->spill, BW_NO_SPILL, sizeof(exec->spill));
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	__u64 current = bpf_get_current_task();
	__u32 flags = find_scopes(current);
	struct scratch *scratch = get_scratch();
	struct task_struct *leader = task->group_leader;
	struct file *file = bprm->file;
	__u64 file_address = (__u64)BPF_CORE_READ(bprm, file);
	__u64 parents, path_len, offset, total;
	unsigned long arg_start;
	struct bw_exec *exec;
	long name_len;
	__u32 rank;

	if (!scratch || !scratch->count)
		return 0;
	if (find_entered((__u64)BPF_CORE_READ(task, group_leader))) {
		__u64 env_start = task->mm->env_start;

		emit_environment((__u64)BPF_CORE_READ(task, group_leader), env_start,
				 task->mm->env_end - env_start);
	}
	exec = &scratch->exec;
	arg_start = task->mm->arg_start;
	total = task->mm->arg_end - arg_start;
	rank = rank_exec(current, file_address, arg_start);

	exec->type = BW_EXEC;
	exec->time = bpf_ktime_get_boot_ns();
	exec->process.start = leader->start_boottime;
	exec->process.pid = task->tgid;
	exec->process.pad = 0;
	exec->inode = file->f_inode->i_ino;
	exec->device = file->f_inode->i_sb->s_dev;
	exec->uid = task->cred->uid.val;
	exec->gid = task->cred->gid.val;
	exec->loginuid = bpf_core_field_exists(task->loginuid) ? task->loginuid.val : (__u32)-1;
	exec->argv_total = total;
	exec->argv_len = 0;
	exec->cpu = bpf_get_smp_processor_id();
	__builtin_memset(exec->spill, BW_NO_SPILL, sizeof(exec->spill));
	if (bprm->interp != bprm->filename)
		flags |= BW_SCRIPT;
	flags |= file_flags(file_address);
	flags |= read_path(current, file_address);

	parents = read_parents((__u64)BPF_CORE_READ(task, group_leader));
	path_len = scratch->path_len;
	/* compare what is used below, not a copy the compiler made */
	barrier_var(parents);
	barrier_var(path_len);
	if (parents > BW_PARENTS || path_len > BW_PATH_MAX)
		return 0;
	exec->parents = parents;
	offset = parents * sizeof(struct bw_process);
	bpf_probe_read_kernel(&scratch->tail[offset], path_len,
			      &scratch->path[BW_PATH_MAX - path_len]);
	exec->path_len = path_len;
	offset += path_len;

	name_len = bpf_probe_read_kernel_str(&scratch->tail[offset], BW_PATH_MAX, bprm->filename);
	/* without the NUL that the helper counts */
	name_len = name_len > 0 && name_len <= BW_PATH_MAX ? name_len - 1 : 0;
	barrier_var(name_len);
	if (name_len < 0 || name_len > BW_PATH_MAX)
		return 0;
	exec->name_len = name_len;
	offset += name_len;

	if (total <= BW_ARGV_INLINE) {
		if (bpf_probe_read_user(&scratch->tail[offset], total, (void *)arg_start))
			flags |= BW_UNREADABLE;
		exec->argv_len = total;
		offset += total;
	}
	exec->flags = flags;
	exec->size = sizeof(*exec) + offset;
	for (__u32 i = 0; i < MAX_SCOPES && i < scratch->count; i++)
		emit_exec(i, rank, arg_start);
	return 0;
}

/* Notes the scopes in which a process gives a child a parent outside; see find_entered. */
__noinline int note_disowned(__u64 forker_address, __u64 parent_address)
{
	struct task_struct *forker = (void *)forker_address;
	struct task_struct *parent = (void *)parent_address;
	struct pid *inside = BPF_CORE_READ(forker, group_leader, thread_pid);
	struct pid *outside = BPF_CORE_READ(parent, group_leader, thread_pid);
	struct scratch *scratch;

	if (!outside || BPF_CORE_READ(outside, level) >= BPF_CORE_READ(inside, level))
		return 0;
	find_scopes(forker_address);
	scratch = get_scratch();
	if (!scratch)
		return 0;
	for (__u32 i = 0; i < MAX_SCOPES && i < scratch->count; i++) {
		__u32 slot = scratch->slot[i];
		struct bw_slot *counters = bpf_map_lookup_elem(&slots, &slot);
		__u32 inum = counters ? counters->pid_namespace : 0;

		if (inum && is_in_namespace(inside, inum) && !is_in_namespace(outside, inum))
			counters->disowned = 1;
	}
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	/* all but threads and children under CLONE_PARENT */
	if (child->real_parent == parent || child->tgid == parent->tgid)
		return 0;
	return note_disowned(bpf_get_current_task(), (__u64)BPF_CORE_READ(child, real_parent));
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;
	struct signal_struct *signal = task->signal;
	struct scratch *scratch;
	struct bw_exit *exit;

	/* only the last thread, and only of a process that has executed something */
	if (signal->live.counter || leader->flags & PF_FORKNOEXEC)
		return 0;
	find_scopes(bpf_get_current_task());
	scratch = get_scratch();
	if (!scratch || !scratch->count)
		return 0;
	exit = &scratch->exit;
	exit->type = BW_EXIT;
	exit->size = sizeof(*exit);
	exit->time = bpf_ktime_get_boot_ns();
	exit->process.start = leader->start_boottime;
	exit->process.pid = task->tgid;
	exit->process.pad = 0;
	exit->status =
		signal->flags & SIGNAL_GROUP_EXIT ? signal->group_exit_code : leader->exit_code;
	exit->pad = 0;
	for (__u32 i = 0; i < MAX_SCOPES && i < scratch->count; i++) {
		__u32 slot = scratch->slot[i];
		struct bw_slot *counters = bpf_map_lookup_elem(&slots, &slot);
		void *ring = bpf_map_lookup_elem(&rings, &slot);

		if (!counters)
			continue;
		__sync_fetch_and_add(&counters->exits, 1);
		if (!ring || !has_room(ring, BW_ORDINARY, sizeof(*exit)) ||
		    bpf_ringbuf_output(ring, exit, sizeof(*exit), 0))
			__sync_fetch_and_add(&counters->lost_exits, 1);
	}
	return 0;
}
