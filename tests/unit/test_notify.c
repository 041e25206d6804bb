// SPDX-License-Identifier: Apache-2.0
// A socket of ours in the service manager's place, by path and by abstract name.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/memory.h"
#include "common/io/notify.h"

static int listen_at(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, name, strlen(name));
	if (*name == '@')
		address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
	                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
	                 0);
	return fd;
}

static void expect_delivery(const char *name)
{
	AUTO_CLOSE int fd = listen_at(name);
	char text[32] = "";
	setenv("NOTIFY_SOCKET", name, 1);
	notify_manager("READY=1");
	assert_int_equal(recv(fd, text, sizeof(text) - 1, 0), 7);
	assert_string_equal(text, "READY=1");
	assert_int_equal(recv(fd, text, sizeof(text), 0), -1); // one datagram
}

static void test_path(void **state)
{
	(void)state;
	char folder[] = "/tmp/notify-XXXXXX";
	assert_non_null(mkdtemp(folder));
	AUTO_FREE char *path = xasprintf("%s/socket", folder);
	expect_delivery(path);
	unlink(path);
	rmdir(folder);
}

static void test_abstract_name(void **state)
{
	(void)state;
	AUTO_FREE char *name = xasprintf("@notify-test-%d", getpid());
	expect_delivery(name);
}

static void test_nobody_listens(void **state)
{
	(void)state;
	char long_name[sizeof(((struct sockaddr_un *)0)->sun_path) + 2];
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	int next_fd = dup(0);
	close(next_fd);
	const char *const names[] = {"", "/nonexistent/socket", "@nobody-is-here", long_name};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		notify_manager("READY=1");
	}
	unsetenv("NOTIFY_SOCKET");
	notify_manager("READY=1");
	int again = dup(0);
	assert_int_equal(again, next_fd); // no descriptor was left open
	close(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_path),
	        cmocka_unit_test(test_abstract_name),
	        cmocka_unit_test(test_nobody_listens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
