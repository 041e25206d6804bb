// SPDX-License-Identifier: Apache-2.0
// AuthorizationConfiguration (apiserver.config.k8s.io v1, v1beta1, v1alpha1): the
// chain as a document, in which webhooks have conditions and a failure policy.

#include <string.h>

#include "apiserver/authorization/authorizers.h"
#include "common/api/json.h"
#include "common/api/yaml.h"
#include "common/base/clock.h"
#include "common/base/duration.h"
#include "common/base/file.h"
#include "common/base/text.h"

enum {
	CONFIG_MAX_BYTES = 1 << 20,
};

static int read_duration(const struct json *webhook, const char *member, int64_t fallback_ns, int64_t *ret_ns,
                         struct err *err)
{
	const char *text = json_get_text(webhook, member);

	*ret_ns = fallback_ns;
	if (!text)
		return 0;
	return duration_parse(text, ret_ns)
	               ? 0
	               : err_set(err, ERR_INVALID, "webhook.%s: \"%s\" is not a duration", member, text);
}

static int add_webhook(struct authorization *authorization, const struct json *row,
                       const struct authorization_flags *flags, struct err *err)
{
	const struct json *webhook = json_get(row, "webhook");
	const char *policy = text_or_empty(json_get_text(webhook, "failurePolicy"));
	struct authorization_webhook_config config = {
	        .name = text_or_empty(json_get_text(row, "name")),
	        .kubeconfig_file = json_text(json_path(webhook, "connectionInfo", "kubeConfigFile")),
	        .version = text_or_empty(json_get_text(webhook, "subjectAccessReviewVersion")),
	        .fails_closed = !strcmp(policy, "Deny"),
	        .conditions = json_get(webhook, "matchConditions"),
	};
	int r = 0;

	if (!config.name[0])
		return err_set(err, ERR_INVALID, "authorizers[].name: Required value");
	if (strcmp(policy, "Deny") != 0 && strcmp(policy, "NoOpinion") != 0)
		return err_set(err, ERR_INVALID, "webhook.failurePolicy must be NoOpinion or Deny");
	if (strcmp(config.version, "v1") != 0 && strcmp(config.version, "v1beta1") != 0)
		return err_set(err, ERR_INVALID, "webhook.subjectAccessReviewVersion must be v1 or v1beta1");
	r = read_duration(webhook, "timeout", 0, &config.timeout_ns, err);
	if (r == 0)
		r = read_duration(webhook, "authorizedTTL", 300 * NSEC_PER_SEC, &config.authorized_ttl_ns, err);
	if (r == 0)
		r = read_duration(webhook, "unauthorizedTTL", 30 * NSEC_PER_SEC, &config.unauthorized_ttl_ns, err);
	if (r == 0 && (config.timeout_ns <= 0 || config.timeout_ns > 30 * NSEC_PER_SEC))
		return err_set(err, ERR_INVALID, "webhook.timeout must be more than 0 and at most 30s");
	return r == 0 ? authorization_add(authorization, "Webhook", &config, flags, err) : r;
}

static int add_row(struct authorization *authorization, const struct json *row, const struct authorization_flags *flags,
                   struct err *err)
{
	static const char *const modes[] = {"ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC"};
	const char *type = text_or_empty(json_get_text(row, "type"));

	if (!strcmp(type, "Webhook"))
		return add_webhook(authorization, row, flags, err);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (!strcmp(modes[i], type))
			return authorization_add(authorization, type, NULL, flags, err);
	return err_set(err, ERR_INVALID, "authorizers[].type: Unsupported value: \"%s\"", type);
}

static int check_document(const struct json *document, struct err *err)
{
	static const char *const versions[] = {"apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1",
	                                       "apiserver.config.k8s.io/v1alpha1"};
	const char *version = text_or_empty(json_get_text(document, "apiVersion"));

	if (strcmp(text_or_empty(json_get_text(document, "kind")), "AuthorizationConfiguration") != 0)
		return err_set(err, ERR_INVALID, "an AuthorizationConfiguration is wanted");
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		if (!strcmp(versions[i], version))
			return json_is(json_get(document, "authorizers"), JSON_ARRAY) &&
			                       json_get(document, "authorizers")->length
			               ? 0
			               : err_set(err, ERR_INVALID,
			                         "authorizers: Required value: at least one "
			                         "authorization mode must be defined");
	return err_set(err, ERR_INVALID, "apiVersion \"%s\" is not known", version);
}

int authorization_load_config(struct authorization *authorization, const struct authorization_flags *flags,
                              struct err *err)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(CONFIG_MAX_BYTES);
	AUTO(arena_free) struct arena *arena = arena_new(8192);
	struct yaml_document *documents = NULL;
	struct json *document = NULL;
	size_t count = 0;
	int r = file_read(flags->config_file, &text, err);

	if (r == 0)
		r = yaml_parse(arena, strbuf_text(&text), text.length, NULL, &documents, &count, err);
	if (r == 0 && count)
		document = documents[0].value;
	if (r == 0)
		r = check_document(document, err);
	json_for_each_item (row, json_get(document, "authorizers"))
		if (r == 0)
			r = add_row(authorization, row, flags, err);
	return r < 0 ? err_wrap(err, "--authorization-config") : 0;
}
