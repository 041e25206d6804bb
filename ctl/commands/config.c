// SPDX-License-Identifier: Apache-2.0
// config: looking at and changing kubeconfig files. Nothing here talks to a server.

#include <stdlib.h>
#include <string.h>

#include "common/api/yaml.h"
#include "common/base/encode.h"
#include "common/base/file.h"
#include "ctl/commands/commands.h"
#include "ctl/config_file.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/output.h"
#include "ctl/tab_writer.h"

enum { TEXT_MAX_BYTES = 8 << 20 };

static struct {
	struct output_options output;
	bool raw, minify, flatten, merge, no_headers, current, embed_certs, insecure;
	const char *cluster, *user, *namespace_name, *server, *ca, *tls_server_name, *proxy_url;
	const char *client_certificate, *client_key, *token, *username, *password;
} arg = {.output = OUTPUT_OPTIONS_INIT};

// --- tables -------------------------------------------------------------------------------

static void print_table(struct ctl *ctl, const struct strbuf *lines)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(TEXT_MAX_BYTES);
	struct tab_writer writer = TAB_WRITER_TABLE;
	tab_writer_write(&writer, strbuf_text(lines), &text);
	tab_writer_done(&writer);
	fputs(strbuf_text(&text), ctl->out);
}

static const char *text_of(const struct json *object, const char *key)
{
	const char *text = json_get_text(object, key);
	return text ? text : "";
}

static int compare_items(const void *one, const void *other)
{
	return strcmp(text_of(*(struct json *const *)one, "name"), text_of(*(struct json *const *)other, "name"));
}

static struct json *sorted_list(const struct json *document, enum config_section section)
{
	struct json *list = json_get(document, config_section_list(section));
	if (!json_is(list, JSON_ARRAY))
		return NULL;
	if (list->length)
		qsort(list->items, list->length, sizeof(struct json *), compare_items);
	return list;
}

static int get_names(struct ctl *ctl, enum config_section section)
{
	const struct json *document = config_file_read_all(ctl);
	if (!document)
		return EXIT_PROBLEM;
	fprintf(ctl->out, "NAME\n");
	json_for_each_item (item, sorted_list(document, section))
		fprintf(ctl->out, "%s\n", text_of(item, "name"));
	return EXIT_OK;
}

static int run_get_clusters(struct ctl *ctl, int argc, char **argv)
{
	(void)argc, (void)argv;
	return get_names(ctl, CONFIG_CLUSTERS);
}

static int run_get_users(struct ctl *ctl, int argc, char **argv)
{
	(void)argc, (void)argv;
	return get_names(ctl, CONFIG_USERS);
}

static bool is_named(const char *name, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc == 0;
}

static int run_get_contexts(struct ctl *ctl, int argc, char **argv)
{
	AUTO_STRBUF struct strbuf lines = STRBUF_INIT(TEXT_MAX_BYTES);
	const struct json *document = config_file_read_all(ctl);
	bool names_only = arg.output.text && strcmp(arg.output.text, "name") == 0;
	if (!document)
		return EXIT_PROBLEM;
	for (int i = 0; i < argc; i++)
		if (!config_entry(document, CONFIG_CONTEXTS, argv[i]))
			report(ctl, "context %s not found", argv[i]);
	if (!arg.no_headers && !names_only)
		strbuf_append_text(&lines, "CURRENT\tNAME\tCLUSTER\tAUTHINFO\tNAMESPACE\n");
	json_for_each_item (item, sorted_list(document, CONFIG_CONTEXTS)) {
		const struct json *context = json_get(item, "context");
		const char *name = text_of(item, "name");
		if (!is_named(name, argc, argv))
			continue;
		if (names_only)
			strbuf_printf(&lines, "%s\n", name);
		else
			strbuf_printf(&lines, "%s\t%s\t%s\t%s\t%s\n",
			              strcmp(name, config_current_context(ctl, document)) == 0 ? "*" : "", name,
			              text_of(context, "cluster"), text_of(context, "user"),
			              text_of(context, "namespace"));
	}
	print_table(ctl, &lines);
	return EXIT_OK;
}

// --- view ---------------------------------------------------------------------------------

static const struct {
	enum config_section section;
	const char *key;
	const char *shown;
} secrets[] = {
        {CONFIG_CLUSTERS, "certificate-authority-data", "DATA+OMITTED"},
        {CONFIG_USERS, "client-certificate-data", "DATA+OMITTED"},
        {CONFIG_USERS, "client-key-data", "DATA+OMITTED"},
        {CONFIG_USERS, "token", "REDACTED"},
        {CONFIG_USERS, "password", "REDACTED"},
};

static const struct {
	enum config_section section;
	const char *file, *data;
} embeddable[] = {
        {CONFIG_CLUSTERS, "certificate-authority", "certificate-authority-data"},
        {CONFIG_USERS, "client-certificate", "client-certificate-data"},
        {CONFIG_USERS, "client-key", "client-key-data"},
};

static struct json *fields_of(const struct json *item)
{
	static const char *const inner[] = {"cluster", "context", "user"};
	for (size_t i = 0; i < ARRAY_SIZE(inner); i++)
		if (json_get(item, inner[i]))
			return json_get(item, inner[i]);
	return NULL;
}

static void redact(struct ctl *ctl, struct json *document)
{
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
		json_for_each_item (item, json_get(document, config_section_list(secrets[i].section)))
			if (json_get(fields_of(item), secrets[i].key))
				json_set_text(ctl->arena, fields_of(item), secrets[i].key, secrets[i].shown);
}

// Puts the content of a file in the place of its name; false when it can't be read (reported).
static bool embed(struct ctl *ctl, struct json *fields, const char *file_key, const char *data_key)
{
	AUTO_STRBUF struct strbuf content = STRBUF_INIT(TEXT_MAX_BYTES), encoded = STRBUF_INIT(TEXT_MAX_BYTES);
	struct err err = ERR_INIT;
	const char *path = json_get_text(fields, file_key);
	if (!path || !path[0])
		return true;
	if (file_read(path, &content, &err) < 0) {
		report_err(ctl, &err);
		return false;
	}
	base64_encode(&encoded, content.data, content.length);
	json_remove(fields, file_key);
	json_set_text(ctl->arena, fields, data_key, strbuf_text(&encoded));
	return true;
}

static bool flatten(struct ctl *ctl, struct json *document)
{
	for (size_t i = 0; i < ARRAY_SIZE(embeddable); i++)
		json_for_each_item (item, json_get(document, config_section_list(embeddable[i].section)))
			if (fields_of(item) && !embed(ctl, fields_of(item), embeddable[i].file, embeddable[i].data))
				return false;
	return true;
}

static void keep_one(struct ctl *ctl, struct json *document, enum config_section section, const char *name)
{
	struct json *kept = json_array(ctl->arena);
	json_for_each_item (item, json_get(document, config_section_list(section)))
		if (strcmp(text_of(item, "name"), name) == 0)
			json_append(ctl->arena, kept, item);
	json_set(ctl->arena, document, config_section_list(section), kept);
}

static bool minify(struct ctl *ctl, struct json *document)
{
	const char *current = config_current_context(ctl, document);
	const struct json *context = config_entry(document, CONFIG_CONTEXTS, current);
	if (!context) {
		report(ctl, current[0] ? "cannot locate context %s" : "current-context must exist in order to minify%s",
		       current);
		return false;
	}
	keep_one(ctl, document, CONFIG_CLUSTERS, text_of(context, "cluster"));
	keep_one(ctl, document, CONFIG_USERS, text_of(context, "user"));
	keep_one(ctl, document, CONFIG_CONTEXTS, current);
	json_set_text(ctl->arena, document, "current-context", current);
	return true;
}

static int run_view(struct ctl *ctl, int argc, char **argv)
{
	struct output output;
	struct json *document = config_file_read_all(ctl);
	if (argc > 0)
		return report_usage(ctl, "unexpected arguments: [%s]", argv[0]);
	if (!arg.output.text || !arg.output.text[0])
		arg.output.text = "yaml";
	if (!document || !output_init(ctl, &arg.output, false, &output))
		return EXIT_PROBLEM;
	if ((arg.minify && !minify(ctl, document)) || (arg.flatten && !flatten(ctl, document)))
		return EXIT_PROBLEM;
	if (!arg.raw && !arg.flatten)
		redact(ctl, document);
	for (enum config_section section = CONFIG_CLUSTERS; section <= CONFIG_USERS; section++)
		if (!sorted_list(document, section))
			json_set(ctl->arena, document, config_section_list(section), json_null(ctl->arena));
	output_print(ctl, &output, NULL, document);
	return EXIT_OK;
}

// --- current context ------------------------------------------------------------------------

static int run_current_context(struct ctl *ctl, int argc, char **argv)
{
	(void)argc, (void)argv;
	const struct json *document = config_file_read_all(ctl);
	if (!document)
		return EXIT_PROBLEM;
	if (!text_of(document, "current-context")[0])
		return report(ctl, "current-context is not set");
	fprintf(ctl->out, "%s\n", text_of(document, "current-context"));
	return EXIT_OK;
}

static int run_use_context(struct ctl *ctl, int argc, char **argv)
{
	const char *path;
	struct json *document = config_file_read_own(ctl, &path);
	const struct json *all = config_file_read_all(ctl);
	if (!document || !all)
		return EXIT_PROBLEM;
	if (argc != 1)
		return report_usage(ctl, "Unexpected args: expected one context name");
	if (!config_entry(all, CONFIG_CONTEXTS, argv[0]))
		return report(ctl, "no context exists with the name: \"%s\"", argv[0]);
	json_set_text(ctl->arena, document, "current-context", argv[0]);
	if (!config_file_write(ctl, path, document))
		return EXIT_PROBLEM;
	fprintf(ctl->out, "Switched to context \"%s\".\n", argv[0]);
	return EXIT_OK;
}

// --- entries --------------------------------------------------------------------------------

struct setting {
	const char *flag;
	const char *key;
	const char **value;
};

static void apply_settings(struct ctl *ctl, struct json *fields, const struct setting *settings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ctl_flag_given(ctl, settings[i].flag))
			json_set_text(ctl->arena, fields, settings[i].key,
			              *settings[i].value ? *settings[i].value : "");
}

static int finish_entry(struct ctl *ctl, const char *path, struct json *document, const char *noun, const char *name,
                        bool existed)
{
	if (!config_file_write(ctl, path, document))
		return EXIT_PROBLEM;
	if (strcmp(noun, "Context") == 0)
		fprintf(ctl->out, "%s \"%s\" %s.\n", noun, name, existed ? "modified" : "created");
	else
		fprintf(ctl->out, "%s \"%s\" set.\n", noun, name);
	return EXIT_OK;
}

static int run_set_context(struct ctl *ctl, int argc, char **argv)
{
	const char *path;
	struct json *document = config_file_read_own(ctl, &path);
	const struct setting settings[] = {
	        {"cluster", "cluster", &ctl->global->cluster},
	        {"user", "user", &ctl->global->user},
	        {"namespace", "namespace", &ctl->global->namespace_name},
	};
	if (!document)
		return EXIT_PROBLEM;
	if (argc != (arg.current ? 0 : 1))
		return report_usage(ctl, arg.current ? "you cannot specify both a context name and --current"
		                                     : "you must specify a non-empty context name or --current");
	const char *name = arg.current ? config_current_context(ctl, document) : argv[0];
	if (!name[0])
		return report(ctl, "no current context is set");
	bool existed = config_entry(document, CONFIG_CONTEXTS, name) != NULL;
	apply_settings(ctl, config_entry_ensure(ctl, document, CONFIG_CONTEXTS, name), settings, ARRAY_SIZE(settings));
	return finish_entry(ctl, path, document, "Context", name, existed);
}

static int run_set_cluster(struct ctl *ctl, int argc, char **argv)
{
	const char *path;
	struct json *document = config_file_read_own(ctl, &path);
	const struct setting settings[] = {
	        {"server", "server", &ctl->global->server},
	        {"certificate-authority", "certificate-authority", &ctl->global->certificate_authority},
	        {"tls-server-name", "tls-server-name", &ctl->global->tls_server_name},
	        {"proxy-url", "proxy-url", &arg.proxy_url},
	};
	if (!document)
		return EXIT_PROBLEM;
	if (argc != 1)
		return report_usage(ctl, "Unexpected args: expected one cluster name");
	struct json *fields = config_entry_ensure(ctl, document, CONFIG_CLUSTERS, argv[0]);
	apply_settings(ctl, fields, settings, ARRAY_SIZE(settings));
	if (ctl_flag_given(ctl, "insecure-skip-tls-verify"))
		json_set_bool(ctl->arena, fields, "insecure-skip-tls-verify", ctl->global->insecure_skip_tls_verify);
	if (arg.embed_certs && !embed(ctl, fields, "certificate-authority", "certificate-authority-data"))
		return EXIT_PROBLEM;
	return finish_entry(ctl, path, document, "Cluster", argv[0], true);
}

static int run_set_credentials(struct ctl *ctl, int argc, char **argv)
{
	const char *path;
	struct json *document = config_file_read_own(ctl, &path);
	const struct setting settings[] = {
	        {"client-certificate", "client-certificate", &ctl->global->client_certificate},
	        {"client-key", "client-key", &ctl->global->client_key},
	        {"token", "token", &ctl->global->token},
	        {"username", "username", &ctl->global->username},
	        {"password", "password", &ctl->global->password},
	};
	if (!document)
		return EXIT_PROBLEM;
	if (argc != 1)
		return report_usage(ctl, "Unexpected args: expected one user name");
	struct json *fields = config_entry_ensure(ctl, document, CONFIG_USERS, argv[0]);
	apply_settings(ctl, fields, settings, ARRAY_SIZE(settings));
	if (arg.embed_certs && (!embed(ctl, fields, "client-certificate", "client-certificate-data") ||
	                        !embed(ctl, fields, "client-key", "client-key-data")))
		return EXIT_PROBLEM;
	return finish_entry(ctl, path, document, "User", argv[0], true);
}

static int delete_entry(struct ctl *ctl, int argc, char **argv, enum config_section section, const char *noun)
{
	const char *path;
	struct json *document = config_file_read_own(ctl, &path);
	if (!document)
		return EXIT_PROBLEM;
	if (argc != 1)
		return report_usage(ctl, "expected one %s name", noun);
	if (!config_entry_remove(document, section, argv[0]))
		return report(ctl, "cannot delete %s %s, not in %s", noun, argv[0], path);
	if (!config_file_write(ctl, path, document))
		return EXIT_PROBLEM;
	fprintf(ctl->out, "deleted %s %s from %s\n", noun, argv[0], path);
	return EXIT_OK;
}

static int run_delete_context(struct ctl *ctl, int argc, char **argv)
{
	return delete_entry(ctl, argc, argv, CONFIG_CONTEXTS, "context");
}

static int run_delete_cluster(struct ctl *ctl, int argc, char **argv)
{
	return delete_entry(ctl, argc, argv, CONFIG_CLUSTERS, "cluster");
}

static int run_delete_user(struct ctl *ctl, int argc, char **argv)
{
	return delete_entry(ctl, argc, argv, CONFIG_USERS, "user");
}

// "contexts.NAME.namespace", "users.NAME", "current-context": removes what the path names.
static int run_unset(struct ctl *ctl, int argc, char **argv)
{
	const char *path;
	struct json *document = config_file_read_own(ctl, &path);
	if (!document)
		return EXIT_PROBLEM;
	if (argc != 1)
		return report_usage(ctl, "Unexpected args: expected one PROPERTY_NAME");
	for (enum config_section section = CONFIG_CLUSTERS; section <= CONFIG_USERS; section++) {
		const char *list = config_section_list(section);
		size_t length = strlen(list);
		if (strncmp(argv[0], list, length) != 0)
			continue;
		const char *name = argv[0][length] == '.' ? argv[0] + length + 1 : NULL;
		const char *field = name ? strrchr(name, '.') : NULL;
		struct json *entry =
		        field ? config_entry(document, section, arena_strndup(ctl->arena, name, (size_t)(field - name)))
		              : NULL;
		if (!name)
			json_remove(document, list);
		else if (entry)
			json_remove(entry, field + 1);
		else
			config_entry_remove(document, section, name);
	}
	if (strcmp(argv[0], "current-context") == 0)
		json_set_text(ctl->arena, document, "current-context", "");
	if (!config_file_write(ctl, path, document))
		return EXIT_PROBLEM;
	fprintf(ctl->out, "Property \"%s\" unset.\n", argv[0]);
	return EXIT_OK;
}

// --- the table ------------------------------------------------------------------------------------

static const struct option view_options[] = {
        {"flatten", 0, OPTION_BOOL, &arg.flatten, NULL, NULL, "Put files' contents into the document"},
        {"merge", 0, OPTION_BOOL, &arg.merge, NULL, NULL, "Accepted for compatibility"},
        {"minify", 0, OPTION_BOOL, &arg.minify, NULL, NULL, "Only what the current context uses"},
        {"raw", 0, OPTION_BOOL, &arg.raw, NULL, NULL, "Show certificates, keys and tokens"},
        OUTPUT_OPTION_ROWS(arg.output),
        {0},
};
static const struct option contexts_options[] = {
        {"no-headers", 0, OPTION_BOOL, &arg.no_headers, NULL, NULL, "No headings"},
        {"output", 'o', OPTION_STRING, &arg.output.text, NULL, "", "name"},
        {0},
};
static const struct option context_options[] = {
        {"current", 0, OPTION_BOOL, &arg.current, NULL, NULL, "Change the current context"},
        {0},
};
static const struct option cluster_options[] = {
        {"embed-certs", 0, OPTION_BOOL, &arg.embed_certs, NULL, NULL, "Put the certificates into the file"},
        {"proxy-url", 0, OPTION_STRING, &arg.proxy_url, NULL, "", "Proxy to reach the cluster through"},
        {0},
};
static const struct option credential_options[] = {
        {"embed-certs", 0, OPTION_BOOL, &arg.embed_certs, NULL, NULL, "Put certificate and key into the file"},
        {0},
};

#define CHILD(variable, name_, summary_, usage_, options_, run_) \
	static const struct command variable = {                 \
	        .name = name_, .summary = summary_, .usage = usage_, .options = options_, .run = run_}

CHILD(config_current, "current-context", "Display the current-context", "", NULL, run_current_context);
CHILD(config_delete_cluster, "delete-cluster", "Delete the specified cluster from the kubeconfig", "NAME", NULL,
      run_delete_cluster);
CHILD(config_delete_context, "delete-context", "Delete the specified context from the kubeconfig", "NAME", NULL,
      run_delete_context);
CHILD(config_delete_user, "delete-user", "Delete the specified user from the kubeconfig", "NAME", NULL,
      run_delete_user);
CHILD(config_get_clusters, "get-clusters", "Display clusters defined in the kubeconfig", "", NULL, run_get_clusters);
CHILD(config_get_contexts, "get-contexts", "Describe one or many contexts", "[(-o|--output=)name)]", contexts_options,
      run_get_contexts);
CHILD(config_get_users, "get-users", "Display users defined in the kubeconfig", "", NULL, run_get_users);
CHILD(config_set_cluster, "set-cluster", "Set a cluster entry in kubeconfig", "NAME [--server=server]", cluster_options,
      run_set_cluster);
CHILD(config_set_context, "set-context", "Set a context entry in kubeconfig",
      "[NAME | --current] [--cluster=cluster_nickname] [--user=user_nickname] [--namespace=namespace]", context_options,
      run_set_context);
CHILD(config_set_credentials, "set-credentials", "Set a user entry in kubeconfig",
      "NAME [--client-certificate=path] [--client-key=path] [--token=token]", credential_options, run_set_credentials);
CHILD(config_unset, "unset", "Unset an individual value in a kubeconfig file", "PROPERTY_NAME", NULL, run_unset);
CHILD(config_view, "view", "Display merged kubeconfig settings or a specified kubeconfig file", "[flags]", view_options,
      run_view);

static const char *const use_aliases[] = {"use", NULL};
static const struct command config_use_context = {
        .name = "use-context",
        .aliases = use_aliases,
        .summary = "Set the current-context in a kubeconfig file",
        .usage = "CONTEXT_NAME",
        .run = run_use_context,
};

static const struct command *const children[] = {
        &config_current,        &config_delete_cluster,
        &config_delete_context, &config_delete_user,
        &config_get_clusters,   &config_get_contexts,
        &config_get_users,      &config_set_cluster,
        &config_set_context,    &config_set_credentials,
        &config_unset,          &config_use_context,
        &config_view,           NULL,
};

const struct command command_config = {
        .name = "config",
        .group = COMMAND_OTHER,
        .summary = "Modify kubeconfig files",
        .details = "Look at and change kubeconfig files: --kubeconfig, $KUBECONFIG (a list), or ~/.kube/config.",
        .children = children,
};
