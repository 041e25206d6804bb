// SPDX-License-Identifier: Apache-2.0

#include "apiserver/admission/policy_params.h"

#include <string.h>

#include "apiserver/custom/served.h"
#include "apiserver/validation/validation.h"

static const struct json *const without_params[] = {NULL};

static const char *find_by_name(const struct change *change, const struct schema_resource *resource,
                                const char *namespace_name, const char *name, const struct json **params,
                                size_t *ret_count)
{
	struct json *object = admission_peek(change, resource, namespace_name, name);

	if (object)
		params[(*ret_count)++] = object;
	return NULL;
}

static const char *find_by_selector(const struct change *change, const struct schema_resource *resource,
                                    const char *namespace_name, const struct json *selector,
                                    const struct json *const **ret_params, size_t *ret_count)
{
	struct label_selector *parsed;
	const struct json **params;
	struct json **all;
	size_t count;

	if (label_selector_from_json(change->arena, selector, &parsed, NULL) < 0)
		return "invalid selector";
	all = admission_peek_all(change, resource, namespace_name, &count);
	params = ARENA_ARRAY(change->arena, const struct json *, count + 1);
	for (size_t i = 0; i < count; i++)
		if (label_selector_matches_json(parsed, json_path(all[i], "metadata", "labels")))
			params[(*ret_count)++] = all[i];
	*ret_params = params;
	return NULL;
}

// The namespace of the parameters; NULL with *ret_why.
static const char *namespace_of(const struct change *change, const struct schema_resource *resource,
                                const struct json *reference, const char **ret_why)
{
	const char *named = text_of(reference, "namespace");

	*ret_why = NULL;
	if (!resource->namespaced) {
		if (named[0])
			*ret_why = "paramRef.namespace must not be provided for a cluster-scoped `paramKind`";
		return "";
	}
	if (named[0])
		return named;
	if (!change->namespace_name[0])
		*ret_why = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources";
	return change->namespace_name;
}

const char *policy_params_find(const struct change *change, const struct policy_binding *binding,
                               const struct json *const **ret_params, size_t *ret_count)
{
	const struct policy *policy = binding->policy;
	const struct json *reference = binding->param_ref, *selector = json_get(reference, "selector");
	const struct schema_resource *resource;
	const char *namespace_name, *why;
	const struct json **single = ARENA_ARRAY(change->arena, const struct json *, 1);

	*ret_params = without_params;
	*ret_count = 1;
	if (!policy->param_kind || !reference)
		return NULL;
	resource = served_find_kind(change->request->served, policy->param_group, policy->param_version,
	                            policy->param_kind);
	if (!resource)
		return arena_printf(change->arena, "paramKind kind `%s%s%s, Kind=%s` not known", policy->param_group,
		                    policy->param_group[0] ? "/" : "", policy->param_version, policy->param_kind);
	namespace_name = namespace_of(change, resource, reference, &why);
	if (why)
		return why;
	*ret_count = 0;
	*ret_params = single;
	if (text_of(reference, "name")[0])
		why = find_by_name(change, resource, namespace_name, text_of(reference, "name"), single, ret_count);
	else if (is_present(selector))
		why = find_by_selector(change, resource, namespace_name, selector, ret_params, ret_count);
	else
		why = "one of name or selector must be provided";
	if (!why && !*ret_count && !strcmp(text_of(reference, "parameterNotFoundAction"), "Deny"))
		why = "no params found for policy binding with `Deny` parameterNotFoundAction";
	return why;
}
