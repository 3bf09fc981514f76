// SPDX-License-Identifier: Apache-2.0
// hold PROCS: makes a process as a runtime makes a container's first, in a pid namespace of its
// own and in the cgroup whose cgroup.procs is named; prints its pid, and ends it when standard
// input ends.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char byte;

	if (argc != 2)
		return 2;
	pid_t pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		return 3;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	int procs = open(argv[1], O_WRONLY | O_CLOEXEC);
	if (dprintf(procs, "%d", pid) < 0)
		return 4;
	close(procs);
	dprintf(1, "%d\n", pid);
	while (read(0, &byte, 1) > 0)
		;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}
