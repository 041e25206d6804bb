// SPDX-License-Identifier: Apache-2.0
// AES by OpenSSL, secretbox by libsodium (OpenSSL has no XSalsa20).

#include "apiserver/encryption/cipher.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/macros.h"
#include "common/base/memory.h"

enum {
	GCM_NONCE_BYTES = 12,
	GCM_TAG_BYTES = 16,
	CBC_BLOCK_BYTES = 16,
	SEED_INFO_BYTES = 32,
};

DEFINE_CLEANUP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)

void cipher_random(void *bytes, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t n = getrandom((char *)bytes + done, length - done, 0);

		if (n > 0)
			done += (size_t)n;
		else if (errno != EINTR)
			abort();
	}
}

void cipher_forget(void *bytes, size_t length)
{
	explicit_bzero(bytes, length);
}

static int broken(struct err *err)
{
	return err_set(err, ERR_INTERNAL, "the encryption library failed");
}

// --- AES-GCM -----------------------------------------------------------------------------------

static const EVP_CIPHER *gcm_of(size_t key_length)
{
	return key_length == 16 ? EVP_aes_128_gcm() : key_length == 24 ? EVP_aes_192_gcm() : EVP_aes_256_gcm();
}

static int gcm_seal(const struct cipher_key *key, const char *bound_to, const void *plain, size_t length,
                    struct strbuf *out, struct err *err)
{
	AUTO(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	uint8_t nonce[GCM_NONCE_BYTES], tag[GCM_TAG_BYTES];
	char *sealed;
	int written = 0, rest = 0;

	cipher_random(nonce, sizeof(nonce));
	strbuf_append(out, nonce, sizeof(nonce));
	sealed = strbuf_reserve(out, length);
	if (!context || !sealed || EVP_EncryptInit_ex(context, gcm_of(key->length), NULL, key->bytes, nonce) != 1 ||
	    EVP_EncryptUpdate(context, NULL, &rest, (const uint8_t *)bound_to, (int)strlen(bound_to)) != 1 ||
	    EVP_EncryptUpdate(context, (uint8_t *)sealed, &written, plain, (int)length) != 1 ||
	    EVP_EncryptFinal_ex(context, (uint8_t *)sealed + written, &rest) != 1 ||
	    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, sizeof(tag), tag) != 1)
		return broken(err);
	strbuf_commit(out, length);
	strbuf_append(out, tag, sizeof(tag));
	return 0;
}

static int gcm_open(const struct cipher_key *key, const char *bound_to, const uint8_t *sealed, size_t length,
                    struct strbuf *out, struct err *err)
{
	AUTO(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	const uint8_t *text = sealed + GCM_NONCE_BYTES;
	size_t text_length;
	uint8_t tag[GCM_TAG_BYTES];
	int written = 0, rest = 0;
	char *plain;

	if (length < GCM_NONCE_BYTES + GCM_TAG_BYTES)
		return err_set(err, ERR_INTERNAL, "the stored data was shorter than the required size");
	text_length = length - GCM_NONCE_BYTES - GCM_TAG_BYTES;
	memcpy(tag, text + text_length, sizeof(tag));
	plain = strbuf_reserve(out, text_length);
	if (!context || !plain || EVP_DecryptInit_ex(context, gcm_of(key->length), NULL, key->bytes, sealed) != 1 ||
	    EVP_DecryptUpdate(context, NULL, &rest, (const uint8_t *)bound_to, (int)strlen(bound_to)) != 1 ||
	    EVP_DecryptUpdate(context, (uint8_t *)plain, &written, text, (int)text_length) != 1 ||
	    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, sizeof(tag), tag) != 1)
		return broken(err);
	if (EVP_DecryptFinal_ex(context, (uint8_t *)plain + written, &rest) != 1)
		return err_set(err, ERR_INTERNAL, "cipher: message authentication failed");
	strbuf_commit(out, text_length);
	return 0;
}

const struct cipher cipher_aesgcm = {"aesgcm", {16, 24, 32, 0}, gcm_seal, gcm_open};

// --- AES-CBC -----------------------------------------------------------------------------------

static const EVP_CIPHER *cbc_of(size_t key_length)
{
	return key_length == 16 ? EVP_aes_128_cbc() : key_length == 24 ? EVP_aes_192_cbc() : EVP_aes_256_cbc();
}

static int cbc_seal(const struct cipher_key *key, const char *bound_to, const void *plain, size_t length,
                    struct strbuf *out, struct err *err)
{
	AUTO(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	size_t padded = length + CBC_BLOCK_BYTES - length % CBC_BLOCK_BYTES;
	uint8_t iv[CBC_BLOCK_BYTES];
	int written = 0, rest = 0;
	char *sealed;

	(void)bound_to;
	cipher_random(iv, sizeof(iv));
	strbuf_append(out, iv, sizeof(iv));
	sealed = strbuf_reserve(out, padded);
	if (!context || !sealed || EVP_EncryptInit_ex(context, cbc_of(key->length), NULL, key->bytes, iv) != 1 ||
	    EVP_EncryptUpdate(context, (uint8_t *)sealed, &written, plain, (int)length) != 1 ||
	    EVP_EncryptFinal_ex(context, (uint8_t *)sealed + written, &rest) != 1)
		return broken(err);
	strbuf_commit(out, padded);
	return 0;
}

static int cbc_open(const struct cipher_key *key, const char *bound_to, const uint8_t *sealed, size_t length,
                    struct strbuf *out, struct err *err)
{
	AUTO(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int written = 0, rest = 0;
	size_t text_length;
	char *plain;

	(void)bound_to;
	if (length < CBC_BLOCK_BYTES)
		return err_set(err, ERR_INTERNAL, "the stored data was shorter than the required size");
	text_length = length - CBC_BLOCK_BYTES;
	if (!text_length || text_length % CBC_BLOCK_BYTES)
		return err_set(err, ERR_INTERNAL, "the stored data is not a multiple of the block size");
	plain = strbuf_reserve(out, text_length);
	if (!context || !plain || EVP_DecryptInit_ex(context, cbc_of(key->length), NULL, key->bytes, sealed) != 1 ||
	    EVP_DecryptUpdate(context, (uint8_t *)plain, &written, sealed + CBC_BLOCK_BYTES, (int)text_length) != 1)
		return broken(err);
	if (EVP_DecryptFinal_ex(context, (uint8_t *)plain + written, &rest) != 1)
		return err_set(err, ERR_INTERNAL, "the stored data has an invalid padding");
	strbuf_commit(out, (size_t)(written + rest));
	return 0;
}

const struct cipher cipher_aescbc = {"aescbc", {16, 24, 32, 0}, cbc_seal, cbc_open};

// --- secretbox ------------------------------------------------------------------------------------

static int box_seal(const struct cipher_key *key, const char *bound_to, const void *plain, size_t length,
                    struct strbuf *out, struct err *err)
{
	uint8_t nonce[crypto_secretbox_NONCEBYTES];
	char *sealed;

	(void)bound_to;
	cipher_random(nonce, sizeof(nonce));
	strbuf_append(out, nonce, sizeof(nonce));
	sealed = strbuf_reserve(out, length + crypto_secretbox_MACBYTES);
	if (!sealed || crypto_secretbox_easy((uint8_t *)sealed, plain, length, nonce, key->bytes))
		return broken(err);
	strbuf_commit(out, length + crypto_secretbox_MACBYTES);
	return 0;
}

static int box_open(const struct cipher_key *key, const char *bound_to, const uint8_t *sealed, size_t length,
                    struct strbuf *out, struct err *err)
{
	size_t text_length;
	char *plain;

	(void)bound_to;
	if (length < crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES)
		return err_set(err, ERR_INTERNAL, "the stored data was shorter than the required size");
	text_length = length - crypto_secretbox_NONCEBYTES - crypto_secretbox_MACBYTES;
	plain = strbuf_reserve(out, text_length);
	if (!plain)
		return broken(err);
	if (crypto_secretbox_open_easy((uint8_t *)plain, sealed + crypto_secretbox_NONCEBYTES,
	                               length - crypto_secretbox_NONCEBYTES, sealed, key->bytes))
		return err_set(err, ERR_INTERNAL, "the stored data was not sealed with this key, or was changed");
	strbuf_commit(out, text_length);
	return 0;
}

const struct cipher cipher_secretbox = {"secretbox", {32, 0}, box_seal, box_open};

// --- seeded -----------------------------------------------------------------------------------------

static int derive(const struct cipher_key *seed, const uint8_t *info, struct cipher_key *ret_key, struct err *err)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	OSSL_PARAM parameters[] = {
	        OSSL_PARAM_construct_utf8_string("digest", "SHA256", 0),
	        OSSL_PARAM_construct_int("mode", &mode),
	        OSSL_PARAM_construct_octet_string("key", (void *)seed->bytes, seed->length),
	        OSSL_PARAM_construct_octet_string("info", (void *)info, SEED_INFO_BYTES),
	        OSSL_PARAM_construct_end(),
	};
	bool fine;

	ret_key->length = CIPHER_MAX_KEY_BYTES;
	fine = context && EVP_KDF_derive(context, ret_key->bytes, ret_key->length, parameters) == 1;
	EVP_KDF_CTX_free(context);
	EVP_KDF_free(kdf);
	return fine ? 0 : broken(err);
}

static int seeded_seal(const struct cipher_key *seed, const char *bound_to, const void *plain, size_t length,
                       struct strbuf *out, struct err *err)
{
	uint8_t info[SEED_INFO_BYTES];
	struct cipher_key key;
	int r;

	cipher_random(info, sizeof(info));
	r = derive(seed, info, &key, err);
	if (r == 0) {
		strbuf_append(out, info, sizeof(info));
		r = gcm_seal(&key, bound_to, plain, length, out, err);
	}
	cipher_forget(&key, sizeof(key));
	return r;
}

static int seeded_open(const struct cipher_key *seed, const char *bound_to, const uint8_t *sealed, size_t length,
                       struct strbuf *out, struct err *err)
{
	struct cipher_key key;
	int r;

	if (length < SEED_INFO_BYTES)
		return err_set(err, ERR_INTERNAL, "the stored data was shorter than the required size");
	r = derive(seed, sealed, &key, err);
	if (r == 0)
		r = gcm_open(&key, bound_to, sealed + SEED_INFO_BYTES, length - SEED_INFO_BYTES, out, err);
	cipher_forget(&key, sizeof(key));
	return r;
}

const struct cipher cipher_seeded = {"seeded", {32, 0}, seeded_seal, seeded_open};
