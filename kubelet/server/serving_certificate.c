// SPDX-License-Identifier: Apache-2.0
// The key is written before the certificate. A crash in between leaves a pair that
// doesn't belong together, which the next start finds and replaces. The server reads
// its files at handshakes, on the loop's thread that also writes them: it never sees
// half of a pair.

#include "kubelet/server/serving_certificate.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/io/tls.h"

enum {
	SECONDS_PER_DAY = 24 * 3600,
	VALID_DAYS = 365,
	RENEW_DAYS = 30, // before the end
	MAX_FILE_BYTES = 1 << 20,
};

struct pair {
	X509 *certificate;
	EVP_PKEY *key;
};

static void pair_done(struct pair *pair)
{
	X509_free(pair->certificate);
	EVP_PKEY_free(pair->key);
}
#define AUTO_PAIR __attribute__((cleanup(pair_done)))

static void bio_done(BIO **memory)
{
	BIO_free(*memory);
}
#define AUTO_BIO __attribute__((cleanup(bio_done)))

// --- what is there -------------------------------------------------------------------

static BIO *read_file(const char *path)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_FILE_BYTES);
	BIO *memory = BIO_new(BIO_s_mem());
	if (memory && file_read(path, &text, NULL) == 0)
		BIO_write(memory, strbuf_text(&text), (int)text.length);
	return memory;
}

static bool serves(X509 *certificate, const char *node_name, const char *node_ip)
{
	return (X509_check_host(certificate, node_name, 0, 0, NULL) == 1 ||
	        X509_check_ip_asc(certificate, node_name, 0) == 1) &&
	       X509_check_ip_asc(certificate, node_ip, 0) == 1;
}

static bool is_fine(const char *certificate_path, const char *key_path, const char *node_name, const char *node_ip)
{
	AUTO_BIO BIO *certificate_text = read_file(certificate_path);
	AUTO_BIO BIO *key_text = read_file(key_path);
	AUTO_PAIR struct pair pair = {
	        .certificate = PEM_read_bio_X509(certificate_text, NULL, NULL, NULL),
	        .key = PEM_read_bio_PrivateKey(key_text, NULL, NULL, NULL),
	};
	time_t limit = time(NULL) + (time_t)RENEW_DAYS * SECONDS_PER_DAY;
	return pair.certificate && pair.key && X509_check_private_key(pair.certificate, pair.key) == 1 &&
	       X509_cmp_time(X509_get0_notAfter(pair.certificate), &limit) > 0 &&
	       X509_cmp_current_time(X509_get0_notBefore(pair.certificate)) < 0 &&
	       serves(pair.certificate, node_name, node_ip);
}

// --- making --------------------------------------------------------------------------

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

static bool add_dns_name(GENERAL_NAMES *names, const char *text)
{
	ASN1_STRING *value = ASN1_IA5STRING_new();
	if (value)
		ASN1_STRING_set(value, text, -1);
	return add_name(names, GEN_DNS, value);
}

// Names by value: a node's name must not be read as OpenSSL's configuration.
static bool add_alternative_names(X509 *certificate, const char *node_name, const char *node_ip)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	ASN1_OCTET_STRING *name_address = a2i_IPADDRESS(node_name);
	bool fine = names &&
	            (name_address ? add_name(names, GEN_IPADD, name_address) : add_dns_name(names, node_name)) &&
	            add_name(names, GEN_IPADD, a2i_IPADDRESS(node_ip)) &&
	            X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
	sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
	return fine;
}

static bool add_extension(X509 *certificate, int number, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, number, value);
	bool added = extension && X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return added;
}

static bool fill(X509 *certificate, EVP_PKEY *key, const char *node_name, const char *node_ip)
{
	char common_name[65]; // no longer one is allowed
	snprintf(common_name, sizeof(common_name), "%.48s@%lld", node_name, (long long)time(NULL));
	uint64_t serial;
	random_bytes(&serial, sizeof(serial));
	X509_NAME *name = X509_get_subject_name(certificate);
	return X509_set_version(certificate, 2) &&
	       ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) &&
	       X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) &&
	       X509_gmtime_adj(X509_getm_notAfter(certificate), (long)VALID_DAYS * SECONDS_PER_DAY) &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0) &&
	       X509_set_issuer_name(certificate, name) && X509_set_pubkey(certificate, key) &&
	       add_alternative_names(certificate, node_name, node_ip) &&
	       add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
	       add_extension(certificate, NID_ext_key_usage, "serverAuth") && X509_sign(certificate, key, EVP_sha256());
}

static int write_pem(BIO *memory, const char *path, mode_t mode, struct err *err)
{
	char *data;
	long length = BIO_get_mem_data(memory, &data);
	return file_write_atomic(path, data, (size_t)length, mode, err);
}

static int save(const struct pair *pair, const char *certificate_path, const char *key_path, struct err *err)
{
	AUTO_BIO BIO *key_text = BIO_new(BIO_s_mem());
	AUTO_BIO BIO *certificate_text = BIO_new(BIO_s_mem());
	if (!PEM_write_bio_PrivateKey(key_text, pair->key, NULL, NULL, 0, NULL, NULL) ||
	    !PEM_write_bio_X509(certificate_text, pair->certificate))
		return err_set_tls(err, "encode the serving certificate");
	int result = write_pem(key_text, key_path, 0600, err);
	return result == 0 ? write_pem(certificate_text, certificate_path, 0644, err) : result;
}

int serving_certificate_ensure(const char *directory, const char *node_name, const char *node_ip, struct err *err)
{
	AUTO_FREE char *certificate_path = xasprintf("%s/kubelet.crt", directory);
	AUTO_FREE char *key_path = xasprintf("%s/kubelet.key", directory);
	bool fine = is_fine(certificate_path, key_path, node_name, node_ip);
	ERR_clear_error();
	if (fine)
		return 0;
	int result = file_make_folders(directory, 0750, err);
	if (result < 0)
		return result;
	AUTO_PAIR struct pair pair = {.certificate = X509_new(), .key = EVP_EC_gen("P-256")};
	if (!pair.certificate || !pair.key || !fill(pair.certificate, pair.key, node_name, node_ip))
		return err_set_tls(err, "make a serving certificate for node \"%s\", address \"%s\"", node_name,
		                   node_ip);
	return save(&pair, certificate_path, key_path, err);
}
