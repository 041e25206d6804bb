// SPDX-License-Identifier: Apache-2.0
#pragma once
// Certificates for tests, made when they are needed, in a directory of the
// test's own: authorities, servers, clients, expired ones, EC and RSA keys.

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"

struct tls_fixture_cert {
	X509 *certificate;
	EVP_PKEY *key;
};

struct tls_fixture_request {
	const char *common_name;
	const char *organizations[4];
	const char *alternative_names; // "DNS:localhost,IP:127.0.0.1"
	const char *usage;             // "serverAuth", "clientAuth"; NULL = none
	bool is_authority;
	bool is_rsa;
	long valid_from_s;                     // relative to now
	long valid_to_s;                       // 0 = a day
	const struct tls_fixture_cert *issuer; // NULL: self-signed
};

static inline void tls_fixture_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
}

static inline struct tls_fixture_cert tls_fixture_issue(const struct tls_fixture_request *request)
{
	static long serial = 1000;
	struct tls_fixture_cert made = {
	        .certificate = X509_new(),
	        .key = request->is_rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"),
	};
	X509 *issuer = request->issuer ? request->issuer->certificate : made.certificate;
	X509_set_version(made.certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
	X509_gmtime_adj(X509_getm_notBefore(made.certificate), request->valid_from_s ? request->valid_from_s : -3600);
	X509_gmtime_adj(X509_getm_notAfter(made.certificate), request->valid_to_s ? request->valid_to_s : 86400);
	X509_set_pubkey(made.certificate, made.key);
	X509_NAME *subject = X509_get_subject_name(made.certificate);
	for (size_t i = 0; i < 4 && request->organizations[i]; i++)
		X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8,
		                           (const unsigned char *)request->organizations[i], -1, -1, 0);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)request->common_name, -1, -1,
	                           0);
	X509_set_issuer_name(made.certificate, X509_get_subject_name(issuer));
	tls_fixture_extension(made.certificate, issuer, NID_basic_constraints,
	                      request->is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (request->alternative_names)
		tls_fixture_extension(made.certificate, issuer, NID_subject_alt_name, request->alternative_names);
	if (request->usage)
		tls_fixture_extension(made.certificate, issuer, NID_ext_key_usage, request->usage);
	X509_sign(made.certificate, request->issuer ? request->issuer->key : made.key, EVP_sha256());
	return made;
}

static inline void tls_fixture_drop(struct tls_fixture_cert *cert)
{
	X509_free(cert->certificate);
	EVP_PKEY_free(cert->key);
}

static inline void tls_fixture_save(const struct tls_fixture_cert *cert, const char *certificate_file,
                                    const char *key_file)
{
	char temporary[256];
	snprintf(temporary, sizeof(temporary), "%s.new", certificate_file);
	FILE *file = fopen(temporary, "w");
	PEM_write_X509(file, cert->certificate);
	fclose(file);
	rename(temporary, certificate_file);
	if (!key_file)
		return;
	snprintf(temporary, sizeof(temporary), "%s.new", key_file);
	file = fopen(temporary, "w");
	PEM_write_PrivateKey(file, cert->key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	rename(temporary, key_file);
}

// A directory with ca.crt, server.crt/.key (localhost, 127.0.0.1) and client.crt/.key (CN alice, O dev and ops).
struct tls_fixture {
	char directory[64];
	char *paths[16]; // what tls_fixture_path has made
	size_t path_count;
	struct tls_fixture_cert authority;
};

static inline const char *tls_fixture_path(struct tls_fixture *fixture, const char *name)
{
	for (size_t i = 0; i < fixture->path_count; i++)
		if (strcmp(fixture->paths[i] + strlen(fixture->directory) + 1, name) == 0)
			return fixture->paths[i];
	if (fixture->path_count == 16)
		abort();
	char *path = xasprintf("%s/%s", fixture->directory, name);
	fixture->paths[fixture->path_count++] = path;
	return path;
}

static inline void tls_fixture_issue_to(struct tls_fixture *fixture, const struct tls_fixture_request *request,
                                        const char *certificate_name, const char *key_name)
{
	struct tls_fixture_cert made = tls_fixture_issue(request);
	tls_fixture_save(&made, tls_fixture_path(fixture, certificate_name), tls_fixture_path(fixture, key_name));
	tls_fixture_drop(&made);
}

static inline void tls_fixture_init(struct tls_fixture *fixture)
{
	*fixture = (struct tls_fixture){.directory = "/tmp/caravel-tls-XXXXXX"};
	if (!mkdtemp(fixture->directory))
		abort();
	fixture->authority =
	        tls_fixture_issue(&(struct tls_fixture_request){.common_name = "test-ca", .is_authority = true});
	tls_fixture_save(&fixture->authority, tls_fixture_path(fixture, "ca.crt"), NULL);
	tls_fixture_issue_to(fixture,
	                     &(struct tls_fixture_request){.common_name = "server",
	                                                   .alternative_names = "DNS:localhost,IP:127.0.0.1",
	                                                   .usage = "serverAuth",
	                                                   .issuer = &fixture->authority},
	                     "server.crt", "server.key");
	tls_fixture_issue_to(fixture,
	                     &(struct tls_fixture_request){.common_name = "alice",
	                                                   .organizations = {"dev", "ops"},
	                                                   .usage = "clientAuth",
	                                                   .issuer = &fixture->authority},
	                     "client.crt", "client.key");
}

static inline void tls_fixture_done(struct tls_fixture *fixture)
{
	for (size_t i = 0; i < fixture->path_count; i++) {
		unlink(fixture->paths[i]);
		free(fixture->paths[i]);
	}
	rmdir(fixture->directory);
	tls_fixture_drop(&fixture->authority);
}
