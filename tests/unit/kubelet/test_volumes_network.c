// SPDX-License-Identifier: Apache-2.0
// Atomic files, CNI plugin lists with real processes, the kubelet's configuration file.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/io/loop.h"
#include "kubelet/config.h"
#include "kubelet/network/cni.h"
#include "kubelet/volumes/atomic_writer.h"

static char directory[64];
static struct arena *arena;

static int set_up(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/kubelet-volumes-XXXXXX");
	arena = arena_new(0);
	return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	arena = arena_free(arena);
	return file_remove_tree(directory, NULL);
}

static const char *path(const char *name)
{
	return arena_printf(arena, "%s/%s", directory, name);
}

static void expect_file(const char *name, const char *text)
{
	AUTO_STRBUF struct strbuf present = STRBUF_INIT(65536);
	int result = file_read(path(name), &present, NULL);
	if (!text) {
		assert_int_equal(result, -ERR_NOT_FOUND);
		return;
	}
	assert_int_equal(result, 0);
	assert_string_equal(strbuf_text(&present), text);
}

static void write_files(const char *const files[][2], size_t count)
{
	struct payload payload = {.arena = arena, .group = -1};
	struct err err = ERR_INIT;
	for (size_t index = 0; index < count; index++)
		assert_int_equal(
		        payload_add(&payload, files[index][0], files[index][1], strlen(files[index][1]), 0640, &err),
		        0);
	assert_int_equal(atomic_writer_write(directory, &payload, &err), 0);
}

static void test_files_change_together(void **state)
{
	(void)state;
	const char *const first[][2] = {{"a", "1"}, {"dir/b", "2"}, {"dir/c/d", "3"}};
	const char *const second[][2] = {{"a", "9"}, {"e", "4"}};
	write_files(first, 3);
	expect_file("a", "1");
	expect_file("dir/c/d", "3");
	char before[256] = "";
	assert_true(readlink(path("..data"), before, sizeof(before) - 1) > 0);
	struct stat status;
	assert_int_equal(stat(path("a"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0640);
	write_files(second, 2);
	expect_file("a", "9");
	expect_file("e", "4");
	expect_file("dir/b", NULL);
	assert_int_equal(lstat(path("dir"), &status), -1);
	assert_int_equal(lstat(path(before), &status), -1); // the former set is gone
}

static void test_paths_stay_inside(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "/a", "..", "../a", "a/../../b", "..data", "..x/y", "a/.."};
	struct payload payload = {.arena = arena, .group = -1};
	for (size_t index = 0; index < sizeof(bad) / sizeof(bad[0]); index++) {
		struct err err = ERR_INIT;
		assert_int_equal(payload_add(&payload, bad[index], "", 0, 0644, &err), -ERR_INVALID);
	}
	assert_int_equal(payload_add(&payload, "a..b/..c", "", 0, 0644, NULL), 0);
}

static void test_fingerprints(void **state)
{
	(void)state;
	struct payload one = {.arena = arena, .group = -1};
	struct payload two = {.arena = arena, .group = -1};
	assert_int_equal(payload_add(&one, "a", "1", 1, 0644, NULL), 0);
	assert_int_equal(payload_add(&two, "a", "2", 1, 0644, NULL), 0);
	assert_true(payload_fingerprint(&one) != payload_fingerprint(&two));
	assert_int_equal(payload_add(&two, "a", "1", 1, 0644, NULL), 0); // the later one counts
	assert_int_equal(two.count, 1);
	assert_true(payload_fingerprint(&one) == payload_fingerprint(&two));
	two.files[0].mode = 0600;
	assert_true(payload_fingerprint(&one) != payload_fingerprint(&two));
}

// --- CNI -------------------------------------------------------------------------------------

static void write_text(const char *name, const char *text, mode_t mode)
{
	assert_int_equal(file_write_atomic(path(name), text, strlen(text), mode, NULL), 0);
}

// A plugin that notes its call and input, and answers with one more address; "fails" fails on ADD.
static void write_plugin(const char *name, bool fails)
{
	write_text(name,
	           arena_printf(arena,
	                        "#!/bin/sh\nprintf '%%s %s %%s\\n' \"$CNI_COMMAND\" \"$CNI_IFNAME\" >> %s\ncat > "
	                        "%s.$CNI_COMMAND\n"
	                        "[ \"$CNI_COMMAND\" = ADD ] || exit 0\n%s\n",
	                        name, path("calls"), path(name),
	                        fails ? "echo '{\"code\":7,\"msg\":\"no address left\"}'; exit 1"
	                              : "echo "
	                                "'{\"cniVersion\":\"0.4.0\",\"ips\":[{\"version\":\"4\",\"address\":\"10.1.2.3/"
	                                "24\"}]}'"),
	           0755);
}

static bool done;
static char result_text[1024];
static struct err result_err;

static void on_done(void *context, const char *text, const struct err *err)
{
	(void)context;
	done = true;
	snprintf(result_text, sizeof(result_text), "%s", text ? text : "");
	result_err = err ? *err : ERR_INIT;
}

static void run(void (*operation)(struct loop *, const struct cni_config *, const struct cni_attachment *,
                                  cni_done_fn *, void *),
                const char *list, const char *result)
{
	struct loop *loop;
	struct cni_config config = {.binary_path = directory};
	const struct cni_port_mapping port = {.host_port = 80, .container_port = 8080, .protocol = "tcp"};
	struct cni_attachment attachment = {.list_text = list,
	                                    .container_id = "cid",
	                                    .network_path = "/run/netns/x",
	                                    .interface_name = "eth0",
	                                    .pod_namespace = "d",
	                                    .pod_name = "p",
	                                    .pod_uid = "u",
	                                    .ports = &port,
	                                    .port_count = 1,
	                                    .result_text = result};
	unlink(path("calls"));
	assert_int_equal(loop_new(&clock_system, &loop, NULL), 0);
	done = false;
	operation(loop, &config, &attachment, on_done, NULL);
	assert_false(done); // never from inside
	while (!done)
		loop_turn(loop, -1);
	loop_free(loop);
}

#define LIST(second)                                                                                       \
	"{\"cniVersion\":\"0.4.0\",\"name\":\"net\",\"plugins\":[{\"type\":\"first\"},{\"type\":\"" second \
	"\",\"capabilities\":{\"portMappings\":true}}]}"

static void test_plugins_run_in_a_chain(void **state)
{
	(void)state;
	write_plugin("loopback", false);
	write_plugin("first", false);
	write_plugin("second", false);
	run(cni_add, LIST("second"), NULL);
	assert_int_equal(result_err.code, ERR_NONE);
	expect_file("calls", "ADD loopback lo\nADD first eth0\nADD second eth0\n");
	expect_file("second.ADD", "{\"type\":\"second\",\"name\":\"net\",\"cniVersion\":\"0.4.0\",\"runtimeConfig\":{"
	                          "\"portMappings\":[{\"hostPort\":80,"
	                          "\"containerPort\":8080,\"protocol\":\"tcp\"}]},\"prevResult\":{\"cniVersion\":\"0.4."
	                          "0\",\"ips\":[{\"version\":\"4\","
	                          "\"address\":\"10.1.2.3/24\"}]}}");
	const char *addresses[2];
	assert_int_equal(cni_result_addresses(arena, result_text, addresses, 2), 1);
	assert_string_equal(addresses[0], "10.1.2.3");
	run(cni_delete, LIST("second"), result_text);
	expect_file("calls", "DEL second eth0\nDEL first eth0\n");
	assert_int_equal(result_err.code, ERR_NONE);
}

static void test_a_failed_add_is_undone(void **state)
{
	(void)state;
	write_plugin("loopback", false);
	write_plugin("first", false);
	write_plugin("bad", true);
	run(cni_add, LIST("bad"), NULL);
	assert_string_equal(result_err.message, "plugin type=\"bad\" failed (add): no address left");
	expect_file("calls", "ADD loopback lo\nADD first eth0\nADD bad eth0\nDEL bad eth0\nDEL first eth0\n");
	run(cni_add, LIST("missing"), NULL);
	assert_non_null(strstr(result_err.message, "failed to find plugin \"missing\""));
	expect_file("calls", "ADD loopback lo\nADD first eth0\nDEL first eth0\n");
}

static void test_networks_are_found(void **state)
{
	(void)state;
	struct json *list;
	struct err err = ERR_INIT;
	assert_int_equal(cni_load(arena, directory, &list, &err), -ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "cni plugin not initialized"));
	write_text("05-broken.conflist", "{", 0644);
	write_text("20-b.conf", "{\"name\":\"single\",\"type\":\"bridge\",\"cniVersion\":\"0.3.1\"}", 0644);
	assert_int_equal(cni_load(arena, directory, &list, NULL), 0);
	assert_string_equal(json_get_text(list, "name"), "single");
	assert_int_equal(json_get(list, "plugins")->length, 1);
	write_text("10-a.conflist", LIST("x"), 0644);
	assert_int_equal(cni_load(arena, directory, &list, NULL), 0);
	assert_string_equal(json_get_text(list, "name"), "net");
}

// --- configuration ------------------------------------------------------------------------------

static const struct option no_flags[] = {{0}};

static void test_configuration_file(void **state)
{
	(void)state;
	struct kubelet_config config = kubelet_config_defaults;
	struct err err = ERR_INIT;
	write_text("config.yaml",
	           "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nstaticPodPath: "
	           "/m\nclusterDNS: [10.96.0.10]\n"
	           "authentication: {x509: {clientCAFile: /ca}, anonymous: {enabled: false}}\nmaxPods: "
	           "20\nsyncFrequency: 0s\n"
	           "fileCheckFrequency: 5s\nregisterNode: false\ncontainerLogMaxSize: 1Mi\n",
	           0644);
	assert_int_equal(kubelet_config_load(arena, path("config.yaml"), no_flags, &config, &err), 0);
	assert_string_equal(config.static_pod_path, "/m");
	assert_string_equal(config.cluster_dns.items[0], "10.96.0.10");
	assert_string_equal(config.client_ca_file, "/ca");
	assert_int_equal(config.max_pods, 20);
	assert_int_equal(config.sync_ns, kubelet_config_defaults.sync_ns);
	assert_int_equal(config.file_check_ns, 5 * NSEC_PER_SEC);
	assert_false(config.register_node);
	assert_int_equal(config.container_log_max_bytes, 1 << 20);
	write_text("config.yaml",
	           "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: many\n", 0644);
	assert_true(kubelet_config_load(arena, path("config.yaml"), no_flags, &config, &err) < 0);
	assert_non_null(strstr(err.message, "maxPods"));
	err_clear(&err);
	write_text("config.yaml", "apiVersion: v1\nkind: Pod\n", 0644);
	assert_true(kubelet_config_load(arena, path("config.yaml"), no_flags, &config, &err) < 0);
	assert_non_null(strstr(err.message, "want KubeletConfiguration"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_files_change_together, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_paths_stay_inside, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_fingerprints, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_plugins_run_in_a_chain, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_a_failed_add_is_undone, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_networks_are_found, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(test_configuration_file, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
