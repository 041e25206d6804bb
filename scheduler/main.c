// SPDX-License-Identifier: Apache-2.0
// kube-scheduler: flags and the order of starting. It watches from the start, so
// that its cache is warm when it becomes the leader, and schedules while it is.

#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/client/daemon.h"
#include "scheduler/config.h"
#include "scheduler/scheduler.h"

static struct daemon_options arg_daemon = DAEMON_SECURE_OPTIONS_INIT(10259);
static struct leader_options arg_leader = LEADER_OPTIONS_INIT("kube-scheduler");
static const char *arg_config = "";

static const struct option options[] = {
        {"config", 0, OPTION_STRING, &arg_config, "Misc", "path", "KubeSchedulerConfiguration file"},
        {"feature-gates", 0, OPTION_IGNORED, NULL, "Misc", "gates", "accepted for compatibility"},
        LEADER_OPTION_ROWS(arg_leader),
        DAEMON_SECURE_OPTION_ROWS(arg_daemon),
        DAEMON_OPTION_ROWS(arg_daemon),
        {0},
};

static struct scheduler_config config;
static struct arena *config_arena;
static struct scheduler *scheduler;
static struct daemon_leadership *leadership;
static atomic_bool is_synced;

static bool check_synced(void *context)
{
	(void)context;
	return atomic_load(&is_synced);
}

static const struct health_check checks[] = {
        {"informer-sync", HEALTH_READYZ, check_synced, NULL},
        {0},
};

// A flag that was given wins over the file.
static void merge_leader_flags(void)
{
	struct leader_options *to = &config.leader;
	if (option_was_set(options, "leader-elect"))
		to->enabled = arg_leader.enabled;
	if (option_was_set(options, "leader-elect-lease-duration"))
		to->lease_duration_ns = arg_leader.lease_duration_ns;
	if (option_was_set(options, "leader-elect-renew-deadline"))
		to->renew_deadline_ns = arg_leader.renew_deadline_ns;
	if (option_was_set(options, "leader-elect-retry-period"))
		to->retry_period_ns = arg_leader.retry_period_ns;
	if (option_was_set(options, "leader-elect-resource-lock"))
		to->resource_lock = arg_leader.resource_lock;
	if (option_was_set(options, "leader-elect-resource-name"))
		to->resource_name = arg_leader.resource_name;
	if (option_was_set(options, "leader-elect-resource-namespace"))
		to->resource_namespace = arg_leader.resource_namespace;
}

static int configure(struct daemon *daemon, struct err *err)
{
	(void)daemon;
	config_arena = arena_new(0);
	scheduler_config_init(&config, &arg_leader);
	if (arg_config[0] == '\0')
		return 0;
	if (scheduler_config_load(config_arena, arg_config, &config, err) < 0)
		return err_wrap(err, "--config");
	merge_leader_flags();
	if (config.kubeconfig && !option_was_set(options, "kubeconfig"))
		arg_daemon.kubeconfig = config.kubeconfig;
	return 0;
}

static void on_synced(void *context)
{
	(void)context;
	atomic_store(&is_synced, true);
}

static void on_leading(struct daemon *daemon)
{
	(void)daemon;
	scheduler_run(scheduler);
}

static int start(struct daemon *daemon, struct err *err)
{
	scheduler = scheduler_new(daemon->client, daemon->metrics, &config, on_synced, daemon);
	if (daemon_start_leading(daemon, &config.leader, on_leading, &leadership, err) < 0)
		return -err->code;
	daemon_ready(daemon);
	return 0;
}

static void stop(struct daemon *daemon)
{
	(void)daemon;
	scheduler = scheduler_free(scheduler);
	leadership = daemon_stop_leading(leadership);
}

static const struct daemon_program program = {
        .name = "kube-scheduler",
        .summary =
                "The Kubernetes scheduler finds a node for each pod that has none, by what the pod needs and what the\n"
                "nodes have, and binds it there.",
        .options = options,
        .values = &arg_daemon,
        .configure = configure,
        .checks = checks,
        .start = start,
        .stop = stop,
};

int main(int argc, char **argv)
{
	int exit_code = daemon_main(&program, argc, argv);
	config_arena = arena_free(config_arena);
	return exit_code;
}
