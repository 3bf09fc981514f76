// SPDX-License-Identifier: Apache-2.0
// exec-loop COUNT[+MILLISECONDS] PROCS PROGRAM [ARG...]: executes PROGRAM so many times, one after
// the other, and then until so many milliseconds have passed since it began; prints the nanoseconds
// that took, and how often it was. PROCS is the cgroup.procs of the cgroup that it enters first, or
// nothing.
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
	char *milliseconds;
	long least = strtol(argv[1], &milliseconds, 10), count = 0;
	long long begun = now(), end = begun + atol(milliseconds) * 1000000LL;
	for (; count < least || now() < end; count++) {
		int status;
		pid_t pid = vfork();
		if (pid == 0) {
			execve(argv[3], argv + 3, environ);
			_exit(127);
		}
		if (waitpid(pid, &status, 0) != pid || status)
			return 4;
	}
	printf("%lld %ld\n", now() - begun, count);
	return 0;
}
