// SPDX-License-Identifier: Apache-2.0
// CertificateSigningRequests: the request itself by OpenSSL, usages, and which
// write may touch which condition.

#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "apiserver/validation/rules.h"
#include "apiserver/validation/string_checks.h"
#include "apiserver/validation/validate.h"
#include "common/base/encode.h"

#define EXCLUSIVE_DETAIL "Approved and Denied conditions are mutually exclusive"

enum {
	EXPIRATION_MIN_SECONDS = 600,
};

// --- PEM -------------------------------------------------------------------------------------------

static BIO *open_bytes(struct validation *v, const char *text)
{
	uint8_t *bytes;
	size_t length;

	if (!base64_decode(v->arena, text, strlen(text), &bytes, &length) || length > INT32_MAX)
		return NULL;
	return BIO_new_mem_buf(bytes, (int)length);
}

// What is wrong with a request, NULL for nothing.
static const char *request_problem(struct validation *v, const char *text)
{
	const char *problem = NULL;
	BIO *bio = open_bytes(v, text);
	char *name = NULL, *header = NULL;
	unsigned char *data = NULL;
	const unsigned char *at;
	X509_REQ *request;
	long length = 0;

	if (!bio || PEM_read_bio(bio, &name, &header, &data, &length) != 1 || strcmp(name, "CERTIFICATE REQUEST")) {
		problem = "PEM block type must be CERTIFICATE REQUEST";
	} else {
		at = data;
		request = d2i_X509_REQ(NULL, &at, length);
		if (!request)
			problem = "asn1: structure error: malformed certificate request";
		else if (X509_REQ_verify(request, X509_REQ_get0_pubkey(request)) != 1)
			problem = "x509: the signature of the certificate request is not valid";
		X509_REQ_free(request);
	}
	ERR_clear_error();
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(data);
	BIO_free(bio);
	return problem;
}

static const char *block_problem(struct validation *v, const char *name, const char *header, const unsigned char *data,
                                 long length)
{
	X509 *certificate;

	if (strcmp(name, "CERTIFICATE"))
		return arena_printf(v->arena, "only CERTIFICATE PEM blocks are allowed, found \"%s\"", name);
	if (header[0])
		return "no PEM block headers are permitted";
	certificate = d2i_X509(NULL, &data, length);
	X509_free(certificate);
	return certificate ? NULL : "x509: malformed certificate";
}

static const char *certificate_problem(struct validation *v, const char *text)
{
	const char *problem = NULL;
	BIO *bio = open_bytes(v, text);
	char *name = NULL, *header = NULL;
	unsigned char *data = NULL;
	size_t blocks = 0;
	long length = 0;

	while (bio && !problem && PEM_read_bio(bio, &name, &header, &data, &length) == 1) {
		problem = block_problem(v, name, header, data, length);
		blocks++;
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(data);
		name = header = NULL;
		data = NULL;
	}
	ERR_clear_error();
	BIO_free(bio);
	return problem || blocks ? problem : "must contain at least one CERTIFICATE PEM block";
}

// --- the request -----------------------------------------------------------------------------------

static const char *const usages[] = {"any",
                                     "cert sign",
                                     "client auth",
                                     "code signing",
                                     "content commitment",
                                     "crl sign",
                                     "data encipherment",
                                     "decipher only",
                                     "digital signature",
                                     "email protection",
                                     "encipher only",
                                     "ipsec end system",
                                     "ipsec tunnel",
                                     "ipsec user",
                                     "key agreement",
                                     "key encipherment",
                                     "microsoft sgc",
                                     "netscape sgc",
                                     "ocsp signing",
                                     "s/mime",
                                     "server auth",
                                     "signing",
                                     "timestamping",
                                     NULL};

static void validate_request(struct validation *v, const struct json *spec, const struct rule_path *path)
{
	const struct json *list = json_get(spec, "usages");
	const char *request = text_of(spec, "request"), *problem = request_problem(v, request);
	struct rule_path request_path = FIELD(path, "request"), usages_path = FIELD(path, "usages"),
	                 signer = FIELD(path, "signerName");

	if (problem)
		validation_invalid_text(v, &request_path, request, problem);
	if (!length_of(list))
		validation_required(v, &usages_path, "");
	rule_for_each_item (usage, entry, list, &usages_path)
		if (!json_text(usage) || !is_one_of(json_text(usage), usages))
			validation_not_supported(v, &entry, json_text(usage) ? json_text(usage) : "", usages);
	rule_for_each_item (usage, entry, list, &usages_path)
		if (text_repeats(list, entry.index, NULL))
			validation_duplicate(v, &entry, usage);
	if (text_is(spec, "signerName", "kubernetes.io/legacy-unknown"))
		validation_invalid_text(v, &signer, text_of(spec, "signerName"),
		                        "the legacy signerName is not allowed via this API version");
	else
		rule_required_text(v, spec, "signerName", path, check_signer_name);
	rule_at_least(v, spec, "expirationSeconds", path, EXPIRATION_MIN_SECONDS,
	              "may not specify a duration less than 600 seconds (10 minutes)");
}

static void validate_conditions(struct validation *v, const struct json *conditions, const struct rule_path *path)
{
	static const char *const all[] = {"False", "True", "Unknown", NULL}, *const only_true[] = {"True", NULL};
	static const char *const final[] = {"Approved", "Denied", "Failed", NULL};
	bool approved = false, denied = false;

	rule_for_each_item (condition, entry, conditions, path) {
		const char *type = text_of(condition, "type");
		struct rule_path type_path = FIELD(&entry, "type");

		if (!type[0])
			validation_required(v, &type_path, "");
		rule_one_of(v, condition, "status", &entry, true, is_one_of(type, final) ? only_true : all);
		approved |= !strcmp(type, "Approved");
		denied |= !strcmp(type, "Denied");
		if (approved && denied && (!strcmp(type, "Approved") || !strcmp(type, "Denied")))
			validation_invalid_text(v, &type_path, type, EXCLUSIVE_DETAIL);
		if (text_repeats(conditions, entry.index, "type"))
			validation_duplicate(v, &type_path, json_string(v->arena, type));
	}
}

// --- updates ---------------------------------------------------------------------------------------

static struct json *of_type(struct arena *arena, const struct json *object, const char *type)
{
	struct json *found = json_array(arena);

	json_for_each_item (condition, json_path(object, "status", "conditions"))
		if (text_is(condition, "type", type))
			json_append(arena, found, condition);
	return found;
}

static void validate_condition_updates(struct validation *v, bool approval, const struct rule_path *path)
{
	static const char *const types[] = {"Approved", "Denied", "Failed"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct json *now = of_type(v->arena, v->change->object, types[i]);
		struct json *old = of_type(v->arena, v->change->old, types[i]);
		bool guarded = !approval && i < 2;

		if (now->length < old->length)
			validation_forbidden(
			        v, path,
			        arena_printf(v->arena, "updates may not remove a condition of type \"%s\"", types[i]));
		else if (guarded && now->length > old->length)
			validation_forbidden(
			        v, path,
			        arena_printf(v->arena, "updates may not add a condition of type \"%s\"", types[i]));
		else if (guarded && !json_equal(now, old))
			validation_forbidden(v, path,
			                     arena_printf(v->arena,
			                                  "updates may not modify a condition of type \"%s\"%s",
			                                  types[i], rule_diff_text(v->arena, old, now, "conditions")));
	}
}

static void validate_certificate_update(struct validation *v, bool may_set, const struct rule_path *path)
{
	const char *now = text_of(json_get(v->change->object, "status"), "certificate");
	const char *old = text_of(json_get(v->change->old, "status"), "certificate");

	if (!strcmp(now, old))
		return;
	if (!may_set)
		validation_forbidden(v, path, "updates may not set certificate content");
	else if (old[0])
		validation_forbidden(v, path, "updates may not modify existing certificate content");
}

void validate_certificate_signing_request(struct validation *v)
{
	const struct json *spec = json_get(v->change->object, "spec"), *status = json_get(v->change->object, "status");
	const char *certificate = text_of(status, "certificate"), *problem;
	struct rule_path path = FIELD(NULL, "spec"), status_path = FIELD(NULL, "status"),
	                 conditions = FIELD(&status_path, "conditions"),
	                 certificate_path = FIELD(&status_path, "certificate");

	validate_request(v, spec, &path);
	validate_conditions(v, json_get(status, "conditions"), &conditions);
	problem = certificate[0] ? certificate_problem(v, certificate) : NULL;
	if (problem)
		validation_invalid_text(v, &certificate_path, "<certificate data>", problem);
	if (change_is_create(v->change))
		return;
	validate_condition_updates(v, !strcmp(v->change->subresource, "approval"), &conditions);
	validate_certificate_update(v, !strcmp(v->change->subresource, "status"), &certificate_path);
}
