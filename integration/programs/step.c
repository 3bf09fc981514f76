// SPDX-License-Identifier: Apache-2.0
// step WHO ADDRESSES PROGRAM [ARG...]: executes PROGRAM one instruction at a time, and writes into
// the file ADDRESSES where they lie, each once, in the order in which they are met first.
//
// WHO is `it`, the first thread of PROGRAM, or `child`, all processes that PROGRAM starts, with all
// threads. Who becomes another program is left alone. Ends when nobody is left to watch, as
// PROGRAM did.
#define _GNU_SOURCE
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

// Above the end of a program that lies at a fixed address; libraries and the kernel's are beyond.
#define END 0x2000000

static char seen[END];
static FILE *addresses;
static struct stat file;
static int children, begun;
static pid_t program;

static void met(pid_t thread)
{
	unsigned long address =
		ptrace(PTRACE_PEEKUSER, thread, offsetof(struct user_regs_struct, rip), NULL);
	if (address < END && !seen[address]) {
		seen[address] = 1;
		fprintf(addresses, "%lx\n", address);
	}
}

static int is_another(pid_t thread)
{
	char path[64];
	struct stat now;
	snprintf(path, sizeof(path), "/proc/%d/exe", thread);
	return stat(path, &now) || now.st_dev != file.st_dev || now.st_ino != file.st_ino;
}

// A traced thread has stopped: it goes on.
static void stopped(pid_t thread, int status)
{
	int how = PTRACE_CONT, signal = WSTOPSIG(status);
	int event = status >> 16;
	if (event == PTRACE_EVENT_EXEC) {
		begun = 1;
		if (is_another(thread)) {
			ptrace(PTRACE_DETACH, thread, NULL, NULL);
			return;
		}
	}
	if (begun && (!children || thread != program)) {
		how = PTRACE_SINGLESTEP;
		met(thread);
	}
	// What the tracing itself is told by is not for them; a new thread begins with SIGSTOP.
	if (event || signal == SIGTRAP || signal == SIGSTOP)
		signal = 0;
	ptrace(how, thread, NULL, (void *)(long)signal);
}

int main(int argc, char **argv)
{
	int status, result = 126 << 8;
	if (argc < 4)
		return 2;
	children = !strcmp(argv[1], "child");
	addresses = fopen(argv[2], "w");
	if (!addresses || stat(argv[3], &file))
		return 126;
	program = fork();
	if (program == 0) {
		fclose(addresses);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execv(argv[3], argv + 3);
		perror(argv[3]);
		return 126;
	}
	if (program < 0 || waitpid(program, &status, 0) < 0 || !WIFSTOPPED(status))
		return 126;
	long options = PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	if (children)
		options |= PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
	if (ptrace(PTRACE_SETOPTIONS, program, NULL, options))
		return 126;
	ptrace(PTRACE_CONT, program, NULL, NULL);
	for (;;) {
		pid_t thread = waitpid(-1, &status, __WALL);
		if (thread < 0)
			break;
		if (WIFSTOPPED(status))
			stopped(thread, status);
		else if (thread == program)
			result = status;
	}
	if (fclose(addresses))
		return 126;
	return WIFSIGNALED(result) ? 128 + WTERMSIG(result) : WEXITSTATUS(result);
}
