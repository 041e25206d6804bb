// SPDX-License-Identifier: Apache-2.0
//
// authorizer.group('apps').resource('deployments').check('create').allowed(): each step
// makes a value that knows a little more, check() asks the caller's authorizer.
#include <string.h>

#include "common/cel/evaluate.h"

struct check {
	const struct cel_authorizer *authorizer;
	struct cel_authorization_request request;
};

static const struct cel_authorization_request empty_request = {
        .verb = "", .group = "", .resource = "", .subresource = "", .namespace = "", .name = ""};

// The authorizer itself is the one value without a check: it needs no memory to be bound.
static struct check check_of(const struct cel_value *value)
{
	if (value->flags == CEL_FORM_MADE)
		return (struct check){.authorizer = value->opaque, .request = empty_request};
	return *(const struct check *)value->opaque;
}

enum { FORM_CHECK = 1 }; // in `flags`: the pointer is a struct check

static struct cel_value make_check(struct cel_eval *eval, const struct cel_type *type, const struct check *check)
{
	struct check *copy = cel_allocate(eval, sizeof(*copy));
	if (!copy)
		return cel_abort(eval);
	*copy = *check;
	struct cel_value value = cel_make_opaque(type, copy);
	value.flags = FORM_CHECK;
	return value;
}

struct cel_value cel_value_authorizer(const struct cel_authorizer *authorizer)
{
	return cel_make_opaque(&cel_type_authorizer, authorizer);
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

struct cel_value cel_value_resource_check(struct arena *arena, const struct cel_authorizer *authorizer,
                                          const struct cel_authorization_request *resource)
{
	struct check *check = ARENA_NEW(arena, struct check);
	check->authorizer = authorizer;
	check->request = *resource;
	check->request.verb = "";
	check->request.group = or_empty(resource->group);
	check->request.resource = or_empty(resource->resource);
	check->request.subresource = or_empty(resource->subresource);
	check->request.namespace = or_empty(resource->namespace);
	check->request.name = or_empty(resource->name);
	struct cel_value value = cel_make_opaque(&cel_type_resource_check, check);
	value.flags = FORM_CHECK;
	return value;
}

static char *text_argument(struct cel_eval *eval, const struct cel_value *value)
{
	char *text = cel_allocate(eval, (size_t)value->length + 1);
	if (!text)
		return NULL;
	memcpy(text, value->text, value->length);
	text[value->length] = '\0';
	return text;
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '\0';
}

static bool valid_name(const char *name, size_t longest)
{
	size_t length = strlen(name);
	if (length == 0 || length > longest || name[0] == '-' || name[0] == '.' || name[length - 1] == '-' ||
	    name[length - 1] == '.')
		return false;
	return strspn(name, longest > 63 ? "abcdefghijklmnopqrstuvwxyz0123456789-."
	                                 : "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static struct cel_value path(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                             unsigned count)
{
	struct check check = check_of(&args[0]);
	char *text = text_argument(eval, &args[1]);
	(void)call, (void)count;
	if (!text)
		return cel_abort(eval);
	if (is_blank(text))
		return cel_fail_text("path must not be empty");
	check.request.path = text;
	return make_check(eval, &cel_type_path_check, &check);
}

static struct cel_value service_account(struct cel_eval *eval, const struct cel_expr *call,
                                        const struct cel_value *args, unsigned count)
{
	struct check check = check_of(&args[0]);
	char *namespace = text_argument(eval, &args[1]), *name = text_argument(eval, &args[2]);
	(void)call, (void)count;
	if (!namespace || !name)
		return cel_abort(eval);
	if (!valid_name(name, 253))
		return cel_fail_text("Invalid service account name");
	if (!valid_name(namespace, 63))
		return cel_fail_text("Invalid service account namespace");
	check.request.service_account_namespace = namespace;
	check.request.service_account_name = name;
	return make_check(eval, &cel_type_authorizer, &check);
}

static struct cel_value group(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                              unsigned count)
{
	struct check check = check_of(&args[0]);
	(void)call, (void)count;
	check.request.group = text_argument(eval, &args[1]);
	return check.request.group ? make_check(eval, &cel_type_group_check, &check) : cel_abort(eval);
}

static struct cel_value resource(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                 unsigned count)
{
	struct check check = check_of(&args[0]);
	(void)call, (void)count;
	check.request.resource = text_argument(eval, &args[1]);
	if (check.request.resource && is_blank(check.request.resource))
		return cel_fail_text("resource must not be empty");
	return check.request.resource ? make_check(eval, &cel_type_resource_check, &check) : cel_abort(eval);
}

#define NARROW(function_name, member)                                                                               \
	static struct cel_value function_name(struct cel_eval *eval, const struct cel_expr *call,                   \
	                                      const struct cel_value *args, unsigned count)                         \
	{                                                                                                           \
		struct check check = check_of(&args[0]);                                                            \
		(void)call, (void)count;                                                                            \
		check.request.member = text_argument(eval, &args[1]);                                               \
		return check.request.member ? make_check(eval, &cel_type_resource_check, &check) : cel_abort(eval); \
	}
NARROW(subresource, subresource)
NARROW(namespace, namespace)
NARROW(name, name)
NARROW(field_selector, field_selector)
NARROW(label_selector, label_selector)

static struct cel_value check(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                              unsigned count)
{
	struct check check = check_of(&args[0]);
	struct cel_authorization_answer *answer = cel_allocate(eval, sizeof(*answer));
	(void)call, (void)count;
	check.request.verb = text_argument(eval, &args[1]);
	if (!answer || !check.request.verb)
		return cel_abort(eval);
	*answer = (struct cel_authorization_answer){.decision = CEL_AUTHORIZATION_NO_OPINION};
	check.authorizer->authorize(check.authorizer->context, eval->arena, &check.request, answer);
	return cel_make_opaque(&cel_type_decision, answer);
}

// --- decisions ---------------------------------------------------------------------------

static const struct cel_authorization_answer *answer_of(const struct cel_value *value)
{
	return value->opaque;
}

static struct cel_value text_value(const char *text)
{
	return cel_value_string(or_empty(text), strlen(or_empty(text)));
}

static struct cel_value allowed(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                unsigned count)
{
	(void)eval, (void)call, (void)count;
	return cel_value_bool(answer_of(&args[0])->decision == CEL_AUTHORIZATION_ALLOWED);
}

static struct cel_value reason(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                               unsigned count)
{
	(void)eval, (void)call, (void)count;
	return text_value(answer_of(&args[0])->reason);
}

static struct cel_value errored(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                unsigned count)
{
	(void)eval, (void)call, (void)count;
	return cel_value_bool(answer_of(&args[0])->error != NULL);
}

static struct cel_value error_text(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                   unsigned count)
{
	(void)eval, (void)call, (void)count;
	return text_value(answer_of(&args[0])->error);
}

// --- equality of library values --------------------------------------------------------------

bool cel_opaque_equal(struct cel_eval *eval, const struct cel_value *a, const struct cel_value *b)
{
	static const struct {
		const struct cel_type *type;
		bool (*equal)(const void *a, const void *b);
	} rows[] = {
	        {&cel_type_url, cel_url_equal},       {&cel_type_ip, cel_ip_equal},
	        {&cel_type_cidr, cel_cidr_equal},     {&cel_type_quantity, cel_quantity_equal},
	        {&cel_type_semver, cel_semver_equal},
	};
	(void)eval;
	if (a->type != b->type)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].type == a->type)
			return rows[i].equal(a->opaque, b->opaque);
	return a->opaque == b->opaque;
}

static const struct cel_function_row rows[] = {
        {"path", "Z.s>P", path, CEL_COST_ONE},
        {"group", "Z.s>G", group, CEL_COST_ONE},
        {"serviceAccount", "Z.ss>Z", service_account, CEL_COST_ONE},
        {"resource", "G.s>R", resource, CEL_COST_ONE},
        {"subresource", "R.s>R", subresource, CEL_COST_ONE},
        {"namespace", "R.s>R", namespace, CEL_COST_ONE},
        {"name", "R.s>R", name, CEL_COST_ONE},
        {"fieldSelector", "R.s>R", field_selector, CEL_COST_SELECTOR, .by_name = true},
        {"labelSelector", "R.s>R", label_selector, CEL_COST_SELECTOR, .by_name = true},
        {"check", "P.s>E", check, CEL_COST_CHECK, .by_name = true},
        {"check", "R.s>E", check, CEL_COST_CHECK, .by_name = true},
        {"allowed", "E.>b", allowed, CEL_COST_ONE},
        {"reason", "E.>s", reason, CEL_COST_ONE},
        {"errored", "E.>b", errored, CEL_COST_ONE},
        {"error", "E.>s", error_text, CEL_COST_ONE},
};

const struct cel_library cel_library_authorizer = CEL_LIBRARY(rows);
