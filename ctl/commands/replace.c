// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/last_applied.h"
#include "ctl/manifest.h"
#include "ctl/object_wait.h"
#include "ctl/write.h"

static struct {
	struct manifest_options manifest;
	struct write_options write;
	const char *cascade, *subresource, *raw;
	bool force, save_config, wait;
	int64_t grace_period, timeout_ns;
} arg = {.write = WRITE_OPTIONS_INIT("kubectl-replace"), .grace_period = -1};

static const struct option options[] = {
        MANIFEST_OPTION_ROWS(arg.manifest),
        WRITE_OPTION_ROWS(arg.write),
        VALIDATE_OPTION_ROW(arg.write),
        {"force", 0, OPTION_BOOL, &arg.force, NULL, NULL, "Delete the object and create it again"},
        {"cascade", 0, OPTION_STRING, &arg.cascade, NULL, "", "With --force: what happens to dependents"},
        {"grace-period", 0, OPTION_INT, &arg.grace_period, NULL, NULL, "With --force: seconds to terminate in"},
        {"save-config", 0, OPTION_BOOL, &arg.save_config, NULL, NULL, "Keep the manifest in an annotation, for apply"},
        {"subresource", 0, OPTION_STRING, &arg.subresource, NULL, "", "Replace this subresource"},
        {"timeout", 0, OPTION_DURATION, &arg.timeout_ns, NULL, NULL, "With --force: how long to wait for the deletion"},
        {"wait", 0, OPTION_BOOL, &arg.wait, NULL, NULL, "Accepted for compatibility"},
        {0},
};

static bool is_gone(void *context, const struct json *object)
{
	(void)context;
	return !object;
}

// Deletes and waits; false when that failed (reported). An object that isn't there is fine.
static bool remove_first(struct ctl *ctl, const struct target *target)
{
	struct rest_response response;
	const char *body =
	        arg.grace_period >= 0
	                ? ctl_printf(ctl,
	                             "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"gracePeriodSeconds\":%lld,"
	                             "\"propagationPolicy\":\"Background\"}",
	                             (long long)arg.grace_period)
	                : "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"propagationPolicy\":\"Background\"}";
	const struct rest_request request = {
	        .method = "DELETE",
	        .resource = target->resource,
	        .namespace_name = target->namespace_name,
	        .name = target->name,
	        .body = body,
	        .body_length = strlen(body),
	};
	if (!ctl_call(ctl, &request, &response)) {
		if (response.err.code == ERR_NOT_FOUND && response.http_status)
			return true;
		report_response(ctl, &response, NULL);
		return false;
	}
	fprintf(ctl->out, "%s \"%s\" deleted\n", target->resource->singular, target->name);
	int64_t deadline_ns = object_wait_deadline(ctl, arg.timeout_ns);
	enum object_wait_outcome outcome = object_wait(ctl, target, deadline_ns, is_gone, NULL);
	if (outcome == OBJECT_WAIT_TIMEOUT)
		report(ctl, "timed out waiting for the condition");
	return outcome == OBJECT_WAIT_DONE;
}

static void replace(struct ctl *ctl, struct writer *writer, const struct target *target)
{
	struct rest_response response;
	bool ok;
	if (arg.save_config)
		last_applied_set(ctl, target->object);
	if (writer->dry_run == DRY_RUN_CLIENT) {
		writer_tell(ctl, writer, target, target->object, "replaced");
		return;
	}
	if (arg.force) {
		if (!remove_first(ctl, target))
			return;
		ok = write_create(ctl, writer, target, target->object, &response);
	} else {
		ok = write_replace(ctl, writer, target, target->object, &response);
	}
	if (ok)
		writer_tell(ctl, writer, target, response.object, "replaced");
	else
		report_response(ctl, &response, ctl_printf(ctl, "error when replacing \"%s\"", target->source));
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct target_list targets = {0};
	struct writer writer;
	if (argc > 0)
		return report_usage(ctl, "unexpected args: [%s]", argv[0]);
	if (!arg.manifest.filenames.count && !arg.manifest.kustomize)
		return report_usage(ctl, "must specify one of -f and -k");
	if (!writer_init(ctl, &arg.write, &writer) || !manifests_read(ctl, &arg.manifest, writer.validates, &targets))
		return EXIT_PROBLEM;
	for (size_t i = 0; i < targets.count; i++) {
		if (targets.items[i].name)
			replace(ctl, &writer, &targets.items[i]);
		else
			report(ctl, "resource name may not be empty");
	}
	return EXIT_OK;
}

const struct command command_replace = {
        .name = "replace",
        .group = COMMAND_ADVANCED,
        .summary = "Replace a resource by file name or stdin",
        .usage = "-f FILENAME",
        .examples = "  ctl replace -f pod.json\n  ctl replace --force -f pod.json",
        .options = options,
        .run = run,
};
