// SPDX-License-Identifier: Apache-2.0
// delete: by name, by selector, or what stands in files. Everything is deleted
// first; then, unless --wait=false, it is waited for, one after another.

#include <inttypes.h>
#include <string.h>

#include "common/api/object.h"
#include "common/base/strbuf.h"
#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/object_wait.h"
#include "ctl/resources.h"
#include "ctl/selection.h"
#include "ctl/write.h"

static struct {
	struct selection_options selection;
	struct write_options write;
	const char *cascade, *raw;
	bool force, now, wait, ignore_not_found, interactive;
	int64_t grace_period, timeout_ns;
} arg = {
        .write = WRITE_OPTIONS_INIT(NULL),
        .cascade = "background",
        .wait = true,
        .grace_period = -1,
};

static const struct option options[] = {
        MANIFEST_OPTION_ROWS(arg.selection.manifest),
        SELECTOR_OPTION_ROW(arg.selection),
        FIELD_SELECTOR_OPTION_ROW(arg.selection),
        ALL_OPTION_ROW(arg.selection),
        ALL_NAMESPACES_OPTION_ROW(arg.selection),
        DRY_RUN_OPTION_ROW(arg.write),
        {"output", 'o', OPTION_STRING, &arg.write.output.text, NULL, "", "name: print names only"},
        {"cascade", 0, OPTION_STRING, &arg.cascade, NULL, "",
         "background, orphan or foreground: what happens to dependents"},
        {"force", 0, OPTION_BOOL, &arg.force, NULL, NULL, "Delete at once, without waiting for the kubelet"},
        {"grace-period", 0, OPTION_INT, &arg.grace_period, NULL, NULL,
         "Seconds to terminate in, -1 = the object's own"},
        {"now", 0, OPTION_BOOL, &arg.now, NULL, NULL, "A grace period of one second"},
        {"ignore-not-found", 0, OPTION_BOOL, &arg.ignore_not_found, NULL, NULL,
         "An object that doesn't exist is no error"},
        {"interactive", 'i', OPTION_BOOL, &arg.interactive, NULL, NULL, "Ask first"},
        {"raw", 0, OPTION_STRING, &arg.raw, NULL, "", "DELETE this path of the server"},
        {"timeout", 0, OPTION_DURATION, &arg.timeout_ns, NULL, NULL, "How long to wait; 0 = for ever"},
        {"wait", 0, OPTION_BOOL, &arg.wait, NULL, NULL, "Return when the objects are gone"},
        {0},
};

static const char *const policies[][2] = {
        {"background", "Background"}, {"true", "Background"}, {"foreground", "Foreground"},
        {"orphan", "Orphan"},         {"false", "Orphan"},
};

static const char *policy(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
		if (strcmp(policies[i][0], arg.cascade) == 0)
			return policies[i][1];
	return NULL;
}

// --- deleting one object -------------------------------------------------------------------------------

static const char *options_body(struct ctl *ctl, enum dry_run dry_run)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(4096);
	struct json *body = json_object(ctl->arena);
	json_set_text(ctl->arena, body, "apiVersion", "v1");
	json_set_text(ctl->arena, body, "kind", "DeleteOptions");
	if (arg.grace_period >= 0)
		json_set_integer(ctl->arena, body, "gracePeriodSeconds", arg.grace_period);
	json_set_text(ctl->arena, body, "propagationPolicy", policy());
	if (dry_run == DRY_RUN_SERVER)
		json_append(ctl->arena, json_ensure_array(ctl->arena, body, "dryRun"), json_string(ctl->arena, "All"));
	json_write(&text, body);
	return arena_strdup(ctl->arena, strbuf_text(&text));
}

static void tell(struct ctl *ctl, const struct writer *writer, const struct target *target)
{
	if (writer->output.format == OUTPUT_NAME)
		fprintf(ctl->out, "%s\n", object_display_name(ctl, target->resource, target->name));
	else
		fprintf(ctl->out, "%s \"%s\" %s%s\n", resource_singular_name(ctl, target->resource), target->name,
		        arg.force && arg.grace_period == 0 ? "force deleted" : "deleted",
		        dry_run_suffix(writer->dry_run));
	fflush(ctl->out);
}

// The deleted object's uid, "" when the server didn't say; NULL when it wasn't deleted.
static const char *delete_one(struct ctl *ctl, const struct writer *writer, const struct target *target)
{
	const char *body = options_body(ctl, writer->dry_run);
	struct rest_response response;
	const struct rest_request request = {
	        .method = "DELETE",
	        .resource = target->resource,
	        .namespace_name = target->namespace_name,
	        .name = target->name,
	        .body = body,
	        .body_length = strlen(body),
	};
	if (writer->dry_run == DRY_RUN_CLIENT) {
		tell(ctl, writer, target);
		return NULL;
	}
	if (ctl_call(ctl, &request, &response)) {
		tell(ctl, writer, target);
		const char *uid = json_get_text(json_get(response.object, "details"), "uid");
		uid = uid ? uid : object_uid(response.object);
		return uid ? uid : "";
	}
	if (arg.ignore_not_found && response.err.code == ERR_NOT_FOUND && response.http_status)
		return NULL;
	report_response(ctl, &response,
	                target->source ? ctl_printf(ctl, "error when deleting \"%s\"", target->source) : NULL);
	return NULL;
}

// --- waiting ---------------------------------------------------------------------------------------------

static bool is_gone(void *context, const struct json *object)
{
	const char *uid = context;
	return !object || (uid[0] && object_uid(object) && strcmp(object_uid(object), uid) != 0);
}

static void wait_for_all(struct ctl *ctl, const struct target_list *targets, const char *const *uids)
{
	int64_t deadline_ns = object_wait_deadline(ctl, arg.timeout_ns);
	for (size_t i = 0; i < targets->count; i++) {
		const struct target *target = &targets->items[i];
		if (!uids[i] || !(target->resource->verbs & VERB_WATCH))
			continue;
		if (object_wait(ctl, target, deadline_ns, is_gone, (void *)uids[i]) == OBJECT_WAIT_TIMEOUT)
			report(ctl, "timed out waiting for the condition on %s/%s",
			       resource_plural_name(ctl, target->resource), target->name);
	}
}

// --- the command -------------------------------------------------------------------------------------------

static int delete_raw(struct ctl *ctl)
{
	struct rest_response response;
	const struct rest_request request = {.method = "DELETE", .path = arg.raw};
	if (!ctl_call(ctl, &request, &response))
		return report_response(ctl, &response, NULL);
	fwrite(response.body, 1, response.body_length, ctl->out);
	return EXIT_OK;
}

static int settle_flags(struct ctl *ctl)
{
	if (!policy())
		return report(ctl, "invalid cascade value (%s). Must be \"background\", \"foreground\", or \"orphan\"",
		              arg.cascade);
	if (arg.selection.all && arg.selection.selector)
		return report(ctl, "cannot set --all and --selector at the same time");
	if (arg.now && arg.grace_period != -1)
		return report(ctl, "--now and --grace-period cannot be specified together");
	if (arg.force && arg.grace_period > 0)
		return report(ctl, "--force and --grace-period greater than 0 cannot be specified together");
	if (arg.write.output.text && strcmp(arg.write.output.text, "name") != 0)
		return report(ctl, "unexpected -o output mode: %s. We only support '-o name'", arg.write.output.text);
	if (arg.now)
		arg.grace_period = 1;
	if (arg.force && arg.grace_period < 0)
		arg.grace_period = 0;
	else if (!arg.force && arg.grace_period == 0)
		arg.grace_period = 1; // only --force skips the waiting
	if (arg.force)
		fprintf(ctl->err,
		        "Warning: Immediate deletion does not wait for confirmation that the running resource has been "
		        "terminated. The resource may continue to run on the cluster indefinitely.\n");
	return EXIT_OK;
}

static bool is_narrowed(void)
{
	return arg.selection.all || arg.selection.selector || arg.selection.field_selector;
}

static bool check_pointed(struct ctl *ctl, const struct target_list *pointed)
{
	bool narrowed = is_narrowed();
	for (size_t i = 0; i < pointed->count; i++) {
		if (pointed->items[i].name || narrowed)
			continue;
		report(ctl, "resource(s) were provided, but no name was specified");
		return false;
	}
	return true;
}

static bool confirmed(struct ctl *ctl, const struct target_list *targets)
{
	char answer[16];
	fprintf(ctl->out, "You are about to delete the following %zu resource(s):\n", targets->count);
	for (size_t i = 0; i < targets->count; i++)
		fprintf(ctl->out, "%s\n", object_display_name(ctl, targets->items[i].resource, targets->items[i].name));
	fprintf(ctl->out, "Do you want to continue? (y/N): ");
	fflush(ctl->out);
	return fgets(answer, sizeof(answer), stdin) && (strcmp(answer, "y\n") == 0 || strcmp(answer, "Y\n") == 0);
}

static bool find_targets(struct ctl *ctl, int argc, char **argv, struct target_list *targets)
{
	struct target_list pointed = {0};
	bool narrowed = is_narrowed();
	if (!selection_resolve(ctl, &arg.selection, argc, argv, &pointed) || !check_pointed(ctl, &pointed))
		return false;
	if (!narrowed || arg.selection.manifest.filenames.count) {
		*targets = pointed;
		return true;
	}
	if (arg.selection.selector || arg.selection.field_selector)
		arg.ignore_not_found = true;
	return selection_fetch(ctl, &arg.selection, argc, argv, targets);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct target_list targets = {0};
	struct writer writer;
	if (arg.raw)
		return delete_raw(ctl);
	if (settle_flags(ctl) != EXIT_OK)
		return EXIT_PROBLEM;
	arg.write.validate = NULL;
	if (!writer_init(ctl, &arg.write, &writer) || !find_targets(ctl, argc, argv, &targets))
		return EXIT_PROBLEM;
	if (!targets.count) {
		if (!ctl->failed)
			fprintf(ctl->out, "No resources found\n");
		return EXIT_OK;
	}
	if (arg.interactive && !confirmed(ctl, &targets)) {
		fprintf(ctl->out, "deletion is cancelled\n");
		return EXIT_OK;
	}
	const char **uids = ARENA_ARRAY(ctl->arena, const char *, targets.count);
	for (size_t i = 0; i < targets.count; i++)
		uids[i] = delete_one(ctl, &writer, &targets.items[i]);
	if (arg.wait && writer.dry_run == DRY_RUN_NONE &&
	    !(arg.force && arg.grace_period == 0 && !ctl_flag_given(ctl, "wait")))
		wait_for_all(ctl, &targets, uids);
	return EXIT_OK;
}

const struct command command_delete = {
        .name = "delete",
        .group = COMMAND_BASIC_INTERMEDIATE,
        .summary = "Delete resources by file names, stdin, resources and names, or by resources and label selector",
        .usage = "([-f FILENAME] | [-k DIRECTORY] | TYPE [(NAME | -l label | --all)])",
        .details = "Delete objects by name, by selector, or those that stand in files.\n\n"
                   "Pods get time to end (--grace-period). The command returns when the objects are gone, unless "
                   "--wait=false.",
        .examples = "  ctl delete pod web-0\n  ctl delete -f web.yaml\n  ctl delete pods,services -l app=web\n  ctl "
                    "delete pods --all --now",
        .options = options,
        .run = run,
};
