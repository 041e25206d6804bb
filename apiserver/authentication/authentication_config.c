// SPDX-License-Identifier: Apache-2.0
// AuthenticationConfiguration (apiserver.config.k8s.io v1, v1beta1, v1alpha1): the
// issuers of tokens, and where anonymous requests are taken. The --oidc-* flags
// are made into the same document.

#include <string.h>

#include "apiserver/authentication/authenticators.h"
#include "apiserver/authentication/jwt_issuer.h"
#include "common/api/yaml.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/base/text.h"

enum {
	CONFIG_MAX_BYTES = 1 << 20,
};

struct authentication_config {
	struct arena *arena;
	struct json *document;
};

// --- the flags as a document --------------------------------------------------------------------------

static void add_required_claims(struct arena *arena, struct json *config, const struct string_list *claims)
{
	struct json *rules = json_ensure_array(arena, config, "claimValidationRules");

	for (size_t i = 0; i < claims->count; i++) {
		const char *equals = strchr(claims->items[i], '=');
		struct json *rule = json_object(arena);

		if (!equals)
			continue;
		json_set(arena, rule, "claim",
		         json_string_n(arena, claims->items[i], (size_t)(equals - claims->items[i])));
		json_set_text(arena, rule, "requiredValue", equals + 1);
		json_append(arena, rules, rule);
	}
}

// Names that aren't addresses are prefixed with their issuer, unless the flag says otherwise.
static const char *username_prefix(struct arena *arena, const struct authentication_flags *flags)
{
	if (!strcmp(flags->oidc_username_prefix, "-"))
		return "";
	if (!flags->oidc_username_prefix[0] && strcmp(flags->oidc_username_claim, "email") != 0)
		return arena_printf(arena, "%s#", flags->oidc_issuer_url);
	return flags->oidc_username_prefix;
}

static struct json *mapping(struct arena *arena, const char *claim, const char *prefix)
{
	struct json *object = json_object(arena);

	json_set_text(arena, object, "claim", claim);
	json_set_text(arena, object, "prefix", prefix);
	return object;
}

static struct json *document_of_flags(struct arena *arena, const struct authentication_flags *flags)
{
	struct json *document = json_object(arena), *list = json_array(arena), *config = json_object(arena),
	            *issuer = json_object(arena), *audiences = json_array(arena), *mappings = json_object(arena),
	            *algorithms = json_array(arena);

	json_set_text(arena, issuer, "url", flags->oidc_issuer_url);
	json_append(arena, audiences, json_string(arena, flags->oidc_client_id));
	json_set(arena, issuer, "audiences", audiences);
	if (flags->oidc_ca_file[0])
		json_set_text(arena, issuer, "certificateAuthorityFile", flags->oidc_ca_file);
	json_set(arena, mappings, "username",
	         mapping(arena, flags->oidc_username_claim, username_prefix(arena, flags)));
	if (flags->oidc_groups_claim[0])
		json_set(arena, mappings, "groups",
		         mapping(arena, flags->oidc_groups_claim, flags->oidc_groups_prefix));
	for (size_t i = 0; i < flags->oidc_signing_algorithms.count; i++)
		json_append(arena, algorithms, json_string(arena, flags->oidc_signing_algorithms.items[i]));
	if (!algorithms->length)
		json_append(arena, algorithms, json_string(arena, "RS256"));
	json_set(arena, config, "issuer", issuer);
	json_set(arena, config, "claimMappings", mappings);
	json_set(arena, config, "signingAlgorithms", algorithms);
	add_required_claims(arena, config, &flags->oidc_required_claims);
	json_append(arena, list, config);
	json_set(arena, document, "jwt", list);
	return document;
}

// --- the file ---------------------------------------------------------------------------------------

static int check_document(const struct json *document, struct err *err)
{
	static const char *const versions[] = {"apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1",
	                                       "apiserver.config.k8s.io/v1alpha1"};
	const char *version = text_or_empty(json_get_text(document, "apiVersion"));

	if (strcmp(text_or_empty(json_get_text(document, "kind")), "AuthenticationConfiguration") != 0)
		return err_set(err, ERR_INVALID, "an AuthenticationConfiguration is wanted");
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		if (!strcmp(versions[i], version))
			return 0;
	return err_set(err, ERR_INVALID, "apiVersion \"%s\" is not known", version);
}

static int load(struct authentication_config *config, const char *file, struct err *err)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(CONFIG_MAX_BYTES);
	struct yaml_document *documents = NULL;
	size_t count = 0;
	int r = file_read(file, &text, err);

	if (r == 0)
		r = yaml_parse(config->arena, strbuf_text(&text), text.length, NULL, &documents, &count, err);
	if (r == 0 && count)
		config->document = documents[0].value;
	return r == 0 ? check_document(config->document, err) : r;
}

static int add_issuers(struct server *server, struct authentication *authentication,
                       const struct authentication_config *config, struct err *err)
{
	int r = 0;

	json_for_each_item (row, json_get(config->document, "jwt")) {
		struct token_authenticator *authenticator = NULL;

		if (r == 0)
			r = jwt_issuer_new(server, row, &authenticator, err);
		if (authenticator)
			authentication_add(authentication, authenticator);
	}
	return r;
}

int authentication_config_new(struct server *server, struct authentication *authentication,
                              const struct authentication_flags *flags, struct authentication_config **ret_config,
                              struct err *err)
{
	struct authentication_config *config;
	int r = 0;

	if (!flags->config_file[0] && !flags->oidc_issuer_url[0])
		return 0;
	config = NEW(struct authentication_config);
	config->arena = arena_new(4096);
	*ret_config = config;
	if (flags->config_file[0])
		r = load(config, flags->config_file, err);
	else
		config->document = document_of_flags(config->arena, flags);
	if (r == 0)
		r = add_issuers(server, authentication, config, err);
	return r < 0 ? err_wrap(err, "%s", flags->config_file[0] ? "--authentication-config" : "--oidc-issuer-url") : 0;
}

void authentication_config_free(struct authentication_config *config)
{
	if (!config)
		return;
	arena_free(config->arena);
	free(config);
}

bool authentication_config_anonymous(const struct authentication_config *config, const char *path, bool *ret_allowed)
{
	const struct json *anonymous = json_get(config->document, "anonymous"), *conditions;

	if (!json_is(anonymous, JSON_OBJECT))
		return false;
	conditions = json_get(anonymous, "conditions");
	*ret_allowed = json_get_bool(anonymous, "enabled", false);
	if (!*ret_allowed || !json_is(conditions, JSON_ARRAY) || !conditions->length)
		return true;
	*ret_allowed = false;
	json_for_each_item (condition, conditions)
		if (!strcmp(text_or_empty(json_get_text(condition, "path")), path))
			*ret_allowed = true;
	return true;
}
