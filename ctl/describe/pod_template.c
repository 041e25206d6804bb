// SPDX-License-Identifier: Apache-2.0
// What pods and pod templates have in common: containers, volumes, tolerations.

#include <inttypes.h>
#include <string.h>

#include "common/api/object.h"
#include "ctl/ctl.h"
#include "ctl/describe/describe.h"

enum { ITEM_LEVEL = 2 }; // of a container's or volume's fields, in pods and templates alike

// In a template the names stand one blank to the right.
static void describe_item_name(struct describer *describer, int level, const char *name)
{
	describe_line(describer, 1, "%s%s:", level ? " " : "", name);
}

// --- containers --------------------------------------------------------------------------------

static const char *ports_text(struct describer *describer, const struct json *ports, const char *field)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(65536);
	json_for_each_item (port, ports)
		strbuf_printf(&text, "%s%" PRId64 "/%s", text.length ? ", " : "", number_of(port, field, 0),
		              text_of(port, "protocol", "TCP"));
	return text.length ? arena_strdup(describer->ctl->arena, strbuf_text(&text)) : "<none>";
}

static void state(struct describer *describer, int level, const char *title, const struct json *state)
{
	const struct json *running = json_get(state, "running"), *waiting = json_get(state, "waiting"),
	                  *ended = json_get(state, "terminated");
	const struct json *detail = waiting ? waiting : ended;
	if (running) {
		describe_line(describer, level, "%s:\tRunning", title);
		describe_line(describer, level + 1, "Started:\t%s",
		              time_text(describer, json_get_text(running, "startedAt")));
		return;
	}
	describe_line(describer, level, "%s:\t%s", title, ended ? "Terminated" : "Waiting");
	if (text_of(detail, "reason", NULL))
		describe_line(describer, level + 1, "Reason:\t%s", text_of(detail, "reason", ""));
	if (ended && text_of(detail, "message", NULL))
		describe_line(describer, level + 1, "Message:\t%s", text_of(detail, "message", ""));
	if (!ended)
		return;
	describe_line(describer, level + 1, "Exit Code:\t%" PRId64, number_of(ended, "exitCode", 0));
	if (number_of(ended, "signal", 0) > 0)
		describe_line(describer, level + 1, "Signal:\t%" PRId64, number_of(ended, "signal", 0));
	describe_line(describer, level + 1, "Started:\t%s", time_text(describer, json_get_text(ended, "startedAt")));
	describe_line(describer, level + 1, "Finished:\t%s", time_text(describer, json_get_text(ended, "finishedAt")));
}

static void status(struct describer *describer, int level, const struct json *status)
{
	const struct json *last = json_get(status, "lastState");
	state(describer, level, "State", json_get(status, "state"));
	if (json_get(last, "terminated"))
		state(describer, level, "Last State", last);
	describe_line(describer, level, "Ready:\t%s", json_get_bool(status, "ready", false) ? "True" : "False");
	describe_line(describer, level, "Restart Count:\t%" PRId64, number_of(status, "restartCount", 0));
}

static void words(struct describer *describer, int level, const char *title, const struct json *list)
{
	if (!json_is(list, JSON_ARRAY) || !list->length)
		return;
	describe_line(describer, level, "%s:", title);
	json_for_each_item (word, list) {
		char *rest = arena_strdup(describer->ctl->arena, scalar_text(describer, word));
		for (char *line; (line = strsep(&rest, "\n"));)
			describe_line(describer, level + 1, "%s", line);
	}
}

static void quantities(struct describer *describer, int level, const char *title, const struct json *map)
{
	if (!json_is(map, JSON_OBJECT) || !map->length)
		return;
	struct json *copy = json_clone(describer->ctl->arena, map);
	json_sort_keys(copy);
	describe_line(describer, level, "%s:", title);
	json_for_each_member (member, copy)
		describe_line(describer, level + 1, "%s:\t%s", member->key, scalar_text(describer, member->value));
}

static const char *handler_text(struct describer *describer, const struct json *probe)
{
	struct ctl *ctl = describer->ctl;
	const struct json *exec = json_get(probe, "exec"), *http = json_get(probe, "httpGet"),
	                  *tcp = json_get(probe, "tcpSocket"), *grpc = json_get(probe, "grpc");
	if (exec) {
		AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 20);
		json_for_each_item (word, json_get(exec, "command"))
			strbuf_printf(&text, "%s%s", text.length ? " " : "", scalar_text(describer, word));
		return ctl_printf(ctl, "exec [%s]", strbuf_text(&text));
	}
	if (http) {
		char *scheme = arena_strdup(ctl->arena, text_of(http, "scheme", "HTTP"));
		for (char *cursor = scheme; *cursor; cursor++)
			*cursor |= 0x20;
		const char *path = text_of(http, "path", "/");
		return ctl_printf(ctl, "http-get %s://%s:%s%s%s", scheme, text_of(http, "host", ""),
		                  scalar_text(describer, json_get(http, "port")), path[0] == '/' ? "" : "/", path);
	}
	if (tcp)
		return ctl_printf(ctl, "tcp-socket %s:%s", text_of(tcp, "host", ""),
		                  scalar_text(describer, json_get(tcp, "port")));
	if (grpc)
		return ctl_printf(ctl, "grpc <pod>:%" PRId64 " %s", number_of(grpc, "port", 0),
		                  text_of(grpc, "service", ""));
	return "unknown";
}

static void probe(struct describer *describer, int level, const char *title, const struct json *probe)
{
	if (!probe)
		return;
	describe_line(describer, level,
	              "%s:\t%s delay=%" PRId64 "s timeout=%" PRId64 "s period=%" PRId64 "s #success=%" PRId64
	              " #failure=%" PRId64,
	              title, handler_text(describer, probe), number_of(probe, "initialDelaySeconds", 0),
	              number_of(probe, "timeoutSeconds", 1), number_of(probe, "periodSeconds", 10),
	              number_of(probe, "successThreshold", 1), number_of(probe, "failureThreshold", 3));
}

static const char *env_source(struct describer *describer, const struct json *from)
{
	struct ctl *ctl = describer->ctl;
	const struct json *field = json_get(from, "fieldRef"), *resource = json_get(from, "resourceFieldRef"),
	                  *secret = json_get(from, "secretKeyRef"), *map = json_get(from, "configMapKeyRef");
	const struct json *key = secret ? secret : map;
	if (field)
		return ctl_printf(ctl, " (%s:%s)", text_of(field, "apiVersion", "v1"), text_of(field, "fieldPath", ""));
	if (resource)
		return ctl_printf(ctl, "%s (%s)", text_of(resource, "containerName", ""),
		                  text_of(resource, "resource", ""));
	return ctl_printf(ctl, "<set to the key '%s' %s '%s'>\tOptional: %s", text_of(key, "key", ""),
	                  secret ? "in secret" : "of config map", text_of(key, "name", ""),
	                  json_get_bool(key, "optional", false) ? "true" : "false");
}

static void environment_from(struct describer *describer, int level, const struct json *list)
{
	if (!json_is(list, JSON_ARRAY) || !list->length)
		return;
	describe_line(describer, level, "Environment Variables from:");
	json_for_each_item (source, list) {
		const struct json *map = json_get(source, "configMapRef"), *secret = json_get(source, "secretRef");
		const struct json *from = map ? map : secret;
		describe_line(describer, level + 1, "%s\t%s\tOptional: %s", text_of(from, "name", ""),
		              map ? "ConfigMap" : "Secret", json_get_bool(from, "optional", false) ? "true" : "false");
	}
}

static void environment(struct describer *describer, int level, const struct json *container)
{
	const struct json *list = json_get(container, "env");
	environment_from(describer, level, json_get(container, "envFrom"));
	describe_line(describer, level,
	              json_is(list, JSON_ARRAY) && list->length ? "Environment:" : "Environment:\t<none>");
	json_for_each_item (variable, list) {
		const struct json *from = json_get(variable, "valueFrom");
		describe_line(describer, level + 1, "%s:\t%s", text_of(variable, "name", ""),
		              from ? env_source(describer, from) : text_of(variable, "value", ""));
	}
}

static void mounts(struct describer *describer, int level, const struct json *list)
{
	describe_line(describer, level, json_is(list, JSON_ARRAY) && list->length ? "Mounts:" : "Mounts:\t<none>");
	json_for_each_item (mount, list) {
		const char *sub = text_of(mount, "subPath", NULL);
		describe_line(describer, level + 1, "%s from %s (%s%s%s)", text_of(mount, "mountPath", ""),
		              text_of(mount, "name", ""), json_get_bool(mount, "readOnly", false) ? "ro" : "rw",
		              sub ? ",path=" : "", sub ? ctl_printf(describer->ctl, "\"%s\"", sub) : "");
	}
}

static const struct json *status_of(const struct json *statuses, const char *name)
{
	json_for_each_item (status, statuses)
		if (strcmp(text_of(status, "name", ""), name) == 0)
			return status;
	return NULL;
}

static void container(struct describer *describer, int level, const struct json *container,
                      const struct json *container_status)
{
	const struct json *ports = json_get(container, "ports");
	const char *several = json_is(ports, JSON_ARRAY) && ports->length > 1 ? "s" : "";
	describe_item_name(describer, level, text_of(container, "name", ""));
	level = ITEM_LEVEL;
	if (container_status)
		describe_line(describer, level, "Container ID:\t%s", text_of(container_status, "containerID", ""));
	describe_line(describer, level, "Image:\t%s", text_of(container, "image", ""));
	if (container_status)
		describe_line(describer, level, "Image ID:\t%s", text_of(container_status, "imageID", ""));
	describe_line(describer, level, "Port%s:\t%s", several, ports_text(describer, ports, "containerPort"));
	describe_line(describer, level, "Host Port%s:\t%s", several, ports_text(describer, ports, "hostPort"));
	words(describer, level, "Command", json_get(container, "command"));
	words(describer, level, "Args", json_get(container, "args"));
	if (container_status)
		status(describer, level, container_status);
	quantities(describer, level, "Limits", json_path(container, "resources", "limits"));
	quantities(describer, level, "Requests", json_path(container, "resources", "requests"));
	probe(describer, level, "Liveness", json_get(container, "livenessProbe"));
	probe(describer, level, "Readiness", json_get(container, "readinessProbe"));
	probe(describer, level, "Startup", json_get(container, "startupProbe"));
	environment(describer, level, container);
	mounts(describer, level, json_get(container, "volumeMounts"));
}

void describe_containers(struct describer *describer, int level, const char *title, const struct json *containers,
                         const struct json *statuses)
{
	bool any = json_is(containers, JSON_ARRAY) && containers->length;
	describe_line(describer, level, any ? "%s:" : "%s: <none>", title);
	json_for_each_item (item, containers)
		container(describer, level, item, status_of(statuses, text_of(item, "name", "")));
}

// --- volumes -------------------------------------------------------------------------------------

static void projected(struct describer *describer, int level, const struct json *volume)
{
	describe_line(describer, level,
	              "Type:\tProjected (a volume that contains injected data from multiple sources)");
	json_for_each_item (source, json_get(volume, "sources")) {
		const struct json *secret = json_get(source, "secret"), *map = json_get(source, "configMap"),
		                  *token = json_get(source, "serviceAccountToken");
		if (secret)
			describe_line(describer, level, "SecretName:\t%s\n    Optional:\t%s",
			              text_of(secret, "name", ""),
			              json_get_bool(secret, "optional", false) ? "true" : "false");
		else if (map)
			describe_line(describer, level, "ConfigMapName:\t%s\n    Optional:\t%s",
			              text_of(map, "name", ""),
			              json_get_bool(map, "optional", false) ? "true" : "false");
		else if (json_get(source, "downwardAPI"))
			describe_line(describer, level, "DownwardAPI:\ttrue");
		else if (token)
			describe_line(describer, level, "TokenExpirationSeconds:\t%" PRId64,
			              number_of(token, "expirationSeconds", 3600));
	}
}

static const char *optional_text(const struct json *source)
{
	return json_get_bool(source, "optional", false) ? "true" : "false";
}

static void volume(struct describer *describer, int level, const struct json *volume)
{
	const struct json *source;
	describe_item_name(describer, level, text_of(volume, "name", ""));
	level = ITEM_LEVEL;
	if ((source = json_get(volume, "emptyDir"))) {
		describe_line(describer, level, "Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)");
		describe_line(describer, level, "Medium:\t%s", text_of(source, "medium", ""));
		describe_line(describer, level, "SizeLimit:\t%s",
		              json_get(source, "sizeLimit") ? scalar_text(describer, json_get(source, "sizeLimit"))
		                                            : "<unset>");
	} else if ((source = json_get(volume, "hostPath"))) {
		describe_line(describer, level, "Type:\tHostPath (bare host directory volume)");
		describe_line(describer, level, "Path:\t%s", text_of(source, "path", ""));
		describe_line(describer, level, "HostPathType:\t%s", text_of(source, "type", ""));
	} else if ((source = json_get(volume, "secret"))) {
		describe_line(describer, level, "Type:\tSecret (a volume populated by a Secret)");
		describe_line(describer, level, "SecretName:\t%s", text_of(source, "secretName", ""));
		describe_line(describer, level, "Optional:\t%s", optional_text(source));
	} else if ((source = json_get(volume, "configMap"))) {
		describe_line(describer, level, "Type:\tConfigMap (a volume populated by a ConfigMap)");
		describe_line(describer, level, "Name:\t%s", text_of(source, "name", ""));
		describe_line(describer, level, "Optional:\t%s", optional_text(source));
	} else if ((source = json_get(volume, "persistentVolumeClaim"))) {
		describe_line(
		        describer, level,
		        "Type:\tPersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)");
		describe_line(describer, level, "ClaimName:\t%s", text_of(source, "claimName", ""));
		describe_line(describer, level, "ReadOnly:\t%s",
		              json_get_bool(source, "readOnly", false) ? "true" : "false");
	} else if ((source = json_get(volume, "projected"))) {
		projected(describer, level, source);
	} else {
		const char *type = volume->length > 1 ? volume->members[volume->members[0].key[0] == 'n' ? 1 : 0].key
		                                      : "<unknown>";
		describe_line(describer, level, "Type:\t%s", type);
	}
}

void describe_volumes(struct describer *describer, int level, const struct json *volumes)
{
	bool any = json_is(volumes, JSON_ARRAY) && volumes->length;
	describe_line(describer, level, any ? "Volumes:" : "Volumes:\t<none>");
	json_for_each_item (item, volumes)
		volume(describer, level, item);
}

// --- scheduling ----------------------------------------------------------------------------------

static const char *toleration_text(struct describer *describer, const struct json *toleration)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(65536);
	const char *operator= text_of(toleration, "operator", ""), *value = text_of(toleration, "value", "");
	strbuf_append_text(&text, text_of(toleration, "key", ""));
	if (value[0])
		strbuf_printf(&text, "=%s", value);
	if (text_of(toleration, "effect", NULL))
		strbuf_printf(&text, ":%s", text_of(toleration, "effect", ""));
	if (strcmp(operator, "Exists") == 0 && !value[0])
		strbuf_append_text(&text, text.length ? " op=Exists" : "op=Exists");
	if (json_get(toleration, "tolerationSeconds"))
		strbuf_printf(&text, " for %" PRId64 "s", number_of(toleration, "tolerationSeconds", 0));
	return arena_strdup(describer->ctl->arena, strbuf_text(&text));
}

void describe_tolerations(struct describer *describer, const struct json *tolerations)
{
	bool first = true;
	json_for_each_item (toleration, tolerations) {
		describe_line(describer, 0, "%s\t%s", first ? "Tolerations:" : "",
		              toleration_text(describer, toleration));
		first = false;
	}
	if (first)
		describe_line(describer, 0, "Tolerations:\t<none>");
}

void describe_node_selector(struct describer *describer, int level, const struct json *selector)
{
	describe_map(describer, level, "Node-Selectors", selector);
}

void describe_pod_template(struct describer *describer, const struct json *pod_template)
{
	const struct json *spec = json_get(pod_template, "spec"), *metadata = json_get(pod_template, "metadata");
	const struct json *annotations = json_get(metadata, "annotations"), *init = json_get(spec, "initContainers");
	describe_line(describer, 0, "Pod Template:");
	describe_map(describer, 1, "Labels", json_get(metadata, "labels"));
	if (json_is(annotations, JSON_OBJECT) && annotations->length)
		describe_annotations(describer, 1, metadata);
	if (text_of(spec, "serviceAccountName", NULL))
		describe_line(describer, 1, "Service Account:\t%s", text_of(spec, "serviceAccountName", ""));
	if (json_is(init, JSON_ARRAY) && init->length)
		describe_containers(describer, 1, "Init Containers", init, NULL);
	describe_containers(describer, 1, "Containers", json_get(spec, "containers"), NULL);
	describe_volumes(describer, 1, json_get(spec, "volumes"));
	describe_node_selector(describer, 1, json_get(spec, "nodeSelector"));
	bool first = true;
	json_for_each_item (toleration, json_get(spec, "tolerations")) {
		describe_line(describer, 1, "%s\t%s", first ? "Tolerations:" : "",
		              toleration_text(describer, toleration));
		first = false;
	}
	if (first)
		describe_line(describer, 1, "Tolerations:\t<none>");
}
