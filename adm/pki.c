// SPDX-License-Identifier: Apache-2.0
//
// Certificates in the shape that kubeadm gives them: CAs for ten years with key
// usage digital signature, key encipherment and certificate signing; leaves for
// one year with an extended key usage; validity from five minutes ago, so that a
// node whose clock lags a little accepts them; never past the signer's own end.
#include "adm/pki.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/io/tls.h"

enum { CLOCK_TOLERANCE_SECONDS = 300, SERIAL_BYTES = 8, MAX_PEM_BYTES = 256 * 1024 };

void pki_pair_done(struct pki_pair *pair)
{
	X509_free(pair->certificate);
	EVP_PKEY_free(pair->key);
	*pair = (struct pki_pair){0};
}

static void x509_extension_free_one(X509_EXTENSION **extension)
{
	X509_EXTENSION_free(*extension);
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	__attribute__((cleanup(x509_extension_free_one))) X509_EXTENSION *extension =
	        X509V3_EXT_conf_nid(NULL, &context, nid, value);
	return extension && X509_add_ext(certificate, extension, -1) == 1;
}

// "DNS:a,IP:b,…", or NULL for no names. Names come from flags: OpenSSL's value syntax
// must not see a comma of theirs.
static char *alternative_names(const struct pki_request *request)
{
	struct strbuf names = STRBUF_INIT(MAX_PEM_BYTES);
	for (const char *const *name = request->dns_names; name && *name; name++)
		if (!strchr(*name, ','))
			strbuf_printf(&names, "%sDNS:%s", names.length ? "," : "", *name);
	for (const char *const *address = request->ip_addresses; address && *address; address++)
		if (!strchr(*address, ','))
			strbuf_printf(&names, "%sIP:%s", names.length ? "," : "", *address);
	if (!names.length) {
		strbuf_done(&names);
		return NULL;
	}
	return strbuf_take(&names, NULL);
}

static bool set_name(X509 *certificate, const struct pki_request *request)
{
	X509_NAME *name = X509_get_subject_name(certificate);
	if (request->organization &&
	    !X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)request->organization, -1, -1,
	                                0))
		return false;
	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)request->common_name, -1,
	                                  -1, 0);
}

static bool set_serial(X509 *certificate)
{
	unsigned char bytes[SERIAL_BYTES];
	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
	BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	bool done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
	BN_free(number);
	return done;
}

static bool set_validity(X509 *certificate, const struct pki_request *request, X509 *signer)
{
	time_t now = time(NULL);
	time_t end = now + (time_t)request->validity_seconds;
	if (!ASN1_TIME_set(X509_getm_notBefore(certificate), now - CLOCK_TOLERANCE_SECONDS) ||
	    !ASN1_TIME_set(X509_getm_notAfter(certificate), end))
		return false;
	if (signer && X509_cmp_time(X509_get0_notAfter(signer), &end) < 0)
		return X509_set1_notAfter(certificate, X509_get0_notAfter(signer));
	return true;
}

static bool add_usages(X509 *certificate, X509 *issuer, const struct pki_request *request)
{
	if (request->is_ca)
		return add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE") &&
		       add_extension(certificate, issuer, NID_key_usage,
		                     "critical,digitalSignature,keyEncipherment,keyCertSign") &&
		       add_extension(certificate, issuer, NID_subject_key_identifier, "hash");
	const char *extended = request->usage == PKI_SERVER   ? "serverAuth"
	                       : request->usage == PKI_CLIENT ? "clientAuth"
	                                                      : "serverAuth,clientAuth";
	return add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature,keyEncipherment") &&
	       add_extension(certificate, issuer, NID_ext_key_usage, extended) &&
	       add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always");
}

static bool build(struct pki_pair *pair, const struct pki_request *request, const struct pki_pair *signer)
{
	pair->key = EVP_EC_gen("P-256");
	pair->certificate = X509_new();
	if (!pair->key || !pair->certificate)
		return false;
	X509 *issuer = signer ? signer->certificate : pair->certificate;
	AUTO_FREE char *names = alternative_names(request);
	return X509_set_version(pair->certificate, X509_VERSION_3) && set_serial(pair->certificate) &&
	       set_name(pair->certificate, request) &&
	       set_validity(pair->certificate, request, signer ? signer->certificate : NULL) &&
	       X509_set_issuer_name(pair->certificate, X509_get_subject_name(issuer)) &&
	       X509_set_pubkey(pair->certificate, pair->key) && add_usages(pair->certificate, issuer, request) &&
	       (!names || add_extension(pair->certificate, issuer, NID_subject_alt_name, names)) &&
	       X509_sign(pair->certificate, signer ? signer->key : pair->key, EVP_sha256());
}

int pki_issue(const struct pki_request *request, const struct pki_pair *signer, struct pki_pair *ret_pair,
              struct err *err)
{
	AUTO_PKI_PAIR struct pki_pair pair = {0};
	if (!build(&pair, request, signer))
		return err_set_tls(err, "issue a certificate for %s", request->common_name);
	*ret_pair = pair;
	pair = (struct pki_pair){0};
	return 0;
}

static int load_pem(const char *path, const char *suffix, struct strbuf *text, struct err *err)
{
	AUTO_FREE char *file = xasprintf("%s%s", path, suffix);
	return file_read(file, text, err);
}

int pki_pair_load(const char *path, struct pki_pair *ret_pair, struct err *err)
{
	AUTO_STRBUF struct strbuf certificate_text = STRBUF_INIT(MAX_PEM_BYTES);
	AUTO_STRBUF struct strbuf key_text = STRBUF_INIT(MAX_PEM_BYTES);
	int result = load_pem(path, ".crt", &certificate_text, err);
	if (result == 0)
		result = load_pem(path, ".key", &key_text, err);
	if (result < 0)
		return result;
	AUTO_PKI_PAIR struct pki_pair pair = {0};
	BIO *certificate_bio = BIO_new_mem_buf(certificate_text.data, (int)certificate_text.length);
	BIO *key_bio = BIO_new_mem_buf(key_text.data, (int)key_text.length);
	pair.certificate = certificate_bio ? PEM_read_bio_X509(certificate_bio, NULL, NULL, NULL) : NULL;
	pair.key = key_bio ? PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL) : NULL;
	BIO_free(certificate_bio);
	BIO_free(key_bio);
	if (!pair.certificate || !pair.key)
		return err_set_tls(err, "read %s.crt and %s.key", path, path);
	if (X509_check_private_key(pair.certificate, pair.key) != 1)
		return err_set_tls(err, "%s.key does not belong to %s.crt", path, path);
	*ret_pair = pair;
	pair = (struct pki_pair){0};
	return 0;
}

static char *bio_take(BIO *bio)
{
	char *data;
	long length = BIO_get_mem_data(bio, &data);
	char *text = xstrndup(data, (size_t)length);
	BIO_free(bio);
	return text;
}

char *pki_certificate_pem(X509 *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());
	if (!bio || !PEM_write_bio_X509(bio, certificate))
		abort();
	return bio_take(bio);
}

char *pki_key_pem(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	if (!bio || !PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL))
		abort();
	return bio_take(bio);
}

static int store_text(const char *path, const char *suffix, const char *text, mode_t mode, struct err *err)
{
	AUTO_FREE char *file = xasprintf("%s%s", path, suffix);
	return file_write_atomic(file, text, strlen(text), mode, err);
}

int pki_pair_store(const char *path, const struct pki_pair *pair, struct err *err)
{
	AUTO_FREE char *key = pki_key_pem(pair->key);
	AUTO_FREE char *certificate = pki_certificate_pem(pair->certificate);
	int result = store_text(path, ".key", key, 0600, err);
	return result < 0 ? result : store_text(path, ".crt", certificate, 0644, err);
}

bool pki_certificate_serves(X509 *certificate, X509 *signer, const struct pki_request *request)
{
	EVP_PKEY *signer_key = X509_get0_pubkey(signer);
	if (!signer_key || X509_verify(certificate, signer_key) != 1 ||
	    X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0)
		return false;
	for (const char *const *name = request->dns_names; name && *name; name++)
		if (X509_check_host(certificate, *name, 0, 0, NULL) != 1)
			return false;
	for (const char *const *address = request->ip_addresses; address && *address; address++)
		if (X509_check_ip_asc(certificate, *address, 0) != 1)
			return false;
	return true;
}

int pki_signing_key_ensure(const char *path, bool *ret_created, struct err *err)
{
	AUTO_FREE char *key_file = xasprintf("%s.key", path);
	struct stat status;
	if (stat(key_file, &status) == 0) {
		*ret_created = false;
		return 0;
	}
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *public_bio = BIO_new(BIO_s_mem());
	if (!key || !public_bio || !PEM_write_bio_PUBKEY(public_bio, key)) {
		EVP_PKEY_free(key);
		BIO_free(public_bio);
		return err_set_tls(err, "make the service account key");
	}
	AUTO_FREE char *public_text = bio_take(public_bio);
	AUTO_FREE char *private_text = pki_key_pem(key);
	EVP_PKEY_free(key);
	// The private half last: its presence means that both are there.
	int result = store_text(path, ".pub", public_text, 0644, err);
	if (result == 0)
		result = store_text(path, ".key", private_text, 0600, err);
	if (result == 0)
		*ret_created = true;
	return result;
}
