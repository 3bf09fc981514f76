/*
 * disown PROGRAM ARG… -- NAME=VALUE…: executes the program in a child whose parent is
 * this process's parent, with this environment, and ends when it has begun.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int begun[2], at = 1;
	char end;

	while (at < argc && strcmp(argv[at], "--"))
		at++;
	if (at < 2 || at == argc || pipe2(begun, O_CLOEXEC))
		return 2;
	argv[at] = NULL;
	switch (syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0)) {
	case -1:
		return 3;
	case 0:
		execve(argv[1], argv + 1, argv + at + 1);
		_exit(4);
	}
	close(begun[1]);
	return read(begun[0], &end, 1) ? 5 : 0;
}
