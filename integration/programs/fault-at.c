// SPDX-License-Identifier: Apache-2.0
// fault-at WHO FAULT N STRUCK PROGRAM [ARG...]: executes PROGRAM, and when WHO is about to make
// its Nth system call, does FAULT to it and makes the file STRUCK.
//
// WHO is `it`, the first thread of PROGRAM, or `child`, the first process that PROGRAM starts,
// with all threads, from its exec on. FAULT is `kill` (SIGKILL), `stop` (SIGSTOP), `no-files`
// (no new descriptor from here on) or `no-memory` (no new memory). Who has become another
// program, or ends, is left alone. PROGRAM's end is this one's, as soon as it comes; whoever
// watches a child goes on behind it.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <linux/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *fault, *struck;
static long last, calls;
static int children, done, report = -1;
static pid_t program, target;

static int end(int status)
{
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

static int stops(void)
{
	return !strcmp(fault, "stop");
}

static int strike(void)
{
	struct rlimit none = {0, 0};
	int file = open(struck, O_WRONLY | O_CREAT, 0600);
	if (file >= 0)
		close(file);
	done = 1;
	if (!strcmp(fault, "kill"))
		return kill(target, SIGKILL);
	if (stops())
		return kill(target, SIGSTOP);
	if (!strcmp(fault, "no-files"))
		return prlimit(target, RLIMIT_NOFILE, &none, NULL);
	return prlimit(target, RLIMIT_AS, &none, NULL);
}

static int is_entry(pid_t thread)
{
	struct ptrace_syscall_info info = {0};
	ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), &info);
	return info.op == PTRACE_SYSCALL_INFO_ENTRY;
}

// A thread of a traced process has stopped: what is to follow.
static void stopped(pid_t thread, int status)
{
	int signal = WSTOPSIG(status), ours = children ? thread != program : 1;
	if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8)) {
		signal = 0;
		if (ours && !target)
			target = thread;
		else if (thread == target)
			done = 1;
	} else if (status >> 16 || signal == SIGSTOP) {
		// A thread or process more; its first stop, or ours.
		signal = done && stops() && signal == SIGSTOP ? SIGSTOP : 0;
	} else if (signal == (SIGTRAP | 0x80)) {
		signal = 0;
		if (target && ours && is_entry(thread) && ++calls == last)
			strike();
	}
	// Who goes on is watched further: its next thread begins with a stop that is for us.
	if (done && ours && (!children || stops()))
		ptrace(PTRACE_DETACH, thread, NULL, (void *)(long)signal);
	else
		ptrace(target && ours ? PTRACE_SYSCALL : PTRACE_CONT, thread, NULL,
		       (void *)(long)signal);
}

// Traces until there is nothing left to do; how PROGRAM ended.
static int trace(void)
{
	int status, ended = 0, gone = 0, result = 126 << 8;
	while (!ended || (children && !gone && !(done && stops()))) {
		pid_t thread = waitpid(-1, &status, __WALL);
		if (thread < 0)
			break;
		if (WIFSTOPPED(status)) {
			stopped(thread, status);
		} else if (thread == program) {
			ended = 1;
			result = status;
			if (report >= 0)
				(void)!write(report, &status, sizeof(status));
		} else if (thread == target) {
			gone = 1;
		}
	}
	return result;
}

int main(int argc, char **argv)
{
	int status, ends[2] = {-1, -1};
	if (argc < 6)
		return 2;
	children = !strcmp(argv[1], "child");
	fault = argv[2];
	last = atol(argv[3]);
	struck = argv[4];
	if (children) {
		// The end is told by a pipe: who waits for it is not to wait for the child too.
		if (pipe2(ends, O_CLOEXEC))
			return 126;
		pid_t tracer = fork();
		if (tracer) {
			close(ends[1]);
			if (read(ends[0], &status, sizeof(status)) != sizeof(status))
				return 126;
			return end(status);
		}
		close(ends[0]);
		report = ends[1];
		setsid();
	}
	program = fork();
	if (program == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execv(argv[5], argv + 5);
		perror(argv[5]);
		return 126;
	}
	if (children)
		for (int standard = 0; standard < 3; standard++)
			close(standard);
	if (program < 0 || waitpid(program, &status, 0) < 0 || !WIFSTOPPED(status))
		return 126;
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC;
	options |= children ? PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE
			    : PTRACE_O_EXITKILL;
	if (ptrace(PTRACE_SETOPTIONS, program, NULL, options))
		return 126;
	ptrace(PTRACE_CONT, program, NULL, NULL);
	status = trace();
	return children ? 0 : end(status);
}
