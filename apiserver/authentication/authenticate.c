// SPDX-License-Identifier: Apache-2.0
// Client certificates: the subject's common name is the user, its organizations
// are the groups; the TLS layer has verified the chain against --client-ca-file.
// Without a certificate the user is system:anonymous. A credential that can't be
// judged (a bearer or basic Authorization) is refused, never taken for anonymous.

#include "apiserver/authentication/authenticate.h"

#include "apiserver/server.h"

static const struct status *unauthorized(struct arena *arena)
{
	return status_new(arena, ERR_UNAUTHORIZED, "Unauthorized");
}

static void set_user(struct request *request, const char *name, const char *const *groups, size_t group_count,
                     const char *extra_group)
{
	const char **all = ARENA_ARRAY(request->arena, const char *, group_count + 1);

	for (size_t i = 0; i < group_count; i++)
		all[i] = groups[i];
	all[group_count] = extra_group;
	request->user = (struct user){.name = name, .groups = all, .group_count = group_count + 1};
}

const struct status *authenticate(struct request *request)
{
	const struct tls_identity *identity = &request->http->identity;

	// Acting as someone else must never silently be acting as oneself.
	if (http_request_header(request->http, "impersonate-user"))
		return status_new(request->arena, ERR_FORBIDDEN, "impersonation is not supported by this server");
	if (identity->common_name && identity->common_name[0]) {
		set_user(request, identity->common_name, identity->organizations, identity->organization_count,
		         "system:authenticated");
		return NULL;
	}
	if (http_request_header(request->http, "authorization") || !request->server->config->anonymous_auth)
		return unauthorized(request->arena);
	set_user(request, "system:anonymous", NULL, 0, "system:unauthenticated");
	request->user.anonymous = true;
	return NULL;
}
