// SPDX-License-Identifier: Apache-2.0
// apply. On the client's side: the last applied configuration, the manifest and the
// live object make a three-way patch; fields that others own survive, fields that
// left the manifest go. On the server's side (--server-side) the manifest itself is
// the patch and the server keeps the books.

#include <string.h>

#include "common/api/object.h"
#include "common/api/patch.h"
#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/last_applied.h"
#include "ctl/resources.h"
#include "ctl/selection.h"
#include "ctl/write.h"

enum {
	CONFLICT_ATTEMPTS = 5,
	PATCH_MAX_BYTES = 64 << 20,
};

#define CLIENT_SIDE_MANAGER "kubectl-client-side-apply"
#define SERVER_SIDE_MANAGER "kubectl"

static struct {
	struct manifest_options manifest;
	struct write_options write;
	const char *selector, *cascade, *subresource, *applyset;
	struct string_list prune_allowlist;
	bool server_side, force_conflicts, overwrite, prune, all, wait, force, openapi_patch;
	int64_t grace_period, timeout_ns;
} arg = {
        .write = WRITE_OPTIONS_INIT(NULL),
        .overwrite = true,
        .openapi_patch = true,
        .grace_period = -1,
};

static const struct option options[] = {
        MANIFEST_OPTION_ROWS(arg.manifest),
        WRITE_OPTION_ROWS(arg.write),
        VALIDATE_OPTION_ROW(arg.write),
        {"server-side", 0, OPTION_BOOL, &arg.server_side, NULL, NULL, "Let the server merge the manifest"},
        {"force-conflicts", 0, OPTION_BOOL, &arg.force_conflicts, NULL, NULL, "Take fields over from other managers"},
        {"overwrite", 0, OPTION_BOOL, &arg.overwrite, NULL, NULL, "Manifest's values win over the live object's"},
        {"openapi-patch", 0, OPTION_BOOL, &arg.openapi_patch, NULL, NULL, "Accepted for compatibility"},
        {"selector", 'l', OPTION_STRING, &arg.selector, NULL, "", "Only objects with these labels"},
        {"prune", 0, OPTION_BOOL, &arg.prune, NULL, NULL, "Delete what is no longer in the manifests (not supported)"},
        {"prune-allowlist", 0, OPTION_STRING_ARRAY, &arg.prune_allowlist, NULL, "[]", "Types to prune"},
        {"applyset", 0, OPTION_STRING, &arg.applyset, NULL, "", "Parent of the set to prune (not supported)"},
        {"all", 0, OPTION_BOOL, &arg.all, NULL, NULL, "All objects in the files"},
        {"cascade", 0, OPTION_STRING, &arg.cascade, NULL, "", "How dependents are deleted"},
        {"force", 0, OPTION_BOOL, &arg.force, NULL, NULL, "Delete and create again what can't be patched"},
        {"grace-period", 0, OPTION_INT, &arg.grace_period, NULL, NULL,
         "Seconds to terminate in, -1 = the object's own"},
        {"subresource", 0, OPTION_STRING, &arg.subresource, NULL, "", "Apply to this subresource (with --server-side)"},
        {"timeout", 0, OPTION_DURATION, &arg.timeout_ns, NULL, NULL, "How long to wait for deletions"},
        {"wait", 0, OPTION_BOOL, &arg.wait, NULL, NULL, "Wait for deletions"},
        {0},
};

// "Resource: "apps/v1, Resource=deployments", GroupVersionKind: …", for error texts.
static const char *describe(struct ctl *ctl, const struct target *target)
{
	const char *version = resource_api_version(ctl, target->resource);
	return ctl_printf(
	        ctl,
	        "Resource: \"%s, Resource=%s\", GroupVersionKind: \"%s, Kind=%s\"\nName: \"%s\", Namespace: \"%s\"",
	        version, target->resource->plural, version, target->resource->kind, target->name,
	        target->namespace_name ? target->namespace_name : "");
}

// --- on the server's side ---------------------------------------------------------------------------

static void report_conflict(struct ctl *ctl, const struct rest_response *response)
{
	const char *message = json_get_text(response->object, "message");
	report(ctl,
	       "%s\n"
	       "Please review the fields above--they currently have other managers. Here\n"
	       "are the ways you can resolve this warning:\n"
	       "* If you intend to manage all of these fields, please re-run the apply\n"
	       "  command with the `--force-conflicts` flag.\n"
	       "* If you do not intend to manage all of the fields, please edit your\n"
	       "  manifest to remove references to the fields that should keep their\n"
	       "  current managers.\n"
	       "* You may co-own fields by updating your manifest to match the existing\n"
	       "  value; in this case, you'll become the manager if the other manager(s)\n"
	       "  stop managing the field (remove it from its configuration).\n"
	       "See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts",
	       message ? message : response->err.message);
}

static void apply_on_server(struct ctl *ctl, struct writer *writer, const struct target *target)
{
	struct rest_response response;
	struct writer forced = *writer;
	forced.query = query_add(ctl, forced.query, "force", arg.force_conflicts ? "true" : "false");
	if (write_patch(ctl, &forced, target, arg.subresource, REST_APPLY_PATCH, target->object, &response)) {
		writer_tell(ctl, writer, target, response.object, "serverside-applied");
		return;
	}
	if (response.err.code == ERR_CONFLICT && response.http_status)
		report_conflict(ctl, &response);
	else
		report_response(ctl, &response, NULL);
}

// --- on the client's side -----------------------------------------------------------------------------

static void create(struct ctl *ctl, struct writer *writer, const struct target *target)
{
	struct rest_response response;
	if (writer->dry_run == DRY_RUN_CLIENT)
		writer_tell(ctl, writer, target, target->object, "created");
	else if (write_create(ctl, writer, target, target->object, &response))
		writer_tell(ctl, writer, target, response.object, "created");
	else
		report_response(ctl, &response, ctl_printf(ctl, "error when creating \"%s\"", target->source));
}

static void warn_unmanaged(struct ctl *ctl, const struct target *target)
{
	fprintf(ctl->err,
	        "Warning: resource %s is missing the %s annotation which is required by %s apply. %s apply should only "
	        "be used on resources created declaratively by either %s create --save-config or %s apply. The missing "
	        "annotation will be patched automatically.\n",
	        ctl_printf(ctl, "%s/%s", target->resource->plural, target->name), LAST_APPLIED_ANNOTATION, ctl->program,
	        ctl->program, ctl->program, ctl->program);
}

static void warn_deleted(struct ctl *ctl, const struct target *target)
{
	fprintf(ctl->err, "Warning: Detected changes to resource %s which is currently being deleted.\n", target->name);
}

static int make_patch(struct ctl *ctl, const struct target *target, const struct json *current, struct json **ret_patch,
                      struct err *err)
{
	const struct json *original = last_applied_get(ctl, current);
	const struct schema_type *type = target->resource->type;
	if (!original)
		original = json_object(ctl->arena);
	if (type)
		return patch_make_three_way_strategic(ctl->arena, type, original, target->object, current, ret_patch,
		                                      err);
	return patch_make_three_way_merge(ctl->arena, original, target->object, current, ret_patch, err);
}

static bool is_empty(const struct json *patch)
{
	return !patch || (json_is(patch, JSON_OBJECT) && patch->length == 0);
}

static const char *patch_failure(struct ctl *ctl, const struct target *target, const struct json *patch)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(PATCH_MAX_BYTES);
	json_write(&text, patch);
	return ctl_printf(ctl, "error when applying patch:\n%s\nto:\n%s\nfor: \"%s\": error when patching \"%s\"",
	                  strbuf_text(&text), describe(ctl, target), target->source, target->source);
}

// False when the live object changed meanwhile and all of it should be done again.
static bool patch_live(struct ctl *ctl, struct writer *writer, const struct target *target, const struct json *current,
                       bool last_attempt)
{
	struct json *patch = NULL;
	struct rest_response response;
	struct err err = ERR_INIT;
	if (make_patch(ctl, target, current, &patch, &err) < 0) {
		report(ctl, "creating patch with:\n%s\nfor: \"%s\": %s", describe(ctl, target), target->source,
		       err.message);
		return true;
	}
	if (is_empty(patch)) {
		writer_tell(ctl, writer, target, current, "unchanged");
		return true;
	}
	if (object_is_being_deleted(current))
		warn_deleted(ctl, target);
	if (writer->dry_run == DRY_RUN_CLIENT) {
		writer_tell(ctl, writer, target, target->object, "configured");
		return true;
	}
	enum rest_body_type type = target->resource->type ? REST_STRATEGIC_MERGE_PATCH : REST_MERGE_PATCH;
	if (write_patch(ctl, writer, target, NULL, type, patch, &response)) {
		writer_tell(ctl, writer, target, response.object, "configured");
		return true;
	}
	if (response.err.code == ERR_CONFLICT && !last_attempt)
		return false;
	report_response(ctl, &response, patch_failure(ctl, target, patch));
	return true;
}

static bool read_live(struct ctl *ctl, const struct target *target, struct rest_response *response)
{
	const struct rest_request request = {
	        .method = "GET",
	        .resource = target->resource,
	        .namespace_name = target->namespace_name,
	        .name = target->name,
	};
	if (ctl_call(ctl, &request, response))
		return true;
	if (response->err.code == ERR_NOT_FOUND && response->http_status)
		return false;
	report_response(ctl, response,
	                ctl_printf(ctl, "error when retrieving current configuration of:\n%s\nfrom server for: \"%s\"",
	                           describe(ctl, target), target->source));
	return false;
}

static void apply_on_client(struct ctl *ctl, struct writer *writer, const struct target *target)
{
	bool warned = false;
	last_applied_set(ctl, target->object);
	for (int attempt = 1; attempt <= CONFLICT_ATTEMPTS; attempt++) {
		struct rest_response live;
		if (!read_live(ctl, target, &live)) {
			if (live.err.code == ERR_NOT_FOUND && live.http_status)
				create(ctl, writer, target);
			return;
		}
		if (!warned && !json_path(live.object, "metadata", "annotations", LAST_APPLIED_ANNOTATION))
			warn_unmanaged(ctl, target);
		warned = true;
		if (patch_live(ctl, writer, target, live.object, attempt == CONFLICT_ATTEMPTS))
			return;
	}
}

// --- the command ------------------------------------------------------------------------------------------

static bool check_name(struct ctl *ctl, const struct target *target)
{
	const char *generated = json_get_text(object_metadata(target->object), "generateName");
	if (target->name)
		return true;
	if (generated && generated[0])
		report(ctl, "from %s: cannot use generate name with apply", generated);
	else
		report(ctl,
		       "error when retrieving current configuration of:\n%s\nfrom server for: \"%s\": resource name "
		       "may not be empty",
		       describe(ctl, &(struct target){.resource = target->resource,
		                                      .name = "",
		                                      .namespace_name = target->namespace_name}),
		       target->source);
	return false;
}

static int check_flags(struct ctl *ctl, int argc, char **argv)
{
	if (argc > 0)
		return report_usage(ctl, "Unexpected args: [%s]", argv[0]);
	if (arg.prune || arg.applyset)
		return report(ctl, "pruning is not supported");
	if (arg.force_conflicts && !arg.server_side)
		return report(ctl, "--force-conflicts only works with --server-side");
	if (arg.server_side && strcmp(arg.write.dry_run, "client") == 0)
		return report(
		        ctl,
		        "--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)");
	if (!arg.manifest.filenames.count && !arg.manifest.kustomize)
		return report(ctl, "must specify one of -f and -k");
	return EXIT_OK;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct target_list targets = {0};
	struct writer writer;
	if (check_flags(ctl, argc, argv) != EXIT_OK)
		return EXIT_PROBLEM;
	if (!arg.write.field_manager)
		arg.write.field_manager = arg.server_side ? SERVER_SIDE_MANAGER : CLIENT_SIDE_MANAGER;
	if (!writer_init(ctl, &arg.write, &writer) || !manifests_read(ctl, &arg.manifest, writer.validates, &targets))
		return EXIT_PROBLEM;
	if (!targets.count && !ctl->failed)
		return report(ctl, "no objects passed to apply");
	for (size_t i = 0; i < targets.count; i++) {
		if (!check_name(ctl, &targets.items[i]))
			continue;
		if (arg.server_side)
			apply_on_server(ctl, &writer, &targets.items[i]);
		else
			apply_on_client(ctl, &writer, &targets.items[i]);
	}
	return EXIT_OK;
}

const struct command command_apply = {
        .name = "apply",
        .group = COMMAND_ADVANCED,
        .summary = "Apply a configuration to a resource by file name or stdin",
        .usage = "(-f FILENAME | -k DIRECTORY)",
        .details =
                "Make objects be as their manifests say: create what isn't there, patch what differs.\n\n"
                "What was applied is kept in an annotation, so that fields which leave the manifest are removed and\n"
                "fields set by others stay.",
        .examples = "  ctl apply -f web.yaml\n  cat pod.json | ctl apply -f -\n  ctl apply --server-side -f web.yaml",
        .options = options,
        .run = run,
};
