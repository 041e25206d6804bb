// SPDX-License-Identifier: Apache-2.0
// logs: one stream for each container that is asked for. Without --follow they are
// read one after another; with it all at once, whole lines at a time, so that the
// lines of several containers never mix.

#include <inttypes.h>
#include <string.h>

#include "common/api/object.h"
#include "common/base/strbuf.h"
#include "common/io/loop.h"
#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/pod_target.h"
#include "ctl/selection.h"

enum { LINE_MAX_BYTES = 16 << 20 };

static struct {
	struct selection_options selection;
	const char *container, *since_time, *pod_running_timeout;
	bool all_containers, all_pods, follow, ignore_errors, insecure_backend, previous, prefix, timestamps;
	int64_t limit_bytes, max_log_requests, since_ns, tail;
} arg = {.max_log_requests = 5, .tail = -1};

static const struct option options[] = {
        {"all-containers", 0, OPTION_BOOL, &arg.all_containers, NULL, NULL, "All containers of the pods"},
        {"all-pods", 0, OPTION_BOOL, &arg.all_pods, NULL, NULL, "All pods of the workload"},
        {"container", 'c', OPTION_STRING, &arg.container, NULL, "", "Logs of this container"},
        {"follow", 'f', OPTION_BOOL, &arg.follow, NULL, NULL, "Go on with what comes"},
        {"ignore-errors", 0, OPTION_BOOL, &arg.ignore_errors, NULL, NULL, "Go on when one log can't be read"},
        {"insecure-skip-tls-verify-backend", 0, OPTION_BOOL, &arg.insecure_backend, NULL, NULL,
         "Don't check the kubelet's certificate"},
        {"limit-bytes", 0, OPTION_INT, &arg.limit_bytes, NULL, NULL, "At most so many bytes; 0 = all"},
        {"max-log-requests", 0, OPTION_INT, &arg.max_log_requests, NULL, NULL, "How many logs may be followed at once"},
        {"pod-running-timeout", 0, OPTION_STRING, &arg.pod_running_timeout, NULL, "", "Accepted for compatibility"},
        {"prefix", 0, OPTION_BOOL, &arg.prefix, NULL, NULL, "Put pod and container in front of each line"},
        {"previous", 'p', OPTION_BOOL, &arg.previous, NULL, NULL, "The container's run before this one"},
        SELECTOR_OPTION_ROW(arg.selection),
        {"since", 0, OPTION_DURATION, &arg.since_ns, NULL, NULL, "Only what is younger: 5s, 2m, 3h"},
        {"since-time", 0, OPTION_STRING, &arg.since_time, NULL, "", "Only what is younger than this time (RFC 3339)"},
        {"tail", 0, OPTION_INT, &arg.tail, NULL, NULL, "The last lines; -1 = all, 10 with a selector"},
        {"timestamps", 0, OPTION_BOOL, &arg.timestamps, NULL, NULL, "Put the time in front of each line"},
        {0},
};

struct log_stream {
	struct ctl *ctl;
	const struct json *pod;
	const char *container;
	struct strbuf line; // unfinished, when lines have a prefix or may mix
	bool whole_lines;
	bool done;
	struct rest_response response;
};

struct log_set {
	struct log_stream *streams;
	size_t count;
};

// --- streams ----------------------------------------------------------------------------------------------

static const char *log_query(struct ctl *ctl, const char *container)
{
	const char *query = query_add(ctl, NULL, "container", container);
	const struct {
		const char *name;
		bool given;
		int64_t number;
	} numbers[] = {
	        {"limitBytes", arg.limit_bytes > 0, arg.limit_bytes},
	        {"sinceSeconds", arg.since_ns > 0, (arg.since_ns + NSEC_PER_SEC - 1) / NSEC_PER_SEC},
	        {"tailLines", arg.tail >= 0, arg.tail},
	};
	const struct {
		const char *name;
		bool given;
	} switches[] = {
	        {"follow", arg.follow},
	        {"previous", arg.previous},
	        {"timestamps", arg.timestamps},
	        {"insecureSkipTLSVerifyBackend", arg.insecure_backend},
	};
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		query = query_add(ctl, query, switches[i].name, switches[i].given ? "true" : NULL);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		query = query_add(ctl, query, numbers[i].name,
		                  numbers[i].given ? ctl_printf(ctl, "%" PRId64, numbers[i].number) : NULL);
	return query_add(ctl, query, "sinceTime", arg.since_time);
}

static void write_line(struct log_stream *stream, const char *text, size_t length)
{
	if (arg.prefix)
		fprintf(stream->ctl->out, "[pod/%s/%s] ", object_name(stream->pod), stream->container);
	fwrite(text, 1, length, stream->ctl->out);
}

static void on_data(void *context, const char *data, size_t length)
{
	struct log_stream *stream = context;
	if (!stream->whole_lines) {
		fwrite(data, 1, length, stream->ctl->out);
		fflush(stream->ctl->out);
		return;
	}
	strbuf_append(&stream->line, data, length);
	for (char *newline; stream->line.length && (newline = memchr(stream->line.data, '\n', stream->line.length));) {
		size_t line_length = (size_t)(newline - stream->line.data) + 1;
		write_line(stream, stream->line.data, line_length);
		strbuf_consume(&stream->line, line_length);
	}
	fflush(stream->ctl->out);
}

static void on_done(void *context, const struct rest_response *response)
{
	struct log_stream *stream = context;
	if (stream->line.length) {
		write_line(stream, stream->line.data, stream->line.length);
		fputc('\n', stream->ctl->out);
	}
	strbuf_done(&stream->line);
	fflush(stream->ctl->out);
	stream->response = *response;
	stream->response.object = response->object ? json_clone(stream->ctl->arena, response->object) : NULL;
	stream->done = true;
}

static void start(struct ctl *ctl, struct log_stream *stream)
{
	const struct rest_request request = {
	        .method = "GET",
	        .resource = schema_find_resource("", "v1", "pods"),
	        .namespace_name = object_namespace(stream->pod),
	        .name = object_name(stream->pod),
	        .subresource = "log",
	        .query = log_query(ctl, stream->container),
	        .accept = "*/*",
	};
	rest_stream(ctl->client, &request, on_data, on_done, stream);
}

static int finish(struct ctl *ctl, struct log_stream *stream)
{
	while (!stream->done)
		loop_turn(ctl->loop, -1);
	if (stream->response.err.code == ERR_NONE)
		return EXIT_OK;
	if (!arg.ignore_errors)
		return report_response(ctl, &stream->response, NULL);
	fprintf(ctl->err, "error: %s\n", stream->response.err.message);
	return EXIT_OK;
}

static int read_all(struct ctl *ctl, struct log_set *set)
{
	bool at_once = arg.follow && set->count > 1;
	if (at_once && (int64_t)set->count > arg.max_log_requests)
		return report(
		        ctl,
		        "you are attempting to follow %zu log streams, but maximum allowed concurrency is %" PRId64
		        ", use --max-log-requests to increase the limit",
		        set->count, arg.max_log_requests);
	for (size_t i = 0; i < set->count; i++) {
		set->streams[i].whole_lines = arg.prefix || at_once;
		start(ctl, &set->streams[i]);
		if (!at_once && finish(ctl, &set->streams[i]) != EXIT_OK)
			return EXIT_PROBLEM;
	}
	for (size_t i = 0; at_once && i < set->count; i++)
		finish(ctl, &set->streams[i]);
	return EXIT_OK;
}

// --- which logs ---------------------------------------------------------------------------------------------

static void add_stream(struct ctl *ctl, struct log_set *set, const struct json *pod, const char *container)
{
	set->streams = arena_realloc(ctl->arena, set->streams, set->count * sizeof(*set->streams),
	                             (set->count + 1) * sizeof(*set->streams));
	set->streams[set->count++] = (struct log_stream){
	        .ctl = ctl,
	        .pod = pod,
	        .container = container,
	        .line = STRBUF_INIT(LINE_MAX_BYTES),
	};
}

static bool add_pod(struct ctl *ctl, struct log_set *set, const struct json *pod)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
	struct err err = ERR_INIT;
	if (arg.all_containers) {
		for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
			json_for_each_item (container, json_path(pod, "spec", lists[i]))
				add_stream(ctl, set, pod, json_get_text(container, "name"));
		return true;
	}
	const char *container = pod_container(ctl, pod, arg.container, false, &err);
	if (!container && arg.container)
		report(ctl, "container %s is not valid for pod %s out of: %s", arg.container, object_name(pod),
		       pod_container_names(ctl, pod));
	else if (!container)
		report_err(ctl, &err);
	else
		add_stream(ctl, set, pod, container);
	return container != NULL;
}

static bool add_selected(struct ctl *ctl, struct log_set *set)
{
	struct target_list targets = {0};
	char *pods[] = {(char *)"pods", NULL};
	if (!selection_fetch(ctl, &arg.selection, 1, pods, &targets))
		return false;
	if (!targets.count && !ctl->failed)
		fprintf(ctl->err, "No resources found in %s namespace.\n", ctl_namespace(ctl));
	for (size_t i = 0; i < targets.count; i++)
		if (!add_pod(ctl, set, targets.items[i].object))
			return false;
	return true;
}

static bool add_pods_of_workload(struct ctl *ctl, struct log_set *set, const char *word)
{
	struct target target;
	struct json **pods;
	size_t count;
	if (!pod_word_fetch(ctl, word, &target))
		return false;
	if (strcmp(target.resource->kind, "Pod") == 0)
		return add_pod(ctl, set, target.object);
	if (!pods_of(ctl, &target, &pods, &count))
		return false;
	arg.prefix = true;
	for (size_t i = 0; i < count; i++)
		if (!add_pod(ctl, set, pods[i]))
			return false;
	return true;
}

static bool add_word(struct ctl *ctl, struct log_set *set, const char *word)
{
	if (arg.all_pods)
		return add_pods_of_workload(ctl, set, word);
	struct json *pod = pod_find(ctl, word, true);
	return pod && add_pod(ctl, set, pod);
}

static int check(struct ctl *ctl, int argc)
{
	if (argc == 0 && !arg.selection.selector)
		return report_usage(ctl, "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or "
		                         "TYPE/NAME is a required argument for the logs command");
	if (argc > 0 && arg.selection.selector)
		return report_usage(ctl, "only a selector (-l) or a POD name is allowed");
	if (argc > 2)
		return report_usage(ctl, "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or "
		                         "TYPE/NAME is a required argument for the logs command");
	if (arg.since_ns && arg.since_time)
		return report(ctl, "at most one of `sinceTime` or `sinceSeconds` may be specified");
	if (arg.all_containers && arg.container)
		return report(ctl, "--all-containers=true should not be specified with container name %s",
		              arg.container);
	if (arg.tail < -1)
		return report(ctl, "--tail must be greater than or equal to -1");
	return EXIT_OK;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct log_set set = {0};
	if (check(ctl, argc) != EXIT_OK)
		return EXIT_PROBLEM;
	if (argc == 2 && arg.container)
		return report_usage(ctl, "only one of -c or an inline [CONTAINER] arg is allowed");
	if (argc == 2)
		arg.container = argv[1];
	if (arg.selection.selector && !ctl_flag_given(ctl, "tail"))
		arg.tail = 10;
	if (!(arg.selection.selector ? add_selected(ctl, &set) : add_word(ctl, &set, argv[0])))
		return EXIT_PROBLEM;
	return read_all(ctl, &set);
}

static const char *const aliases[] = {"log", NULL};

const struct command command_logs = {
        .name = "logs",
        .aliases = aliases,
        .group = COMMAND_TROUBLESHOOTING,
        .summary = "Print the logs for a container in a pod",
        .usage = "[-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]",
        .examples = "  ctl logs web-0\n  ctl logs -f deployment/web --tail=20\n  ctl logs -l app=web --all-containers "
                    "--prefix",
        .options = options,
        .run = run,
};
