// SPDX-License-Identifier: Apache-2.0
// A table of exact paths and prefixes, each with its handler; GET only.

#include "apiserver/nonresource.h"

#include <string.h>

#include "apiserver/authentication/service_account.h"
#include "apiserver/authorization/authorization.h"
#include "apiserver/bootstrap/bootstrap.h"
#include "apiserver/custom/custom.h"
#include "apiserver/documents/discovery_serve.h"
#include "apiserver/encryption/encryption.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "common/base/architecture.h"
#include "common/base/blob.h"
#include "common/base/memory.h"
#include "common/io/plain_server.h"

#define TEXT_PLAIN "text/plain; charset=utf-8"

static void finish_text(struct request *request, int code, const char *content_type, struct strbuf *text)
{
	size_t length;
	char *data = strbuf_take(text, &length);
	AUTO(blob_unref) struct blob *body = blob_new_take(data, length);

	request_finish_blob(request, code, content_type, body);
}

static void not_found(struct request *request)
{
	struct strbuf text = STRBUF_INIT(64);

	strbuf_append_text(&text, "404 page not found\n");
	finish_text(request, 404, TEXT_PLAIN, &text);
}

// --- health -------------------------------------------------------------------------------

static bool always(void *context)
{
	(void)context;
	return true;
}

static bool etcd_is_healthy(void *context)
{
	struct server *server = context;

	return storage_etcd_healthy(server->storage);
}

static bool caches_are_synced(void *context)
{
	struct server *server = context;

	return storage_is_ready(server->storage) && custom_is_ready(server->custom);
}

static bool is_bootstrapped(void *context)
{
	struct server *server = context;

	return atomic_load(&server->bootstrapped);
}

static bool has_bootstrap_roles(void *context)
{
	struct server *server = context;

	return !authorization_rbac(server->authorization) || atomic_load(&server->policy_reconciled);
}

static bool authorizers_are_synced(void *context)
{
	struct server *server = context;

	return authorization_is_ready(server->authorization);
}

static bool is_not_stopping(void *context)
{
	struct server *server = context;

	return !atomic_load(&server->stopping);
}

static bool kms_is_healthy(void *context)
{
	struct server *server = context;

	return !server->encryption || encryption_is_healthy(server->encryption, NULL);
}

struct health_check *nonresource_health_checks(struct server *server)
{
	enum {
		ALL = HEALTH_HEALTHZ | HEALTH_LIVEZ | HEALTH_READYZ,
	};
	const struct health_check kms = {"kms-providers", ALL, kms_is_healthy, server};
	const struct health_check checks[] = {
	        {"ping", ALL, always, NULL},
	        {"log", ALL, always, NULL},
	        {"etcd", ALL, etcd_is_healthy, server},
	        {"etcd-readiness", HEALTH_READYZ, etcd_is_healthy, server},
	        {"informer-sync", HEALTH_READYZ, caches_are_synced, server},
	        {"poststarthook/start-system-namespaces-controller", ALL, is_bootstrapped, server},
	        {"poststarthook/start-service-ip-repair-controllers", ALL, is_bootstrapped, server},
	        {"poststarthook/start-kubernetes-service-cidr-controller", ALL, is_bootstrapped, server},
	        {"poststarthook/rbac/bootstrap-roles", ALL, has_bootstrap_roles, server},
	        {"authorizer-sync", HEALTH_READYZ, authorizers_are_synced, server},
	        {"poststarthook/scheduling/bootstrap-system-priority-classes", ALL, is_bootstrapped, server},
	        {"poststarthook/bootstrap-controller", ALL, is_bootstrapped, server},
	        {"shutdown", HEALTH_READYZ, is_not_stopping, server},
	        server->config->encryption_file[0] ? kms : (struct health_check){0},
	        {0},
	};

	return xmemdup(checks, sizeof(checks));
}

static void serve_health(struct request *request)
{
	struct strbuf text = STRBUF_INIT(64 << 10);
	int code = health_respond(request->server->checks, request->route.path, request->http->query, &text);

	finish_text(request, code, TEXT_PLAIN, &text);
}

// --- version and metrics --------------------------------------------------------------------

static void serve_version(struct request *request)
{
	static const char *const pairs[][2] = {
	        {"major", "1"},
	        {"minor", "33"},
	        {"emulationMajor", "1"},
	        {"emulationMinor", "33"},
	        {"minCompatibilityMajor", "1"},
	        {"minCompatibilityMinor", "32"},
	        {"gitVersion", CARAVEL_VERSION},
	        {"gitCommit", ""},
	        {"gitTreeState", ""},
	        {"buildDate", "1970-01-01T00:00:00Z"},
	        {"goVersion", "none (C, " __VERSION__ ")"},
#ifdef __clang__
	        {"compiler", "clang"},
#else
	        {"compiler", "gcc"},
#endif
	        {"platform", "linux/" ARCHITECTURE},
	};
	struct json *version = json_object(request->arena);

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		json_set_text(request->arena, version, pairs[i][0], pairs[i][1]);
	request->output.pretty = true;
	request_finish_tree(request, 200, version);
}

static void serve_metrics(struct request *request)
{
	struct strbuf text = STRBUF_INIT(64 << 20);

	metrics_write(request->server->metrics, &text);
	finish_text(request, 200, "text/plain; version=0.0.4; charset=utf-8", &text);
}

static void serve_root(struct request *request);

// --- the table --------------------------------------------------------------------------------

static const struct {
	const char *path;
	bool prefix; // also everything below it
	void (*serve)(struct request *request);
} paths[] = {
        {"/", false, serve_root},
        {"/.well-known/openid-configuration", false, service_account_serve_discovery},
        {"/api", true, discovery_serve},
        {"/apis", true, discovery_serve},
        {"/healthz", true, serve_health},
        {"/livez", true, serve_health},
        {"/metrics", false, serve_metrics},
        {"/openid/v1/jwks", false, service_account_serve_keys},
        {"/openapi/v2", false, discovery_serve_openapi_v2},
        {"/openapi/v3", true, discovery_serve_openapi_v3},
        {"/readyz", true, serve_health},
        {"/version", false, serve_version},
};

static void serve_root(struct request *request)
{
	struct json *body = json_object(request->arena), *list = json_array(request->arena);

	for (size_t i = 1; i < ARRAY_SIZE(paths); i++)
		json_append(request->arena, list, json_string(request->arena, paths[i].path));
	json_set(request->arena, body, "paths", list);
	request->output.pretty = true;
	request_finish_tree(request, 200, body);
}

static bool matches(const char *path, const char *wanted, bool prefix)
{
	size_t length = strlen(wanted);

	if (strncmp(path, wanted, length))
		return false;
	if (!path[length] || !strcmp(path + length, "/"))
		return true;
	return prefix && path[length] == '/';
}

void nonresource_serve(struct request *request)
{
	const char *method = request->http->method;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		if (!matches(request->route.path, paths[i].path, paths[i].prefix))
			continue;
		if (strcmp(method, "GET") && strcmp(method, "HEAD"))
			request_finish_status(request, status_method_not_allowed(request->arena));
		else
			paths[i].serve(request);
		return;
	}
	not_found(request);
}
