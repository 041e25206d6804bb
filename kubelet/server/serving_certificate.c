// SPDX-License-Identifier: Apache-2.0
#include "kubelet/server/serving_certificate.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <unistd.h>

#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/io/tls.h"

enum { SECONDS_PER_YEAR = 365 * 24 * 3600 };

static int add_extension(X509 *certificate, int number, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, number, value);
	int added = extension && X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return added;
}

static int fill(X509 *certificate, EVP_PKEY *key, const char *node_name, const char *node_ip)
{
	AUTO_FREE char *common_name = xasprintf("%s@%lld", node_name, (long long)time(NULL));
	AUTO_FREE char *names = xasprintf("DNS:%s,IP:%s", node_name, node_ip);
	uint64_t serial;
	random_bytes(&serial, sizeof(serial));
	X509_NAME *name = X509_get_subject_name(certificate);
	return X509_set_version(certificate, 2) && ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) &&
	       X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) &&
	       X509_gmtime_adj(X509_getm_notAfter(certificate), SECONDS_PER_YEAR) &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0) &&
	       X509_set_issuer_name(certificate, name) && X509_set_pubkey(certificate, key) &&
	       add_extension(certificate, NID_subject_alt_name, names) &&
	       add_extension(certificate, NID_key_usage, "critical,digitalSignature,keyEncipherment") &&
	       add_extension(certificate, NID_ext_key_usage, "serverAuth") && X509_sign(certificate, key, EVP_sha256());
}

static int write_pem(BIO *memory, const char *path, mode_t mode, struct err *err)
{
	char *data;
	long length = BIO_get_mem_data(memory, &data);
	return file_write_atomic(path, data, (size_t)length, mode, err);
}

static int make(X509 *certificate, EVP_PKEY *key, const char *certificate_path, const char *key_path, struct err *err)
{
	BIO *memory = BIO_new(BIO_s_mem());
	int result = PEM_write_bio_PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL)
			     ? write_pem(memory, key_path, 0600, err)
			     : err_set_tls(err, "write the serving key");
	BIO_free(memory);
	if (result < 0)
		return result;
	memory = BIO_new(BIO_s_mem());
	result = PEM_write_bio_X509(memory, certificate) ? write_pem(memory, certificate_path, 0644, err)
							 : err_set_tls(err, "write the serving certificate");
	BIO_free(memory);
	return result;
}

int serving_certificate_ensure(const char *directory, const char *node_name, const char *node_ip, struct err *err)
{
	AUTO_FREE char *certificate_path = xasprintf("%s/kubelet.crt", directory);
	AUTO_FREE char *key_path = xasprintf("%s/kubelet.key", directory);
	if (access(certificate_path, R_OK) == 0 && access(key_path, R_OK) == 0)
		return 0;
	int result = file_make_folders(directory, 0750, err);
	if (result < 0)
		return result;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	if (key && certificate && fill(certificate, key, node_name, node_ip))
		result = make(certificate, key, certificate_path, key_path, err);
	else
		result = err_set_tls(err, "make a serving certificate");
	X509_free(certificate);
	EVP_PKEY_free(key);
	return result;
}
