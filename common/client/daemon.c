// SPDX-License-Identifier: Apache-2.0
// The frame of a daemon.
//
// Order of life: flags → log → loop → signals → client → metrics → health port →
// start → run → stop, and back in the reverse order. Nothing here waits for the
// API server: a daemon whose server is not there starts, says so, and carries on
// when it comes.
//
// Health: /livez is "ping" and "loop" (the loop has turned within half a minute);
// /readyz adds "started", which daemon_ready turns on. Checks run on the health
// server's thread and therefore read atomics only.

#include "common/client/daemon.h"

#include <ctype.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/api/schema.h"
#include "common/base/architecture.h"
#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/client/leader_election.h"
#include "common/client/rest.h"
#include "common/client/secure_port.h"
#include "common/io/loop.h"
#include "common/io/notify.h"

enum {
	BEAT_PERIOD_SECONDS = 5,
	BEAT_MISSED_SECONDS = 30,
};

struct daemon_frame {
	struct daemon daemon; // first
	struct arena *arena;
	struct loop_signal terminate_signal;
	struct loop_signal interrupt_signal;
	struct loop_timer beat;
	bool terminating;
	bool announced;
	struct health_check *checks;
	_Atomic int64_t last_beat_ns;
	atomic_bool ready;
};

static struct daemon_frame *frame_of(struct daemon *daemon)
{
	return container_of(daemon, struct daemon_frame, daemon);
}

// --- health -------------------------------------------------------------------

static bool check_ping(void *context)
{
	(void)context;
	return true;
}

static bool check_loop(void *context)
{
	struct daemon_frame *frame = context;
	int64_t age_ns = clock_monotonic_ns(&clock_system) - atomic_load(&frame->last_beat_ns);
	return age_ns < BEAT_MISSED_SECONDS * NSEC_PER_SEC;
}

static bool check_ready(void *context)
{
	struct daemon_frame *frame = context;
	return atomic_load(&frame->ready);
}

static void on_beat(struct loop_timer *timer)
{
	struct daemon_frame *frame = container_of(timer, struct daemon_frame, beat);
	atomic_store(&frame->last_beat_ns, clock_monotonic_ns(&clock_system));
	notify_manager("WATCHDOG=1");
	loop_timer_start(frame->daemon.loop, timer, BEAT_PERIOD_SECONDS * NSEC_PER_SEC, on_beat);
}

static void collect_checks(struct daemon_frame *frame)
{
	const struct health_check own[] = {
	        {"ping", HEALTH_HEALTHZ | HEALTH_LIVEZ | HEALTH_READYZ, check_ping, frame},
	        {"loop", HEALTH_HEALTHZ | HEALTH_LIVEZ | HEALTH_READYZ, check_loop, frame},
	        {"started", HEALTH_READYZ, check_ready, frame},
	};
	const struct health_check *more = frame->daemon.program->checks;
	size_t more_count = 0;
	while (more && more[more_count].name)
		more_count++;
	frame->checks = xcalloc(ARRAY_SIZE(own) + more_count + 1, sizeof(own[0]));
	memcpy(frame->checks, own, sizeof(own));
	if (more_count)
		memcpy(frame->checks + ARRAY_SIZE(own), more, more_count * sizeof(own[0]));
}

static int start_secure_health(struct daemon_frame *frame, struct err *err)
{
	const struct daemon_options *values = frame->daemon.program->values;
	const struct secure_port_config config = {
	        .name = frame->daemon.program->name,
	        .bind_address = values->health_address,
	        .port = (int)values->health_port,
	        .certificate_file = values->certificate_file,
	        .private_key_file = values->private_key_file,
	        .client_ca_file = values->client_ca_file,
	        .minimum_version = values->tls_minimum_version,
	        .cipher_suites = values->cipher_suites.count ? values->cipher_suites.items : NULL,
	        .public_paths = values->public_paths.count ? values->public_paths.items : NULL,
	        .checks = frame->checks,
	        .metrics = frame->daemon.metrics,
	        .client = frame->daemon.client,
	};
	return secure_port_new(frame->daemon.loop, &config, &frame->daemon.secure_health, err);
}

static int start_health(struct daemon_frame *frame, struct err *err)
{
	const struct daemon_options *values = frame->daemon.program->values;
	if (values->health_port == 0)
		return 0;
	if (values->health_port < 0 || values->health_port > 65535)
		return err_set(
		        err, ERR_INVALID,
		        "%lld is not a valid port for health and metrics: must be between 0 and 65535, inclusive",
		        (long long)values->health_port);
	collect_checks(frame);
	if (values->secure)
		return start_secure_health(frame, err);
	struct plain_server_config config = {
	        .bind_address = values->health_address,
	        .port = (int)values->health_port,
	        .checks = frame->checks,
	        .metrics = frame->daemon.metrics,
	};
	return plain_server_new(&config, &frame->daemon.health, err);
}

// --- signals --------------------------------------------------------------------

static void terminate(struct daemon_frame *frame, int signal_number)
{
	const struct daemon_program *program = frame->daemon.program;
	log_info("Stopping", kv_str("signal", strsignal(signal_number)));
	notify_manager("STOPPING=1");
	if (!program->terminate || frame->terminating) {
		loop_quit(frame->daemon.loop, 0);
		return;
	}
	frame->terminating = true;
	program->terminate(&frame->daemon);
}

static void on_terminate_signal(struct loop_signal *source)
{
	terminate(container_of(source, struct daemon_frame, terminate_signal), source->signal_number);
}

static void on_interrupt_signal(struct loop_signal *source)
{
	terminate(container_of(source, struct daemon_frame, interrupt_signal), source->signal_number);
}

// --- parts ------------------------------------------------------------------------

static int load_client_config(struct daemon_frame *frame, struct err *err)
{
	struct daemon *daemon = &frame->daemon;
	const struct daemon_options *values = daemon->program->values;
	if (values->kubeconfig[0] == '\0' && values->master[0] == '\0') {
		struct err in_cluster = ERR_INIT;
		if (kubeconfig_load_in_cluster(frame->arena, &daemon->client_config, &in_cluster) == 0)
			return 0;
		if (daemon->program->kubeconfig_optional)
			return 0;
		return err_set(err, ERR_INVALID, "--kubeconfig is required (%s)", in_cluster.message);
	}
	const struct kubeconfig_overrides overrides = {
	        .path = values->kubeconfig[0] ? values->kubeconfig : NULL,
	        .server = values->master[0] ? values->master : NULL,
	};
	return kubeconfig_load(frame->arena, &overrides, &daemon->client_config, err);
}

static int start_client(struct daemon_frame *frame, struct err *err)
{
	struct daemon *daemon = &frame->daemon;
	if (load_client_config(frame, err) < 0)
		return -err->code;
	if (daemon->client_config.server && daemon->program->adjust_client &&
	    daemon->program->adjust_client(daemon, &daemon->client_config, frame->arena, err) < 0)
		return -err->code;
	if (!daemon->client_config.server)
		return 0;
	AUTO_FREE char *agent =
	        xasprintf("%s/" CARAVEL_VERSION " (linux/" ARCHITECTURE ") kubernetes/caravel", daemon->program->name);
	return rest_client_new(daemon->loop, &daemon->client_config, agent, &daemon->client, err);
}

static const char *read_host_name(struct arena *arena)
{
	char name[HOST_NAME_MAX + 1] = "";
	if (gethostname(name, sizeof(name) - 1) < 0 || name[0] == '\0')
		memcpy(name, "localhost", sizeof("localhost"));
	for (char *cursor = name; *cursor; cursor++)
		*cursor = (char)tolower((unsigned char)*cursor);
	return arena_strdup(arena, name);
}

static int start_parts(struct daemon_frame *frame, struct err *err)
{
	struct daemon *daemon = &frame->daemon;
	if (loop_new(&clock_system, &daemon->loop, err) < 0)
		return -err->code;
	signal(SIGPIPE, SIG_IGN);
	loop_signal_start(daemon->loop, &frame->terminate_signal, SIGTERM, on_terminate_signal);
	loop_signal_start(daemon->loop, &frame->interrupt_signal, SIGINT, on_interrupt_signal);
	on_beat(&frame->beat);
	daemon->metrics = metrics_registry_new();
	if (start_client(frame, err) < 0)
		return -err->code;
	return start_health(frame, err);
}

static void free_parts(struct daemon_frame *frame)
{
	struct daemon *daemon = &frame->daemon;
	daemon->health = plain_server_free(daemon->health);
	daemon->secure_health = secure_port_free(daemon->secure_health);
	free(frame->checks);
	daemon->client = rest_client_free(daemon->client);
	if (daemon->loop) {
		loop_timer_stop(&frame->beat);
		loop_signal_stop(&frame->terminate_signal);
		loop_signal_stop(&frame->interrupt_signal);
	}
	daemon->metrics = metrics_registry_free(daemon->metrics);
	daemon->loop = loop_free(daemon->loop);
	frame->arena = arena_free(frame->arena);
}

static int run(struct daemon_frame *frame, struct err *err)
{
	struct daemon *daemon = &frame->daemon;
	const struct daemon_program *program = daemon->program;
	if (program->configure && program->configure(daemon, err) < 0)
		return -err->code;
	int result = start_parts(frame, err);
	if (result < 0)
		return result;
	result = program->start(daemon, err);
	if (result == 0)
		result = loop_run(daemon->loop);
	if (program->stop)
		program->stop(daemon);
	return result;
}

// --- the entry ----------------------------------------------------------------------

static int print_help(const struct daemon_program *program)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 20);
	strbuf_printf(&text, "%s\n\nUsage:\n  %s [flags]\n\n", program->summary, program->name);
	options_help(program->options, &text);
	fputs(strbuf_text(&text), stdout);
	return 0;
}

// Returns true when parsing already decided how the program ends.
static bool parse(const struct daemon_program *program, int argc, char **argv, int *ret_exit_code)
{
	struct err err = ERR_INIT;
	int positional = 0;
	*ret_exit_code = 1;
	if (options_parse(program->options, argc, argv, false, &positional, &err) < 0 ||
	    (!program->values->show_help && !program->values->show_version &&
	     logging_options_apply(&program->values->logging, &err) < 0)) {
		fprintf(stderr, "Error: %s\n", err.message);
		return true;
	}
	*ret_exit_code = 0;
	bool help = program->values->show_help;
	program->values->show_help = false; // the help shows defaults
	if (help)
		print_help(program);
	else if (program->values->show_version)
		puts("Kubernetes " CARAVEL_VERSION);
	return help || program->values->show_version;
}

int daemon_main(const struct daemon_program *program, int argc, char **argv)
{
	int exit_code;
	if (parse(program, argc, argv, &exit_code))
		return exit_code;
	options_log(program->options);
	log_info("Starting", kv_str("program", program->name), kv_str("version", CARAVEL_VERSION),
	         kv_int("pid", getpid()));
	schema_set_aside_documentation(); // no daemon but the API server explains fields
	struct daemon_frame frame = {.daemon = {.program = program}, .arena = arena_new(0)};
	frame.daemon.host_name = read_host_name(frame.arena);
	struct err err = ERR_INIT;
	exit_code = run(&frame, &err);
	if (exit_code < 0) {
		log_error("Cannot start", kv_str("program", program->name), kv_err(&err));
		exit_code = 1;
	}
	free_parts(&frame);
	return exit_code;
}

void daemon_ready(struct daemon *daemon)
{
	struct daemon_frame *frame = frame_of(daemon);
	atomic_store(&frame->ready, true);
	if (!frame->announced)
		notify_manager("READY=1");
	frame->announced = true;
}

void daemon_quit(struct daemon *daemon, int exit_code)
{
	loop_quit(daemon->loop, exit_code);
}

// --- leadership -----------------------------------------------------------------------

struct daemon_leadership {
	struct daemon *daemon;
	struct leader_election *election; // NULL: the election is disabled
	struct loop_timer start_timer;
	void (*on_started)(struct daemon *daemon);
	bool leading;
	char *identity;
};

static void on_leading(void *context)
{
	struct daemon_leadership *leadership = context;
	leadership->leading = true;
	leadership->on_started(leadership->daemon);
}

static void on_lost(void *context)
{
	struct daemon_leadership *leadership = context;
	leadership->leading = false;
	log_error("Leaderelection lost", kv_str("identity", leadership->identity));
	daemon_quit(leadership->daemon, 1);
}

static void on_start_timer(struct loop_timer *timer)
{
	on_leading(container_of(timer, struct daemon_leadership, start_timer));
}

static int check_leader_options(const struct leader_options *options, struct err *err)
{
	if (strcmp(options->resource_lock, "leases") != 0)
		return err_set(
		        err, ERR_INVALID,
		        "leaderElection.resourceLock: Invalid value: \"%s\": resourceLock value must be \"leases\"",
		        options->resource_lock);
	if (options->lease_duration_ns <= options->renew_deadline_ns)
		return err_set(err, ERR_INVALID, "LeaseDuration must be greater than RenewDeadline");
	if (options->renew_deadline_ns <= options->retry_period_ns)
		return err_set(err, ERR_INVALID, "RenewDeadline must be greater than RetryPeriod");
	if (options->retry_period_ns <= 0)
		return err_set(err, ERR_INVALID, "RetryPeriod must be greater than zero");
	return 0;
}

int daemon_start_leading(struct daemon *daemon, const struct leader_options *options,
                         void (*on_started)(struct daemon *daemon), struct daemon_leadership **ret_leadership,
                         struct err *err)
{
	if (options->enabled && check_leader_options(options, err) < 0)
		return -err->code;
	struct daemon_leadership *leadership = NEW(struct daemon_leadership);
	leadership->daemon = daemon;
	leadership->on_started = on_started;
	*ret_leadership = leadership;
	if (!options->enabled) {
		loop_timer_start(daemon->loop, &leadership->start_timer, 0, on_start_timer);
		return 0;
	}
	char uuid[37];
	uuid_v4(uuid);
	leadership->identity = xasprintf("%s_%s", daemon->host_name, uuid);
	const struct leader_election_config config = {
	        .lease_namespace = options->resource_namespace,
	        .lease_name = options->resource_name,
	        .identity = leadership->identity,
	        .lease_duration_ns = options->lease_duration_ns,
	        .renew_deadline_ns = options->renew_deadline_ns,
	        .retry_period_ns = options->retry_period_ns,
	        .on_started = on_leading,
	        .on_lost = on_lost,
	        .context = leadership,
	};
	leadership->election = leader_election_new(daemon->client, &config);
	return 0;
}

struct daemon_leadership *daemon_stop_leading(struct daemon_leadership *leadership)
{
	if (!leadership)
		return NULL;
	loop_timer_stop(&leadership->start_timer);
	leader_election_free(leadership->election);
	free(leadership->identity);
	free(leadership);
	return NULL;
}

bool daemon_is_leading(const struct daemon_leadership *leadership)
{
	return leadership && leadership->leading;
}
