// SPDX-License-Identifier: Apache-2.0

#include "apiserver/validation/key_pair.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "common/base/encode.h"

static BIO *open_text(struct arena *arena, const char *text)
{
	uint8_t *bytes;
	size_t length;

	if (!base64_decode(arena, text, strlen(text), &bytes, &length) || length > INT32_MAX)
		return NULL;
	return BIO_new_mem_buf(bytes, (int)length);
}

static X509 *read_certificate(struct arena *arena, const char *text)
{
	BIO *bio = open_text(arena, text);
	X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return certificate;
}

static EVP_PKEY *read_key(struct arena *arena, const char *text)
{
	BIO *bio = open_text(arena, text);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"") : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return key;
}

const char *key_pair_complaint(struct arena *arena, const char *certificate_text, const char *key_text)
{
	X509 *certificate = read_certificate(arena, certificate_text);
	EVP_PKEY *key = certificate ? read_key(arena, key_text) : NULL;
	const char *complaint = NULL;

	if (!certificate)
		complaint = "tls: failed to find any PEM data in certificate input";
	else if (!key)
		complaint = "tls: failed to find any PEM data in key input";
	else if (X509_check_private_key(certificate, key) != 1)
		complaint = "tls: private key does not match public key";
	ERR_clear_error();
	EVP_PKEY_free(key);
	X509_free(certificate);
	return complaint;
}
