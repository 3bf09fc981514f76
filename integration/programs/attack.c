// SPDX-License-Identifier: Apache-2.0
// attack WAY PROGRAM [ARG...]: executes PROGRAM as somebody would who wants to be missed.
//   race N     N times, each killed while it begins: those that it comes too early for never run
//   thread     from a thread that is not the first
//   nest N     in a user namespace, and in N pid, cgroup and mount namespaces, each in the last
//   disguise   under the name `make`, after taking another name and other arguments oneself
//   unhook DIR after removing every key from the maps that are pinned in DIR
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int end_of(pid_t child)
{
	int status = 0;

	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void race(int times, char **argv)
{
	while (times--) {
		pid_t child = vfork();

		if (!child) {
			execv(argv[0], argv);
			_exit(126);
		}
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
}

static void *execute(void *argv)
{
	execv(*(char **)argv, argv);
	exit(126);
}

/* The first user namespace gives what the others need. */
static int nest(int deep, int user, char **argv)
{
	pid_t child;

	if (!deep) {
		execv(argv[0], argv);
		return 126;
	}
	if (unshare(user | CLONE_NEWPID | CLONE_NEWCGROUP | CLONE_NEWNS)) {
		perror("unshare");
		return 125;
	}
	child = fork();
	return child ? end_of(child) : nest(deep - 1, 0, argv);
}

static void unhook(const char *directory, const char *name)
{
	char path[256], key[8];
	union bpf_attr attr = {.pathname = (__u64)path};
	int map;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	map = syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr));
	if (map < 0) {
		perror(path);
		exit(125);
	}
	for (;;) {
		memset(&attr, 0, sizeof(attr));
		attr.map_fd = map;
		attr.next_key = (__u64)key;
		if (syscall(SYS_bpf, BPF_MAP_GET_NEXT_KEY, &attr, sizeof(attr)))
			return;
		memset(&attr, 0, sizeof(attr));
		attr.map_fd = map;
		attr.key = (__u64)key;
		if (syscall(SYS_bpf, BPF_MAP_DELETE_ELEM, &attr, sizeof(attr)))
			return;
	}
}

int main(int argc, char **argv)
{
	const char *way = argc > 3 ? argv[1] : "";
	pthread_t thread;

	if (!strcmp(way, "race")) {
		race(atoi(argv[2]), argv + 3);
		return 0;
	} else if (!strcmp(way, "thread")) {
		pthread_create(&thread, NULL, execute, argv + 2);
		pause();
	} else if (!strcmp(way, "nest")) {
		return nest(atoi(argv[2]), CLONE_NEWUSER, argv + 3);
	} else if (!strcmp(way, "disguise")) {
		char *path = strdup(argv[2]), *hidden[16] = {"make"};
		pid_t child;

		for (int i = 3; i < argc && i < 16; i++)
			hidden[i - 2] = strdup(argv[i]);
		prctl(PR_SET_NAME, "\033[2Jmake\n");
		for (int i = 0; i < argc; i++)
			memset(argv[i], 'x', strlen(argv[i]));
		child = fork();
		if (child)
			return end_of(child);
		execv(path, hidden);
	} else if (!strcmp(way, "unhook")) {
		pid_t child;

		unhook(argv[2], "scopes");
		unhook(argv[2], "pid_namespaces");
		child = fork();
		if (child)
			return end_of(child);
		execv(argv[3], argv + 3);
	}
	return 126;
}
