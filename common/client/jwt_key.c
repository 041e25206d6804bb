// SPDX-License-Identifier: Apache-2.0
// PEM blocks of any kind that holds a public key count, as in upstream's key
// files: PUBLIC KEY, RSA PUBLIC KEY, CERTIFICATE and private keys.

#include "common/client/jwt_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/io/tls.h"

enum {
	JWT_MIN_RSA_BITS = 1024,
	JWT_MIN_SIGNING_RSA_BITS = 2048,
	JWT_MAX_KEYS = 64,
	JWT_MAX_MEMBER_BYTES = 1024,
};

static const struct {
	const char *curve; // JWK's crv
	const char *group; // OpenSSL's
	const char *algorithm;
	size_t bytes;
} curves[] = {
        {"P-256", "prime256v1", "ES256", 32},
        {"P-384", "secp384r1", "ES384", 48},
        {"P-521", "secp521r1", "ES512", 66},
};

static int curve_of(EVP_PKEY *key)
{
	char group[64];
	size_t length;

	if (EVP_PKEY_get_group_name(key, group, sizeof(group), &length) != 1)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(curves); i++)
		if (!strcmp(group, curves[i].group))
			return (int)i;
	return -1;
}

const char *jwt_key_algorithm(EVP_PKEY *key)
{
	int curve;

	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
		return "RS256";
	curve = EVP_PKEY_get_base_id(key) == EVP_PKEY_EC ? curve_of(key) : -1;
	return curve < 0 ? NULL : curves[curve].algorithm;
}

// --- sets of keys --------------------------------------------------------------------------------

void jwt_keys_done(struct jwt_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++) {
		EVP_PKEY_free(keys->items[i].key);
		free(keys->items[i].id);
	}
	free(keys->items);
	*keys = (struct jwt_keys){0};
}

static void add_key(struct jwt_keys *keys, EVP_PKEY *key, char *id, const char *only)
{
	keys->items = xreallocarray(keys->items, keys->count + 1, sizeof(*keys->items));
	keys->items[keys->count++] = (struct jwt_key){.id = id, .key = key, .only = only};
}

static char *id_of(EVP_PKEY *key)
{
	unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
	int length = i2d_PUBKEY(key, &der);
	unsigned digest_length = 0;
	struct strbuf text = STRBUF_INIT(128);

	if (length > 0)
		EVP_Digest(der, (size_t)length, digest, &digest_length, EVP_sha256(), NULL);
	OPENSSL_free(der);
	base64url_encode(&text, digest, digest_length);
	return strbuf_take(&text, &(size_t){0});
}

// --- files -----------------------------------------------------------------------------------------

static EVP_PKEY *key_of_block(const char *name, const unsigned char *data, long length)
{
	const unsigned char *at = data;
	X509 *certificate;
	EVP_PKEY *key = NULL;

	if (!strcmp(name, "PUBLIC KEY"))
		return d2i_PUBKEY(NULL, &at, length);
	if (!strcmp(name, "RSA PUBLIC KEY"))
		return d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, length);
	if (!strcmp(name, "CERTIFICATE")) {
		certificate = d2i_X509(NULL, &at, length);
		if (certificate)
			key = X509_get_pubkey(certificate);
		X509_free(certificate);
		return key;
	}
	if (strstr(name, "PRIVATE KEY"))
		return d2i_AutoPrivateKey(NULL, &at, length);
	return NULL;
}

int jwt_keys_load(struct jwt_keys *keys, const char *file, struct err *err)
{
	BIO *bio = BIO_new_file(file, "r");
	size_t before = keys->count;
	char *name, *header;
	unsigned char *data;
	long length;

	if (!bio)
		return err_set_tls(err, "unable to read the key file %s", file);
	while (keys->count - before < JWT_MAX_KEYS && PEM_read_bio(bio, &name, &header, &data, &length) == 1) {
		EVP_PKEY *key = key_of_block(name, data, length);

		if (key && jwt_key_algorithm(key) &&
		    (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key) >= JWT_MIN_RSA_BITS))
			add_key(keys, key, id_of(key), NULL);
		else
			EVP_PKEY_free(key);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)length);
	}
	BIO_free(bio);
	ERR_clear_error();
	if (keys->count == before)
		return err_set(err, ERR_PARSE, "file %s does not contain any valid RSA or ECDSA public keys", file);
	return 0;
}

static int refuse_password(char *buffer, int size, int writing, void *context)
{
	(void)buffer, (void)size, (void)writing, (void)context;
	return -1;
}

int jwt_key_load_private(const char *file, struct jwt_key *ret_key, struct err *err)
{
	BIO *bio = BIO_new_file(file, "r");
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, refuse_password, NULL) : NULL;

	BIO_free(bio);
	if (!key)
		return err_set_tls(err, "unable to read the private key file %s", file);
	if (!jwt_key_algorithm(key) ||
	    (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) < JWT_MIN_SIGNING_RSA_BITS)) {
		EVP_PKEY_free(key);
		return err_set(err, ERR_PARSE,
		               "%s: tokens are signed by RSA keys of 2048 and more bits or by keys on "
		               "P-256, P-384 or P-521",
		               file);
	}
	*ret_key = (struct jwt_key){.id = id_of(key), .key = key};
	return 0;
}

// --- JSON web keys ------------------------------------------------------------------------------------

static struct json *number_to_json(struct arena *arena, const EVP_PKEY *key, const char *parameter, size_t width)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(JWT_MAX_MEMBER_BYTES * 2);
	unsigned char bytes[JWT_MAX_MEMBER_BYTES];
	BIGNUM *number = NULL;
	int length = -1;

	if (EVP_PKEY_get_bn_param(key, parameter, &number) == 1 && BN_num_bytes(number) <= (int)sizeof(bytes))
		length = width ? BN_bn2binpad(number, bytes, (int)width) : BN_bn2bin(number, bytes);
	BN_free(number);
	if (length > 0)
		base64url_encode(&text, bytes, (size_t)length);
	return json_string(arena, strbuf_text(&text));
}

struct json *jwt_key_to_json(struct arena *arena, const struct jwt_key *key)
{
	const char *algorithm = jwt_key_algorithm(key->key);
	struct json *object = json_object(arena);
	int curve;

	if (!algorithm)
		return NULL;
	json_set_text(arena, object, "use", "sig");
	json_set_text(arena, object, "kty", algorithm[0] == 'R' ? "RSA" : "EC");
	json_set_text(arena, object, "kid", key->id);
	if (algorithm[0] == 'R') {
		json_set_text(arena, object, "alg", algorithm);
		json_set(arena, object, "n", number_to_json(arena, key->key, OSSL_PKEY_PARAM_RSA_N, 0));
		json_set(arena, object, "e", number_to_json(arena, key->key, OSSL_PKEY_PARAM_RSA_E, 0));
		return object;
	}
	curve = curve_of(key->key);
	json_set_text(arena, object, "crv", curves[curve].curve);
	json_set_text(arena, object, "alg", algorithm);
	json_set(arena, object, "x", number_to_json(arena, key->key, OSSL_PKEY_PARAM_EC_PUB_X, curves[curve].bytes));
	json_set(arena, object, "y", number_to_json(arena, key->key, OSSL_PKEY_PARAM_EC_PUB_Y, curves[curve].bytes));
	return object;
}

static bool member_bytes(struct arena *arena, const struct json *jwk, const char *name, uint8_t **ret_data,
                         size_t *ret_length)
{
	const char *text = json_get_text(jwk, name);

	return text && strlen(text) <= 2 * JWT_MAX_MEMBER_BYTES &&
	       base64url_decode(arena, text, strlen(text), ret_data, ret_length) && *ret_length > 0 &&
	       *ret_length <= JWT_MAX_MEMBER_BYTES;
}

static EVP_PKEY *build_key(const char *type, OSSL_PARAM_BLD *builder)
{
	OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (!parameters || !context || EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(parameters);
	ERR_clear_error();
	return key;
}

static EVP_PKEY *rsa_from_json(struct arena *arena, const struct json *jwk)
{
	uint8_t *n, *e;
	size_t n_length, e_length;
	OSSL_PARAM_BLD *builder;
	BIGNUM *modulus, *exponent;
	EVP_PKEY *key;

	if (!member_bytes(arena, jwk, "n", &n, &n_length) || !member_bytes(arena, jwk, "e", &e, &e_length))
		return NULL;
	modulus = BN_bin2bn(n, (int)n_length, NULL);
	exponent = BN_bin2bn(e, (int)e_length, NULL);
	builder = OSSL_PARAM_BLD_new();
	OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus);
	OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent);
	key = build_key("RSA", builder);
	OSSL_PARAM_BLD_free(builder);
	BN_free(modulus);
	BN_free(exponent);
	if (key && EVP_PKEY_get_bits(key) < JWT_MIN_RSA_BITS) {
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

static EVP_PKEY *ec_from_json(struct arena *arena, const struct json *jwk)
{
	const char *curve = text_or_empty(json_get_text(jwk, "crv"));
	unsigned char point[1 + 2 * 66];
	OSSL_PARAM_BLD *builder;
	uint8_t *x, *y;
	size_t x_length, y_length, i = 0;
	EVP_PKEY *key;

	while (i < ARRAY_SIZE(curves) && strcmp(curves[i].curve, curve) != 0)
		i++;
	if (i == ARRAY_SIZE(curves) || !member_bytes(arena, jwk, "x", &x, &x_length) ||
	    !member_bytes(arena, jwk, "y", &y, &y_length) || x_length != curves[i].bytes || y_length != curves[i].bytes)
		return NULL;
	point[0] = 4; // uncompressed
	memcpy(point + 1, x, x_length);
	memcpy(point + 1 + x_length, y, y_length);
	builder = OSSL_PARAM_BLD_new();
	OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curves[i].group, 0);
	OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + x_length + y_length);
	key = build_key("EC", builder);
	OSSL_PARAM_BLD_free(builder);
	return key;
}

static const char *known_algorithm(const char *name)
{
	static const char *const names[] = {"RS256", "RS384", "RS512", "PS256", "PS384",
	                                    "PS512", "ES256", "ES384", "ES512"};

	for (size_t i = 0; name && i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], name))
			return names[i];
	return NULL;
}

int jwt_keys_from_json(struct jwt_keys *keys, const struct json *set, struct err *err)
{
	AUTO(arena_free) struct arena *arena = arena_new(4096);

	if (!json_is(json_get(set, "keys"), JSON_ARRAY))
		return err_set(err, ERR_PARSE, "key set without keys");
	json_for_each_item (jwk, json_get(set, "keys")) {
		const char *type = text_or_empty(json_get_text(jwk, "kty")), *use = json_get_text(jwk, "use");
		EVP_PKEY *key = NULL;

		if (keys->count == JWT_MAX_KEYS || (use && strcmp(use, "sig") != 0))
			continue;
		if (!strcmp(type, "RSA"))
			key = rsa_from_json(arena, jwk);
		else if (!strcmp(type, "EC"))
			key = ec_from_json(arena, jwk);
		if (key)
			add_key(keys, key, xstrdup(text_or_empty(json_get_text(jwk, "kid"))),
			        known_algorithm(json_get_text(jwk, "alg")));
	}
	return 0;
}
