// SPDX-License-Identifier: Apache-2.0
// Impersonate-User and its companions. Each thing that the request wants to be is
// asked for by itself, with the verb impersonate on users, serviceaccounts,
// groups, uids and userextras/KEY, all before the request becomes somebody else.

#include <string.h>
#include <strings.h>

#include "apiserver/authentication/authenticate.h"
#include "apiserver/authorization/authorize.h"
#include "common/base/encode.h"
#include "common/base/text.h"

#define EXTRA_PREFIX "impersonate-extra-"

struct impersonation {
	struct request *request;
	struct user user; // to become
	struct authorization_ask ask;
	struct authorization_attributes *checks;
	size_t check_count;
	size_t next;
};

// --- what is wanted -----------------------------------------------------------------------------

static const char *extra_key(struct arena *arena, const char *text)
{
	char *key = arena_strdup(arena, text), *out = key;

	for (const char *at = key; *at; at++) {
		int high = *at == '%' ? hex_digit(at[1]) : -1, low = high >= 0 ? hex_digit(at[2]) : -1;

		*out++ = low >= 0 ? (char)(high << 4 | low) : *at;
		at += low >= 0 ? 2 : 0;
	}
	*out = '\0';
	return key;
}

static void check(struct impersonation *op, const char *group, const char *resource, const char *subresource,
                  const char *namespace_name, const char *name)
{
	op->checks[op->check_count++] = (struct authorization_attributes){.verb = "impersonate",
	                                                                  .is_resource = true,
	                                                                  .path = op->request->route.path,
	                                                                  .group = group,
	                                                                  .version = "v1",
	                                                                  .resource = resource,
	                                                                  .subresource = subresource,
	                                                                  .namespace_name = namespace_name,
	                                                                  .name = name};
}

static void want_user(struct impersonation *op, const char *name)
{
	const char *ns, *account;

	if (user_split_service_account(op->request->arena, name, &ns, &account)) {
		check(op, "", "serviceaccounts", "", ns, account);
		user_of_service_account(op->request->arena, ns, account, NULL, &op->user);
	} else {
		check(op, "", "users", "", "", name);
		op->user.name = name;
	}
}

static void add_extra(struct impersonation *op, const char *key, const char *value)
{
	struct user_extra *rows = (struct user_extra *)op->user.extra;
	struct arena *arena = op->request->arena;
	size_t i = 0;
	const char **values;

	while (i < op->user.extra_count && strcmp(rows[i].key, key) != 0)
		i++;
	if (i == op->user.extra_count)
		rows[op->user.extra_count++] = (struct user_extra){.key = key};
	values = ARENA_ARRAY(arena, const char *, rows[i].value_count + 1);
	for (size_t v = 0; v < rows[i].value_count; v++)
		values[v] = rows[i].values[v];
	values[rows[i].value_count++] = value;
	rows[i].values = values;
	check(op, "authentication.k8s.io", "userextras", key, "", value);
}

static void want_rest(struct impersonation *op)
{
	const struct http_request *http = op->request->http;
	struct arena *arena = op->request->arena;
	const char **groups = ARENA_ARRAY(arena, const char *, http->header_count + 4);
	size_t count = 0;

	op->user.extra = ARENA_ARRAY(arena, struct user_extra, http->header_count + 1);
	for (size_t i = 0; i < http->header_count; i++) {
		const struct http_header *header = &http->headers[i];

		if (!strcasecmp(header->name, "impersonate-group")) {
			check(op, "", "groups", "", "", header->value);
			groups[count++] = header->value;
		} else if (!strncasecmp(header->name, EXTRA_PREFIX, strlen(EXTRA_PREFIX))) {
			add_extra(op, extra_key(arena, header->name + strlen(EXTRA_PREFIX)), header->value);
		} else if (!strcasecmp(header->name, "impersonate-uid") && header->value[0]) {
			op->user.uid = header->value;
			check(op, "authentication.k8s.io", "uids", "", "", header->value);
		}
	}
	if (!count && op->user.group_count) // a service account's own
		return;
	op->user.groups = groups;
	op->user.group_count = count;
}

static const char *first_header(const struct request *request, const char *prefix)
{
	for (size_t i = 0; i < request->http->header_count; i++)
		if (!strncasecmp(request->http->headers[i].name, prefix, strlen(prefix)) &&
		    request->http->headers[i].value[0])
			return request->http->headers[i].name;
	return NULL;
}

// --- asking for it ------------------------------------------------------------------------------

static void become(struct impersonation *op)
{
	struct request *request = op->request;

	request->impersonator = ARENA_NEW(request->arena, struct user);
	*request->impersonator = request->user;
	if (!strcmp(op->user.name, USER_ANONYMOUS)) {
		op->user.anonymous = true;
		user_add_group(request->arena, &op->user, GROUP_UNAUTHENTICATED);
	} else if (!user_is_in(&op->user, GROUP_UNAUTHENTICATED)) {
		user_add_group(request->arena, &op->user, GROUP_AUTHENTICATED);
	}
	request->user = op->user;
	request_next(request, NULL);
}

static void ask_next(struct impersonation *op);

static void on_answer(struct authorization_ask *ask, const struct authorization_answer *answer)
{
	struct impersonation *op = container_of(ask, struct impersonation, ask);

	if (!authorization_allows(answer)) {
		struct authorization_answer plain = *answer;

		plain.decision = AUTHORIZATION_DENIED; // a 403 whatever went wrong
		request_next(op->request,
		             authorize_refuse(op->request, &op->request->user, &op->checks[op->next], &plain));
		return;
	}
	op->next++;
	ask_next(op);
}

static void ask_next(struct impersonation *op)
{
	struct request *request = op->request;

	if (op->next == op->check_count) {
		become(op);
		return;
	}
	op->ask = (struct authorization_ask){.server = request->server,
	                                     .loop = request->loop,
	                                     .arena = request->arena,
	                                     .user = &request->user,
	                                     .attributes = &op->checks[op->next],
	                                     .done = on_answer};
	authorization_ask(&op->ask);
}

void impersonate(struct request *request)
{
	const char *name = http_request_header(request->http, "impersonate-user");
	struct impersonation *op;

	if (text_is_empty(name)) {
		const char *other = first_header(request, "impersonate-");

		request_next(request, other ? status_internal(request->arena,
		                                              "Internal Server Error: \"%s\": requested %s without "
		                                              "impersonating a user",
		                                              request->http->path, other)
		                            : NULL);
		return;
	}
	op = ARENA_NEW(request->arena, struct impersonation);
	op->request = request;
	op->checks = ARENA_ARRAY(request->arena, struct authorization_attributes, request->http->header_count + 1);
	want_user(op, name);
	want_rest(op);
	ask_next(op);
}
