// SPDX-License-Identifier: Apache-2.0
// kill-at N PROGRAM [ARG...]: executes PROGRAM, and ends it and itself by SIGKILL when it is
// about to make its Nth system call. Once PROGRAM has become another one, or ends, it is left
// alone, and its end is this one's.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static int end(int status)
{
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	long last = atol(argv[1]), calls = 0;
	int execs = 0, next_is_entry = 0, status;
	pid_t child = fork();
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execv(argv[2], argv + 2);
		perror(argv[2]);
		return 126;
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFSTOPPED(status))
		return 126;
	if (ptrace(PTRACE_SETOPTIONS, child, NULL,
		   PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)) {
		perror("ptrace");
		return 126;
	}
	int signal = 0;
	while (execs < 2) {
		ptrace(PTRACE_SYSCALL, child, NULL, (void *)(long)signal);
		if (waitpid(child, &status, 0) < 0)
			return 126;
		if (!WIFSTOPPED(status))
			return end(status);
		signal = WSTOPSIG(status);
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8)) {
			execs++;
			// Next is the end of execve itself.
			next_is_entry = 0;
			signal = 0;
		} else if (signal == (SIGTRAP | 0x80)) {
			signal = 0;
			if (execs == 1 && next_is_entry && ++calls == last) {
				kill(child, SIGKILL);
				waitpid(child, &status, 0);
				return end(status);
			}
			next_is_entry = !next_is_entry;
		}
	}
	ptrace(PTRACE_DETACH, child, NULL, NULL);
	if (waitpid(child, &status, 0) < 0)
		return 126;
	return end(status);
}
