// SPDX-License-Identifier: Apache-2.0
// Reading and checking in one walk; mistakes are gathered in upstream's words.

#include "apiserver/encryption/configuration.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/validation/validation.h"
#include "common/api/yaml.h"
#include "common/base/arena.h"
#include "common/base/duration.h"
#include "common/base/encode.h"
#include "common/base/macros.h"
#include "common/base/memory.h"

#define KMS_DEFAULT_TIMEOUT_NS (3 * INT64_C(1000000000))
#define UNIX_SCHEME "unix://"

enum {
	MESSAGE_MAX_BYTES = 16 << 10,
};

struct walk {
	struct arena *arena;
	struct strbuf mistakes;
	const struct encryption_configuration *configuration;
};

static void mistake(struct walk *walk, const char *field, const char *format, ...) PRINTF_LIKE(3, 4);

static void mistake(struct walk *walk, const char *field, const char *format, ...)
{
	va_list args;

	if (walk->mistakes.length)
		strbuf_append_text(&walk->mistakes, ", ");
	strbuf_printf(&walk->mistakes, "%s: ", field);
	va_start(args, format);
	strbuf_vprintf(&walk->mistakes, format, args);
	va_end(args);
}

// --- keys --------------------------------------------------------------------------------------

static const char *wanted_lengths(struct arena *arena, const struct cipher *cipher)
{
	const char *text = "[";

	for (const size_t *length = cipher->key_lengths; *length; length++)
		text = arena_printf(arena, "%s%s%zu", text, text[1] ? " " : "", *length);
	return arena_printf(arena, "%s]", text);
}

static bool fits(const struct cipher *cipher, size_t length)
{
	for (const size_t *wanted = cipher->key_lengths; *wanted; wanted++)
		if (*wanted == length)
			return true;
	return false;
}

static void read_secret(struct walk *walk, const char *path, const struct cipher *cipher, const char *secret,
                        struct cipher_key *key)
{
	uint8_t *bytes = NULL;
	size_t length = 0;

	if (!base64_decode(walk->arena, secret, strlen(secret), &bytes, &length)) {
		mistake(walk, path, "Invalid value: \"REDACTED\": secrets must be base64 encoded");
		return;
	}
	if (fits(cipher, length)) {
		memcpy(key->bytes, bytes, length);
		key->length = length;
	} else {
		mistake(walk, path,
		        "Invalid value: \"REDACTED\": secret is not of the expected length, got %zu, expected one of "
		        "%s",
		        length, wanted_lengths(walk->arena, cipher));
	}
	cipher_forget(bytes, length);
}

static void read_keys(struct walk *walk, const char *path, const struct json *list,
                      struct encryption_provider *provider)
{
	size_t count = length_of(list), index = 0;

	if (!count)
		mistake(walk, path, "Required value: at least one keys is required");
	provider->keys = xcalloc(count + 1, sizeof(*provider->keys));
	provider->key_count = count;
	json_for_each_item (item, list) {
		struct encryption_key *key = &provider->keys[index];
		const char *at = arena_printf(walk->arena, "%s[%zu]", path, index);
		const char *secret = text_of(item, "secret");

		index++;
		key->name = xstrdup(text_of(item, "name"));
		if (!key->name[0])
			mistake(walk, arena_printf(walk->arena, "%s.name", at),
			        "Required value: name is a mandatory field for a key");
		if (!secret[0])
			mistake(walk, arena_printf(walk->arena, "%s.secret", at),
			        "Required value: secret is a mandatory field for a key");
		else
			read_secret(walk, arena_printf(walk->arena, "%s.secret", at), provider->cipher, secret,
			            &key->key);
	}
}

// --- kms ------------------------------------------------------------------------------------------

static bool is_taken(const struct encryption_configuration *configuration, const struct encryption_provider *self)
{
	for (size_t i = 0; i < configuration->rule_count; i++)
		for (size_t j = 0; j < configuration->rules[i].provider_count; j++) {
			const struct encryption_provider *other = &configuration->rules[i].providers[j];

			if (other != self && other->kms_name && !strcmp(other->kms_name, self->kms_name))
				return true;
		}
	return false;
}

static void read_kms_name(struct walk *walk, const char *path, const struct json *kms,
                          struct encryption_provider *provider)
{
	provider->kms_name = xstrdup(text_of(kms, "name"));
	if (!provider->kms_name[0])
		mistake(walk, path, "Required value: name is a mandatory field for a provider");
	else if (strchr(provider->kms_name, ':'))
		mistake(walk, path, "Invalid value: \"%s\": invalid KMS provider name %s, must not contain ':'",
		        provider->kms_name, provider->kms_name);
	else if (is_taken(walk->configuration, provider))
		mistake(walk, path, "Invalid value: \"%s\": duplicate KMS provider name %s, names must be unique",
		        provider->kms_name, provider->kms_name);
}

static void read_kms_endpoint(struct walk *walk, const char *path, const struct json *kms,
                              struct encryption_provider *provider)
{
	const char *endpoint = text_of(kms, "endpoint"), *scheme_end = strstr(endpoint, "://");

	if (!endpoint[0])
		mistake(walk, path, "Required value: endpoint is a mandatory field for a kms");
	else if (strncmp(endpoint, UNIX_SCHEME, strlen(UNIX_SCHEME)))
		mistake(walk, path,
		        "Invalid value: \"%s\": unsupported scheme \"%.*s\" for KMS provider, only unix is supported",
		        endpoint, scheme_end ? (int)(scheme_end - endpoint) : 0, endpoint);
	else
		provider->kms_socket = xstrdup(endpoint + strlen(UNIX_SCHEME));
}

static void read_kms(struct walk *walk, const char *path, const struct json *kms, struct encryption_provider *provider)
{
	const char *version = text_of(kms, "apiVersion"), *timeout = text_of(kms, "timeout");

	read_kms_name(walk, arena_printf(walk->arena, "%s.name", path), kms, provider);
	read_kms_endpoint(walk, arena_printf(walk->arena, "%s.endpoint", path), kms, provider);
	provider->kms_timeout_ns = KMS_DEFAULT_TIMEOUT_NS;
	if (timeout[0] && (!duration_parse(timeout, &provider->kms_timeout_ns) || provider->kms_timeout_ns <= 0))
		mistake(walk, arena_printf(walk->arena, "%s.timeout", path),
		        "Invalid value: \"%s\": timeout should be a positive value", timeout);
	if (json_get(kms, "cachesize"))
		mistake(walk, arena_printf(walk->arena, "%s.cachesize", path),
		        "Invalid value: cachesize is not supported in v2");
	if (strcmp(version, "v2"))
		mistake(walk, arena_printf(walk->arena, "%s.apiVersion", path),
		        "Invalid value: \"%s\": unsupported apiVersion %s for KMS provider, only v2 is supported (v1 "
		        "is off by "
		        "default in this version)",
		        version, version[0] ? version : "v1");
}

// --- providers ---------------------------------------------------------------------------------------

static const struct cipher *const ciphers[] = {&cipher_aescbc, &cipher_aesgcm, &cipher_secretbox};

static void read_provider(struct walk *walk, const char *path, const struct json *item,
                          struct encryption_provider *provider)
{
	unsigned found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ciphers); i++) {
		const struct json *member = json_get(item, ciphers[i]->name);

		if (!member)
			continue;
		found++;
		if (found > 1)
			break;
		provider->cipher = ciphers[i];
		read_keys(walk, arena_printf(walk->arena, "%s.%s.keys", path, ciphers[i]->name),
		          json_get(member, "keys"), provider);
	}
	if (json_get(item, "identity"))
		found++;
	if (json_get(item, "kms")) {
		found++;
		provider->kms = found == 1;
		if (provider->kms)
			read_kms(walk, arena_printf(walk->arena, "%s.kms", path), json_get(item, "kms"), provider);
	}
	if (!found)
		mistake(walk, path,
		        "Invalid value: provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, "
		        "Secretbox, Identity");
	if (found > 1)
		mistake(walk, path,
		        "Invalid value: more than one provider specified in a single element, should split into "
		        "different "
		        "list elements");
}

// --- resources ----------------------------------------------------------------------------------------

static const char *mistake_in_name(const char *name)
{
	static const char *const internal[] = {"apiserveripinfo", "serviceipallocations", "servicenodeportallocations"};
	const char *dot = strchr(name, '.'), *group = dot ? dot + 1 : "";

	for (const char *c = name; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			return "resource name should not contain capital letters";
	if (!strcmp(name, "*"))
		return "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources";
	for (size_t i = 0; i < ARRAY_SIZE(internal); i++)
		if (!strcmp(name, internal[i]))
			return "resources which do not have REST API/s cannot be encrypted";
	if (!strcmp(group, "events.k8s.io"))
		return "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' "
		       "instead "
		       "in the config file";
	if (!strcmp(group, "extensions"))
		return "'extensions' group has been removed and cannot be used for encryption";
	if (!strcmp(group, "*") && strcmp(name, "*.*"))
		return "encrypting the same resource across groups is not supported";
	return NULL;
}

static bool covers(const char *a, const char *b)
{
	const char *dot = strchr(a, '.'), *other = strchr(b, '.');

	if (!strcmp(a, "*.*"))
		return true;
	return a[0] == '*' && dot && !strcmp(dot + 1, other ? other + 1 : "");
}

static void check_names(struct walk *walk, const char *path, char *const *names)
{
	bool overlap = false, twice = false;

	for (size_t i = 0; names[i]; i++) {
		const char *wrong = mistake_in_name(names[i]);

		if (wrong)
			mistake(walk, arena_printf(walk->arena, "%s[%zu]", path, i), "Invalid value: \"%s\": %s",
			        names[i], wrong);
		for (size_t j = 0; names[j]; j++) {
			twice |= i != j && !strcmp(names[i], names[j]);
			overlap |= i != j && strcmp(names[i], names[j]) && covers(names[i], names[j]);
		}
	}
	if (twice)
		mistake(walk, path, "Invalid value: the same resource cannot be specified multiple times");
	if (overlap)
		mistake(walk, path,
		        "Invalid value: using overlapping resources such as 'secrets' and '*.' in the same resource "
		        "list is "
		        "not allowed as they will be masked");
}

static void read_rule(struct walk *walk, const char *path, const struct json *item, struct encryption_rule *rule)
{
	const struct json *resources = json_get(item, "resources"), *providers = json_get(item, "providers");
	const char *names_path = arena_printf(walk->arena, "%s.resources", path);
	const char *providers_path = arena_printf(walk->arena, "%s.providers", path);
	size_t count = 0;

	rule->resources = xcalloc(length_of(resources) + 1, sizeof(char *));
	json_for_each_item (name, resources)
		rule->resources[count++] = xstrdup(json_text(name) ? json_text(name) : "");
	if (!count)
		mistake(walk, names_path, "Required value: at least one %s is required", names_path);
	check_names(walk, names_path, rule->resources);
	rule->providers = xcalloc(length_of(providers) + 1, sizeof(*rule->providers));
	if (!length_of(providers))
		mistake(walk, providers_path, "Required value: at least one %s is required", providers_path);
	json_for_each_item (provider, providers) {
		struct encryption_provider *place = &rule->providers[rule->provider_count];

		read_provider(walk, arena_printf(walk->arena, "%s[%zu]", providers_path, rule->provider_count++),
		              provider, place);
	}
}

static void read_rules(struct walk *walk, const struct json *list, struct encryption_configuration *configuration)
{
	configuration->rules = xcalloc(length_of(list) + 1, sizeof(*configuration->rules));
	if (!length_of(list))
		mistake(walk, "resources", "Required value: at least one resources is required");
	json_for_each_item (item, list) {
		struct encryption_rule *place = &configuration->rules[configuration->rule_count];

		read_rule(walk, arena_printf(walk->arena, "resources[%zu]", configuration->rule_count++), item, place);
	}
}

// --- the whole -------------------------------------------------------------------------------------------

static int read_document(struct walk *walk, const struct json *document, struct encryption_configuration *configuration,
                         struct err *err)
{
	const char *kind = text_of(document, "kind"), *version = text_of(document, "apiVersion");

	if (strcmp(kind, "EncryptionConfiguration") || strcmp(version, "apiserver.config.k8s.io/v1"))
		return err_set(err, ERR_INVALID, "no kind \"%s\" is registered for version \"%s\"", kind, version);
	read_rules(walk, json_get(document, "resources"), configuration);
	if (walk->mistakes.length)
		return err_set(err, ERR_INVALID, "%s", strbuf_text(&walk->mistakes));
	return 0;
}

int encryption_configuration_parse(const char *text, size_t length, struct encryption_configuration **ret_configuration,
                                   struct err *err)
{
	struct encryption_configuration *configuration = NEW(struct encryption_configuration);
	struct walk walk = {
	        .arena = arena_new(0), .mistakes = STRBUF_INIT(MESSAGE_MAX_BYTES), .configuration = configuration};
	struct yaml_document *documents = NULL;
	size_t count = 0;
	int r = yaml_parse(walk.arena, text, length, NULL, &documents, &count, err);

	if (r == 0 && count != 1)
		r = err_set(err, ERR_INVALID, "expected one document, found %zu", count);
	if (r == 0)
		r = read_document(&walk, documents[0].value, configuration, err);
	if (r < 0)
		configuration = encryption_configuration_free(configuration);
	strbuf_done(&walk.mistakes);
	arena_free(walk.arena);
	*ret_configuration = configuration;
	return r;
}

static void provider_done(struct encryption_provider *provider)
{
	for (size_t i = 0; i < provider->key_count; i++) {
		cipher_forget(&provider->keys[i].key, sizeof(provider->keys[i].key));
		free(provider->keys[i].name);
	}
	free(provider->keys);
	free(provider->kms_name);
	free(provider->kms_socket);
}

struct encryption_configuration *encryption_configuration_free(struct encryption_configuration *configuration)
{
	if (!configuration)
		return NULL;
	for (size_t i = 0; i < configuration->rule_count; i++) {
		struct encryption_rule *rule = &configuration->rules[i];

		for (char **name = rule->resources; name && *name; name++)
			free(*name);
		free(rule->resources);
		for (size_t j = 0; j < rule->provider_count; j++)
			provider_done(&rule->providers[j]);
		free(rule->providers);
	}
	free(configuration->rules);
	free(configuration);
	return NULL;
}

static bool names(const char *wanted, const char *group, const char *plural)
{
	const char *dot = strchr(wanted, '.');
	size_t length = dot ? (size_t)(dot - wanted) : strlen(wanted);

	if (!strcmp(wanted, "*.*"))
		return true;
	if (strcmp(dot ? dot + 1 : "", group))
		return false;
	return (length == 1 && wanted[0] == '*') || (!strncmp(wanted, plural, length) && !plural[length]);
}

const struct encryption_rule *encryption_configuration_find(const struct encryption_configuration *configuration,
                                                            const char *group, const char *plural)
{
	for (size_t i = 0; i < configuration->rule_count; i++)
		for (char **name = configuration->rules[i].resources; *name; name++)
			if (names(*name, group, plural))
				return &configuration->rules[i];
	return NULL;
}
