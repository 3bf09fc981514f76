// SPDX-License-Identifier: Apache-2.0
// exec-loop COUNT PROCS PROGRAM [ARG...]: executes PROGRAM so many times, one after the other,
// and prints the nanoseconds that took. PROCS is the cgroup.procs of the cgroup that it enters
// first, or nothing.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	if (*argv[2]) {
		int procs = open(argv[2], O_WRONLY | O_CLOEXEC);
		// "0" is the writing process.
		if (write(procs, "0", 1) != 1)
			return 3;
	}
	long count = atol(argv[1]);
	long long begun = now();
	for (long i = 0; i < count; i++) {
		int status;
		pid_t pid = vfork();
		if (pid == 0) {
			execve(argv[3], argv + 3, environ);
			_exit(127);
		}
		if (waitpid(pid, &status, 0) != pid || status)
			return 4;
	}
	printf("%lld\n", now() - begun);
	return 0;
}
