// SPDX-License-Identifier: Apache-2.0
// What a signature may be made with stands in one table; "none" and the
// symmetric algorithms aren't in it and so can't be meant by anybody. The key's
// kind must be the algorithm's: an RSA key never serves as something else.
//
// ECDSA signatures are r and s of fixed width (RFC 7518, 3.4); OpenSSL wants DER.

#include "common/client/jwt.h"

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/base/memory.h"

enum {
	JWT_MAX_DEPTH = 16,
	JWT_MAX_NODES = 4096,
	JWT_MAX_EC_BYTES = 66, // of one coordinate of P-521
};

struct jwt_algorithm {
	const char *name;
	int key_type; // EVP_PKEY_RSA, EVP_PKEY_EC
	const char *digest;
	size_t ec_bytes; // of one coordinate; 0 = RSA
	bool pss;
};

static const struct jwt_algorithm algorithms[] = {
        {"ES256", EVP_PKEY_EC, "SHA256", 32, false}, {"ES384", EVP_PKEY_EC, "SHA384", 48, false},
        {"ES512", EVP_PKEY_EC, "SHA512", 66, false}, {"PS256", EVP_PKEY_RSA, "SHA256", 0, true},
        {"PS384", EVP_PKEY_RSA, "SHA384", 0, true},  {"PS512", EVP_PKEY_RSA, "SHA512", 0, true},
        {"RS256", EVP_PKEY_RSA, "SHA256", 0, false}, {"RS384", EVP_PKEY_RSA, "SHA384", 0, false},
        {"RS512", EVP_PKEY_RSA, "SHA512", 0, false},
};

static const struct jwt_algorithm *find_algorithm(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++)
		if (!strcmp(algorithms[i].name, name))
			return &algorithms[i];
	return NULL;
}

// --- reading -------------------------------------------------------------------------------------

// As the RFC wants it: the alphabet alone, no padding, no line breaks.
static bool is_base64url(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!((text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= 'a' && text[i] <= 'z') ||
		      (text[i] >= '0' && text[i] <= '9') || text[i] == '-' || text[i] == '_'))
			return false;
	return length > 0;
}

static int decode_part(struct arena *arena, const char *text, size_t length, uint8_t **ret_data, size_t *ret_length,
                       struct err *err)
{
	if (!is_base64url(text, length) || !base64url_decode(arena, text, length, ret_data, ret_length))
		return err_set(err, ERR_PARSE, "token part is not base64url");
	return 0;
}

static int decode_object(struct arena *arena, const char *text, size_t length, const struct json **ret_object,
                         struct err *err)
{
	const struct json_limits limits = {.max_depth = JWT_MAX_DEPTH, .max_nodes = JWT_MAX_NODES};
	uint8_t *data = NULL;
	size_t data_length = 0;
	struct json *object = NULL;
	int r = decode_part(arena, text, length, &data, &data_length, err);

	if (r == 0)
		r = json_parse(arena, (const char *)data, data_length, &limits, &object, err);
	if (r == 0 && !json_is(object, JSON_OBJECT))
		r = err_set(err, ERR_PARSE, "token part is not an object");
	*ret_object = object;
	return r;
}

static int read_header(struct jwt *jwt, struct err *err)
{
	const char *algorithm = json_get_text(jwt->header, "alg");
	const struct json *key_id = json_get(jwt->header, "kid");

	if (!algorithm || !find_algorithm(algorithm))
		return err_set(err, ERR_PARSE, "unexpected signature algorithm");
	if (json_get(jwt->header, "crit"))
		return err_set(err, ERR_PARSE, "unsupported critical header");
	if (key_id && !json_text(key_id))
		return err_set(err, ERR_PARSE, "key id is not a text");
	jwt->algorithm = find_algorithm(algorithm)->name;
	jwt->key_id = key_id ? json_text(key_id) : "";
	return 0;
}

int jwt_parse(struct arena *arena, const char *token, size_t length, struct jwt *ret_jwt, struct err *err)
{
	const char *first = length <= JWT_MAX_BYTES ? memchr(token, '.', length) : NULL;
	const char *second = first ? memchr(first + 1, '.', length - (size_t)(first + 1 - token)) : NULL;
	uint8_t *signature = NULL;
	size_t rest;
	int r;

	*ret_jwt = (struct jwt){.key_id = ""};
	if (!second)
		return err_set(err, ERR_PARSE, "token has not three parts");
	rest = length - (size_t)(second + 1 - token);
	r = decode_object(arena, token, (size_t)(first - token), &ret_jwt->header, err);
	if (r == 0)
		r = read_header(ret_jwt, err);
	if (r == 0)
		r = decode_object(arena, first + 1, (size_t)(second - first - 1), &ret_jwt->claims, err);
	if (r == 0)
		r = decode_part(arena, second + 1, rest, &signature, &ret_jwt->signature_length, err);
	ret_jwt->signature = signature;
	ret_jwt->signed_text = token;
	ret_jwt->signed_length = (size_t)(second - token);
	return r;
}

// --- signatures ------------------------------------------------------------------------------------

static bool fits(EVP_PKEY *key, const struct jwt_algorithm *algorithm)
{
	if (EVP_PKEY_get_base_id(key) != algorithm->key_type)
		return false;
	return !algorithm->ec_bytes || ((size_t)EVP_PKEY_get_bits(key) + 7) / 8 == algorithm->ec_bytes;
}

// r | s → DER; 0 when it is no such pair.
static int der_of(const struct jwt *jwt, size_t width, unsigned char **ret_der)
{
	ECDSA_SIG *pair;
	BIGNUM *r, *s;
	int length;

	if (jwt->signature_length != 2 * width)
		return 0;
	pair = ECDSA_SIG_new();
	r = BN_bin2bn(jwt->signature, (int)width, NULL);
	s = BN_bin2bn(jwt->signature + width, (int)width, NULL);
	ECDSA_SIG_set0(pair, r, s);
	*ret_der = NULL;
	length = i2d_ECDSA_SIG(pair, ret_der);
	ECDSA_SIG_free(pair);
	return length;
}

static bool use_padding(EVP_PKEY_CTX *context, const struct jwt_algorithm *algorithm)
{
	return !algorithm->pss || (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
	                           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1);
}

static bool verify_with(const struct jwt *jwt, const struct jwt_algorithm *algorithm, EVP_PKEY *key)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *options = NULL;
	unsigned char *der = NULL;
	const uint8_t *signature = jwt->signature;
	size_t length = jwt->signature_length;
	bool ok;

	if (algorithm->ec_bytes) {
		int der_length = der_of(jwt, algorithm->ec_bytes, &der);

		length = der_length > 0 ? (size_t)der_length : 0;
		signature = der;
	}
	ok = length && context &&
	     EVP_DigestVerifyInit_ex(context, &options, algorithm->digest, NULL, NULL, key, NULL) == 1 &&
	     use_padding(options, algorithm) &&
	     EVP_DigestVerify(context, signature, length, (const unsigned char *)jwt->signed_text,
	                      jwt->signed_length) == 1;
	OPENSSL_free(der);
	EVP_MD_CTX_free(context);
	ERR_clear_error();
	return ok;
}

static bool has_id(const struct jwt_keys *keys, const char *id)
{
	for (size_t i = 0; i < keys->count; i++)
		if (!strcmp(keys->items[i].id, id))
			return true;
	return false;
}

bool jwt_verify(const struct jwt *jwt, const struct jwt_keys *keys)
{
	const struct jwt_algorithm *algorithm = find_algorithm(jwt->algorithm);
	bool by_id = jwt->key_id[0] && has_id(keys, jwt->key_id);

	for (size_t i = 0; i < keys->count; i++) {
		const struct jwt_key *key = &keys->items[i];

		if ((by_id && strcmp(key->id, jwt->key_id) != 0) || (key->only && strcmp(key->only, algorithm->name)))
			continue;
		if (fits(key->key, algorithm) && verify_with(jwt, algorithm, key->key))
			return true;
	}
	return false;
}

// DER → r | s of fixed width.
static size_t pair_of(const unsigned char *der, size_t length, size_t width, unsigned char *out)
{
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)length);
	bool ok = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, (int)width) == (int)width &&
	          BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + width, (int)width) == (int)width;

	ECDSA_SIG_free(pair);
	return ok ? 2 * width : 0;
}

static bool append_signature(struct strbuf *token, const struct jwt_algorithm *algorithm, EVP_PKEY *key)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char signature[1024], pair[2 * JWT_MAX_EC_BYTES];
	size_t length = sizeof(signature);
	bool ok = EVP_DigestSignInit_ex(context, NULL, algorithm->digest, NULL, NULL, key, NULL) == 1 &&
	          EVP_DigestSign(context, signature, &length, (const unsigned char *)token->data, token->length) == 1;

	EVP_MD_CTX_free(context);
	if (ok && algorithm->ec_bytes)
		length = pair_of(signature, length, algorithm->ec_bytes, pair);
	if (!ok || !length)
		return false;
	strbuf_append_char(token, '.');
	base64url_encode(token, algorithm->ec_bytes ? pair : signature, length);
	return true;
}

static void append_json(struct strbuf *token, const struct json *value)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(JWT_MAX_BYTES);

	json_write(&text, value);
	base64url_encode(token, text.data, text.length);
}

char *jwt_sign(struct arena *arena, const struct json *claims, const struct jwt_key *key)
{
	const char *name = jwt_key_algorithm(key->key);
	AUTO_STRBUF struct strbuf token = STRBUF_INIT(JWT_MAX_BYTES);
	struct json *header = json_object(arena);

	if (!name)
		return NULL;
	json_set_text(arena, header, "alg", name);
	json_set_text(arena, header, "kid", key->id);
	append_json(&token, header);
	strbuf_append_char(&token, '.');
	append_json(&token, claims);
	if (!append_signature(&token, find_algorithm(name), key->key) || token.overflowed)
		return NULL;
	return arena_strdup(arena, strbuf_text(&token));
}

// --- claims --------------------------------------------------------------------------------------------

bool jwt_claim_time(const struct json *claims, const char *name, int64_t *ret_seconds, bool *ret_bad)
{
	const struct json *value = json_get(claims, name);
	double real;

	*ret_bad = false;
	if (!value || json_is_null(value))
		return false;
	if (value->type == JSON_INTEGER) {
		*ret_seconds = value->integer;
		return true;
	}
	real = value->type == JSON_NUMBER ? strtod(value->text, NULL) : -1;
	*ret_bad = value->type != JSON_NUMBER || !(real >= 0 && real < 1e15);
	*ret_seconds = *ret_bad ? 0 : (int64_t)real;
	return !*ret_bad;
}

const char *const *jwt_claim_audiences(struct arena *arena, const struct json *claims, size_t *ret_count)
{
	const struct json *value = json_get(claims, "aud");
	const char **list = ARENA_ARRAY(arena, const char *, (json_is(value, JSON_ARRAY) ? value->length : 0) + 1);

	*ret_count = 0;
	if (json_text(value))
		list[(*ret_count)++] = json_text(value);
	json_for_each_item (item, value)
		if (json_text(item))
			list[(*ret_count)++] = json_text(item);
	return list;
}
