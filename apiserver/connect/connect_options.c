// SPDX-License-Identifier: Apache-2.0

#include "apiserver/connect/connect_options.h"

#include <stdlib.h>
#include <string.h>

#include "common/api/json.h"

enum parameter_type {
	PARAMETER_TEXT,
	PARAMETER_BOOL,
	PARAMETER_TEXTS,
	PARAMETER_NUMBERS,
};

struct parameter {
	const char *name; // of the query and of the field
	enum parameter_type type;
};

static const struct parameter stream_parameters[] = {
        {"stdin", PARAMETER_BOOL},
        {"stdout", PARAMETER_BOOL},
        {"stderr", PARAMETER_BOOL},
        {"tty", PARAMETER_BOOL},
        {"container", PARAMETER_TEXT},
        {"command", PARAMETER_TEXTS},
        {NULL},
};
static const struct parameter port_parameters[] = {{"ports", PARAMETER_NUMBERS}, {NULL}};
static const struct parameter no_parameters[] = {{NULL}};

static const struct {
	const char *plural;
	const char *subresource;
	const char *kind;
	const struct parameter *parameters;
} rows[] = {
        {"pods", "attach", "PodAttachOptions", stream_parameters},
        {"pods", "exec", "PodExecOptions", stream_parameters},
        {"pods", "portforward", "PodPortForwardOptions", port_parameters},
        {"pods", "proxy", "PodProxyOptions", no_parameters},
        {"services", "proxy", "ServiceProxyOptions", no_parameters},
        {"nodes", "proxy", "NodeProxyOptions", no_parameters},
};

static void add_list(struct request *request, struct json *options, const struct parameter *parameter)
{
	for (size_t i = 0; i < request->query.count; i++) {
		const char *value = request->query.pairs[i].value;

		if (strcmp(request->query.pairs[i].name, parameter->name))
			continue;
		json_append(request->arena, json_ensure_array(request->arena, options, parameter->name),
		            parameter->type == PARAMETER_TEXTS ? json_string(request->arena, value)
		                                               : json_integer(request->arena, strtol(value, NULL, 10)));
	}
}

static void add_parameter(struct request *request, struct json *options, const struct parameter *parameter)
{
	const char *value = query_get(&request->query, parameter->name);

	if (!value)
		return;
	if (parameter->type == PARAMETER_TEXT)
		json_set_text(request->arena, options, parameter->name, value);
	else if (parameter->type == PARAMETER_BOOL)
		json_set_bool(request->arena, options, parameter->name,
		              query_get_bool(&request->query, parameter->name));
	else
		add_list(request, options, parameter);
}

struct json *connect_options(struct request *request)
{
	const struct route *route = &request->route;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json *options;

		if (strcmp(route->resource_name, rows[i].plural) ||
		    strcmp(route->subresource_name, rows[i].subresource))
			continue;
		options = json_object(request->arena);
		json_set_text(request->arena, options, "kind", rows[i].kind);
		json_set_text(request->arena, options, "apiVersion", "v1");
		for (const struct parameter *parameter = rows[i].parameters; parameter->name; parameter++)
			add_parameter(request, options, parameter);
		if (!strcmp(route->subresource_name, "proxy") && route->tail[0])
			json_set_text(request->arena, options, "path", route->tail);
		return options;
	}
	return NULL;
}
