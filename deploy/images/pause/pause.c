// SPDX-License-Identifier: Apache-2.0
//
// The process that holds a pod's namespaces open. As PID 1 of a shared PID
// namespace it also reaps orphans. It ends on SIGINT or SIGTERM, and is linked
// statically because its image holds nothing else.
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	while (true) {
		int received;
		if (sigwait(&signals, &received) != 0)
			return 1;
		if (received != SIGCHLD)
			return 0;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
