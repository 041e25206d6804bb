// SPDX-License-Identifier: Apache-2.0
//
//   front proxy's headers ─► client certificate ─► bearer token ─► nobody: anonymous
//
// A credential that was given and is bad makes the request a 401, unless another
// one is good. Everybody but system:anonymous is in system:authenticated. What was
// wrong goes to the log, never to the client.

#include "apiserver/authentication/authenticate.h"

#include <string.h>
#include <strings.h>

#include "apiserver/authentication/authentication.h"
#include "apiserver/server.h"
#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/base/text.h"

static const struct status *unauthorized(struct request *request)
{
	return status_new(request->arena, ERR_UNAUTHORIZED, "Unauthorized");
}

static void pass(struct request *request, const struct user *user)
{
	request->user = *user;
	if (!user_is_in(&request->user, GROUP_UNAUTHENTICATED))
		user_add_group(request->arena, &request->user, GROUP_AUTHENTICATED);
	request_next(request, NULL);
}

// --- certificates ---------------------------------------------------------------------------------

static bool certificate_user(struct request *request, struct user *ret_user)
{
	const struct tls_identity *identity = &request->http->identity;
	struct user user = {.name = identity->common_name,
	                    .uid = identity->uid,
	                    .groups = identity->organizations,
	                    .group_count = identity->organization_count};

	if (text_is_empty(identity->common_name))
		return false;
	*ret_user = user;
	if (identity->fingerprint)
		user_set_extra(request->arena, ret_user, "authentication.kubernetes.io/credential-id",
		               arena_printf(request->arena, "X509SHA256=%s", identity->fingerprint));
	return true;
}

// --- tokens -----------------------------------------------------------------------------------------

// "Bearer TOKEN"; *ret_given is true for the scheme alone as well.
static const char *header_token(struct request *request)
{
	const char *value = http_request_header(request->http, "authorization");

	while (value && *value == ' ')
		value++;
	if (!value || strncasecmp(value, "bearer ", 7) != 0)
		return NULL;
	value += 7;
	while (*value == ' ')
		value++;
	return arena_strndup(request->arena, value, strcspn(value, " "));
}

// Browsers can't set headers on WebSockets: "base64url.bearer.authorization.k8s.io.TOKEN" among the subprotocols.
static const char *websocket_token(struct request *request)
{
	static const char prefix[] = "base64url.bearer.authorization.k8s.io.";
	const char *at = http_request_header(request->http, "sec-websocket-protocol");
	uint8_t *token = NULL;
	size_t length = 0;

	while (at && *at) {
		at += strspn(at, ", ");
		if (!strncmp(at, prefix, sizeof(prefix) - 1)) {
			at += sizeof(prefix) - 1;
			return base64url_decode(request->arena, at, strcspn(at, ", "), &token, &length) &&
			                       strlen((char *)token) == length
			               ? (const char *)token
			               : "";
		}
		at += strcspn(at, ",");
	}
	return NULL;
}

static void on_token(struct token_ask *ask)
{
	struct request *request = ask->context;

	if (ask->authenticated) {
		if (ask->warning)
			log_v(2, "Stale token", kv_str("detail", ask->warning));
		pass(request, &ask->user);
		return;
	}
	log_v(1, "Unable to authenticate the request",
	      kv_str("err", ask->errors ? ask->errors : "invalid bearer token"));
	request_next(request, unauthorized(request));
}

static void ask_token(struct request *request, const char *token)
{
	struct token_ask *ask = ARENA_NEW(request->arena, struct token_ask);

	*ask = (struct token_ask){.server = request->server,
	                          .loop = request->loop,
	                          .arena = request->arena,
	                          .token = token,
	                          .token_length = strlen(token),
	                          .done = on_token,
	                          .context = request};
	token_ask(ask);
}

// --- the stage -----------------------------------------------------------------------------------------

static void pass_anonymous(struct request *request)
{
	static const char *const groups[] = {GROUP_UNAUTHENTICATED};
	static const struct user anonymous = {
	        .name = USER_ANONYMOUS, .groups = groups, .group_count = 1, .anonymous = true};

	if (authentication_allows_anonymous(request->server->authentication, request->http->path))
		pass(request, &anonymous);
	else
		request_next(request, unauthorized(request));
}

void authenticate(struct request *request)
{
	const struct tls_identity *identity = &request->http->identity;
	const char *token;
	struct user user;

	if (front_proxy_user(request, &user) || certificate_user(request, &user)) {
		pass(request, &user);
		return;
	}
	token = header_token(request);
	if (text_is_empty(token))
		token = websocket_token(request);
	if (!text_is_empty(token)) {
		ask_token(request, token);
	} else if (token || (identity->presented && !identity->fingerprint)) {
		log_v(1, "Unable to authenticate the request",
		      kv_str("err", token ? "invalid bearer token"
		                          : "x509: certificate signed by "
		                            "unknown authority"));
		request_next(request, unauthorized(request));
	} else {
		pass_anonymous(request);
	}
}
