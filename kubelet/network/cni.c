// SPDX-License-Identifier: Apache-2.0
// Runs CNI plugins.
//
//   ADD:  loopback (by netlink in a plugin of that name when there is one) → plugin 0
//         → plugin 1 … ; each gets the result of the one before as prevResult.
//         A failure at plugin n runs DEL for n … 0 and then reports.
//   DEL:  plugin n … 0, each with ADD's final result; errors don't stop it, since a
//         leaked address is worse than a late error.
//
// The plugin list and the result are the caller's to keep on disk (the pod's sandbox
// record), so that DEL works after a restart and after the network's configuration
// was changed. A plugin that hangs is killed after two minutes.

#include "kubelet/network/cni.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/io/loop.h"
#include "common/io/process.h"

#define PLUGIN_TIMEOUT_NS (120 * NSEC_PER_SEC)
#define LOOPBACK_LIST "{\"cniVersion\":\"0.4.0\",\"name\":\"cni-loopback\",\"plugins\":[{\"type\":\"loopback\"}]}"

enum { MAX_CONFIG_BYTES = 1 << 20, MAX_CONFIG_FILES = 256 };

// --- the configuration -------------------------------------------------------------------

static bool has_suffix(const char *name, const char *suffix)
{
	size_t length = strlen(name);
	size_t suffix_length = strlen(suffix);
	return length > suffix_length && !strcmp(name + length - suffix_length, suffix);
}

static int is_config(const struct dirent *entry)
{
	return has_suffix(entry->d_name, ".conflist") || has_suffix(entry->d_name, ".conf") ||
	       has_suffix(entry->d_name, ".json");
}

// A single plugin's configuration becomes a list of one.
static struct json *as_list(struct arena *arena, struct json *document)
{
	if (json_get(document, "plugins"))
		return document;
	struct json *list = json_object(arena);
	const char *version = json_get_text(document, "cniVersion");
	json_set_text(arena, list, "cniVersion", version ? version : "0.2.0");
	json_set_text(arena, list, "name", json_get_text(document, "name"));
	json_append(arena, json_ensure_array(arena, list, "plugins"), document);
	return list;
}

static struct json *load_file(struct arena *arena, const char *path)
{
	struct json *document = NULL;
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_CONFIG_BYTES);
	if (file_read(path, &text, NULL) < 0 ||
	    json_parse(arena, strbuf_text(&text), text.length, NULL, &document, NULL) < 0)
		return NULL;
	if (!json_get_text(document, "name"))
		return NULL;
	struct json *list = as_list(arena, document);
	return json_is(json_get(list, "plugins"), JSON_ARRAY) && json_get(list, "plugins")->length ? list : NULL;
}

int cni_load(struct arena *arena, const char *config_directory, struct json **ret_list, struct err *err)
{
	struct dirent **entries = NULL;
	int count = scandir(config_directory, &entries, is_config, alphasort);
	struct json *list = NULL;
	for (int index = 0; index < count; index++) {
		if (!list)
			list = load_file(arena, arena_printf(arena, "%s/%s", config_directory, entries[index]->d_name));
		free(entries[index]);
	}
	free(entries);
	if (!list)
		return err_set(err, ERR_NOT_FOUND,
		               "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
		               "message:Network plugin returns error: cni plugin not initialized (no network in %s)",
		               config_directory);
	*ret_list = list;
	return 0;
}

// --- one plugin's input ----------------------------------------------------------------------

static struct json *port_mappings(struct arena *arena, const struct cni_attachment *attachment)
{
	struct json *mappings = json_array(arena);
	for (size_t index = 0; index < attachment->port_count; index++) {
		const struct cni_port_mapping *port = &attachment->ports[index];
		struct json *mapping = json_object(arena);
		json_set_integer(arena, mapping, "hostPort", port->host_port);
		json_set_integer(arena, mapping, "containerPort", port->container_port);
		json_set_text(arena, mapping, "protocol", port->protocol);
		if (port->host_ip && *port->host_ip)
			json_set_text(arena, mapping, "hostIP", port->host_ip);
		json_append(arena, mappings, mapping);
	}
	return mappings;
}

struct json *cni_plugin_input(struct arena *arena, const struct json *list, const struct json *plugin,
                              const struct cni_attachment *attachment, const struct json *previous_result)
{
	struct json *input = json_clone(arena, plugin);
	const char *version = json_get_text(list, "cniVersion");
	json_set_text(arena, input, "name", json_get_text(list, "name"));
	json_set_text(arena, input, "cniVersion", version ? version : "0.2.0");
	if (json_get_bool(json_get(plugin, "capabilities"), "portMappings", false) && attachment->port_count)
		json_set(arena, json_ensure_object(arena, input, "runtimeConfig"), "portMappings",
		         port_mappings(arena, attachment));
	json_remove(input, "capabilities");
	if (previous_result)
		json_set(arena, input, "prevResult", json_clone(arena, previous_result));
	return input;
}

// --- running -----------------------------------------------------------------------------------

enum cni_stage {
	CNI_LOOPBACK,
	CNI_PLUGINS,
};

struct cni_op {
	struct loop *loop;
	struct arena *arena;
	char *binary_path;
	struct cni_attachment attachment; // texts in the arena
	struct json *list;
	struct json *result;
	bool adding;
	bool undoing; // an ADD failed, DEL is being run
	enum cni_stage stage;
	int position; // in the list
	int64_t plugin_began_ns;
	struct err err;
	struct loop_task finish_task;
	cni_done_fn *done;
	void *context;
};

static void cni_op_step(struct cni_op *op);

static void on_finish(struct loop_task *task)
{
	struct cni_op *op = container_of(task, struct cni_op, finish_task);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_CONFIG_BYTES);
	if (op->adding && op->result)
		json_write(&text, op->result);
	bool failed = op->err.code != ERR_NONE;
	op->done(op->context, failed || !op->adding ? NULL : strbuf_text(&text), failed ? &op->err : NULL);
	arena_free(op->arena);
	free(op->binary_path);
	free(op);
}

static void cni_op_finish(struct cni_op *op)
{
	loop_post(op->loop, &op->finish_task, on_finish);
}

static const struct json *plugin_at(struct cni_op *op, int position)
{
	const struct json *plugins = json_get(op->list, "plugins");
	return position >= 0 && position < (int)plugins->length ? plugins->items[position] : NULL;
}

static void note_failure(struct cni_op *op, const struct process_result *result, const char *type)
{
	struct json *document = NULL;
	struct err err = ERR_INIT;
	const char *text = NULL;
	if (json_parse(op->arena, result->output, result->output_length, NULL, &document, NULL) == 0)
		text = json_get_text(document, "msg");
	if (result->timed_out)
		(void)err_set(&err, ERR_TIMEOUT, "plugin type=\"%s\" failed (%s): timed out", type,
		              op->adding && !op->undoing ? "add" : "delete");
	else
		(void)err_set(&err, ERR_INTERNAL, "plugin type=\"%s\" failed (%s): %s", type,
		              op->adding && !op->undoing ? "add" : "delete",
		              text                          ? text
		              : result->error_output_length ? result->error_output
		                                            : "netplugin failed");
	if (op->err.code == ERR_NONE)
		op->err = err;
}

static void on_added(struct cni_op *op, const struct process_result *result, const char *type)
{
	struct json *document = NULL;
	if (result->exit_code == 0 &&
	    json_parse(op->arena, result->output, result->output_length, NULL, &document, NULL) == 0) {
		if (op->stage == CNI_PLUGINS) {
			op->result = document;
			op->position++;
		} else {
			op->stage = CNI_PLUGINS;
		}
		cni_op_step(op);
		return;
	}
	note_failure(op, result, type);
	op->undoing = true;
	if (op->stage == CNI_LOOPBACK)
		op->position = -1;
	cni_op_step(op);
}

static void on_plugin_exit(void *context, const struct process_result *result)
{
	struct cni_op *op = context;
	bool deleting = !op->adding || op->undoing;
	const struct json *plugin = op->stage == CNI_LOOPBACK ? NULL : plugin_at(op, op->position);
	const char *type = plugin ? json_get_text(plugin, "type") : "loopback";
	log_v(5, "Network plugin ended", kv_str("plugin", type), kv_str("command", deleting ? "DEL" : "ADD"),
	      kv_int("exitCode", result->exit_code), kv_duration("took", loop_now_ns(op->loop) - op->plugin_began_ns));
	if (!deleting) {
		on_added(op, result, type);
		return;
	}
	if (result->exit_code)
		note_failure(op, result, type);
	op->position--;
	cni_op_step(op);
}

static const char *find_binary(struct cni_op *op, const char *type)
{
	char *save = NULL;
	char *path = arena_strdup(op->arena, op->binary_path);
	if (strchr(type, '/'))
		return NULL;
	for (char *directory = strtok_r(path, ":", &save); directory; directory = strtok_r(NULL, ":", &save)) {
		const char *candidate = arena_printf(op->arena, "%s/%s", directory, type);
		if (access(candidate, X_OK) == 0)
			return candidate;
	}
	return NULL;
}

static void start_plugin(struct cni_op *op, const char *binary, const struct json *input, const char *interface_name)
{
	const struct cni_attachment *attachment = &op->attachment;
	bool deleting = !op->adding || op->undoing;
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_CONFIG_BYTES);
	json_write(&text, input);
	const char *path = getenv("PATH");
	const char *environment[] = {
	        arena_printf(op->arena, "PATH=%s", path ? path : "/usr/sbin:/usr/bin:/sbin:/bin"),
	        arena_printf(op->arena, "CNI_COMMAND=%s", deleting ? "DEL" : "ADD"),
	        arena_printf(op->arena, "CNI_CONTAINERID=%s", attachment->container_id),
	        arena_printf(op->arena, "CNI_NETNS=%s", attachment->network_path ? attachment->network_path : ""),
	        arena_printf(op->arena, "CNI_IFNAME=%s", interface_name),
	        arena_printf(op->arena, "CNI_PATH=%s", op->binary_path),
	        arena_printf(op->arena,
	                     "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=%s;K8S_POD_NAME=%s;"
	                     "K8S_POD_INFRA_CONTAINER_ID=%s;K8S_POD_UID=%s",
	                     attachment->pod_namespace, attachment->pod_name, attachment->container_id,
	                     attachment->pod_uid),
	        NULL,
	};
	struct process_config config = {
	        .argv = (const char *const[]){binary, NULL},
	        .environment = environment,
	        .stdin_data = strbuf_text(&text),
	        .stdin_length = text.length,
	        .timeout_ns = PLUGIN_TIMEOUT_NS,
	        .on_exit = on_plugin_exit,
	        .context = op,
	};
	struct process *process;
	struct err err = ERR_INIT;
	op->plugin_began_ns = loop_now_ns(op->loop);
	if (process_start(op->loop, &config, &process, &err) == 0)
		return;
	if (op->err.code == ERR_NONE)
		op->err = err;
	cni_op_finish(op);
}

static void missing_plugin(struct cni_op *op, const char *type)
{
	if (op->err.code == ERR_NONE)
		(void)err_set(&op->err, ERR_NOT_FOUND, "failed to find plugin \"%s\" in path [%s]", type,
		              op->binary_path);
	if (op->adding)
		op->undoing = true;
	op->position--;
	cni_op_step(op);
}

static void step_loopback(struct cni_op *op)
{
	struct json *list = NULL;
	const char *binary = find_binary(op, "loopback");
	if (!binary || json_parse(op->arena, LOOPBACK_LIST, strlen(LOOPBACK_LIST), NULL, &list, NULL) < 0) {
		(void)err_set(&op->err, ERR_NOT_FOUND, "failed to find plugin \"loopback\" in path [%s]",
		              op->binary_path);
		cni_op_finish(op);
		return;
	}
	struct json *input =
	        cni_plugin_input(op->arena, list, json_get(list, "plugins")->items[0], &op->attachment, NULL);
	start_plugin(op, binary, input, "lo");
}

static void cni_op_step(struct cni_op *op)
{
	if (op->adding && !op->undoing && op->stage == CNI_LOOPBACK) {
		step_loopback(op);
		return;
	}
	const struct json *plugin = plugin_at(op, op->position);
	if (!plugin) {
		cni_op_finish(op);
		return;
	}
	const char *type = json_get_text(plugin, "type");
	const char *binary = type ? find_binary(op, type) : NULL;
	if (!binary) {
		missing_plugin(op, type ? type : "");
		return;
	}
	start_plugin(op, binary, cni_plugin_input(op->arena, op->list, plugin, &op->attachment, op->result),
	             op->attachment.interface_name);
}

static void copy_attachment(struct cni_op *op, const struct cni_attachment *from)
{
	struct arena *arena = op->arena;
	struct cni_port_mapping *ports = ARENA_ARRAY(arena, struct cni_port_mapping, from->port_count + 1);
	for (size_t index = 0; index < from->port_count; index++) {
		ports[index] = from->ports[index];
		ports[index].protocol = arena_strdup(arena, from->ports[index].protocol);
		ports[index].host_ip = arena_strdup(arena, from->ports[index].host_ip);
	}
	op->attachment = (struct cni_attachment){
	        .container_id = arena_strdup(arena, from->container_id),
	        .network_path = arena_strdup(arena, from->network_path),
	        .interface_name = arena_strdup(arena, from->interface_name),
	        .pod_namespace = arena_strdup(arena, from->pod_namespace),
	        .pod_name = arena_strdup(arena, from->pod_name),
	        .pod_uid = arena_strdup(arena, from->pod_uid),
	        .ports = ports,
	        .port_count = from->port_count,
	};
}

static void cni_op_begin(struct loop *loop, const struct cni_config *config, const struct cni_attachment *attachment,
                         bool adding, cni_done_fn *done, void *context)
{
	struct cni_op *op = NEW(struct cni_op);
	*op = (struct cni_op){
	        .loop = loop,
	        .arena = arena_new(0),
	        .binary_path = xstrdup(config->binary_path),
	        .adding = adding,
	        .done = done,
	        .context = context,
	};
	copy_attachment(op, attachment);
	if (json_parse(op->arena, attachment->list_text, strlen(attachment->list_text), NULL, &op->list, &op->err) <
	    0) {
		cni_op_finish(op);
		return;
	}
	if (!adding) {
		op->stage = CNI_PLUGINS;
		op->position = (int)json_get(op->list, "plugins")->length - 1;
		if (attachment->result_text)
			(void)json_parse(op->arena, attachment->result_text, strlen(attachment->result_text), NULL,
			                 &op->result, NULL);
	}
	cni_op_step(op);
}

void cni_add(struct loop *loop, const struct cni_config *config, const struct cni_attachment *attachment,
             cni_done_fn *done, void *context)
{
	cni_op_begin(loop, config, attachment, true, done, context);
}

void cni_delete(struct loop *loop, const struct cni_config *config, const struct cni_attachment *attachment,
                cni_done_fn *done, void *context)
{
	cni_op_begin(loop, config, attachment, false, done, context);
}

size_t cni_result_addresses(struct arena *arena, const char *result_text, const char **ret_addresses, size_t capacity)
{
	struct json *result = NULL;
	size_t count = 0;
	if (!result_text || json_parse(arena, result_text, strlen(result_text), NULL, &result, NULL) < 0)
		return 0;
	json_for_each_item (entry, json_get(result, "ips")) {
		const char *address = json_get_text(entry, "address");
		if (address && count < capacity)
			ret_addresses[count++] = arena_strndup(arena, address, strcspn(address, "/"));
	}
	return count;
}
