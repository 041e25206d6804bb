// SPDX-License-Identifier: Apache-2.0
#pragma once
// A kubelet's server on a loop, with a real pod manager that holds one pod which
// doesn't move, and a runtime that runs commands as local processes. Server and
// clients share the loop: a test turns it until what it waits for has come.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#include "common/api/schema.h"
#include "common/base/file.h"
#include "common/io/http_client.h"
#include "kubelet/kubelet.h"
#include "kubelet/pod/pod.h"
#include "kubelet/pod/pod_manager.h"
#include "kubelet/runtime/runtime.h"
#include "kubelet/server/kubelet_server.h"
#include "tests/unit/tls_fixture.h"

#define FIXTURE_WAIT_NS (60 * NSEC_PER_SEC)
#define FIXTURE_UID "0a1b2c3d-0000-4000-8000-000000000001"
#define FIXTURE_RUN "1111111111111111111111111111111111111111111111111111111111111111"
#define FIXTURE_LAST "2222222222222222222222222222222222222222222222222222222222222222"

// --- a runtime of local processes ----------------------------------------------------

struct local_runtime {
	struct runtime runtime; // first
	struct loop *loop;
	int started;
	int ended;
	int killed;
	int resized;
	char container_id[CONTAINER_ID_BYTES]; // of the last command
};

struct runtime_exec {
	struct local_runtime *runtime;
	struct loop_child child;
	struct loop_task failed_task;
	bool fails;
	pid_t pid;
	void (*done)(void *context, int exit_code, const char *error_text);
	void *context;
};

static inline void local_set_listener(struct runtime *runtime, const struct runtime_listener *listener)
{
	(void)runtime;
	(void)listener;
}

static inline void local_exec_done(struct loop_child *child, int wait_status)
{
	struct runtime_exec *exec = container_of(child, struct runtime_exec, child);
	exec->runtime->ended++;
	exec->done(exec->context, WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status), "");
	free(exec);
}

static inline void local_exec_failed(struct loop_task *task)
{
	struct runtime_exec *exec = container_of(task, struct runtime_exec, failed_task);
	exec->runtime->ended++;
	exec->done(exec->context, -1, "the runtime is \"away\"");
	free(exec);
}

// A terminal as a command in a container would see it: its own, with echo and signals.
static inline void local_use_terminal(void)
{
	struct termios settings;
	tcgetattr(0, &settings);
	settings.c_lflag |= ICANON | ECHO | ISIG;
	settings.c_iflag |= ICRNL;
	settings.c_oflag |= OPOST | ONLCR;
	tcsetattr(0, TCSANOW, &settings);
	ioctl(0, TIOCSCTTY, 0);
}

static inline struct runtime_exec *local_exec_start(struct runtime *runtime, const struct runtime_exec_config *config,
                                                    void (*done)(void *context, int exit_code, const char *error_text),
                                                    void *context)
{
	struct local_runtime *local = container_of(runtime, struct local_runtime, runtime);
	struct runtime_exec *exec = NEW(struct runtime_exec);
	*exec = (struct runtime_exec){.runtime = local, .done = done, .context = context};
	local->started++;
	snprintf(local->container_id, sizeof(local->container_id), "%s", config->container_id);
	if (!strcmp(config->command[0], "/fail")) {
		loop_post(local->loop, &exec->failed_task, local_exec_failed);
		return exec;
	}
	exec->pid = fork();
	if (exec->pid == 0) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGPIPE, SIG_DFL);
		setsid();
		for (int number = 0; number < 3; number++)
			dup2(config->tty ? config->fds[0] : config->fds[number], number);
		if (config->tty)
			local_use_terminal();
		execvp(config->command[0], (char *const *)config->command);
		_exit(127);
	}
	loop_child_start(local->loop, &exec->child, exec->pid, local_exec_done);
	return exec;
}

static inline void local_exec_kill(struct runtime_exec *exec)
{
	exec->runtime->killed++;
	kill(-exec->pid, SIGKILL);
	kill(exec->pid, SIGKILL);
}

static inline void local_exec_resized(struct runtime_exec *exec)
{
	exec->runtime->resized++;
}

static const struct runtime_operations local_operations = {
        .set_listener = local_set_listener,
        .exec_start = local_exec_start,
        .exec_kill = local_exec_kill,
        .exec_resized = local_exec_resized,
};

// --- the fixture ---------------------------------------------------------------------

struct server_fixture {
	struct tls_fixture tls;
	char folder[64];
	struct loop *loop;
	struct local_runtime runtime;
	struct kubelet_config config;
	struct kubelet kubelet;
	struct metrics_registry *metrics;
	struct kubelet_server *server;
	struct http_client *client;    // with a certificate
	struct http_client *anonymous; // without one
	struct pod *pod;
	char *paths[8];
	size_t path_count;
};

static const char fixture_pod_text[] =
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\",\"namespace\":\"default\",\"uid\":"
        "\"" FIXTURE_UID "\"},\"spec\":{\"nodeName\":\"node-1\",\"containers\":["
        "{\"name\":\"main\",\"image\":\"example.org/main:1\"},{\"name\":\"side\",\"image\":\"example.org/side:1\"}]}}";

static inline const char *fixture_path(struct server_fixture *fixture, const char *name)
{
	if (fixture->path_count == 8)
		abort();
	return fixture->paths[fixture->path_count++] = xasprintf("%s/%s", fixture->folder, name);
}

static inline void fixture_add_pod(struct server_fixture *fixture)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct json *value;
	struct api_object *object = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(json_parse(arena, fixture_pod_text, strlen(fixture_pod_text), NULL, &value, &err), 0);
	assert_int_equal(api_object_new(schema_find_resource("", "v1", "pods"), value, &object, &err), 0);
	pod_manager_api_pod(fixture->kubelet.pods, FIXTURE_UID, object);
	api_object_unref(object);
	fixture->pod = pod_manager_find(fixture->kubelet.pods, "default", "web", NULL);
	assert_non_null(fixture->pod);
}

// The container "main" runs, as its first restart.
static inline void fixture_run_main(struct server_fixture *fixture)
{
	struct pod_container *container = fixture->pod->containers[0];
	int64_t now_ns = loop_realtime_ns(fixture->loop);
	container->state = CONTAINER_RUNNING;
	container->has_run = container->has_last = true;
	container->restart_count = 1;
	snprintf(container->run.id, sizeof(container->run.id), "%s", FIXTURE_RUN);
	snprintf(container->last.id, sizeof(container->last.id), "%s", FIXTURE_LAST);
	container->run.restart = 1;
	container->run.started_at_ns = container->run.created_at_ns = now_ns;
	container->last.started_at_ns = container->last.created_at_ns = now_ns - 60 * NSEC_PER_SEC;
	container->last.finished_at_ns = now_ns - 30 * NSEC_PER_SEC;
	container->last.exit_code = 1;
}

static inline void fixture_end_main(struct server_fixture *fixture)
{
	fixture->pod->containers[0]->state = CONTAINER_EXITED;
	fixture->pod->containers[0]->run.finished_at_ns = loop_realtime_ns(fixture->loop);
}

static inline struct http_client *fixture_client(struct server_fixture *fixture, bool certificate)
{
	const struct http_client_config config = {
	        .tls = {.ca_file = tls_fixture_path(&fixture->tls, "ca.crt"),
	                .certificate_file = certificate ? tls_fixture_path(&fixture->tls, "client.crt") : NULL,
	                .private_key_file = certificate ? tls_fixture_path(&fixture->tls, "client.key") : NULL},
	};
	return http_client_new(fixture->loop, &config);
}

static inline void server_fixture_init(struct server_fixture *fixture)
{
	struct err err = ERR_INIT;
	*fixture = (struct server_fixture){.folder = "/tmp/test_kubelet_server.XXXXXX"};
	tls_fixture_init(&fixture->tls);
	if (!mkdtemp(fixture->folder))
		abort();
	assert_int_equal(loop_new(NULL, &fixture->loop, &err), 0);
	fixture->runtime = (struct local_runtime){.runtime.operations = &local_operations, .loop = fixture->loop};
	fixture->config = kubelet_config_defaults;
	fixture->config.address = "127.0.0.1";
	fixture->config.port = 0;
	fixture->config.authorization_mode = "AlwaysAllow";
	fixture->config.token_webhook = false;
	fixture->config.root_directory = fixture_path(fixture, "root");
	fixture->config.pod_logs_directory = fixture_path(fixture, "logs");
	fixture->config.certificate_directory = fixture_path(fixture, "pki");
	fixture->config.client_ca_file = tls_fixture_path(&fixture->tls, "ca.crt");
	fixture->config.tls_certificate_file = tls_fixture_path(&fixture->tls, "server.crt");
	fixture->config.tls_private_key_file = tls_fixture_path(&fixture->tls, "server.key");
	fixture->kubelet = (struct kubelet){
	        .loop = fixture->loop,
	        .config = &fixture->config,
	        .node_name = "node-1",
	        .node_ip = "127.0.0.1",
	        .runtime = &fixture->runtime.runtime,
	};
	fixture->kubelet.pods = pod_manager_new(&fixture->kubelet);
	fixture->metrics = metrics_registry_new();
	fixture_add_pod(fixture);
	assert_int_equal(kubelet_server_new(&fixture->kubelet, fixture->metrics, &fixture->server, &err), 0);
	fixture->client = fixture_client(fixture, true);
	fixture->anonymous = fixture_client(fixture, false);
}

// Turns the loop until the condition holds; false when it takes far too long.
#define fixture_wait(fixture, condition)                                            \
	({                                                                          \
		int64_t limit_ns_ = loop_now_ns((fixture)->loop) + FIXTURE_WAIT_NS; \
		while (!(condition) && loop_now_ns((fixture)->loop) < limit_ns_)    \
			loop_turn((fixture)->loop, 100 * NSEC_PER_MSEC);            \
		(condition);                                                        \
	})

static inline void server_fixture_done(struct server_fixture *fixture)
{
	struct err err = ERR_INIT;
	http_client_free(fixture->client);
	http_client_free(fixture->anonymous);
	kubelet_server_free(fixture->server);
	assert_true(fixture_wait(fixture, fixture->runtime.ended == fixture->runtime.started));
	pod_manager_free(fixture->kubelet.pods);
	metrics_registry_free(fixture->metrics);
	loop_free(fixture->loop);
	assert_int_equal(file_remove_tree(fixture->folder, &err), 0);
	for (size_t index = 0; index < fixture->path_count; index++)
		free(fixture->paths[index]);
	tls_fixture_done(&fixture->tls);
}

// --- plain requests ------------------------------------------------------------------

struct reply {
	struct http_call *call; // NULL: done
	int status;
	struct strbuf text; // as far as it has come
	bool failed;
};

static inline void on_reply_head(void *context, int status)
{
	((struct reply *)context)->status = status;
}

static inline void on_reply_data(void *context, const char *data, size_t length)
{
	strbuf_append(&((struct reply *)context)->text, data, length);
}

static inline void on_reply_done(void *context, int status, const char *body, size_t body_length, const struct err *err)
{
	struct reply *reply = context;
	(void)status;
	(void)body;
	(void)body_length;
	reply->call = NULL;
	reply->failed = err != NULL;
}

static inline void reply_start(struct server_fixture *fixture, struct http_client *client, const char *method,
                               const char *path, struct reply *reply)
{
	char url[512];
	snprintf(url, sizeof(url), "https://127.0.0.1:%d%s", kubelet_server_port(fixture->server), path);
	*reply = (struct reply){.text = STRBUF_INIT(256 << 20)};
	const struct http_call_config config = {
	        .method = method,
	        .url = url,
	        .on_head = on_reply_head,
	        .on_data = on_reply_data,
	        .on_done = on_reply_done,
	        .context = reply,
	};
	reply->call = http_call_start(client, &config);
}

static inline void reply_done(struct reply *reply)
{
	if (reply->call)
		http_call_cancel(reply->call);
	strbuf_done(&reply->text);
}

// The whole answer to a request with a certificate.
static inline void get(struct server_fixture *fixture, const char *path, struct reply *reply)
{
	reply_start(fixture, fixture->client, "GET", path, reply);
	assert_true(fixture_wait(fixture, !reply->call));
	assert_false(reply->failed);
}

#define assert_reply(fixture, path, wanted_status, wanted_text)                \
	do {                                                                   \
		struct reply reply_;                                           \
		get((fixture), (path), &reply_);                               \
		assert_string_equal(strbuf_text(&reply_.text), (wanted_text)); \
		assert_int_equal(reply_.status, (wanted_status));              \
		reply_done(&reply_);                                           \
	} while (0)
