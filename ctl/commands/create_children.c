// SPDX-License-Identifier: Apache-2.0
// create NAMESPACE, SERVICEACCOUNT, CONFIGMAP, SECRET generic and DEPLOYMENT from flags.

#include "ctl/commands/create_children.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/encode.h"
#include "common/base/file.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/object_maker.h"

enum { DATA_MAX_BYTES = 64 << 20 };

static struct {
	struct write_options write;
	struct string_list from_file, from_literal, from_env_file, images;
	const char *type;
	int64_t port, replicas;
	bool append_hash;
} arg = {.write = WRITE_OPTIONS_INIT("kubectl-create"), .port = -1, .replicas = 1};

#define COMMON_ROWS WRITE_OPTION_ROWS(arg.write), VALIDATE_OPTION_ROW(arg.write)
#define DATA_ROWS                                                                                             \
	{"from-file",                                                                                         \
	 0,                                                                                                   \
	 OPTION_STRINGS,                                                                                      \
	 &arg.from_file,                                                                                      \
	 NULL,                                                                                                \
	 "[]",                                                                                                \
	 "File, KEY=file, or folder whose files become keys"},                                                \
	        {"from-literal", 0, OPTION_STRING_ARRAY, &arg.from_literal, NULL, "[]", "KEY=VALUE"},         \
	{                                                                                                     \
		"from-env-file", 0, OPTION_STRINGS, &arg.from_env_file, NULL, "[]", "File of KEY=VALUE lines" \
	}

static const struct option plain_options[] = {COMMON_ROWS, {0}};
static const struct option data_options[] = {COMMON_ROWS, DATA_ROWS, {0}};
static const struct option secret_options[] = {
        COMMON_ROWS,
        DATA_ROWS,
        {"type", 0, OPTION_STRING, &arg.type, NULL, "", "The secret's type"},
        {0},
};
static const struct option deployment_options[] = {
        COMMON_ROWS,
        {"image", 0, OPTION_STRINGS, &arg.images, NULL, "[]", "Image of each container (required)"},
        {"port", 0, OPTION_INT, &arg.port, NULL, NULL, "Port that the container exposes"},
        {"replicas", 'r', OPTION_INT, &arg.replicas, NULL, NULL, "How many pods"},
        {0},
};

// --- namespace, serviceaccount -------------------------------------------------------------------

static int create_plain(struct ctl *ctl, int argc, char **argv, const char *kind)
{
	const char *name = object_name_argument(ctl, argc, argv);
	return name ? object_create(ctl, &arg.write, object_new(ctl, "v1", kind, name)) : EXIT_PROBLEM;
}

static int run_namespace(struct ctl *ctl, int argc, char **argv)
{
	return create_plain(ctl, argc, argv, "Namespace");
}

static int run_service_account(struct ctl *ctl, int argc, char **argv)
{
	return create_plain(ctl, argc, argv, "ServiceAccount");
}

// --- data ----------------------------------------------------------------------------------------

struct data {
	struct ctl *ctl;
	struct json *object;
	bool encode; // a secret's: base64
};

static bool is_utf8(const struct data *data, const char *bytes, size_t length)
{
	AUTO_STRBUF struct strbuf quoted = STRBUF_INIT(DATA_MAX_BYTES);
	struct json *parsed;
	if (memchr(bytes, '\0', length))
		return false;
	json_write_string(&quoted, bytes, length);
	return json_parse(data->ctl->arena, quoted.data, quoted.length, NULL, &parsed, NULL) == 0;
}

static bool add_value(struct data *data, const char *key, const char *bytes, size_t length)
{
	struct arena *arena = data->ctl->arena;
	bool binary = !data->encode && !is_utf8(data, bytes, length);
	struct json *map = json_ensure_object(arena, data->object, binary ? "binaryData" : "data");
	if (json_get(json_get(data->object, "data"), key) || json_get(json_get(data->object, "binaryData"), key)) {
		report(data->ctl,
		       "cannot add key \"%s\", another key by that name already exists in Data for %s \"%s\"", key,
		       data->encode ? "Secret" : "ConfigMap", json_text(json_path(data->object, "metadata", "name")));
		return false;
	}
	if (!data->encode && !binary) {
		json_set(arena, map, key, json_string_n(arena, bytes, length));
		return true;
	}
	AUTO_STRBUF struct strbuf encoded = STRBUF_INIT(DATA_MAX_BYTES * 2);
	base64_encode(&encoded, bytes, length);
	json_set_text(arena, map, key, strbuf_text(&encoded));
	return true;
}

static bool add_file(struct data *data, const char *key, const char *path)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(DATA_MAX_BYTES);
	struct err err = ERR_INIT;
	if (file_read(path, &text, &err) < 0) {
		report(data->ctl, "error reading %s: %s", path, err.message);
		return false;
	}
	return add_value(data, key, strbuf_text(&text), text.length);
}

static bool add_folder(struct data *data, const char *path)
{
	struct dirent **entries;
	bool ok = true;
	int count = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		const char *inner = ctl_printf(data->ctl, "%s/%s", path, entries[i]->d_name);
		struct stat status;
		if (ok && stat(inner, &status) == 0 && S_ISREG(status.st_mode))
			ok = add_file(data, arena_strdup(data->ctl->arena, entries[i]->d_name), inner);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return ok;
}

static bool add_source(struct data *data, const char *source)
{
	const char *equals = strchr(source, '=');
	struct stat status;
	if (equals)
		return add_file(data, arena_strndup(data->ctl->arena, source, (size_t)(equals - source)), equals + 1);
	if (stat(source, &status) == 0 && S_ISDIR(status.st_mode))
		return add_folder(data, source);
	const char *slash = strrchr(source, '/');
	return add_file(data, slash ? slash + 1 : source, source);
}

static bool add_literal(struct data *data, const char *literal)
{
	const char *equals = strchr(literal, '=');
	if (!equals || equals == literal) {
		report(data->ctl, "invalid literal source %s, expected key=value", literal);
		return false;
	}
	return add_value(data, arena_strndup(data->ctl->arena, literal, (size_t)(equals - literal)), equals + 1,
	                 strlen(equals + 1));
}

static bool add_env_file(struct data *data, const char *path)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(DATA_MAX_BYTES);
	struct err err = ERR_INIT;
	if (file_read(path, &text, &err) < 0) {
		report_err(data->ctl, &err);
		return false;
	}
	char *rest = arena_strdup(data->ctl->arena, strbuf_text(&text));
	for (char *line; (line = strsep(&rest, "\n"));) {
		line += strspn(line, " \t");
		line[strcspn(line, "\r")] = '\0';
		if (!line[0] || line[0] == '#')
			continue;
		if (!add_literal(data, strchr(line, '=') ? line
		                                         : ctl_printf(data->ctl, "%s=%s", line,
		                                                      getenv(line) ? getenv(line) : "")))
			return false;
	}
	return true;
}

static bool add_all(struct data *data, const struct string_list *list, bool (*add)(struct data *data, const char *item))
{
	for (size_t i = 0; i < list->count; i++)
		if (!add(data, list->items[i]))
			return false;
	return true;
}

static int create_data(struct ctl *ctl, int argc, char **argv, const char *kind)
{
	const char *name = object_name_argument(ctl, argc, argv);
	if (!name)
		return EXIT_PROBLEM;
	struct data data = {
	        .ctl = ctl, .object = object_new(ctl, "v1", kind, name), .encode = strcmp(kind, "Secret") == 0};
	if (arg.from_env_file.count && (arg.from_file.count || arg.from_literal.count))
		return report(ctl, "from-env-file cannot be combined with from-file or from-literal");
	if (!add_all(&data, &arg.from_file, add_source) || !add_all(&data, &arg.from_literal, add_literal) ||
	    !add_all(&data, &arg.from_env_file, add_env_file))
		return EXIT_PROBLEM;
	if (data.encode && arg.type)
		json_set_text(ctl->arena, data.object, "type", arg.type);
	return object_create(ctl, &arg.write, data.object);
}

static int run_config_map(struct ctl *ctl, int argc, char **argv)
{
	return create_data(ctl, argc, argv, "ConfigMap");
}

static int run_secret_generic(struct ctl *ctl, int argc, char **argv)
{
	return create_data(ctl, argc, argv, "Secret");
}

// --- deployment -----------------------------------------------------------------------------------

// "registry/path/image:tag@digest" gives the container's name: "image".
static const char *container_name(struct ctl *ctl, const char *image)
{
	const char *slash = strrchr(image, '/');
	const char *start = slash ? slash + 1 : image;
	char *name = arena_strndup(ctl->arena, start, strcspn(start, ":@"));
	for (char *cursor = name; *cursor; cursor++)
		if (*cursor == '_' || *cursor == '.')
			*cursor = '-';
	return name;
}

static void add_container(struct ctl *ctl, struct json *containers, const char *image, struct json *command)
{
	struct json *container = json_object(ctl->arena);
	json_set_text(ctl->arena, container, "image", image);
	json_set_text(ctl->arena, container, "name", container_name(ctl, image));
	if (command->length)
		json_set(ctl->arena, container, "command", command);
	if (arg.port >= 0) {
		struct json *port = json_object(ctl->arena);
		json_set_integer(ctl->arena, port, "containerPort", arg.port);
		json_append(ctl->arena, json_ensure_array(ctl->arena, container, "ports"), port);
	}
	json_set(ctl->arena, container, "resources", json_object(ctl->arena));
	json_append(ctl->arena, containers, container);
}

static void set_label(struct ctl *ctl, struct json *object, const char *map, const char *name)
{
	json_set_text(ctl->arena, json_ensure_object(ctl->arena, object, map), "app", name);
}

static int run_deployment(struct ctl *ctl, int argc, char **argv)
{
	const char *name = object_name_argument(ctl, argc, argv);
	struct json *command = object_words(ctl, argc, argv);
	if (!name)
		return EXIT_PROBLEM;
	if (!arg.images.count)
		return report(ctl, "required flag(s) \"image\" not set");
	if (arg.images.count > 1 && command->length)
		return report(ctl, "cannot specify multiple --image options and command");
	struct json *object = object_new(ctl, "apps/v1", "Deployment", name);
	struct json *spec = json_ensure_object(ctl->arena, object, "spec");
	struct json *template = json_ensure_object(ctl->arena, spec, "template");
	set_label(ctl, json_get(object, "metadata"), "labels", name);
	json_set_integer(ctl->arena, spec, "replicas", arg.replicas);
	set_label(ctl, json_ensure_object(ctl->arena, spec, "selector"), "matchLabels", name);
	set_label(ctl, json_ensure_object(ctl->arena, template, "metadata"), "labels", name);
	struct json *containers =
	        json_ensure_array(ctl->arena, json_ensure_object(ctl->arena, template, "spec"), "containers");
	for (size_t i = 0; i < arg.images.count; i++)
		add_container(ctl, containers, arg.images.items[i], command);
	return object_create(ctl, &arg.write, object);
}

// --- the table --------------------------------------------------------------------------------------

#define ALIASES(...)              \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

static const struct command create_namespace = {
        .name = "namespace",
        .aliases = ALIASES("ns"),
        .summary = "Create a namespace with the specified name",
        .usage = "NAME",
        .options = plain_options,
        .run = run_namespace,
};
static const struct command create_service_account = {
        .name = "serviceaccount",
        .aliases = ALIASES("sa"),
        .summary = "Create a service account with the specified name",
        .usage = "NAME",
        .options = plain_options,
        .run = run_service_account,
};
static const struct command create_config_map = {
        .name = "configmap",
        .aliases = ALIASES("cm"),
        .summary = "Create a config map from a local file, directory or literal value",
        .usage = "NAME [--from-file=[key=]source] [--from-literal=key1=value1]",
        .options = data_options,
        .run = run_config_map,
};
static const struct command create_secret_generic = {
        .name = "generic",
        .summary = "Create a secret from a local file, directory, or literal value",
        .usage = "NAME [--type=string] [--from-file=[key=]source] [--from-literal=key1=value1]",
        .options = secret_options,
        .run = run_secret_generic,
};
static const struct command *const secret_children[] = {&create_secret_generic, NULL};
static const struct command create_secret = {
        .name = "secret",
        .summary = "Create a secret using a specified subcommand",
        .children = secret_children,
};
static const struct command create_deployment = {
        .name = "deployment",
        .aliases = ALIASES("deploy"),
        .summary = "Create a deployment with the specified name",
        .usage = "NAME --image=image -- [COMMAND] [args...]",
        .options = deployment_options,
        .run = run_deployment,
};

const struct command *const create_children[] = {
        &create_config_map, &create_deployment, &create_namespace, &create_secret, &create_service_account, NULL,
};
