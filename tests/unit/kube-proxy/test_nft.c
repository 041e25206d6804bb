// SPDX-License-Identifier: Apache-2.0
//
// Against the kernel, in a network namespace of the test's own: transactions are
// taken, connections to a service address reach endpoints, others are refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kube-proxy/nft.h"

enum { SERVICE_PORT = 80 };

static int run(const char *command)
{
	// The namespace is the test's; its tools are fixed strings.
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	char sink[4096];
	while (fread(sink, 1, sizeof(sink), pipe) > 0)
		;
	return pclose(pipe);
}

static int listen_on(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

// 0 or the errno of connecting to the service address.
static int connect_to(const char *text, uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval timeout = {.tv_sec = 5};
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	inet_pton(AF_INET, text, &address.sin_addr);
	int result = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;
	close(fd);
	return result;
}

static struct rule_address address_of(const char *text)
{
	struct rule_address address;
	assert_true(rule_address_parse(text, &address));
	return address;
}

// A service 10.96.0.5:80 with endpoints on 127.0.0.1 at ports 9001 to 9000 + count.
static void claim_service(struct rule_table *table, uint32_t count)
{
	struct rule_address service = address_of("10.96.0.5");
	struct rule_address local = address_of("127.0.0.1");
	struct rule_element_array elements = {0};
	struct rule_element member = rule_element_start(RULE_CLUSTER_IPS, false);
	rule_key_add_address(&member, &service);
	rule_element_array_add(&elements, &member);
	struct rule_element target = rule_element_start(count ? RULE_SERVICE_IPS : RULE_REFUSED_IPS, false);
	rule_key_add_address(&target, &service);
	rule_key_add_protocol(&target, IPPROTO_TCP);
	rule_key_add_port(&target, SERVICE_PORT);
	if (count) {
		target.chain = RULE_CHAIN_CLUSTER;
		target.endpoint_count = count;
	}
	rule_element_array_add(&elements, &target);
	for (uint32_t i = 0; i < count; i++) {
		struct rule_element endpoint = rule_element_start(RULE_ENDPOINTS, false);
		rule_key_add_address(&endpoint, &service);
		rule_key_add_protocol(&endpoint, IPPROTO_TCP);
		rule_key_add_port(&endpoint, SERVICE_PORT);
		rule_key_add_index(&endpoint, i);
		rule_data_set_endpoint(&endpoint, &local, (uint16_t)(9001 + i));
		rule_element_array_add(&elements, &endpoint);
	}
	rule_table_release(table, "service");
	assert_true(rule_table_claim(table, "service", &elements));
	rule_element_array_done(&elements);
}

static void commit(struct nft *nft, struct rule_table *table, bool full)
{
	struct err err = ERR_INIT;
	struct rule_plan plan = rule_table_plan(table);
	int result = nft_commit(nft, &plan, full, &err);
	if (result < 0)
		fail_msg("%s", err.message);
	rule_plan_done(&plan);
	rule_table_committed(table);
}

static bool accepts(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void connections_reach_endpoints(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct nft_config config = {0};
	struct nft *nft;
	struct rule_table *table = rule_table_new();
	int first = listen_on(9001);
	int second = listen_on(9002);
	assert_int_equal(nft_new(&config, &nft, &err), 0);

	claim_service(table, 2);
	commit(nft, table, true);
	// 64 connections all go to one of two endpoints once in 2^63 runs.
	for (int i = 0; i < 64; i++)
		assert_int_equal(connect_to("10.96.0.5", SERVICE_PORT), 0);
	assert_true(accepts(first));
	assert_true(accepts(second));

	assert_int_equal(connect_to("10.96.0.5", 81), ECONNREFUSED);

	claim_service(table, 0);
	commit(nft, table, false);
	assert_int_equal(connect_to("10.96.0.5", SERVICE_PORT), ECONNREFUSED);

	claim_service(table, 1);
	commit(nft, table, false);
	assert_int_equal(connect_to("10.96.0.5", SERVICE_PORT), 0);

	// Someone else flushes everything: a full write mends it.
	assert_int_equal(run("nft flush ruleset"), 0);
	rule_table_forget_installed(table);
	commit(nft, table, true);
	assert_int_equal(connect_to("10.96.0.5", SERVICE_PORT), 0);

	assert_int_equal(nft_cleanup(nft, &err), 0);
	close(first);
	close(second);
	rule_table_free(table);
	nft_free(nft);
}

static void a_refused_transaction_says_so(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct nft_config config = {0};
	struct nft *nft;
	struct rule_table *table = rule_table_new();
	assert_int_equal(nft_new(&config, &nft, &err), 0);
	claim_service(table, 1);
	struct rule_plan plan = rule_table_plan(table);
	// The tables were never made.
	assert_true(nft_commit(nft, &plan, false, &err) < 0);
	assert_int_equal(err.code, ERR_IO);
	rule_plan_done(&plan);
	// And the socket still serves the next one.
	commit(nft, table, true);
	rule_table_free(table);
	nft_free(nft);
}

int main(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		printf("skipped: needs root, for a network namespace of its own\n");
		return getenv("CI") ? 1 : 0;
	}
	if (run("ip link set lo up && ip route add 10.96.0.0/12 dev lo") != 0)
		return 1;
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_refused_transaction_says_so),
	        cmocka_unit_test(connections_reach_endpoints),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
