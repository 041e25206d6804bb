// SPDX-License-Identifier: Apache-2.0

#include "kubelet/certificates/certificate_request.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/io/tls.h"

static void bio_done(BIO **memory)
{
	BIO_free(*memory);
}
#define AUTO_BIO __attribute__((cleanup(bio_done)))

static void key_done(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}
#define AUTO_KEY __attribute__((cleanup(key_done)))

static bool add_name(GENERAL_NAMES *names, int type, ASN1_STRING *value)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	if (!name || !value || !sk_GENERAL_NAME_push(names, name)) {
		GENERAL_NAME_free(name);
		ASN1_STRING_free(value);
		return false;
	}
	GENERAL_NAME_set0_value(name, type, value);
	return true;
}

static bool fill_names(GENERAL_NAMES *names, const struct certificate_subject *subject)
{
	for (const char *const *name = subject->dns_names; name && *name; name++) {
		ASN1_STRING *value = ASN1_IA5STRING_new();
		if (value)
			ASN1_STRING_set(value, *name, -1);
		if (!add_name(names, GEN_DNS, value))
			return false;
	}
	for (const char *const *address = subject->ip_addresses; address && *address; address++)
		if (!add_name(names, GEN_IPADD, a2i_IPADDRESS(*address)))
			return false;
	return true;
}

static bool add_names(X509_REQ *request, const struct certificate_subject *subject)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
	bool fine = names && extensions && fill_names(names, subject);
	if (fine && sk_GENERAL_NAME_num(names) > 0)
		fine = X509V3_add1_i2d(&extensions, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1 &&
		       X509_REQ_add_extensions(request, extensions) == 1;
	sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	return fine;
}

static bool add_entry(X509_NAME *name, const char *field, const char *value)
{
	return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0) == 1;
}

static void append_memory(struct strbuf *out, BIO *memory)
{
	char *data;
	long length = BIO_get_mem_data(memory, &data);
	strbuf_append(out, data, (size_t)length);
}

int certificate_request_make(const struct certificate_subject *subject, struct strbuf *key, struct strbuf *request,
                             struct err *err)
{
	AUTO_KEY EVP_PKEY *pair = EVP_EC_gen("P-256");
	AUTO_BIO BIO *key_text = BIO_new(BIO_s_mem());
	AUTO_BIO BIO *request_text = BIO_new(BIO_s_mem());
	X509_REQ *made = X509_REQ_new();
	X509_NAME *name = made ? X509_REQ_get_subject_name(made) : NULL;
	bool fine = pair && key_text && request_text && name && X509_REQ_set_version(made, 0) &&
	            add_entry(name, "O", subject->organization) && add_entry(name, "CN", subject->common_name) &&
	            X509_REQ_set_pubkey(made, pair) && add_names(made, subject) &&
	            X509_REQ_sign(made, pair, EVP_sha256()) && PEM_write_bio_X509_REQ(request_text, made) &&
	            PEM_write_bio_PrivateKey(key_text, pair, NULL, NULL, 0, NULL, NULL);
	X509_REQ_free(made);
	if (!fine)
		return err_set_tls(err, "make a certificate request for \"%s\"", subject->common_name);
	append_memory(key, key_text);
	append_memory(request, request_text);
	return 0;
}

static int64_t to_ns(const ASN1_TIME *time)
{
	struct tm parts;
	if (!ASN1_TIME_to_tm(time, &parts))
		return 0;
	return (int64_t)timegm(&parts) * NSEC_PER_SEC;
}

int certificate_pair_check(const char *pem, size_t length, struct certificate_validity *ret_validity, struct err *err)
{
	AUTO_BIO BIO *certificate_text = BIO_new_mem_buf(pem, (int)length);
	AUTO_BIO BIO *key_text = BIO_new_mem_buf(pem, (int)length);
	X509 *certificate = PEM_read_bio_X509(certificate_text, NULL, NULL, NULL);
	AUTO_KEY EVP_PKEY *key = PEM_read_bio_PrivateKey(key_text, NULL, NULL, NULL);
	int result = 0;
	if (!certificate || !key)
		result = err_set(err, ERR_INVALID, "no certificate with its key");
	else if (X509_check_private_key(certificate, key) != 1)
		result = err_set(err, ERR_INVALID, "the certificate and its key don't belong together");
	else
		*ret_validity = (struct certificate_validity){
		        .not_before_ns = to_ns(X509_get0_notBefore(certificate)),
		        .not_after_ns = to_ns(X509_get0_notAfter(certificate)),
		        .self_signed = X509_NAME_cmp(X509_get_subject_name(certificate),
		                                     X509_get_issuer_name(certificate)) == 0,
		};
	X509_free(certificate);
	ERR_clear_error();
	return result;
}

int64_t certificate_rotation_time(const struct certificate_validity *validity, unsigned random_percent)
{
	int64_t life_ns = validity->not_after_ns - validity->not_before_ns;
	return validity->not_before_ns + life_ns / 100 * (70 + (int64_t)random_percent);
}
