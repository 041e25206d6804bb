// SPDX-License-Identifier: Apache-2.0
// What pods and their containers use: /stats/summary (upstream's Summary), and for
// Prometheus /metrics/resource, /metrics/cadvisor and /metrics/probes. Everything is
// read from the control groups while the request is answered, some files a container.
//
// usageNanoCores is a rate: between this request's reading of a group and the last one
// at least RATE_NS before, which the server keeps (server->samples, by path; what has
// not been asked for in a while is forgotten).

#include <string.h>
#include <sys/statvfs.h>

#include "common/api/object.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"
#include "kubelet/cgroup_stats.h"
#include "kubelet/node/node_facts.h"
#include "kubelet/pod/pod_manager.h"
#include "kubelet/pod/pod_resources.h"
#include "kubelet/pod/probe.h"
#include "kubelet/server/server_internal.h"

#define RATE_NS NSEC_PER_SEC

enum { MAX_ANSWER_BYTES = 64 << 20, MAX_SAMPLES = 8192 };

struct sample { // two readings of a group's processor time
	int64_t at_ns, usage_ns;
	int64_t former_at_ns, former_usage_ns;
};

static int64_t rate(struct kubelet_server *server, const char *path, int64_t usage_ns)
{
	int64_t now_ns = loop_now_ns(server->kubelet->loop);
	if (!server->samples)
		server->samples = hashmap_new(free);
	struct sample *sample = hashmap_get(server->samples, path);
	if (!sample) {
		if (hashmap_count(server->samples) >= MAX_SAMPLES)
			hashmap_clear(server->samples);
		sample = NEW(struct sample);
		*sample = (struct sample){.at_ns = now_ns, .usage_ns = usage_ns};
		hashmap_put(server->samples, path, sample);
		return -1;
	}
	if (now_ns - sample->at_ns >= RATE_NS) {
		sample->former_at_ns = sample->at_ns;
		sample->former_usage_ns = sample->usage_ns;
		sample->at_ns = now_ns;
		sample->usage_ns = usage_ns;
	}
	if (!sample->former_at_ns)
		return -1;
	return (sample->usage_ns - sample->former_usage_ns) * NSEC_PER_SEC / (sample->at_ns - sample->former_at_ns);
}

static const char *group_of(struct arena *arena, const struct pod *pod)
{
	return pod_cgroup_path(arena, pod->kubelet->config->cgroup_root, pod_qos_class(pod->view), pod->uid);
}

static bool is_shown(const struct pod *pod)
{
	return !pod->gone && !pod->finished && pod->sandbox.state == PART_READY;
}

static bool runs(const struct pod_container *container)
{
	return container->state == CONTAINER_RUNNING;
}

// --- /stats/summary ------------------------------------------------------------------

struct summary {
	struct server_request *request;
	struct arena *arena;
	const char *time;
	bool brief; // only_cpu_and_memory
};

static void set_time(struct arena *arena, struct json *object, const char *key, int64_t time_ns)
{
	char text[API_TIME_BYTES];
	api_time_format(time_ns, text);
	json_set_text(arena, object, key, text);
}

static void set_usage(struct summary *summary, struct json *object, const char *path, int64_t memory_limit)
{
	struct arena *arena = summary->arena;
	struct cgroup_stats stats = cgroup_stats_read(path);
	if (!stats.known)
		return;
	struct json *cpu = json_ensure_object(arena, object, "cpu");
	int64_t cores = rate(summary->request->server, path, stats.cpu_usage_ns);
	json_set_text(arena, cpu, "time", summary->time);
	if (cores >= 0)
		json_set_integer(arena, cpu, "usageNanoCores", cores);
	json_set_integer(arena, cpu, "usageCoreNanoSeconds", stats.cpu_usage_ns);
	struct json *memory = json_ensure_object(arena, object, "memory");
	json_set_text(arena, memory, "time", summary->time);
	if (memory_limit)
		json_set_integer(arena, memory, "availableBytes",
		                 memory_limit > stats.memory_working_set_bytes
		                         ? memory_limit - stats.memory_working_set_bytes
		                         : 0);
	json_set_integer(arena, memory, "usageBytes", stats.memory_usage_bytes);
	json_set_integer(arena, memory, "workingSetBytes", stats.memory_working_set_bytes);
	json_set_integer(arena, memory, "rssBytes", stats.memory_rss_bytes);
	json_set_integer(arena, memory, "pageFaults", stats.page_faults);
	json_set_integer(arena, memory, "majorPageFaults", stats.major_page_faults);
}

static void set_file_system(struct summary *summary, struct json *object, const char *path)
{
	struct arena *arena = summary->arena;
	struct statvfs status;
	if (statvfs(path, &status) < 0)
		return;
	int64_t unit = (int64_t)status.f_frsize;
	json_set_text(arena, object, "time", summary->time);
	json_set_integer(arena, object, "availableBytes", (int64_t)status.f_bavail * unit);
	json_set_integer(arena, object, "capacityBytes", (int64_t)status.f_blocks * unit);
	json_set_integer(arena, object, "usedBytes", (int64_t)(status.f_blocks - status.f_bfree) * unit);
	json_set_integer(arena, object, "inodesFree", (int64_t)status.f_ffree);
	json_set_integer(arena, object, "inodes", (int64_t)status.f_files);
	json_set_integer(arena, object, "inodesUsed", (int64_t)(status.f_files - status.f_ffree));
}

static struct json *container_stats(struct summary *summary, const struct pod_container *container)
{
	struct arena *arena = summary->arena;
	struct json *stats = json_object(arena);
	json_set_text(arena, stats, "name", container->name);
	set_time(arena, stats, "startTime", container->run.started_at_ns);
	set_usage(summary, stats, arena_printf(arena, "%s/%s", group_of(arena, container->pod), container->run.id),
	          container_cgroup_limits(container->spec).memory_limit_bytes);
	return stats;
}

static struct json *pod_stats(struct summary *summary, const struct pod *pod)
{
	struct arena *arena = summary->arena;
	struct json *stats = json_object(arena);
	struct json *reference = json_ensure_object(arena, stats, "podRef");
	json_set_text(arena, reference, "name", pod->name);
	json_set_text(arena, reference, "namespace", pod->namespace_name);
	json_set_text(arena, reference, "uid", pod->uid);
	set_time(arena, stats, "startTime", pod->started_at_ns);
	struct json *containers = json_ensure_array(arena, stats, "containers");
	for (size_t index = 0; index < pod->container_count; index++)
		if (runs(pod->containers[index]))
			json_append(arena, containers, container_stats(summary, pod->containers[index]));
	const char *group = group_of(arena, pod);
	set_usage(summary, stats, group, pod->limits.memory_limit_bytes);
	if (!summary->brief)
		json_set_integer(arena, json_ensure_object(arena, stats, "process_stats"), "process_count",
		                 cgroup_stats_read(group).processes);
	return stats;
}

static void set_node(struct summary *summary, struct json *answer)
{
	struct arena *arena = summary->arena;
	const struct kubelet *kubelet = summary->request->kubelet;
	struct node_facts facts = node_facts_read(arena, kubelet->config->root_directory);
	struct json *node = json_ensure_object(arena, answer, "node");
	json_set_text(arena, node, "nodeName", kubelet->node_name);
	set_usage(summary, node, "/", 0);
	json_set_integer(arena, json_ensure_object(arena, node, "memory"), "availableBytes",
	                 facts.memory_available_bytes);
	if (summary->brief)
		return;
	set_file_system(summary, json_ensure_object(arena, node, "fs"), kubelet->config->root_directory);
	struct json *runtime = json_ensure_object(arena, node, "runtime");
	set_file_system(summary, json_ensure_object(arena, runtime, "imageFs"), "/var/lib/containerd");
	struct json *limits = json_ensure_object(arena, node, "rlimit");
	json_set_text(arena, limits, "time", summary->time);
	json_set_integer(arena, limits, "maxpid", facts.max_pids);
	json_set_integer(arena, limits, "curproc", facts.processes);
}

void server_handle_summary(struct server_request *request)
{
	char now[API_TIME_BYTES];
	struct summary summary = {.request = request,
	                          .arena = request->arena,
	                          .time = now,
	                          .brief = query_bool(&request->query, "only_cpu_and_memory")};
	api_time_format(loop_realtime_ns(request->kubelet->loop), now);
	struct json *answer = json_object(request->arena);
	set_node(&summary, answer);
	struct json *pods = json_ensure_array(request->arena, answer, "pods");
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	for (struct pod *pod; (pod = pod_manager_next(request->kubelet->pods, &cursor));)
		if (is_shown(pod))
			json_append(request->arena, pods, pod_stats(&summary, pod));
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_ANSWER_BYTES);
	json_write(&text, answer);
	server_respond_text(request->exchange, 200, "application/json", strbuf_text(&text), text.length);
}

// --- metrics -------------------------------------------------------------------------

struct scrape {
	struct server_request *request;
	struct strbuf *out;
	int64_t now_ms;
};

struct gauge {
	const char *name;
	const char *type;
	const char *help;
	double (*value)(const struct cgroup_stats *stats);
};

static double cpu_seconds(const struct cgroup_stats *stats)
{
	return (double)stats->cpu_usage_ns / NSEC_PER_SEC;
}

static double working_set(const struct cgroup_stats *stats)
{
	return (double)stats->memory_working_set_bytes;
}

static double memory_usage(const struct cgroup_stats *stats)
{
	return (double)stats->memory_usage_bytes;
}

static double memory_rss(const struct cgroup_stats *stats)
{
	return (double)stats->memory_rss_bytes;
}

static void write_family(struct scrape *scrape, const char *name, const char *type, const char *help)
{
	strbuf_printf(scrape->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_value(struct scrape *scrape, const char *name, const char *labels, double value)
{
	strbuf_printf(scrape->out, "%s%s%s%s %.15g %lld\n", name, *labels ? "{" : "", labels, *labels ? "}" : "", value,
	              (long long)scrape->now_ms);
}

static const char *container_labels(struct arena *arena, const struct pod_container *container, bool whole)
{
	const struct pod *pod = container->pod;
	if (!whole)
		return arena_printf(arena, "container=\"%s\",namespace=\"%s\",pod=\"%s\"", container->name,
		                    pod->namespace_name, pod->name);
	return arena_printf(arena, "container=\"%s\",id=\"%s/%s\",image=\"%s\",name=\"%s\",namespace=\"%s\",pod=\"%s\"",
	                    container->name, group_of(arena, pod), container->run.id,
	                    container->run.image ? container->run.image : "", container->run.id, pod->namespace_name,
	                    pod->name);
}

static void write_containers(struct scrape *scrape, const struct gauge *gauge, bool whole)
{
	struct arena *arena = scrape->request->arena;
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	write_family(scrape, gauge->name, gauge->type, gauge->help);
	for (struct pod *pod; (pod = pod_manager_next(scrape->request->kubelet->pods, &cursor));) {
		for (size_t index = 0; is_shown(pod) && index < pod->container_count; index++) {
			const struct pod_container *container = pod->containers[index];
			if (!runs(container))
				continue;
			struct cgroup_stats stats = cgroup_stats_read(
			        arena_printf(arena, "%s/%s", group_of(arena, pod), container->run.id));
			if (stats.known)
				write_value(scrape, gauge->name, container_labels(arena, container, whole),
				            gauge->value(&stats));
		}
	}
}

static void write_pods(struct scrape *scrape, const struct gauge *gauge)
{
	struct arena *arena = scrape->request->arena;
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	write_family(scrape, gauge->name, gauge->type, gauge->help);
	for (struct pod *pod; (pod = pod_manager_next(scrape->request->kubelet->pods, &cursor));) {
		struct cgroup_stats stats =
		        is_shown(pod) ? cgroup_stats_read(group_of(arena, pod)) : (struct cgroup_stats){0};
		if (stats.known)
			write_value(scrape, gauge->name,
			            arena_printf(arena, "namespace=\"%s\",pod=\"%s\"", pod->namespace_name, pod->name),
			            gauge->value(&stats));
	}
}

static void write_starts(struct scrape *scrape, const char *name, const char *help, bool whole)
{
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	write_family(scrape, name, "gauge", help);
	for (struct pod *pod; (pod = pod_manager_next(scrape->request->kubelet->pods, &cursor));)
		for (size_t index = 0; is_shown(pod) && index < pod->container_count; index++)
			if (runs(pod->containers[index]))
				write_value(scrape, name,
				            container_labels(scrape->request->arena, pod->containers[index], whole),
				            (double)pod->containers[index]->run.started_at_ns / NSEC_PER_SEC);
}

static void respond(struct scrape *scrape)
{
	server_respond_text(scrape->request->exchange, 200, "text/plain; version=0.0.4; charset=utf-8",
	                    strbuf_text(scrape->out), scrape->out->length);
}

void server_handle_resource_metrics(struct server_request *request)
{
	static const struct gauge of_containers[] = {
	        {"container_cpu_usage_seconds_total", "counter",
	         "[STABLE] Cumulative cpu time consumed by the container in core-seconds", cpu_seconds},
	        {"container_memory_working_set_bytes", "gauge",
	         "[STABLE] Current working set of the container in bytes", working_set},
	};
	static const struct gauge of_node[] = {
	        {"node_cpu_usage_seconds_total", "counter",
	         "[STABLE] Cumulative cpu time consumed by the node in core-seconds", cpu_seconds},
	        {"node_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the node in bytes",
	         working_set},
	};
	static const struct gauge of_pods[] = {
	        {"pod_cpu_usage_seconds_total", "counter",
	         "[STABLE] Cumulative cpu time consumed by the pod in core-seconds", cpu_seconds},
	        {"pod_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the pod in bytes",
	         working_set},
	};
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_ANSWER_BYTES);
	struct scrape scrape = {request, &text, loop_realtime_ns(request->kubelet->loop) / NSEC_PER_MSEC};
	struct cgroup_stats node = cgroup_stats_read("/");
	for (size_t index = 0; index < ARRAY_SIZE(of_containers); index++)
		write_containers(&scrape, &of_containers[index], false);
	write_starts(&scrape, "container_start_time_seconds",
	             "[STABLE] Start time of the container since unix epoch in seconds", false);
	for (size_t index = 0; index < ARRAY_SIZE(of_node); index++) {
		write_family(&scrape, of_node[index].name, of_node[index].type, of_node[index].help);
		write_value(&scrape, of_node[index].name, "", of_node[index].value(&node));
	}
	for (size_t index = 0; index < ARRAY_SIZE(of_pods); index++)
		write_pods(&scrape, &of_pods[index]);
	write_family(&scrape, "resource_scrape_error", "gauge",
	             "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise");
	strbuf_append_text(&text, "resource_scrape_error 0\n");
	respond(&scrape);
}

void server_handle_cadvisor_metrics(struct server_request *request)
{
	static const struct gauge of_containers[] = {
	        {"container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.",
	         cpu_seconds},
	        {"container_memory_rss", "gauge", "Size of RSS in bytes.", memory_rss},
	        {"container_memory_usage_bytes", "gauge",
	         "Current memory usage in bytes, including all memory regardless of when it was accessed",
	         memory_usage},
	        {"container_memory_working_set_bytes", "gauge", "Current working set in bytes.", working_set},
	};
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_ANSWER_BYTES);
	struct scrape scrape = {request, &text, loop_realtime_ns(request->kubelet->loop) / NSEC_PER_MSEC};
	struct node_facts facts = node_facts_read(request->arena, request->kubelet->config->root_directory);
	for (size_t index = 0; index < ARRAY_SIZE(of_containers); index++)
		write_containers(&scrape, &of_containers[index], true);
	write_starts(&scrape, "container_start_time_seconds",
	             "Start time of the container since unix epoch in seconds.", true);
	write_family(&scrape, "machine_cpu_cores", "gauge", "Number of logical CPU cores.");
	strbuf_printf(&text, "machine_cpu_cores %lld\n", (long long)facts.cpus);
	write_family(&scrape, "machine_memory_bytes", "gauge", "Amount of memory installed on the machine.");
	strbuf_printf(&text, "machine_memory_bytes %lld\n", (long long)facts.memory_bytes);
	respond(&scrape);
}

void server_handle_probe_metrics(struct server_request *request)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_ANSWER_BYTES);
	struct scrape scrape = {request, &text, 0};
	struct hashmap_cursor cursor = HASHMAP_CURSOR_INIT;
	write_family(&scrape, "prober_probe_total", "counter",
	             "[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result.");
	for (struct pod *pod; (pod = pod_manager_next(request->kubelet->pods, &cursor));)
		for (size_t index = 0; index < pod->container_count; index++)
			probe_set_write_metrics(pod->containers[index]->probes, &text);
	respond(&scrape);
}
