// SPDX-License-Identifier: Apache-2.0
// OCI specifications, and what the ctr driver reads from ctr's output.
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
#include "kubelet/runtime/ctr_internal.h"
#include "kubelet/runtime/oci_spec.h"
#include "kubelet/runtime/rootfs.h"

static const char *const none[] = {NULL};

static struct runtime_image image = {
        .references = 1,
        .reference = "example.org/a:1",
        .entrypoint = (const char *const[]){"/entry", NULL},
        .command = (const char *const[]){"one", "two", NULL},
        .environment = (const char *const[]){"PATH=/image", "A=image", NULL},
        .user = "",
        .working_directory = "/work",
        .stop_signal = "",
};

static struct runtime_container_config config_new(void)
{
	return (struct runtime_container_config){.id = "cid",
	                                         .directory = "/d",
	                                         .image = &image,
	                                         .run_as_user = -1,
	                                         .run_as_group = -1,
	                                         .allow_privilege_escalation = true,
	                                         .cgroup_path = "/kubepods/podx"};
}

static struct json *build(struct arena *arena, const struct runtime_container_config *config)
{
	const int64_t gids[] = {7, 0};
	struct oci_facts facts = {.root_path = "/root",
	                          .home = "/home/u",
	                          .additional_gids = gids,
	                          .additional_gid_count = 2,
	                          .least_oom_score_adj = -1000};
	struct json *spec = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(oci_spec_build(arena, config, &facts, &spec, &err), 0);
	return spec;
}

static const char *joined(const struct json *array)
{
	static char text[4096];
	text[0] = '\0';
	json_for_each_item (item, array)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", *text ? " " : "", json_text(item));
	return text;
}

static void test_command_rules(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const char *const command[] = {"/cmd", NULL};
	const char *const arguments[] = {"x", NULL};
	struct runtime_container_config config = config_new();
	assert_string_equal(joined(json_path(build(arena, &config), "process", "args")), "/entry one two");
	config.arguments = arguments;
	assert_string_equal(joined(json_path(build(arena, &config), "process", "args")), "/entry x");
	config.command = command;
	assert_string_equal(joined(json_path(build(arena, &config), "process", "args")), "/cmd x");
	config.arguments = NULL;
	assert_string_equal(joined(json_path(build(arena, &config), "process", "args")), "/cmd");
	struct runtime_image bare = image;
	bare.entrypoint = bare.command = none;
	config.command = NULL;
	config.image = &bare;
	struct oci_facts facts = {.root_path = "/r", .home = ""};
	struct json *spec;
	struct err err = ERR_INIT;
	assert_int_equal(oci_spec_build(arena, &config, &facts, &spec, &err), -ERR_INVALID);
	assert_non_null(strstr(err.message, "no command specified"));
}

static void test_environment_and_directory(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const char *const environment[] = {"A=pod", "B=1", NULL};
	struct runtime_container_config config = config_new();
	config.environment = environment;
	config.hostname = "web";
	struct json *process = json_get(build(arena, &config), "process");
	assert_string_equal(joined(json_get(process, "env")), "PATH=/image HOSTNAME=web HOME=/home/u A=pod B=1");
	assert_string_equal(json_get_text(process, "cwd"), "/work");
	config.working_directory = "/elsewhere";
	assert_string_equal(json_get_text(json_get(build(arena, &config), "process"), "cwd"), "/elsewhere");
}

static bool has(const struct json *array, const char *text)
{
	json_for_each_item (item, array)
		if (!strcmp(json_text(item), text))
			return true;
	return false;
}

static void test_capabilities(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const char *const all[] = {"ALL", NULL};
	const char *const add[] = {"NET_ADMIN", NULL};
	struct runtime_container_config config = config_new();
	struct json *bounding = json_path(build(arena, &config), "process", "capabilities", "bounding");
	assert_int_equal(bounding->length, 14);
	assert_true(has(bounding, "CAP_NET_RAW"));
	assert_false(has(bounding, "CAP_SYS_ADMIN"));
	config.drop_capabilities = all;
	config.add_capabilities = add;
	assert_string_equal(joined(json_path(build(arena, &config), "process", "capabilities", "effective")),
	                    "CAP_NET_ADMIN");
	config.drop_capabilities = NULL;
	config.add_capabilities = all;
	assert_int_equal(json_path(build(arena, &config), "process", "capabilities", "permitted")->length, 41);
}

static const struct json *find_mount(const struct json *spec, const char *destination)
{
	json_for_each_item (mount, json_get(spec, "mounts"))
		if (!strcmp(json_get_text(mount, "destination"), destination))
			return mount;
	return NULL;
}

static void test_privilege_opens_what_is_closed(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct runtime_container_config config = config_new();
	config.allow_privilege_escalation = false;
	struct json *spec = build(arena, &config);
	assert_true(json_get_bool(json_get(spec, "process"), "noNewPrivileges", false));
	assert_true(has(json_path(spec, "linux", "maskedPaths"), "/proc/kcore"));
	assert_true(has(json_get(find_mount(spec, "/sys"), "options"), "ro"));
	assert_string_equal(json_get_text(json_get(spec, "linux"), "cgroupsPath"), "/kubepods/podx/cid");
	config.privileged = true;
	spec = build(arena, &config);
	assert_null(json_path(spec, "linux", "maskedPaths"));
	assert_true(has(json_get(find_mount(spec, "/sys"), "options"), "rw"));
	assert_false(json_get_bool(json_get(spec, "process"), "noNewPrivileges", true));
}

static void test_mounts_and_namespaces(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	const struct runtime_mount mounts[] = {
	        {.host_path = "/h", .container_path = "/c", .read_only = true},
	        {.host_path = "/shm",
	         .container_path = "/dev/mqueue",
	         .propagation = RUNTIME_PROPAGATION_BIDIRECTIONAL},
	};
	struct runtime_container_config config = config_new();
	config.mounts = mounts;
	config.mount_count = 2;
	config.network_namespace = "/run/netns/x";
	struct json *spec = build(arena, &config);
	assert_string_equal(joined(json_get(find_mount(spec, "/c"), "options")), "rbind rprivate ro");
	assert_string_equal(json_get_text(find_mount(spec, "/dev/mqueue"), "type"),
	                    "bind"); // takes the default's place
	assert_string_equal(json_get_text(json_get(spec, "linux"), "rootfsPropagation"), "rshared");
	const struct json *namespaces = json_path(spec, "linux", "namespaces");
	assert_int_equal(namespaces->length, 3);
	assert_string_equal(json_get_text(namespaces->items[2], "path"), "/run/netns/x");
	config.host_pid = true;
	assert_int_equal(json_path(build(arena, &config), "linux", "namespaces")->length, 2);
}

static void test_oom_score_is_bounded(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct runtime_container_config config = config_new();
	struct oci_facts facts = {.root_path = "/r", .home = "", .least_oom_score_adj = 0};
	struct json *spec;
	int64_t score;
	config.oom_score_adj = -998;
	assert_int_equal(oci_spec_build(arena, &config, &facts, &spec, NULL), 0);
	assert_true(json_get_integer(json_get(spec, "process"), "oomScoreAdj", &score));
	assert_int_equal(score, 0);
}

// --- users -----------------------------------------------------------------------------------

static void make_file(const char *path, const char *text)
{
	assert_int_equal(file_write_atomic(path, text, strlen(text), 0644, NULL), 0);
}

static void test_users_of_the_image(void **state)
{
	(void)state;
	char root[] = "/tmp/kubelet-users-XXXXXX";
	assert_non_null(mkdtemp(root));
	AUTO(arena_free) struct arena *arena = arena_new(0);
	mkdir(arena_printf(arena, "%s/etc", root), 0755);
	make_file(arena_printf(arena, "%s/etc/passwd", root),
	          "root:x:0:0::/root:/bin/sh\nweb:x:1000:1001::/srv:/bin/sh\n");
	make_file(arena_printf(arena, "%s/etc/group", root), "web:x:1001:\nlogs:x:50:root,web\nadm:x:4:root\n");
	struct rootfs_user user;
	struct err err = ERR_INIT;
	assert_int_equal(rootfs_resolve_user(arena, root, "web", -1, -1, &user, &err), 0);
	assert_int_equal(user.uid, 1000);
	assert_int_equal(user.gid, 1001);
	assert_string_equal(user.home, "/srv");
	assert_int_equal(user.additional_gid_count, 1);
	assert_int_equal(user.additional_gids[0], 50);
	assert_int_equal(rootfs_resolve_user(arena, root, "1000:logs", -1, -1, &user, &err), 0);
	assert_int_equal(user.gid, 50);
	assert_int_equal(rootfs_resolve_user(arena, root, "web", 4711, 12, &user, &err), 0);
	assert_int_equal(user.uid, 4711);
	assert_int_equal(user.gid, 12);
	assert_int_equal(rootfs_resolve_user(arena, root, "nobody", -1, -1, &user, &err), -ERR_INVALID);
	// A link out of the image leads nowhere.
	unlink(arena_printf(arena, "%s/etc/passwd", root));
	assert_int_equal(symlink("/etc/passwd", arena_printf(arena, "%s/etc/passwd", root)), 0);
	err_clear(&err);
	assert_int_equal(rootfs_resolve_user(arena, root, "daemon", -1, -1, &user, &err), -ERR_INVALID);
	assert_int_equal(file_remove_tree(root, NULL), 0);
}

// --- ctr's output ---------------------------------------------------------------------------------

static char last_id[80];
static int last_code;
static int ooms;

static void on_exit_seen(void *context, const char *id, int exit_code, int64_t exited_at_ns)
{
	(void)context;
	assert_true(exited_at_ns > 0);
	snprintf(last_id, sizeof(last_id), "%s", id);
	last_code = exit_code;
}

static void on_oom_seen(void *context, const char *id)
{
	(void)context;
	(void)id;
	ooms++;
}

static void feed(struct ctr_runtime *driver, const char *line)
{
	ctr_events_feed(driver, line, strlen(line));
}

#define STAMP "2026-11-22 18:32:43.243725378 +0000 UTC "

static void test_events(void **state)
{
	(void)state;
	struct ctr_runtime driver = {.tasks = hashmap_new(free),
	                             .images = hashmap_new(NULL),
	                             .listener = {.on_exit = on_exit_seen, .on_oom = on_oom_seen}};
	driver.ctr.namespace_name = "k8s.io";
	ctr_task_adopt(&driver, "c1");
	feed(&driver, STAMP "k8s.io /tasks/exit {\"container_id\":\"c1\",\"id\":\"exec1\",\"exit_status\":1,"
	                    "\"exited_at\":\"2026-11-22T18:32:43.3Z\"}");
	feed(&driver, STAMP
	     "other /tasks/exit {\"container_id\":\"c1\",\"id\":\"c1\",\"exited_at\":\"2026-11-22T18:32:43.3Z\"}");
	feed(&driver, "garbage");
	feed(&driver, STAMP "k8s.io /tasks/exit {broken");
	assert_string_equal(last_id, "");
	feed(&driver, STAMP "k8s.io /tasks/oom {\"container_id\":\"c1\"}");
	assert_int_equal(ooms, 1);
	feed(&driver, STAMP
	     "k8s.io /tasks/exit {\"container_id\":\"c1\",\"id\":\"c1\",\"exited_at\":\"2026-11-22T18:32:43.3Z\"}");
	assert_string_equal(last_id, "c1");
	assert_int_equal(last_code, 0); // absent means 0
	// An end that comes before the start was answered is kept.
	ctr_task_begin(&driver, "c2");
	feed(&driver, STAMP "k8s.io /tasks/exit {\"container_id\":\"c2\",\"id\":\"c2\",\"exit_status\":3,"
	                    "\"exited_at\":\"2026-11-22T18:32:43.3Z\"}");
	assert_string_equal(last_id, "c1");
	ctr_task_started(&driver, "c2");
	assert_string_equal(last_id, "c2");
	assert_int_equal(last_code, 3);
	hashmap_free(driver.tasks);
	hashmap_free(driver.images);
}

static void test_lists_and_codes(void **state)
{
	(void)state;
	char text[] = "TASK    PID     STATUS    \nabc     4711    RUNNING\ndef     0       STOPPED\n";
	struct ctr_task_row rows[4];
	assert_int_equal(ctr_parse_tasks(text, rows, 4), 2);
	assert_string_equal(rows[0].id, "abc");
	assert_int_equal(rows[0].pid, 4711);
	assert_true(rows[0].running);
	assert_false(rows[1].running);
	struct process_result warned = {.error_output =
	                                        "level=warning msg=\"task t exit with non-zero exit code 137\"\n"};
	assert_int_equal(ctr_parse_exit_code(&warned), 137);
	struct process_result quiet = {.error_output = ""};
	assert_int_equal(ctr_parse_exit_code(&quiet), 0);
	struct process_result missing = {.exit_code = 1, .error_output = "ctr: task t: not found\n"};
	assert_int_equal(ctr_parse_exit_code(&missing), -1);
	struct err err = ERR_INIT;
	missing.error_output_length = strlen(missing.error_output);
	assert_int_equal(ctr_check(&missing, "look", &err), -ERR_NOT_FOUND);
	assert_string_equal(err.message, "look: task t: not found");
}

static void test_references(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
	        {"busybox", "docker.io/library/busybox:latest"},
	        {"busybox:1", "docker.io/library/busybox:1"},
	        {"a/b", "docker.io/a/b:latest"},
	        {"example.org/b:2", "example.org/b:2"},
	        {"localhost/b", "localhost/b:latest"},
	        {"host:5000/b", "host:5000/b:latest"},
	        {"b@sha256:00", "docker.io/library/b@sha256:00"},
	};
	for (size_t index = 0; index < ARRAY_SIZE(rows); index++) {
		AUTO_FREE char *normal = runtime_normalize_reference(rows[index][0]);
		assert_string_equal(normal, rows[index][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_command_rules),         cmocka_unit_test(test_environment_and_directory),
	        cmocka_unit_test(test_capabilities),          cmocka_unit_test(test_privilege_opens_what_is_closed),
	        cmocka_unit_test(test_mounts_and_namespaces), cmocka_unit_test(test_oom_score_is_bounded),
	        cmocka_unit_test(test_users_of_the_image),    cmocka_unit_test(test_events),
	        cmocka_unit_test(test_lists_and_codes),       cmocka_unit_test(test_references),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
