/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which scopes a process is in, and which it was put into from outside.
 */
#ifndef BUILDWARDEN_SCOPE_H
#define BUILDWARDEN_SCOPE_H

#include "maps.h"
#include <bpf/bpf_core_read.h>

/* What proc_pid_stat(5) tells times in: 100 a second, on every processor. */
#define NS_PER_TICK 10000000ULL

/* A call of its own: inlined, its relocation would be hoisted to where newer kernels reach it. */
static __noinline __u64 ancestor_id_before_6_1(struct cgroup *cgroup, __u32 depth)
{
	__u64 id = 0;

	bpf_probe_read_kernel(&id, sizeof(id), (void *)&cgroup->ancestor_ids + depth * sizeof(id));
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
			      (void *)&pid->numbers + level * sizeof(number));
	return number;
}

/*
 * Global functions are verified once, on their own, whatever calls them and however
 * often: without that the states of each part multiply those of the next, and a loop's
 * body is followed once an iteration. 5.10 lets them take scalars only, so kernel
 * pointers come as addresses and each finds the scratch itself. What they keep in it
 * over a loop the verifier takes as unknown, which is what lets it see that all
 * iterations are alike.
 *
 * 5.10 knows which functions are global only where it takes our type information, and
 * refuses that of an object with an unnamed constant: no variable is initialised to
 * anything that takes one.
 */

/* The pid's number at `level`, or 0 when the namespace there is not `inum`. */
__noinline int number_at(__u64 pid_address, __u32 level, __u32 inum)
{
	struct upid number = pid_at((void *)pid_address, level);
	struct pid_namespace *namespace = number.ns;

	return BPF_CORE_READ(namespace, ns.inum) == inum ? number.nr : 0;
}

/* The pid's number in the namespace `inum`, or 0 when it is not in it. */
__noinline int number_in_namespace(__u64 pid_address, __u32 inum)
{
	struct pid *pid = (void *)pid_address;
	__u32 top = BPF_CORE_READ(pid, level);

	for (__u32 i = 0; i < MAX_PID_LEVELS; i++) {
		int number;

		if (i > top)
			break;
		number = number_at(pid_address, top - i, inum);
		if (number)
			return number;
	}
	return 0;
}

/* Puts the scope of a slot that a process is in into the scratch. */
__noinline int add_scope(__u64 leader_address, __u32 slot)
{
	struct task_struct *leader = (void *)leader_address;
	struct bw_slot *counters = bpf_map_lookup_elem(&slots, &slot);
	struct scratch *scratch = get_scratch();
	__u32 i, inum, number = 0;

	if (!counters || !scratch)
		return 0;
	i = scratch->count;
	if (i >= MAX_SCOPES)
		return 0;
	inum = counters->pid_namespace;
	if (inum)
		number = number_in_namespace((__u64)BPF_CORE_READ(leader, thread_pid), inum);
	scratch->slot[i] = slot;
	/* the one in the initial namespace where it has none in the scope's */
	scratch->container_pid[i] = number ?: BPF_CORE_READ(leader, tgid);
	scratch->count = i + 1;
	return 0;
}

/* The same with the scope that a cgroup's ancestor at `depth` is, if it is one. */
__noinline int add_ancestor(__u64 leader_address, __u64 cgroup_address, __u32 depth)
{
	__u64 id = ancestor_id((void *)cgroup_address, depth);
	__u32 *slot = bpf_map_lookup_elem(&scopes, &id);

	return slot ? add_scope(leader_address, *slot) : 0;
}

/*
 * The slot of a pid's namespace at `pid_level`, or -1. Its number alone does not tell: the kernel
 * gives that of one which is gone to the next, and a scope may outlive its container. Of the first
 * process the group's leader counts: any of its threads may come to be the reaper.
 */
__noinline int slot_of_namespace(__u64 pid_address, __u32 pid_level)
{
	struct pid_namespace *namespace = pid_at((void *)pid_address, pid_level).ns;
	__u32 inum = BPF_CORE_READ(namespace, ns.inum);
	__u32 *slot = bpf_map_lookup_elem(&pid_namespaces, &inum);
	struct bw_slot *counters = slot ? bpf_map_lookup_elem(&slots, slot) : NULL;
	__u64 began;

	if (!slot || !counters)
		return -1;
	began = BPF_CORE_READ(namespace, child_reaper, group_leader, start_boottime);
	if (counters->first && counters->first != began / NS_PER_TICK)
		return -1;
	return *slot;
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
		if (i > depth || !(depths >> i))
			break;
		if (depths >> i & 1)
			add_ancestor(leader, (__u64)cgroup, i);
	}
	if (scratch->count)
		return 0;

	pid = BPF_CORE_READ(task, group_leader, thread_pid);
	level = BPF_CORE_READ(pid, level);
	for (__u32 i = 0; i < MAX_PID_LEVELS; i++) {
		int slot;

		if (i >= level)
			break;
		slot = slot_of_namespace((__u64)pid, level - i);
		if (slot >= 0) {
			add_scope(leader, slot);
			return BW_LEFT_CGROUP;
		}
	}
	return 0;
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

		if (!inum || scratch->container_pid[i] == 1 ||
		    !number_in_namespace((__u64)pid, inum) ||
		    number_in_namespace((__u64)parent, inum))
			continue;
		if (counters->disowned)
			__sync_fetch_and_add(&counters->lost_environments, 1);
		else
			scratch->entered |= 1U << i;
	}
	return scratch->entered;
}

/* Notes that of the container whose pid namespace is a pid's at `level`; see find_entered. */
__noinline int disown_at(__u64 pid_address, __u32 level)
{
	int slot = slot_of_namespace(pid_address, level);
	struct bw_slot *counters = slot >= 0 ? bpf_map_lookup_elem(&slots, &slot) : NULL;

	if (counters)
		counters->disowned = 1;
	return 0;
}

/*
 * Notes the containers in which a process gives a child a parent outside. They are those
 * whose pid namespace lies below the parent's.
 */
__noinline int note_disowned(__u64 forker_address, __u64 parent_address)
{
	struct task_struct *forker = (void *)forker_address;
	struct task_struct *parent = (void *)parent_address;
	struct pid *inside = BPF_CORE_READ(forker, group_leader, thread_pid);
	struct pid *outside = BPF_CORE_READ(parent, group_leader, thread_pid);
	__u32 top = BPF_CORE_READ(inside, level);
	__u32 outer = outside ? BPF_CORE_READ(outside, level) : top;

	for (__u32 i = 0; i < MAX_PID_LEVELS; i++) {
		if (i > top || top - i <= outer)
			break;
		disown_at((__u64)inside, top - i);
	}
	return 0;
}

#endif
