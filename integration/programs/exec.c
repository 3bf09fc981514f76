// SPDX-License-Identifier: Apache-2.0
// exec WAY PROGRAM [ARG...]: executes PROGRAM as a shell cannot.
//   no-argv   without any argument, not even argv[0]
//   memfd     from a copy that lies in memory only
//   die       not at all: ends by SIGKILL
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	if (!strcmp(argv[1], "no-argv")) {
		char *none[] = {NULL};
		execve(argv[2], none, environ);
	} else if (!strcmp(argv[1], "memfd")) {
		int from = open(argv[2], O_RDONLY);
		int memory = memfd_create("payload", MFD_CLOEXEC);
		while (sendfile(memory, from, NULL, 1 << 30) > 0)
			;
		fexecve(memory, argv + 2, environ);
	}
	if (!strcmp(argv[1], "die"))
		raise(SIGKILL);
	perror(argv[2]);
	return 126;
}
