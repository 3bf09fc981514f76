// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Records every exec in a scope, and the exit of what was executed.
 *
 * One copy serves every scope of the host: a scope is an entry in `scopes` that
 * names a slot, and a slot is a ring in `rings` with counters in `slots`. User
 * space registers and drains; nothing here decides what is suspicious.
 */
#include "emit.h"
#include "image.h"
#include "scope.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

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

/*
 * Pointers are followed by BPF_CORE_READ even where the verifier knows their types: for
 * each that is loaded directly newer ones look through all types of the kernel to find
 * whether it can be trusted, which takes longer than everything else that they verify.
 */

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	__u64 current = bpf_get_current_task();
	__u32 flags = find_scopes(current);
	struct scratch *scratch = get_scratch();
	__u64 parents, path_len, offset, total;
	struct task_struct *leader;
	unsigned long arg_start;
	struct bw_exec *exec;
	struct mm_struct *mm;
	struct inode *inode;
	const char *filename;
	struct file *file;
	long name_len;
	__u32 rank;

	if (!scratch || !scratch->count)
		return 0;
	leader = BPF_CORE_READ(task, group_leader);
	mm = BPF_CORE_READ(task, mm);
	file = BPF_CORE_READ(bprm, file);
	inode = BPF_CORE_READ(file, f_inode);
	filename = BPF_CORE_READ(bprm, filename);
	if (find_entered((__u64)leader)) {
		__u64 env_start = BPF_CORE_READ(mm, env_start);

		emit_environment((__u64)leader, env_start, BPF_CORE_READ(mm, env_end) - env_start);
	}
	exec = &scratch->exec;
	arg_start = BPF_CORE_READ(mm, arg_start);
	total = BPF_CORE_READ(mm, arg_end) - arg_start;
	rank = rank_exec(current, (__u64)file, arg_start);

	exec->type = BW_EXEC;
	exec->time = bpf_ktime_get_boot_ns();
	exec->process.start = BPF_CORE_READ(leader, start_boottime);
	exec->process.pid = task->tgid;
	exec->process.pad = 0;
	exec->inode = BPF_CORE_READ(inode, i_ino);
	exec->device = BPF_CORE_READ(inode, i_sb, s_dev);
	exec->uid = BPF_CORE_READ(task, cred, uid.val);
	exec->gid = BPF_CORE_READ(task, cred, gid.val);
	exec->loginuid = bpf_core_field_exists(task->loginuid) ? task->loginuid.val : (__u32)-1;
	exec->argv_total = total;
	exec->argv_len = 0;
	exec->cpu = bpf_get_smp_processor_id();
	__builtin_memset(exec->spill, BW_NO_SPILL, sizeof(exec->spill));
	if (BPF_CORE_READ(bprm, interp) != filename)
		flags |= BW_SCRIPT;
	flags |= file_flags((__u64)file);
	flags |= read_path(current, (__u64)file);

	parents = read_parents((__u64)leader);
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

	name_len = bpf_probe_read_kernel_str(&scratch->tail[offset], BW_PATH_MAX, filename);
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

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct task_struct *real_parent = BPF_CORE_READ(child, real_parent);

	/* all but threads and children under CLONE_PARENT */
	if (real_parent == parent || child->tgid == parent->tgid)
		return 0;
	return note_disowned(bpf_get_current_task(), (__u64)real_parent);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	struct scratch *scratch;
	struct bw_exit *exit;

	/* only the last thread, and only of a process that has executed something */
	if (BPF_CORE_READ(signal, live.counter) || BPF_CORE_READ(leader, flags) & PF_FORKNOEXEC)
		return 0;
	find_scopes(bpf_get_current_task());
	scratch = get_scratch();
	if (!scratch || !scratch->count)
		return 0;
	exit = &scratch->exit;
	exit->type = BW_EXIT;
	exit->size = sizeof(*exit);
	exit->time = bpf_ktime_get_boot_ns();
	exit->process.start = BPF_CORE_READ(leader, start_boottime);
	exit->process.pid = task->tgid;
	exit->process.pad = 0;
	if (BPF_CORE_READ(signal, flags) & SIGNAL_GROUP_EXIT)
		exit->status = BPF_CORE_READ(signal, group_exit_code);
	else
		exit->status = BPF_CORE_READ(leader, exit_code);
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
