// SPDX-License-Identifier: Apache-2.0
// soak [COUNT WORKERS EVERY PAUSE]: counts its own exec in /sync/count, and executes COUNT
// others of it, WORKERS at a time, each EVERYth as a listed tool with an address, with PAUSE
// microseconds between. COUNT 0 goes on until there is /sync/stop.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

// Of all execs, and of those that are findings.
struct count {
	uint64_t execs, findings;
};

static int execute(int is_tool)
{
	int status;
	pid_t pid = vfork();

	if (pid == 0) {
		if (is_tool)
			execl("/bin/curl", "curl", "http://198.51.100.61/x", NULL);
		else
			execl("/bin/soak", "soak", NULL);
		_exit(127);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid || status;
}

int main(int argc, char **argv)
{
	int file = open("/sync/count", O_RDWR | O_CLOEXEC);
	struct count *count =
		mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (count == MAP_FAILED) {
		perror("/sync/count");
		return 3;
	}
	__atomic_fetch_add(&count->execs, 1, __ATOMIC_SEQ_CST);
	if (!strcmp(argv[0], "curl"))
		__atomic_fetch_add(&count->findings, 1, __ATOMIC_SEQ_CST);
	if (argc < 5)
		return 0;
	long total = atol(argv[1]), workers = atol(argv[2]), every = atol(argv[3]);
	long pause = atol(argv[4]);
	for (long worker = 0; worker < workers; worker++) {
		if (fork())
			continue;
		for (long i = worker; total ? i < total : access("/sync/stop", F_OK);
		     i += workers) {
			if (execute(i % every == every - 1))
				return 4;
			if (pause)
				usleep(pause);
		}
		return 0;
	}
	int status, failed = 0;
	while (wait(&status) > 0)
		failed |= status;
	return !!failed;
}
