// SPDX-License-Identifier: Apache-2.0
// ABAC: one policy in a line of the file, read at start. A policy names a user or
// a group, and either a resource of an API group in a namespace or a path, "*" for
// any; readonly ones allow get, list and watch.

#include <string.h>

#include "apiserver/authorization/authorizers.h"
#include "common/api/json.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/base/text.h"

enum {
	ABAC_MAX_BYTES = 16 << 20,
};

struct policy {
	const char *user, *group, *api_group, *resource, *namespace_name, *path;
	bool readonly;
};

struct abac {
	struct authorizer authorizer;
	struct arena *arena;
	struct policy *policies;
	size_t count;
};

static bool subject_matches(const struct policy *policy, const struct user *user)
{
	if (!policy->user[0] && !policy->group[0])
		return false;
	if (policy->user[0] && strcmp(policy->user, "*") != 0 && strcmp(policy->user, user->name) != 0)
		return false;
	if (policy->user[0] && !strcmp(policy->user, "*") && user->anonymous && !policy->group[0])
		return false;
	return !policy->group[0] || !strcmp(policy->group, "*") || user_is_in(user, policy->group);
}

static bool is_read(const char *verb)
{
	return !strcmp(verb, "get") || !strcmp(verb, "list") || !strcmp(verb, "watch");
}

static bool one_matches(const char *wanted, const char *given)
{
	return !strcmp(wanted, "*") || !strcmp(wanted, given);
}

static bool path_matches(const char *wanted, const char *path)
{
	size_t length = strlen(wanted);

	if (one_matches(wanted, path))
		return true;
	return length && wanted[length - 1] == '*' && !strncmp(wanted, path, length - 1);
}

static bool policy_allows(const struct policy *policy, const struct user *user,
                          const struct authorization_attributes *attributes)
{
	if (!subject_matches(policy, user) || (policy->readonly && !is_read(attributes->verb)))
		return false;
	if (!attributes->is_resource)
		return path_matches(policy->path, attributes->path);
	return one_matches(policy->namespace_name, attributes->namespace_name) &&
	       one_matches(policy->resource, attributes->resource) && one_matches(policy->api_group, attributes->group);
}

static bool decide(struct authorizer *authorizer, struct arena *arena, const struct user *user,
                   const struct authorization_attributes *attributes, struct authorization_answer *ret_answer)
{
	const struct abac *abac = container_of(authorizer, struct abac, authorizer);

	(void)arena;
	authorization_no_opinion(ret_answer, "No policy matched.");
	for (size_t i = 0; i < abac->count; i++)
		if (policy_allows(&abac->policies[i], user, attributes)) {
			*ret_answer = (struct authorization_answer){.decision = AUTHORIZATION_ALLOWED, .reason = ""};
			break;
		}
	return false;
}

static void free_abac(struct authorizer *authorizer)
{
	struct abac *abac = container_of(authorizer, struct abac, authorizer);

	arena_free(abac->arena);
	free(abac->policies);
	free(abac);
}

static int add_line(struct abac *abac, const char *file, int number, const char *line, struct err *err)
{
	struct json *document;
	const struct json *spec;

	if (json_parse(abac->arena, line, strlen(line), NULL, &document, err) < 0)
		return err_wrap(err, "%s, line %d", file, number);
	if (strcmp(text_or_empty(json_get_text(document, "apiVersion")), "abac.authorization.kubernetes.io/v1beta1") !=
	            0 ||
	    strcmp(text_or_empty(json_get_text(document, "kind")), "Policy") != 0)
		return err_set(err, ERR_INVALID,
		               "%s, line %d: a Policy of abac.authorization.kubernetes.io/v1beta1 is wanted", file,
		               number);
	spec = json_get(document, "spec");
	abac->policies = xreallocarray(abac->policies, abac->count + 1, sizeof(*abac->policies));
	abac->policies[abac->count++] = (struct policy){
	        .user = text_or_empty(json_get_text(spec, "user")),
	        .group = text_or_empty(json_get_text(spec, "group")),
	        .api_group = text_or_empty(json_get_text(spec, "apiGroup")),
	        .resource = text_or_empty(json_get_text(spec, "resource")),
	        .namespace_name = text_or_empty(json_get_text(spec, "namespace")),
	        .path = text_or_empty(json_get_text(spec, "nonResourcePath")),
	        .readonly = json_get_bool(spec, "readonly", false),
	};
	return 0;
}

int abac_new(const char *policy_file, struct authorizer **ret_authorizer, struct err *err)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(ABAC_MAX_BYTES);
	struct abac *abac;
	char *save = NULL;
	int number = 0, r = file_read(policy_file, &text, err);

	if (r < 0)
		return r;
	abac = NEW(struct abac);
	abac->authorizer = (struct authorizer){.name = "ABAC", .decide = decide, .free = free_abac};
	abac->arena = arena_new(4096);
	for (char *line = strtok_r(text.data, "\n", &save); r == 0 && line; line = strtok_r(NULL, "\n", &save)) {
		number++;
		line += strspn(line, " \t\r");
		if (*line && *line != '#')
			r = add_line(abac, policy_file, number, line, err);
	}
	if (r < 0)
		free_abac(&abac->authorizer);
	else
		*ret_authorizer = &abac->authorizer;
	return r;
}
