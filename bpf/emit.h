/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From the scratch into the ring of a scope, or into what was lost.
 */
#ifndef BUILDWARDEN_EMIT_H
#define BUILDWARDEN_EMIT_H

#include "maps.h"
#include <bpf/bpf_core_read.h>

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
__noinline int claim_spill(__u32 slot, __u32 listed)
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

#endif
