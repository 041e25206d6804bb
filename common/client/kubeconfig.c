// SPDX-License-Identifier: Apache-2.0
// A kubeconfig is read as YAML into the ordinary tree. Files are merged entry by
// entry: the first file that names a cluster, user or context gives it whole, and
// the first current-context counts. Paths are made absolute while the file that
// names them is known. Then the context is chosen and its three parts are copied
// into one flat client_config; credentials given as data win over files.

#include "common/client/kubeconfig.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/api/json.h"
#include "common/api/yaml.h"
#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/memory.h"

#define SERVICE_ACCOUNT_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount/"

enum {
	MAX_FILE_BYTES = 4 << 20,
};

static int read_file(struct arena *arena, const char *path, char **ret_text, size_t *ret_length, struct err *err)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_FILE_BYTES);
	int result = file_read(path, &text, err);
	if (result < 0)
		return result;
	*ret_text = arena_strndup(arena, strbuf_text(&text), text.length);
	*ret_length = strlen(*ret_text);
	return 0;
}

// --- reading one file -----------------------------------------------------------

static const struct {
	const char *list;  // "clusters"
	const char *inner; // what holds an entry's fields
	const char *paths[3];
} sections[] = {
        {"clusters", "cluster", {"certificate-authority"}},
        {"users", "user", {"client-certificate", "client-key", "tokenFile"}},
        {"contexts", "context", {NULL}},
};

static void make_absolute(struct arena *arena, struct json *fields, const char *key, const char *folder)
{
	const char *path = json_get_text(fields, key);
	if (path && path[0] && path[0] != '/')
		json_set(arena, fields, key, json_string(arena, arena_printf(arena, "%s/%s", folder, path)));
}

static const char *folder_of(struct arena *arena, const char *path)
{
	AUTO_FREE char *absolute = realpath(path, NULL);
	const char *from = absolute ? absolute : path;
	const char *slash = strrchr(from, '/');
	if (!slash)
		return ".";
	return slash == from ? "" : arena_strndup(arena, from, (size_t)(slash - from));
}

static void resolve_paths(struct arena *arena, struct json *document, const char *path)
{
	const char *folder = folder_of(arena, path);
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		json_for_each_item (entry, json_get(document, sections[i].list)) {
			struct json *fields = json_get(entry, sections[i].inner);
			for (size_t k = 0; k < ARRAY_SIZE(sections[i].paths) && sections[i].paths[k]; k++)
				make_absolute(arena, fields, sections[i].paths[k], folder);
		}
	}
}

static int read_document(struct arena *arena, const char *path, struct json **ret_document, struct err *err)
{
	char *text;
	size_t length;
	if (read_file(arena, path, &text, &length, err) < 0)
		return -err->code;
	struct yaml_document *documents;
	size_t count;
	if (yaml_parse(arena, text, length, NULL, &documents, &count, err) < 0)
		return err_wrap(err, "error loading config file \"%s\"", path);
	struct json *document = count > 0 ? documents[0].value : json_object(arena);
	if (!json_is(document, JSON_OBJECT))
		return err_set(err, ERR_INVALID, "error loading config file \"%s\": the document is not an object",
		               path);
	const char *kind = json_get_text(document, "kind");
	const char *version = json_get_text(document, "apiVersion");
	if ((kind && strcmp(kind, "Config") != 0) || (version && strcmp(version, "v1") != 0))
		return err_set(err, ERR_INVALID,
		               "error loading config file \"%s\": no kind \"%s\" is registered for version \"%s\"",
		               path, kind ? kind : "", version ? version : "");
	resolve_paths(arena, document, path);
	*ret_document = document;
	return 0;
}

// --- merging ---------------------------------------------------------------------

static struct json *find_entry(const struct json *document, const char *list, const char *name)
{
	json_for_each_item (entry, json_get(document, list)) {
		const char *entry_name = json_get_text(entry, "name");
		if (entry_name && strcmp(entry_name, name) == 0)
			return entry;
	}
	return NULL;
}

static void merge_document(struct arena *arena, struct json *merged, const struct json *document)
{
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		struct json *list = json_ensure_array(arena, merged, sections[i].list);
		json_for_each_item (entry, json_get(document, sections[i].list)) {
			const char *name = json_get_text(entry, "name");
			if (name && !find_entry(merged, sections[i].list, name))
				json_append(arena, list, entry);
		}
	}
	const char *context = json_get_text(document, "current-context");
	const char *present = json_get_text(merged, "current-context");
	if (context && (!present || !present[0]))
		json_set_text(arena, merged, "current-context", context);
}

static int merge_if_present(struct arena *arena, struct json *merged, const char *path, struct err *err)
{
	struct json *document;
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	if (read_document(arena, path, &document, err) < 0)
		return -err->code;
	merge_document(arena, merged, document);
	return 0;
}

static int merge_list(struct arena *arena, struct json *merged, const char *list, struct err *err)
{
	char *rest = arena_strdup(arena, list);
	for (char *path; (path = strsep(&rest, ":")) != NULL;) {
		if (path[0] && merge_if_present(arena, merged, path, err) < 0)
			return -err->code;
	}
	return 0;
}

int kubeconfig_read(struct arena *arena, const char *path, struct json **ret_document, struct err *err)
{
	struct json *merged = json_object(arena);
	json_set_text(arena, merged, "apiVersion", "v1");
	json_set_text(arena, merged, "kind", "Config");
	const char *list = getenv("KUBECONFIG");
	const char *home = getenv("HOME");
	int result = 0;
	if (path) {
		struct json *document;
		result = read_document(arena, path, &document, err);
		if (result == 0)
			merge_document(arena, merged, document);
	} else if (list && list[0]) {
		result = merge_list(arena, merged, list, err);
	} else if (home) {
		result = merge_if_present(arena, merged, arena_printf(arena, "%s/.kube/config", home), err);
	}
	if (result == 0)
		*ret_document = merged;
	return result;
}

// --- choosing ----------------------------------------------------------------------

static const char *text_or_null(const struct json *fields, const char *key)
{
	const char *text = json_get_text(fields, key);
	return text && text[0] ? text : NULL;
}

// Base64 as Go reads it: line breaks don't count.
static int decode_data(struct arena *arena, const struct json *fields, const char *key, const char **ret_text,
                       struct err *err)
{
	const char *encoded = text_or_null(fields, key);
	if (!encoded)
		return 0;
	char *packed = arena_alloc(arena, strlen(encoded) + 1);
	size_t length = 0;
	for (const char *cursor = encoded; *cursor; cursor++)
		if (*cursor != '\n' && *cursor != '\r')
			packed[length++] = *cursor;
	packed[length] = '\0';
	uint8_t *data;
	size_t data_length;
	if (!base64_decode(arena, packed, length, &data, &data_length))
		return err_set(err, ERR_INVALID, "%s: illegal base64 data", key);
	*ret_text = (const char *)data;
	return 0;
}

static int take_cluster(struct arena *arena, const struct json *document, const char *name,
                        struct client_config *config, struct err *err)
{
	const struct json *entry = find_entry(document, "clusters", name);
	if (!entry)
		return err_set(err, ERR_INVALID, "cluster \"%s\" does not exist", name);
	const struct json *cluster = json_get(entry, "cluster");
	config->server = text_or_null(cluster, "server");
	config->tls_server_name = text_or_null(cluster, "tls-server-name");
	config->insecure_skip_tls_verify = json_get_bool(cluster, "insecure-skip-tls-verify", false);
	config->ca_file = text_or_null(cluster, "certificate-authority");
	if (decode_data(arena, cluster, "certificate-authority-data", &config->ca_data, err) < 0)
		return err_wrap(err, "cluster \"%s\"", name);
	if (config->insecure_skip_tls_verify && (config->ca_file || config->ca_data))
		return err_set(
		        err, ERR_INVALID,
		        "cluster \"%s\": specifying a root certificates file with the insecure flag is not allowed",
		        name);
	return 0;
}

static int take_user(struct arena *arena, const struct json *document, const char *name, struct client_config *config,
                     struct err *err)
{
	const struct json *entry = find_entry(document, "users", name);
	if (!entry)
		return err_set(err, ERR_INVALID, "auth info \"%s\" does not exist", name);
	const struct json *user = json_get(entry, "user");
	if (json_is(json_get(user, "exec"), JSON_OBJECT) || json_is(json_get(user, "auth-provider"), JSON_OBJECT))
		return err_set(err, ERR_INVALID,
		               "user \"%s\": credential plugins (exec, auth-provider) are not supported; use a "
		               "certificate or a token",
		               name);
	config->certificate_file = text_or_null(user, "client-certificate");
	config->private_key_file = text_or_null(user, "client-key");
	config->bearer_token = text_or_null(user, "token");
	config->bearer_token_file = config->bearer_token ? NULL : text_or_null(user, "tokenFile");
	config->as_user = text_or_null(user, "as");
	if (decode_data(arena, user, "client-certificate-data", &config->certificate_data, err) < 0 ||
	    decode_data(arena, user, "client-key-data", &config->private_key_data, err) < 0)
		return err_wrap(err, "user \"%s\"", name);
	if ((config->certificate_file || config->certificate_data) &&
	    !(config->private_key_file || config->private_key_data))
		return err_set(err, ERR_INVALID,
		               "user \"%s\": client-key-data or client-key must be specified to use the clientCert "
		               "authentication method",
		               name);
	return 0;
}

static void drop_shadowed_files(struct client_config *config)
{
	if (config->ca_data)
		config->ca_file = NULL;
	if (config->certificate_data)
		config->certificate_file = NULL;
	if (config->private_key_data)
		config->private_key_file = NULL;
}

static int choose(struct arena *arena, const struct json *document, const struct kubeconfig_overrides *overrides,
                  struct client_config *config, struct err *err)
{
	const char *context_name = overrides->context ? overrides->context : text_or_null(document, "current-context");
	const struct json *entry = context_name ? find_entry(document, "contexts", context_name) : NULL;
	if (context_name && !entry)
		return err_set(err, ERR_INVALID, "context \"%s\" does not exist", context_name);
	const struct json *context = json_get(entry, "context");
	const char *cluster = overrides->cluster ? overrides->cluster : text_or_null(context, "cluster");
	const char *user = overrides->user ? overrides->user : text_or_null(context, "user");
	if (cluster && take_cluster(arena, document, cluster, config, err) < 0)
		return -err->code;
	if (user && take_user(arena, document, user, config, err) < 0)
		return -err->code;
	drop_shadowed_files(config);
	config->context_name = context_name;
	config->namespace_name = text_or_null(context, "namespace");
	return 0;
}

static void copy_overrides(struct arena *arena, const struct kubeconfig_overrides *overrides,
                           struct client_config *config)
{
	if (overrides->server)
		config->server = arena_strdup(arena, overrides->server);
	if (overrides->namespace_name)
		config->namespace_name = arena_strdup(arena, overrides->namespace_name);
	if (!config->namespace_name)
		config->namespace_name = "default";
	if (config->server && !strstr(config->server, "://"))
		config->server = arena_printf(arena, "http://%s", config->server);
}

int kubeconfig_load(struct arena *arena, const struct kubeconfig_overrides *overrides, struct client_config *ret_config,
                    struct err *err)
{
	struct json *document;
	if (kubeconfig_read(arena, overrides->path, &document, err) < 0)
		return -err->code;
	struct client_config config = {0};
	if (choose(arena, document, overrides, &config, err) < 0)
		return -err->code;
	if (!config.server && !overrides->server) {
		if (!overrides->path && kubeconfig_load_in_cluster(arena, &config, NULL) == 0) {
			*ret_config = config;
			return 0;
		}
		return err_set(err, ERR_INVALID,
		               "invalid configuration: no configuration has been provided, try setting KUBECONFIG or "
		               "--kubeconfig");
	}
	copy_overrides(arena, overrides, &config);
	*ret_config = config;
	return 0;
}

int kubeconfig_load_in_cluster(struct arena *arena, struct client_config *ret_config, struct err *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	if (!host || !host[0] || !port || !port[0])
		return err_set(err, ERR_NOT_FOUND,
		               "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and "
		               "KUBERNETES_SERVICE_PORT must be defined");
	bool is_ipv6 = strchr(host, ':') != NULL;
	char *namespace_name = NULL;
	size_t length;
	if (read_file(arena, SERVICE_ACCOUNT_FOLDER "namespace", &namespace_name, &length, NULL) == 0)
		namespace_name[strcspn(namespace_name, "\n")] = '\0';
	*ret_config = (struct client_config){
	        .server = arena_printf(arena, is_ipv6 ? "https://[%s]:%s" : "https://%s:%s", host, port),
	        .ca_file = SERVICE_ACCOUNT_FOLDER "ca.crt",
	        .bearer_token_file = SERVICE_ACCOUNT_FOLDER "token",
	        .namespace_name = namespace_name && namespace_name[0] ? namespace_name : "default",
	};
	return 0;
}
