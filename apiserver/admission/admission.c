// SPDX-License-Identifier: Apache-2.0
// The admission chain: a table in upstream's order, and which of its rows run.
//
// Instant parts run in one go on whatever thread the request is on. Plug-ins that
// must wait (webhooks, quotas, an account that is just being made) stand at the end
// of upstream's order too, so running them after all instant ones keeps the order.

#include "apiserver/admission/admission.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/admission/admission_internal.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/admission/policy.h"
#include "apiserver/admission/quota.h"
#include "apiserver/admission/webhook.h"
#include "apiserver/authorization/authorizer.h"
#include "apiserver/object_io.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "common/api/yaml.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/base/options.h"

#define WRITES (ADMISSION_CREATE | ADMISSION_UPDATE)

static const struct admission_plugin plugins[] = {
        {"AlwaysAdmit", false, ADMISSION_ALL},
        {"NamespaceAutoProvision", false, ADMISSION_CREATE},
        {"NamespaceLifecycle", true, WRITES | ADMISSION_DELETE, admission_namespace_lifecycle},
        {"NamespaceExists", false, ADMISSION_ALL, NULL, admission_namespace_exists},
        {"LimitPodHardAntiAffinityTopology", false, WRITES, NULL, admission_hard_anti_affinity},
        {"LimitRanger", true, WRITES, admission_limit_ranger_mutate, admission_limit_ranger_validate},
        {"ServiceAccount", true, WRITES, admission_service_account_mutate, admission_service_account_validate,
         admission_service_account_waits, admission_service_account_start},
        {"NodeRestriction", false, WRITES | ADMISSION_DELETE, admission_node_restriction},
        {"TaintNodesByCondition", true, ADMISSION_CREATE, admission_taint_nodes},
        {"AlwaysPullImages", false, WRITES, admission_always_pull_mutate, admission_always_pull_validate},
        {"ImagePolicyWebhook", false, WRITES},
        {"PodSecurity", true, WRITES, NULL, admission_pod_security},
        {"PodNodeSelector", false, ADMISSION_CREATE, admission_pod_node_selector_mutate,
         admission_pod_node_selector_validate},
        {"Priority", true, WRITES, admission_priority},
        {"DefaultTolerationSeconds", true, ADMISSION_CREATE, admission_default_tolerations},
        {"PodTolerationRestriction", false, WRITES, admission_pod_toleration_mutate, admission_pod_toleration_validate},
        {"EventRateLimit", false, WRITES, NULL, admission_event_rate_limit},
        {"ExtendedResourceToleration", false, WRITES, admission_extended_resource_toleration},
        {"DefaultStorageClass", true, ADMISSION_CREATE, admission_default_storage_class},
        {"StorageObjectInUseProtection", true, ADMISSION_CREATE, admission_storage_protection},
        {"OwnerReferencesPermissionEnforcement", false, WRITES, NULL, admission_owner_references},
        {"PersistentVolumeClaimResize", true, ADMISSION_UPDATE, NULL, admission_claim_resize},
        {"RuntimeClass", true, ADMISSION_CREATE, admission_runtime_class_mutate, admission_runtime_class_validate},
        {"CertificateApproval", true, ADMISSION_UPDATE, NULL, admission_certificate_approval},
        {"CertificateSigning", true, ADMISSION_UPDATE, NULL, admission_certificate_signing},
        {"ClusterTrustBundleAttest", true, WRITES}, // its kind is off by default in 1.33
        {"CertificateSubjectRestriction", true, ADMISSION_CREATE, NULL, admission_certificate_subject},
        {"DefaultIngressClass", true, ADMISSION_CREATE, admission_default_ingress_class},
        {"DenyServiceExternalIPs", false, WRITES, NULL, admission_deny_external_ips},
        {"PodTopologyLabels", true, ADMISSION_CREATE},    // its feature gate is off by default in 1.33
        {"MutatingAdmissionPolicy", true, ADMISSION_ALL}, // likewise
        {"MutatingAdmissionWebhook", true, ADMISSION_ALL, NULL, NULL, admission_mutating_webhook_waits,
         admission_mutating_webhook_start},
        {"ValidatingAdmissionPolicy", true, ADMISSION_ALL, NULL, admission_validating_policy},
        {"ValidatingAdmissionWebhook", true, ADMISSION_ALL, NULL, NULL, admission_validating_webhook_waits,
         admission_validating_webhook_start},
        {"ResourceQuota", true, WRITES, NULL, NULL, admission_quota_waits, admission_quota_start},
        {"AlwaysDeny", false, ADMISSION_ALL, admission_always_deny, admission_always_deny},
};

_Static_assert(ARRAY_SIZE(plugins) <= ADMISSION_MAX_PLUGINS, "the state has a place for every row");

// --- configuration ------------------------------------------------------------------------

enum {
	CONFIGURATION_MAX_BYTES = 4 << 20,
};

static size_t find(const char *name)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(plugins) && strcmp(plugins[i].name, name))
		i++;
	return i;
}

bool admission_is_known(const char *name)
{
	return find(name) < ARRAY_SIZE(plugins);
}

static bool list_has(const struct string_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i], name))
			return true;
	return false;
}

// What isn't there must not seem to be at work.
static int check_supported(const struct string_list *enabled, struct err *err)
{
	static const char *const missing[] = {"ImagePolicyWebhook", "NamespaceAutoProvision"};

	for (size_t i = 0; i < ARRAY_SIZE(missing); i++)
		if (list_has(enabled, missing[i]))
			return err_set(err, ERR_BAD_REQUEST,
			               "enable-admission-plugins plugin \"%s\" is not supported by this server",
			               missing[i]);
	return 0;
}

int admission_check_flags(const struct string_list *enabled, const struct string_list *disabled, struct err *err)
{
	for (size_t i = 0; i < enabled->count; i++)
		if (!admission_is_known(enabled->items[i]))
			return err_set(err, ERR_BAD_REQUEST, "enable-admission-plugins plugin \"%.100s\" is unknown",
			               enabled->items[i]);
	for (size_t i = 0; i < disabled->count; i++)
		if (!admission_is_known(disabled->items[i]))
			return err_set(err, ERR_BAD_REQUEST, "disable-admission-plugins plugin \"%.100s\" is unknown",
			               disabled->items[i]);
	for (size_t i = 0; i < enabled->count; i++)
		if (list_has(disabled, enabled->items[i]))
			return err_set(err, ERR_BAD_REQUEST,
			               "%.100s in enable-admission-plugins and disable-admission-plugins overlapped",
			               enabled->items[i]);
	return check_supported(enabled, err);
}

static int read_document(struct arena *arena, const char *path, struct json **ret_document, struct err *err)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(CONFIGURATION_MAX_BYTES);
	struct yaml_document *documents;
	size_t count;
	int r = file_read(path, &text, err);

	if (r == 0)
		r = yaml_parse(arena, strbuf_text(&text), text.length, NULL, &documents, &count, err);
	if (r == 0 && (count != 1 || !json_is(documents[0].value, JSON_OBJECT)))
		r = err_set(err, ERR_BAD_REQUEST, "%.150s does not hold one object", path);
	if (r == 0)
		*ret_document = documents[0].value;
	return r;
}

// A path in the file is relative to the file's own folder.
static char *beside(struct arena *arena, const char *file, const char *path)
{
	const char *slash = strrchr(file, '/');

	if (path[0] == '/' || !slash)
		return arena_strdup(arena, path);
	return arena_printf(arena, "%.*s/%s", (int)(slash - file), file, path);
}

static int take_configuration(struct admission *admission, const char *file, const struct json *plugin, struct err *err)
{
	const char *name = json_get_text(plugin, "name"), *path = json_get_text(plugin, "path");
	struct json *configuration = json_get(plugin, "configuration");
	size_t index = name ? find(name) : ARRAY_SIZE(plugins);

	if (index == ARRAY_SIZE(plugins))
		return err_set(err, ERR_BAD_REQUEST, "unknown admission plugin \"%.100s\"", name ? name : "");
	if (!json_is(configuration, JSON_OBJECT) && path && path[0] &&
	    read_document(admission->arena, beside(admission->arena, file, path), &configuration, err) < 0)
		return err_wrap(err, "configuration of %s", name);
	admission->configurations[index] = json_is(configuration, JSON_OBJECT) ? configuration : NULL;
	return 0;
}

static int read_configuration(struct admission *admission, const char *file, struct err *err)
{
	struct json *document = NULL;
	int r = read_document(admission->arena, file, &document, err);

	if (r == 0 &&
	    strcmp(json_get_text(document, "kind") ? json_get_text(document, "kind") : "", "AdmissionConfiguration"))
		r = err_set(err, ERR_BAD_REQUEST, "not an AdmissionConfiguration");
	json_for_each_item (plugin, json_get(document, "plugins"))
		if (r == 0)
			r = take_configuration(admission, file, plugin, err);
	return r < 0 ? err_wrap(err, "--admission-control-config-file %.120s", file) : 0;
}

const struct json *admission_configuration(const struct server *server, const char *plugin)
{
	return server->admission->configurations[find(plugin)];
}

int admission_start(struct server *server, struct err *err)
{
	const struct server_config *config = server->config;
	struct admission *admission = NEW(struct admission);

	server->admission = admission;
	admission->arena = arena_new(0);
	for (size_t i = 0; i < ARRAY_SIZE(plugins); i++)
		admission->runs[i] = (plugins[i].by_default || list_has(&config->enabled_admission, plugins[i].name)) &&
		                     !list_has(&config->disabled_admission, plugins[i].name);
	if (config->admission_config_file[0] && read_configuration(admission, config->admission_config_file, err) < 0)
		return -(int)err->code;
	return admission_plugins_start(server, err);
}

struct admission *admission_free(struct admission *admission)
{
	if (!admission)
		return NULL;
	admission_plugins_stop(admission);
	arena_free(admission->arena);
	free(admission);
	return NULL;
}

// --- the instant parts --------------------------------------------------------------------

// What a posted object makes the server do is admitted with it.
static bool is_over(const struct change *change)
{
	return change->request->admitted_body != NULL;
}

const struct status *admission_mutate(struct change *change, enum admission_operation operation)
{
	const bool *runs = change->server->admission->runs;
	const struct status *status = NULL;

	if (is_over(change))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(plugins) && !status; i++)
		if (plugins[i].mutate && plugins[i].operations & operation && runs[i])
			status = plugins[i].mutate(change, operation);
	return status;
}

const struct status *admission_validate(struct change *change, enum admission_operation operation)
{
	const bool *runs = change->server->admission->runs;
	const struct status *status = operation == ADMISSION_DELETE ? admission_mutate(change, operation) : NULL;

	if (is_over(change))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(plugins) && !status; i++)
		if (plugins[i].validate && plugins[i].operations & operation && runs[i])
			status = plugins[i].validate(change, operation);
	return status;
}

// --- plug-ins that wait ---------------------------------------------------------------------

static bool has_turn(size_t index, const struct change *change, enum admission_operation operation,
                     enum admission_phase phase)
{
	const struct admission_plugin *plugin = &plugins[index];

	return plugin->waits && !is_over(change) && plugin->operations & operation &&
	       change->server->admission->runs[index] && plugin->waits(change, operation, phase);
}

bool admission_waits(const struct change *change, enum admission_operation operation, enum admission_phase phase)
{
	for (size_t i = 0; i < ARRAY_SIZE(plugins); i++)
		if (has_turn(i, change, operation, phase))
			return true;
	return false;
}

void admission_wait_next(struct admission_wait *wait, const struct status *failure)
{
	while (!failure && wait->next < ARRAY_SIZE(plugins)) {
		size_t index = wait->next++;

		if (has_turn(index, wait->change, wait->operation, wait->phase)) {
			plugins[index].start(wait);
			return;
		}
	}
	wait->done(wait->context, failure);
}

void admission_wait(struct admission_wait *wait, struct change *change, enum admission_operation operation,
                    enum admission_phase phase, void (*done)(void *context, const struct status *failure),
                    void *context)
{
	*wait = (struct admission_wait){
	        .change = change, .operation = operation, .phase = phase, .done = done, .context = context};
	admission_wait_next(wait, NULL);
}

// --- what plug-ins share ------------------------------------------------------------------

const struct status *admission_forbid(const struct change *change, const char *format, ...)
{
	va_list args;
	char *why;

	va_start(args, format);
	why = arena_vprintf(change->arena, format, args);
	va_end(args);
	return status_forbidden(change->arena, change->resource, change->name, why);
}

const char *admission_operation_name(enum admission_operation operation)
{
	return operation == ADMISSION_CREATE   ? "CREATE"
	       : operation == ADMISSION_UPDATE ? "UPDATE"
	       : operation == ADMISSION_DELETE ? "DELETE"
	                                       : "CONNECT";
}

bool admission_user_may(const struct change *change, const char *verb, const char *group, const char *resource,
                        const char *subresource, const char *namespace_name, const char *name)
{
	struct authorization_attributes attributes = {
	        .verb = verb,
	        .is_resource = true,
	        .path = "",
	        .group = group,
	        .version = "*",
	        .resource = resource,
	        .subresource = subresource,
	        .namespace_name = namespace_name,
	        .name = name,
	};
	struct authorization_answer answer;

	authorize_attributes(change->server, change->arena, &change->request->user, &attributes, &answer);
	return authorization_allows(&answer);
}

struct json *admission_peek(const struct change *change, const struct schema_resource *resource,
                            const char *namespace_name, const char *name)
{
	struct stored_object *stored =
	        resource ? storage_peek(change->server->storage, resource, namespace_name, name) : NULL;
	struct json *tree = stored ? object_load_plain(change->arena, resource, stored, NULL) : NULL;

	stored_object_unref(stored);
	return tree;
}

struct json **admission_peek_all(const struct change *change, const struct schema_resource *resource,
                                 const char *namespace_name, size_t *ret_count)
{
	struct stored_object **all = NULL;
	size_t count = resource ? storage_peek_all(change->server->storage, resource, namespace_name, &all) : 0;
	struct json **trees = ARENA_ARRAY(change->arena, struct json *, count + 1);

	*ret_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct json *tree = object_load_plain(change->arena, resource, all[i], NULL);

		if (tree)
			trees[(*ret_count)++] = tree;
		stored_object_unref(all[i]);
	}
	free(all);
	return trees;
}
