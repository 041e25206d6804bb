// SPDX-License-Identifier: Apache-2.0
//
// Figures of a running kube-apiserver, part by part: creates and status updates beside
// what its etcd does alone, gets, lists of 10,000 pods over HTTP/2 and HTTP/1.1, the
// delay of watch events, lists of one node's pods. Prints lines; judges nothing. Client
// and servers share the machine's processors: a figure is bounded by all of them together.
//
// usage: bench_apiserver URL CA CERTIFICATE KEY ETCD PART... (tests/bench/apiserver.py
// starts all and says which parts; they are the rows of `parts`, or "POST 64 20000" for
// one kind of call by itself: its name, clients, calls)
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/storage/etcd.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/io/http_client.h"
#include "common/io/loop.h"

enum {
	PODS = 10000,
	NODES = 1000,
	MAX_WATCHES = 10000,
	OPENING_WATCHES = 500,
	FILLED_PODS = 100000,
	MAX_CLIENTS = 64,
	FILL_BYTES = 3400,
	UPDATE_PERIOD_MS = 10,
};
#define PATH "/api/v1/namespaces/bench/pods"
#define TIMEOUT_NS (120 * NSEC_PER_SEC)

struct bench {
	struct loop *loop;
	const char *url;
	struct http_client_config client_config;
	struct http_client *clients[MAX_CLIENTS];
	struct etcd *etcd;
	size_t next, end, running;
	size_t pod_number;
	bool to_etcd;
	const char *method; // of the calls under way
	int64_t *latencies;
	size_t count;
	size_t bytes;
};

struct call {
	struct bench *bench;
	size_t client;
	int64_t started_ns;
	char *body;
};

static int64_t now(void)
{
	return clock_monotonic_ns(&clock_system);
}

static double milliseconds(int64_t ns)
{
	return (double)ns / NSEC_PER_MSEC;
}

static void die(const char *what, int status, const struct err *err)
{
	fprintf(stderr, "bench_apiserver: %.300s: %d %.300s\n", what, status,
	        err && err->code != ERR_NONE ? err->message : "");
	exit(1);
}

static char *pod_text(size_t number)
{
	return xasprintf("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"pod-%05zu\",\"namespace\":"
	                 "\"bench\",\"labels\":{\"app\":\"web\"},\"annotations\":{\"fill\":\"%0*d\"}},\"spec\":{"
	                 "\"nodeName\":\"node-%03zu\",\"containers\":[{\"name\":\"main\",\"image\":\"web:1\"}]}}",
	                 number, FILL_BYTES, 0, number % NODES);
}

// --- calls ------------------------------------------------------------------------------

static void start_next(struct bench *bench, size_t client);

static void finish(struct call *call)
{
	struct bench *bench = call->bench;
	size_t client = call->client;
	bench->latencies[bench->count++] = now() - call->started_ns;
	bench->running--;
	free(call->body);
	free(call);
	start_next(bench, client);
}

static void on_piece(void *context, const char *data, size_t length)
{
	struct call *call = context;
	(void)data;
	call->bench->bytes += length;
}

static void on_answer(void *context, int status, const char *body, size_t body_length, const struct err *err)
{
	struct call *call = context;
	if (status < 200 || status > 299 || (err && err->code != ERR_NONE))
		die(body_length ? body : call->bench->method, status, err);
	call->bench->bytes += body_length;
	finish(call);
}

static void on_stored(void *context, const void *response, const struct err *err)
{
	if (!response)
		die("etcd", 0, err);
	finish(context);
}

static void put(struct bench *bench, struct call *call, size_t number)
{
	AUTO_FREE char *key = xasprintf("/bench/%zu", number);
	struct etcd_compare compare = {.target = ETCD_TARGET_MOD, .key = ETCD_TEXT(key)};
	struct etcd_put_request request = {.key = ETCD_TEXT(key), .value = ETCD_TEXT(call->body)};
	struct etcd_request_op operation = {.put = &request};
	struct etcd_txn_request txn = {.compare = {&compare, 1}, .success = {&operation, 1}};
	etcd_call(bench->etcd, ETCD_TXN, &txn, TIMEOUT_NS, "create", "bench", on_stored, call);
}

// The calls by name.
static const struct operation {
	const char *name;
	const char *method;
	const char *path; // behind a pod's name; NULL: the collection's
	const char *content_type;
	const char *body; // of a patch, with a number in it
} operations[] = {
        {"POST", "POST", NULL, "Content-Type: application/json", NULL},
        {"GET", "GET", "", NULL, NULL},
        {"LIST", "GET", NULL, NULL, NULL},
        {"NODE", "GET", NULL, NULL, NULL}, // a list of the pods of one node
        {"LABEL", "PATCH", "", "Content-Type: application/merge-patch+json",
         "{\"metadata\":{\"labels\":{\"tick\":\"t%zu\"}}}"},
        {"STATUS", "PATCH", "/status", "Content-Type: application/strategic-merge-patch+json",
         "{\"status\":{\"phase\":\"Running\",\"message\":\"%zu\",\"conditions\":[{\"type\":\"Ready\",\"status\":"
         "\"True\",\"lastTransitionTime\":\"2024-01-01T00:00:00Z\"}]}}"},
};

static const struct operation *find_operation(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
		if (!strcmp(operations[i].name, name))
			return &operations[i];
	die(name, 0, NULL);
	return NULL;
}

static char *body_of(struct bench *bench, const struct operation *operation, size_t number)
{
	if (operation->body) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		return xasprintf(operation->body, number);
#pragma GCC diagnostic pop
	}
	if (!strcmp(operation->method, "POST"))
		return pod_text(bench->to_etcd ? number : bench->pod_number++);
	return NULL;
}

static char *url_of(const struct bench *bench, const struct operation *operation, size_t number)
{
	if (!strcmp(operation->name, "NODE"))
		return xasprintf("%s/api/v1/pods?fieldSelector=spec.nodeName%%3Dnode-%03zu", bench->url,
		                 number % NODES);
	if (!operation->path)
		return xasprintf("%s" PATH, bench->url);
	size_t pods = bench->pod_number && bench->pod_number < PODS ? bench->pod_number : PODS;
	return xasprintf("%s" PATH "/pod-%05zu%s", bench->url, number % pods, operation->path);
}

static void start_next(struct bench *bench, size_t client)
{
	if (bench->next == bench->end)
		return;
	const struct operation *operation = find_operation(bench->method);
	const char *headers[] = {operation->content_type, NULL};
	size_t number = bench->next++;
	struct call *call = NEW(struct call);
	*call = (struct call){.bench = bench, .client = client, .started_ns = now()};
	bench->running++;
	call->body = body_of(bench, operation, number);
	if (bench->to_etcd) {
		put(bench, call, number);
		return;
	}
	AUTO_FREE char *url = url_of(bench, operation, number);
	struct http_call_config config = {
	        .method = operation->method,
	        .url = url,
	        .headers = operation->content_type ? headers : NULL,
	        .body = call->body,
	        .body_length = call->body ? strlen(call->body) : 0,
	        .timeout_ns = TIMEOUT_NS,
	        .on_data = strcmp(operation->name, "LIST") ? NULL : on_piece, // too much to keep
	        .on_done = on_answer,
	        .context = call,
	};
	http_call_start(bench->clients[client], &config);
}

static int compare_numbers(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
	return (left > right) - (left < right);
}

static void print_latencies(int64_t *latencies, size_t count)
{
	qsort(latencies, count, sizeof(*latencies), compare_numbers);
	printf("   p50 %7.2f ms   p99 %7.2f ms   last %7.2f ms\n", milliseconds(latencies[count / 2]),
	       milliseconds(latencies[count * 99 / 100]), milliseconds(latencies[count - 1]));
}

// Returns the rate.
static double run_calls(struct bench *bench, const char *name, const char *method, size_t count, size_t clients)
{
	AUTO_FREE int64_t *latencies = xcalloc(count, sizeof(*latencies));
	bench->latencies = latencies;
	bench->count = bench->bytes = 0;
	bench->method = method;
	bench->end = bench->next + count;
	int64_t begin = now();
	for (size_t client = 0; client < clients; client++)
		start_next(bench, client);
	while (bench->running)
		loop_turn(bench->loop, 100 * NSEC_PER_MSEC);
	double seconds = (double)(now() - begin) / NSEC_PER_SEC;
	printf("%-34s %3zu at once %9.0f/s", name, clients, (double)count / seconds);
	print_latencies(latencies, count);
	return (double)count / seconds;
}

static void open_clients(struct bench *bench, bool http1_only)
{
	bench->client_config.http1_only = http1_only;
	for (size_t i = 0; i < MAX_CLIENTS; i++)
		bench->clients[i] = http_client_new(bench->loop, &bench->client_config);
}

static void close_clients(struct bench *bench)
{
	for (size_t i = 0; i < MAX_CLIENTS; i++)
		bench->clients[i] = http_client_free(bench->clients[i]);
	loop_turn(bench->loop, 0);
}

// --- the parts -----------------------------------------------------------------------------

static void run_beside_etcd(struct bench *bench, const char *etcd_name, const char *name, const char *method)
{
	static const struct {
		size_t clients, count;
	} rows[] = {{1, 1000}, {16, 3000}, {64, 6000}};
	open_clients(bench, false);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bench->to_etcd = true;
		double alone = run_calls(bench, etcd_name, "POST", rows[i].count, rows[i].clients);
		bench->to_etcd = false;
		double rate = run_calls(bench, name, method, rows[i].count, rows[i].clients);
		printf("%-34s %20.2f of etcd's rate\n", "", rate / alone);
	}
	close_clients(bench);
}

static void run_creates(struct bench *bench)
{
	run_beside_etcd(bench, "etcd alone, create of 4 KB", "create a pod of 4 KB", "POST");
}

// Beside creates in etcd, which have nothing to replace: the stricter measure.
static void run_updates(struct bench *bench)
{
	bench->next = PODS; // other keys
	run_beside_etcd(bench, "etcd alone, put of 4 KB", "patch a pod's status", "STATUS");
}

static void run_reads(struct bench *bench, const char *protocol, bool http1_only)
{
	static const size_t clients[] = {1, 16, 64};
	char name[64];
	open_clients(bench, http1_only);
	snprintf(name, sizeof(name), "get a pod, %s", protocol);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		run_calls(bench, name, "GET", clients[i] == 1 ? 2000 : 10000, clients[i]);
	snprintf(name, sizeof(name), "list 10,000 pods, %s", protocol);
	// 64 times 50 MB, but once.
	for (size_t i = 0; i < ARRAY_SIZE(clients) - http1_only; i++) {
		size_t calls = clients[i] == 1 ? 10 : clients[i];
		double rate = run_calls(bench, name, "LIST", calls, clients[i]);
		double megabytes = (double)bench->bytes / (double)calls / 1e6;
		printf("%-34s %15.0f MB each, %.0f MB/s\n", "", megabytes, rate * megabytes);
	}
	close_clients(bench);
}

static void run_http2_reads(struct bench *bench)
{
	run_reads(bench, "HTTP/2", false);
}

static void run_http1_reads(struct bench *bench)
{
	run_reads(bench, "HTTP/1.1", true);
}

static void run_node_lists(struct bench *bench)
{
	open_clients(bench, false);
	run_calls(bench, "list one node's 100 of 100,000 pods", "NODE", 300, 1);
	double rate = run_calls(bench, "list one node's 100 of 100,000 pods", "NODE", 3000, 16);
	printf("%-34s %15.2f MB each, %.0f MB/s\n", "", (double)bench->bytes / 3000 / 1e6,
	       rate * (double)bench->bytes / 3000 / 1e6);
	close_clients(bench);
}

// --- 100,000 pods straight into etcd, as the apiserver would have stored them -----------------

struct filling {
	struct bench *bench;
	char *template; // a stored pod
	size_t next, running, bytes;
};

static void on_template(void *context, int status, const char *body, size_t body_length, const struct err *err)
{
	struct filling *filling = context;
	if (status != 200)
		die("the template", status, err);
	filling->template = xstrndup(body, body_length);
}

static void fill_next(struct filling *filling);

static void on_filled(void *context, const void *response, const struct err *err)
{
	struct filling *filling = context;
	if (!response)
		die("etcd", 0, err);
	filling->running--;
	fill_next(filling);
}

// The texts that tell one pod from another are of one length.
static void replace(char *text, const char *old, const char *new)
{
	size_t length = strlen(old);
	if (strlen(new) != length)
		die("replace", 0, NULL);
	for (char *at = strstr(text, old); at; at = strstr(at + length, old))
		memcpy(at, new, length);
}

static void fill_next(struct filling *filling)
{
	struct bench *bench = filling->bench;
	if (filling->next == FILLED_PODS)
		return;
	size_t number = filling->next++;
	AUTO_FREE char *value = xstrdup(filling->template);
	char name[16], node[16];
	snprintf(name, sizeof(name), "p-%07zu", number);
	snprintf(node, sizeof(node), "node-%03zu", number % NODES);
	replace(value, "pod-00000", name);
	replace(value, "node-000", node);
	AUTO_FREE char *key = xasprintf("/registry/pods/bench/%s", name);
	struct etcd_put_request put_request = {.key = ETCD_TEXT(key), .value = ETCD_TEXT(value)};
	struct etcd_request_op operation = {.put = &put_request};
	struct etcd_txn_request txn = {.success = {&operation, 1}};
	filling->bytes += strlen(key) + strlen(value);
	filling->running++;
	etcd_call(bench->etcd, ETCD_TXN, &txn, TIMEOUT_NS, "create", "bench", on_filled, filling);
}

static void run_fill(struct bench *bench)
{
	struct filling filling = {.bench = bench};
	AUTO_FREE char *url = xasprintf("%s" PATH "/pod-00000", bench->url);
	struct http_call_config config = {
	        .method = "GET", .url = url, .timeout_ns = TIMEOUT_NS, .on_done = on_template, .context = &filling};
	open_clients(bench, false);
	http_call_start(bench->clients[0], &config);
	while (!filling.template)
		loop_turn(bench->loop, 100 * NSEC_PER_MSEC);
	for (size_t i = 0; i < MAX_CLIENTS; i++)
		fill_next(&filling);
	while (filling.running)
		loop_turn(bench->loop, 100 * NSEC_PER_MSEC);
	printf("filled %zu\n", filling.bytes);
	free(filling.template);
	close_clients(bench);
}

// --- watches ----------------------------------------------------------------------------------

struct watcher {
	struct watching *watching;
	size_t number;
	int64_t expects_since_ns; // 0: nothing
	struct http_call *call;
};

struct watching {
	struct bench *bench;
	struct watcher *watchers;
	size_t count;
	bool by_node;
	size_t open;
	size_t updates;
	size_t wanted_updates;
	size_t updating;
	int64_t *latencies;
	size_t delivered;
	size_t expecting;
	struct loop_timer timer;
	int64_t period_ns;
};

static void on_watch_head(void *context, int status)
{
	struct watcher *watcher = context;
	if (status != 200)
		die("watch", status, NULL);
	watcher->watching->open++;
}

static void on_watch_data(void *context, const char *data, size_t length)
{
	struct watcher *watcher = context;
	struct watching *watching = watcher->watching;
	(void)data;
	(void)length;
	if (!watcher->expects_since_ns)
		return;
	watching->latencies[watching->delivered++] = now() - watcher->expects_since_ns;
	watcher->expects_since_ns = 0;
	watching->expecting--;
}

static void on_watch_done(void *context, int status, const char *body, size_t body_length, const struct err *err)
{
	(void)context;
	(void)body;
	(void)body_length;
	die("a watch ended", status, err);
}

static void on_updated(void *context, int status, const char *body, size_t body_length, const struct err *err)
{
	struct watching *watching = context;
	(void)body_length;
	if (status != 200)
		die(body ? body : "update", status, err);
	watching->updating--;
}

// One update each period, whether the last one has been delivered or not; a watch that
// lags is measured from the first event that it lacks.
static void on_update_timer(struct loop_timer *timer)
{
	static const char *const headers[] = {"Content-Type: application/merge-patch+json", NULL};
	struct watching *watching = container_of(timer, struct watching, timer);
	struct bench *bench = watching->bench;
	size_t number = watching->updates++ % NODES;
	int64_t time_ns = now();
	for (size_t i = 0; i < watching->count; i++)
		if ((!watching->by_node || i % NODES == number) && !watching->watchers[i].expects_since_ns) {
			watching->watchers[i].expects_since_ns = time_ns;
			watching->expecting++;
		}
	AUTO_FREE char *url = xasprintf("%s" PATH "/pod-%05zu", bench->url, number);
	AUTO_FREE char *body = xasprintf("{\"metadata\":{\"labels\":{\"tick\":\"t%" PRId64 "\"}}}", time_ns);
	struct http_call_config config = {
	        .method = "PATCH",
	        .url = url,
	        .headers = headers,
	        .body = body,
	        .body_length = strlen(body),
	        .timeout_ns = TIMEOUT_NS,
	        .on_done = on_updated,
	        .context = watching,
	};
	watching->updating++;
	http_call_start(bench->clients[MAX_CLIENTS - 1], &config);
	if (watching->updates < watching->wanted_updates)
		loop_timer_start(bench->loop, timer, watching->period_ns, on_update_timer);
}

static void open_watch(struct watching *watching, size_t number)
{
	struct bench *bench = watching->bench;
	struct watcher *watcher = &watching->watchers[number];
	AUTO_FREE char *selector = xasprintf("&fieldSelector=spec.nodeName%%3Dnode-%03zu", number % NODES);
	AUTO_FREE char *url = xasprintf(
	        "%s" PATH "?watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&timeoutSeconds=600%s",
	        bench->url, watching->by_node ? selector : "");
	*watcher = (struct watcher){.watching = watching, .number = number};
	struct http_call_config config = {
	        .method = "GET",
	        .url = url,
	        .on_head = on_watch_head,
	        .on_data = on_watch_data,
	        .on_done = on_watch_done,
	        .context = watcher,
	};
	watcher->call = http_call_start(bench->clients[number % (MAX_CLIENTS - 1)], &config);
}

static void run_watches(struct bench *bench, size_t count, bool by_node, size_t updates, int64_t period_ns)
{
	size_t wanted = updates * (by_node ? count / NODES : count);
	AUTO_FREE int64_t *latencies = xcalloc(wanted, sizeof(*latencies));
	AUTO_FREE struct watcher *watchers = xcalloc(count, sizeof(*watchers));
	struct watching watching = {
	        .bench = bench,
	        .watchers = watchers,
	        .count = count,
	        .by_node = by_node,
	        .latencies = latencies,
	        .wanted_updates = updates,
	        .period_ns = period_ns,
	};
	open_clients(bench, false);
	for (size_t i = 0; i < count; i++) {
		open_watch(&watching, i);
		while (watching.open + OPENING_WATCHES < i)
			loop_turn(bench->loop, 100 * NSEC_PER_MSEC);
	}
	while (watching.open < count)
		loop_turn(bench->loop, 100 * NSEC_PER_MSEC);
	printf("open\n"); // whoever measures memory does it now, and says when to go on
	if (getchar() == EOF)
		die("standard input", 0, NULL);
	loop_timer_start(bench->loop, &watching.timer, 0, on_update_timer);
	while (watching.updates < updates || watching.updating || watching.expecting)
		loop_turn(bench->loop, 100 * NSEC_PER_MSEC);
	printf("%5zu watches%-21s %12.0f updates/s", count, by_node ? ", a node's each" : " of everything",
	       (double)NSEC_PER_SEC / (double)period_ns);
	print_latencies(latencies, watching.delivered);
	for (size_t i = 0; i < count; i++)
		http_call_cancel(watchers[i].call);
	close_clients(bench);
}

static void run_node_watches(struct bench *bench)
{
	run_watches(bench, 1000, true, 500, UPDATE_PERIOD_MS * NSEC_PER_MSEC);
}

static void run_many_node_watches(struct bench *bench)
{
	run_watches(bench, MAX_WATCHES, true, 500, UPDATE_PERIOD_MS * NSEC_PER_MSEC);
}

static void run_full_watches(struct bench *bench)
{
	run_watches(bench, 1000, false, 20, 10 * UPDATE_PERIOD_MS * NSEC_PER_MSEC);
}

static void run_many_full_watches(struct bench *bench)
{
	run_watches(bench, MAX_WATCHES, false, 5, 100 * UPDATE_PERIOD_MS * NSEC_PER_MSEC);
}

// --- the whole -------------------------------------------------------------------------------

static const struct {
	const char *name;
	void (*run)(struct bench *bench);
} parts[] = {
        {"creates", run_creates},
        {"updates", run_updates},
        {"http2-reads", run_http2_reads},
        {"http1-reads", run_http1_reads},
        {"node-watches", run_node_watches},
        {"many-node-watches", run_many_node_watches},
        {"full-watches", run_full_watches},
        {"many-full-watches", run_many_full_watches},
        {"fill", run_fill},
        {"node-lists", run_node_lists},
};

static void run_calls_by_name(struct bench *bench, const char *part)
{
	char method[8];
	size_t clients, calls;
	if (sscanf(part, "%7s %zu %zu", method, &clients, &calls) != 3 || clients > MAX_CLIENTS)
		die(part, 0, NULL);
	open_clients(bench, false);
	bench->to_etcd = !strcmp(method, "ETCD");
	run_calls(bench, part, bench->to_etcd ? "POST" : method, calls, clients);
	bench->to_etcd = false;
	close_clients(bench);
}

// The client's own loop is as busy as can be, and needn't say so.
static void drop_line(void *context, const char *line, size_t length)
{
	(void)context;
	(void)line;
	(void)length;
}

static void run_part(struct bench *bench, const char *part)
{
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (!strcmp(parts[i].name, part)) {
			parts[i].run(bench);
			return;
		}
	run_calls_by_name(bench, part);
}

int main(int argc, char **argv)
{
	static struct bench bench;
	struct err err = ERR_INIT;
	if (argc < 7) {
		fprintf(stderr, "usage: bench_apiserver URL CA CERTIFICATE KEY ETCD PART...\n");
		return 2;
	}
	const char *endpoints[] = {argv[5], NULL};
	struct etcd_config etcd = {.endpoints = endpoints};
	bench.url = argv[1];
	bench.client_config = (struct http_client_config){
	        .tls = {.ca_file = argv[2], .certificate_file = argv[3], .private_key_file = argv[4]},
	        .user_agent = "bench",
	};
	if (loop_new(&clock_system, &bench.loop, &err) || etcd_new(bench.loop, &etcd, &bench.etcd, &err))
		die("start", 0, &err);
	setvbuf(stdout, NULL, _IOLBF, 0);
	log_set_sink(drop_line, NULL);
	for (int i = 6; i < argc; i++)
		run_part(&bench, argv[i]);
	etcd_free(bench.etcd);
	loop_turn(bench.loop, 0);
	loop_free(bench.loop);
	return 0;
}
