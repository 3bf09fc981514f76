/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is executed: the file's path and flags, and how much its name matters.
 */
#ifndef BUILDWARDEN_IMAGE_H
#define BUILDWARDEN_IMAGE_H

#include "maps.h"
#include <bpf/bpf_core_read.h>

enum step {
	STEP_DONE,
	STEP_ON,
	STEP_CUT,
};

/*
 * Puts the name of scratch->dentry before scratch->path, or leaves its mount, and goes
 * on to what is above: a function of its own, see scope.h.
 */
__noinline int step_up(__u64 root, __u64 root_mount)
{
	struct scratch *scratch = get_scratch();
	struct dentry *dentry, *parent;
	struct mount *mount;
	__u32 length, offset;

	if (!scratch)
		return STEP_CUT;
	dentry = (void *)scratch->dentry;
	mount = (void *)scratch->vfsmount - bpf_core_field_offset(struct mount, mnt);
	if (scratch->dentry == root && scratch->vfsmount == root_mount)
		return STEP_DONE;
	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		struct mount *above = BPF_CORE_READ(mount, mnt_parent);

		if (mount == above)
			return STEP_DONE;
		scratch->dentry = (__u64)BPF_CORE_READ(mount, mnt_mountpoint);
		scratch->vfsmount = (__u64)above + bpf_core_field_offset(struct mount, mnt);
		return STEP_ON;
	}
	parent = BPF_CORE_READ(dentry, d_parent);
	length = BPF_CORE_READ(dentry, d_name.len);
	offset = BW_PATH_MAX - scratch->path_len;
	if (length > NAME_MAX || length >= offset || offset > BW_PATH_MAX)
		return STEP_CUT;
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
	scratch->dentry = (__u64)parent;
	return dentry == parent ? STEP_DONE : STEP_ON;
}

/*
 * Writes the container's view of the file's path to the end of scratch->path and
 * its length to scratch->path_len. Returns BW_PATH_TRUNCATED or 0.
 */
__noinline int read_path(__u64 task_address, __u64 file_address)
{
	struct task_struct *task = (void *)task_address;
	struct file *file = (void *)file_address;
	__u64 root = (__u64)BPF_CORE_READ(task, fs, root.dentry);
	__u64 root_mount = (__u64)BPF_CORE_READ(task, fs, root.mnt);
	struct scratch *scratch = get_scratch();

	if (!scratch)
		return 0;
	scratch->path_len = 0;
	scratch->dentry = (__u64)BPF_CORE_READ(file, f_path.dentry);
	scratch->vfsmount = (__u64)BPF_CORE_READ(file, f_path.mnt);
	for (__u32 i = 0; i < MAX_COMPONENTS; i++) {
		int step = step_up(root, root_mount);

		if (step != STEP_ON)
			return step == STEP_DONE ? 0 : BW_PATH_TRUNCATED;
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

static __always_inline __u32 rank_of(struct name *name)
{
	__u32 *rank = bpf_map_lookup_elem(&names, name);

	return rank ? *rank : BW_ORDINARY;
}

/*
 * The rank of the base name at `address` in the new image; what follows it is then
 * scratch->argument, or 0.
 */
__noinline int rank_of_argument(__u64 address)
{
	struct scratch *scratch = get_scratch();
	struct name name = {};
	char head[65] = {};
	__u32 begin;
	long length;

	if (!scratch)
		return BW_ORDINARY;
	name.bits = 8 * BW_NAME_LEN;
	scratch->argument = 0;
	length = bpf_probe_read_user_str(head, sizeof(head), (void *)address);
	if (length <= 0)
		return BW_ORDINARY;
	if (length < sizeof(head))
		scratch->argument = address + length;
	begin = head[0] == '-';
	for (__u32 i = 0; i < sizeof(head) - 1; i++) {
		if (!head[i])
			break;
		if (head[i] == '/')
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
	struct scratch *scratch = get_scratch();
	struct name name = {};
	__u32 rank, other;

	name.bits = 8 * BW_NAME_LEN;
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
	other = rank_of_argument(arg_start);
	if (other > rank)
		rank = other;
	if (rank != BW_CARRIER || !scratch || !scratch->argument)
		return rank;
	other = rank_of_argument(scratch->argument);
	return other > rank ? other : rank;
}

#endif
