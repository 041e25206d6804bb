// SPDX-License-Identifier: Apache-2.0
#include "apiserver/security_flags.h"

#include <string.h>

#include "common/base/memory.h"
#include "common/base/strbuf.h"
#include "common/io/tls.h"

// --- TLS -------------------------------------------------------------------------------------------

// "cert,key[:name,name…]"
static int parse_sni(const char *text, struct tls_sni_certificate *ret_row, struct err *err)
{
	char *copy = xstrdup(text), *names = strrchr(copy, ':'), *key, *save = NULL;
	const char **list = NULL;
	size_t count = 0;

	if (names)
		*names++ = '\0';
	key = strchr(copy, ',');
	if (!key || !key[1] || key == copy) {
		free(copy);
		return err_set(err, ERR_BAD_REQUEST,
		               "--tls-sni-cert-key: expected comma separated certificate and key "
		               "file paths");
	}
	*key++ = '\0';
	if (names && *names) {
		list = xcalloc(strlen(names) + 2, sizeof(*list));
		for (char *name = strtok_r(names, ",", &save); name; name = strtok_r(NULL, ",", &save))
			list[count++] = name;
	}
	*ret_row = (struct tls_sni_certificate){.certificate_file = copy, .private_key_file = key, .names = list};
	return 0;
}

static int apply_tls(const struct security_flags *flags, struct server_config *config, struct err *err)
{
	struct tls_sni_certificate *rows = xcalloc(flags->sni.count + 1, sizeof(*rows));

	config->cipher_suites = flags->cipher_suites.count ? flags->cipher_suites.items : NULL;
	config->sni = flags->sni.count ? rows : NULL;
	for (size_t i = 0; i < flags->sni.count; i++)
		if (parse_sni(flags->sni.items[i], &rows[i], err) < 0)
			return -(int)ERR_BAD_REQUEST;
	if (!flags->sni.count)
		free(rows);
	return 0;
}

static int apply_transport_security(const struct security_flags *flags, struct server_config *config, struct err *err)
{
	struct strbuf value = STRBUF_INIT(1024);

	for (size_t i = 0; i < flags->strict_transport_security.count; i++) {
		const char *directive = flags->strict_transport_security.items[i];

		if (strncmp(directive, "max-age=", 8) != 0 && strcmp(directive, "includeSubDomains") != 0 &&
		    strcmp(directive, "preload") != 0) {
			strbuf_done(&value);
			return err_set(
			        err, ERR_BAD_REQUEST,
			        "--strict-transport-security-directives invalid, allowed values: max-age=expireTime, "
			        "includeSubDomains, preload. see "
			        "https://developer.mozilla.org/en-US/docs/Web/HTTP/Headers/Strict-Transport-Security "
			        "for more information");
		}
		strbuf_printf(&value, "%s%s", i ? "; " : "", directive);
	}
	if (value.length)
		config->strict_transport_security = strbuf_take(&value, &(size_t){0});
	return 0;
}

// --- authentication ----------------------------------------------------------------------------------

static int check_service_accounts(const struct authentication_flags *flags, struct err *err)
{
	for (size_t i = 0; i < flags->issuers.count; i++) {
		if (!flags->issuers.items[i][0])
			return err_set(err, ERR_BAD_REQUEST, "service-account-issuer should not be an empty string");
		for (size_t j = 0; j < i; j++)
			if (!strcmp(flags->issuers.items[i], flags->issuers.items[j]))
				return err_set(err, ERR_BAD_REQUEST,
				               "service-account-issuer contained duplicate value: \"%s\"",
				               flags->issuers.items[i]);
	}
	if (flags->signing_key_file[0] && !flags->issuers.count)
		return err_set(err, ERR_BAD_REQUEST, "service-account-issuer is a required flag");
	if (flags->max_token_expiration_ns && (flags->max_token_expiration_ns < 3600 * NSEC_PER_SEC ||
	                                       flags->max_token_expiration_ns / NSEC_PER_SEC > INT64_C(1) << 32))
		return err_set(err, ERR_BAD_REQUEST,
		               "the service-account-max-token-expiration must be between 1 hour and 2^32 seconds");
	return 0;
}

static int check_issuers(const struct authentication_flags *flags, struct err *err)
{
	if (!flags->oidc_issuer_url[0] != !flags->oidc_client_id[0])
		return err_set(err, ERR_BAD_REQUEST,
		               "oidc-issuer-url and oidc-client-id must be specified together when "
		               "any oidc-* flags are set");
	if (flags->config_file[0] && flags->oidc_issuer_url[0])
		return err_set(err, ERR_BAD_REQUEST,
		               "authentication-config file and oidc-* flags are mutually exclusive");
	return 0;
}

static int check_authorization(const struct authorization_flags *flags, struct err *err)
{
	for (size_t i = 0; i < flags->modes.count; i++) {
		const char *mode = flags->modes.items[i];

		for (size_t j = 0; j < i; j++)
			if (!strcmp(mode, flags->modes.items[j]))
				return err_set(err, ERR_BAD_REQUEST,
				               "authorization-mode \"%s\" has mode specified more than once", mode);
		if (!strcmp(mode, "ABAC") && !flags->policy_file[0])
			return err_set(err, ERR_BAD_REQUEST,
			               "authorization-mode ABAC's authorization policy file not passed");
		if (!strcmp(mode, "Webhook") && !flags->webhook_config_file[0])
			return err_set(err, ERR_BAD_REQUEST,
			               "authorization-mode Webhook's authorization config file not passed");
	}
	if (flags->config_file[0] && flags->modes.count)
		return err_set(err, ERR_BAD_REQUEST,
		               "--authorization-config can not be specified when --authorization-mode "
		               "or --authorization-webhook-* flags are defined");
	return 0;
}

int security_flags_apply(const struct security_flags *flags, struct server_config *config, struct err *err)
{
	int r = apply_tls(flags, config, err);

	if (r == 0)
		r = apply_transport_security(flags, config, err);
	if (r == 0)
		r = check_service_accounts(&config->authentication, err);
	if (r == 0)
		r = check_issuers(&config->authentication, err);
	return r == 0 ? check_authorization(&config->authorization, err) : r;
}
