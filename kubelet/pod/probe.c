// SPDX-License-Identifier: Apache-2.0
// One prober for each probe of a running container. A prober is a timer and at most
// one try (action.h) under way. Liveness and readiness wait for the startup probe.
//
//   idle ──period──▶ trying ──result──▶ count ──threshold──▶ the container's flags

#include "kubelet/pod/probe.h"

#include <string.h>

#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "kubelet/kubelet.h"
#include "kubelet/pod/action.h"

enum probe_type {
	PROBE_STARTUP,
	PROBE_LIVENESS,
	PROBE_READINESS,
	PROBE_TYPE_COUNT_,
};

static const char *const type_names[] = {
        [PROBE_STARTUP] = "Startup", [PROBE_LIVENESS] = "Liveness", [PROBE_READINESS] = "Readiness"};

struct prober {
	struct probe_set *set;
	enum probe_type type;
	bool exists;
	struct loop_timer period;
	struct action *action; // NULL: none under way
	int successes;
	int failures;
	int64_t results[2]; // failed, successful
};

struct probe_set {
	struct pod_container *container;
	struct prober probers[PROBE_TYPE_COUNT_];
};

static const struct core_v1_probe *probe_of(const struct prober *prober)
{
	const struct core_v1_container *spec = prober->set->container->spec;
	return prober->type == PROBE_STARTUP    ? spec->startup_probe
	       : prober->type == PROBE_LIVENESS ? spec->liveness_probe
	                                        : spec->readiness_probe;
}

static struct kubelet *kubelet_of(const struct prober *prober)
{
	return prober->set->container->pod->kubelet;
}

static int64_t or_default(int32_t value, int32_t fallback)
{
	return value > 0 ? value : fallback;
}

static void on_period(struct loop_timer *timer);

static void wait_for_next(struct prober *prober)
{
	int64_t seconds = or_default(probe_of(prober)->period_seconds, 10);
	loop_timer_start(kubelet_of(prober)->loop, &prober->period, seconds * NSEC_PER_SEC, on_period);
}

// --- results ------------------------------------------------------------------------------

// A probe's own grace goes before the pod's when its failure ends the container.
static void must_restart(struct prober *prober, const char *reason)
{
	struct pod_container *container = prober->set->container;
	const int64_t *grace = probe_of(prober)->termination_grace_period_seconds;
	container->restart_reason = reason;
	container->must_restart = true;
	container->restart_grace_ns = grace ? *grace * NSEC_PER_SEC : -1;
}

static int64_t initial_delay_ns(const struct prober *prober)
{
	const struct pod_container *container = prober->set->container;
	int64_t due_ns = container->run.started_at_ns + probe_of(prober)->initial_delay_seconds * NSEC_PER_SEC;
	int64_t delay_ns = due_ns - loop_realtime_ns(kubelet_of(prober)->loop);
	return delay_ns > 0 ? delay_ns : 0;
}

// Those that waited for the startup probe.
static void begin_others(struct probe_set *set)
{
	for (int type = PROBE_STARTUP + 1; type < PROBE_TYPE_COUNT_; type++)
		if (set->probers[type].exists)
			loop_timer_start(kubelet_of(&set->probers[type])->loop, &set->probers[type].period,
			                 initial_delay_ns(&set->probers[type]), on_period);
}

static void apply(struct prober *prober, bool healthy)
{
	struct pod_container *container = prober->set->container;
	switch (prober->type) {
	case PROBE_STARTUP:
		container->started |= healthy;
		if (healthy && !container->spec->readiness_probe)
			container->ready = true;
		if (healthy)
			begin_others(prober->set);
		if (!healthy)
			must_restart(prober, "failed startup probe");
		break;
	case PROBE_LIVENESS:
		if (!healthy)
			must_restart(prober, "failed liveness probe");
		break;
	default:
		container->ready = healthy;
	}
	pod_wake(container->pod);
}

static void on_result(void *context, bool healthy, const char *message)
{
	struct prober *prober = context;
	struct pod_container *container = prober->set->container;
	const struct core_v1_probe *probe = probe_of(prober);
	prober->action = NULL;
	prober->results[healthy]++;
	prober->successes = healthy ? prober->successes + 1 : 0;
	prober->failures = healthy ? 0 : prober->failures + 1;
	bool ended = prober->type == PROBE_STARTUP && container->started;
	if (!healthy)
		pod_event(container->pod, container, "Warning", "Unhealthy", "%s probe failed: %s",
		          type_names[prober->type], message);
	if (healthy && prober->successes >= or_default(probe->success_threshold, 1)) {
		apply(prober, true);
		ended |= prober->type == PROBE_STARTUP;
	} else if (!healthy && prober->failures >= or_default(probe->failure_threshold, 3)) {
		apply(prober, false);
		ended |= prober->type != PROBE_READINESS; // the container is on its way out
	}
	if (!ended)
		wait_for_next(prober);
}

// --- tries -----------------------------------------------------------------------------------

static void on_period(struct loop_timer *timer)
{
	struct prober *prober = container_of(timer, struct prober, period);
	const struct pod_container *container = prober->set->container;
	const struct core_v1_probe *probe = probe_of(prober);
	if (!probe || (container->stopping && prober->type != PROBE_READINESS))
		return;
	if (prober->action || (!container->started && prober->type != PROBE_STARTUP))
		return; // begin_others will call again
	if (!pod_address(container->pod))
		return;
	const struct action_config config = {
	        .container = prober->set->container,
	        .exec = probe->exec,
	        .http_get = probe->http_get,
	        .tcp_socket = probe->tcp_socket,
	        .grpc = probe->grpc,
	        .user_agent = "kube-probe/1.33",
	        .timeout_ns = or_default(probe->timeout_seconds, 1) * NSEC_PER_SEC,
	};
	prober->action = action_start(&config, on_result, prober);
}

// --- the set -----------------------------------------------------------------------------------

struct probe_set *probe_set_start(struct pod_container *container)
{
	const struct core_v1_probe *probes[PROBE_TYPE_COUNT_] = {
	        container->spec->startup_probe, container->spec->liveness_probe, container->spec->readiness_probe};
	if (!probes[PROBE_STARTUP] && !probes[PROBE_LIVENESS] && !probes[PROBE_READINESS])
		return NULL;
	struct probe_set *set = NEW(struct probe_set);
	set->container = container;
	for (int type = 0; type < PROBE_TYPE_COUNT_; type++) {
		struct prober *prober = &set->probers[type];
		*prober = (struct prober){.set = set, .type = (enum probe_type)type, .exists = probes[type] != NULL};
		if (prober->exists)
			loop_timer_start(container->pod->kubelet->loop, &prober->period,
			                 probes[type]->initial_delay_seconds * NSEC_PER_SEC +
			                         (int64_t)random_below(200) * NSEC_PER_MSEC,
			                 on_period);
	}
	return set;
}

void probe_set_write_metrics(const struct probe_set *set, struct strbuf *out)
{
	static const char *const results[] = {"failed", "successful"};
	for (int type = 0; set && type < PROBE_TYPE_COUNT_; type++) {
		const struct pod *pod = set->container->pod;
		for (int result = 0; set->probers[type].exists && result < 2; result++)
			strbuf_printf(out,
			              "prober_probe_total{container=\"%s\",namespace=\"%s\",pod=\"%s\",pod_uid=\"%s\","
			              "probe_type=\"%s\",result=\"%s\"} %lld\n",
			              set->container->name, pod->namespace_name, pod->name, pod->uid, type_names[type],
			              results[result], (long long)set->probers[type].results[result]);
	}
}

struct probe_set *probe_set_stop(struct probe_set *set)
{
	if (!set)
		return NULL;
	for (int type = 0; type < PROBE_TYPE_COUNT_; type++) {
		set->probers[type].action = action_cancel(set->probers[type].action);
		loop_timer_stop(&set->probers[type].period);
	}
	free(set);
	return NULL;
}
