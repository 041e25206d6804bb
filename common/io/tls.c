// SPDX-License-Identifier: Apache-2.0
//
// TLS contexts from PEM files or text, verification of servers by name or
// address, and identities. What reads PEM is ours rather than OpenSSL's file
// functions so that files and kubeconfig text go one way, every certificate of a
// bundle is taken, and an encrypted key never asks on the terminal.
//
// As in Go, every certificate of a trust bundle is an anchor, an intermediate
// too (X509_V_FLAG_PARTIAL_CHAIN); the last CN of a subject counts; and a name
// with a NUL inside is no name, because a C string would shorten it into
// somebody else's.
#include "common/io/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/io/tls_internal.h"

DEFINE_CLEANUP(BIO *, BIO_free)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free)
DEFINE_CLEANUP(SSL *, SSL_free)

// --- errors ----------------------------------------------------------------

static void tls_queue_text(char *out, size_t size)
{
	unsigned long code = ERR_peek_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	if (reason)
		snprintf(out, size, "%s", reason);
	else if (code && ERR_SYSTEM_ERROR(code))
		snprintf(out, size, "%s", strerror(ERR_GET_REASON(code)));
	else
		snprintf(out, size, "%s", code ? "unknown TLS error" : "connection closed");
	ERR_clear_error();
}

int err_set_tls(struct err *err, const char *format, ...)
{
	char what[160], text[120];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	tls_queue_text(text, sizeof(text));
	return err_set(err, ERR_IO, "%s: %s", what, text);
}

static const struct {
	long result;
	const char *text;
} verify_texts[] = {
        {X509_V_ERR_CERT_SIGNATURE_FAILURE, "certificate signed by unknown authority"}, // its name, another key
        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "certificate signed by unknown authority"},
        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "certificate signed by unknown authority"},
        {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "certificate signed by unknown authority"},
        {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "certificate signed by unknown authority"},
        {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "certificate signed by unknown authority"},
        {X509_V_ERR_CERT_HAS_EXPIRED, "certificate has expired or is not yet valid"},
        {X509_V_ERR_CERT_NOT_YET_VALID, "certificate has expired or is not yet valid"},
        {X509_V_ERR_INVALID_PURPOSE, "certificate specifies an incompatible key usage"},
        {X509_V_ERR_HOSTNAME_MISMATCH, "certificate is not valid for the server's name"},
        {X509_V_ERR_IP_ADDRESS_MISMATCH, "certificate is not valid for the server's address"},
};

int err_set_tls_handshake(struct err *err, SSL *ssl)
{
	long result = SSL_get_verify_result(ssl);
	if (result == X509_V_OK)
		return err_set_tls(err, "tls: handshake failed");
	ERR_clear_error();
	const char *text = X509_verify_cert_error_string(result);
	for (size_t i = 0; i < ARRAY_SIZE(verify_texts); i++)
		if (verify_texts[i].result == result)
			text = verify_texts[i].text;
	return err_set(err, ERR_IO, "tls: failed to verify certificate: x509: %s", text);
}

// --- contexts --------------------------------------------------------------

int tls_context_new(const SSL_METHOD *method, SSL_CTX **ret_context, struct err *err)
{
	SSL_CTX *context = SSL_CTX_new(method);
	if (!context)
		return err_set_tls(err, "unable to make a TLS context");
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	// A queue is written as far as it goes, from wherever its bytes stand now;
	// an idle connection holds no record buffers.
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	                                  SSL_MODE_RELEASE_BUFFERS);
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
	*ret_context = context;
	return 0;
}

static BIO *open_pem(const char *file, const char *data)
{
	return file ? BIO_new_file(file, "r") : BIO_new_mem_buf(data, -1);
}

static const char *pem_name(const char *file)
{
	return file ? file : "given as data";
}

static int refuse_password(char *buffer, int size, int writing, void *context)
{
	(void)buffer, (void)size, (void)writing, (void)context;
	return -1;
}

// After the last certificate of a bundle the queue holds "no start line", which is its end and no error.
static bool pem_ended(void)
{
	unsigned long code = ERR_peek_last_error();
	bool ended = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
	if (ended)
		ERR_clear_error();
	return ended;
}

int tls_use_certificate(SSL_CTX *context, const char *file, const char *data, struct err *err)
{
	BIO *bio AUTO(BIO_free) = open_pem(file, data);
	X509 *leaf AUTO(X509_free) = bio ? PEM_read_bio_X509_AUX(bio, NULL, refuse_password, NULL) : NULL;
	if (!leaf || SSL_CTX_use_certificate(context, leaf) != 1)
		return err_set_tls(err, "unable to load certificate %s", pem_name(file));
	SSL_CTX_clear_chain_certs(context);
	for (X509 *issuer; (issuer = PEM_read_bio_X509(bio, NULL, refuse_password, NULL));)
		if (SSL_CTX_add0_chain_cert(context, issuer) != 1) {
			X509_free(issuer);
			return err_set_tls(err, "unable to load certificate %s", pem_name(file));
		}
	return pem_ended() ? 0 : err_set_tls(err, "unable to load certificate %s", pem_name(file));
}

int tls_use_private_key(SSL_CTX *context, const char *file, const char *data, struct err *err)
{
	BIO *bio AUTO(BIO_free) = open_pem(file, data);
	EVP_PKEY *key AUTO(EVP_PKEY_free) = bio ? PEM_read_bio_PrivateKey(bio, NULL, refuse_password, NULL) : NULL;
	if (!key)
		return err_set_tls(err, "unable to load private key %s", pem_name(file));
	if (SSL_CTX_use_PrivateKey(context, key) != 1 || SSL_CTX_check_private_key(context) != 1)
		return err_set_tls(err, "private key %s does not match its certificate", pem_name(file));
	return 0;
}

int tls_trust_authorities(SSL_CTX *context, const char *file, const char *data, struct err *err)
{
	BIO *bio AUTO(BIO_free) = open_pem(file, data);
	if (!bio)
		return err_set_tls(err, "unable to load certificate authorities %s", pem_name(file));
	size_t count = 0;
	for (X509 *authority; (authority = PEM_read_bio_X509(bio, NULL, refuse_password, NULL)); count++) {
		int added = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority);
		if (added == 1)
			added = SSL_CTX_add_client_CA(context, authority);
		X509_free(authority);
		if (added != 1)
			return err_set_tls(err, "unable to load certificate authorities %s", pem_name(file));
	}
	if (!pem_ended())
		return err_set_tls(err, "unable to load certificate authorities %s", pem_name(file));
	return count ? 0 : err_set(err, ERR_PARSE, "no certificate in %s", file ? file : "the given data");
}

// --- clients ---------------------------------------------------------------

// The server name of a client context travels with it.
static int server_name_index = -1;
static pthread_once_t server_name_once = PTHREAD_ONCE_INIT;

static void free_server_name(void *parent, void *name, CRYPTO_EX_DATA *data, int index, long argument, void *pointer)
{
	(void)parent, (void)data, (void)index, (void)argument, (void)pointer;
	free(name);
}

static void make_server_name_index(void)
{
	server_name_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_server_name);
}

static int client_trust(SSL_CTX *context, const struct tls_client_config *config, struct err *err)
{
	if (config->insecure_skip_verify) {
		SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
		return 0;
	}
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	if (config->ca_file || config->ca_data)
		return tls_trust_authorities(context, config->ca_file, config->ca_data, err);
	if (SSL_CTX_set_default_verify_paths(context) != 1)
		return err_set_tls(err, "unable to load the system's certificate authorities");
	return 0;
}

static int client_certificate(SSL_CTX *context, const struct tls_client_config *config, struct err *err)
{
	bool has_certificate = config->certificate_file || config->certificate_data;
	bool has_key = config->private_key_file || config->private_key_data;
	if (has_certificate != has_key)
		return err_set(err, ERR_BAD_REQUEST, "a client certificate and its private key must be given together");
	if (!has_certificate)
		return 0;
	int result = tls_use_certificate(context, config->certificate_file, config->certificate_data, err);
	if (result < 0)
		return result;
	return tls_use_private_key(context, config->private_key_file, config->private_key_data, err);
}

int tls_client_context_new(const struct tls_client_config *config, bool offer_http2, SSL_CTX **ret_context,
                           struct err *err)
{
	static const unsigned char alpn_http2[] = "\x02h2\x08http/1.1";
	SSL_CTX *context AUTO(SSL_CTX_free) = NULL;
	int result = tls_context_new(TLS_client_method(), &context, err);
	if (result == 0)
		result = client_trust(context, config, err);
	if (result == 0)
		result = client_certificate(context, config, err);
	if (result < 0)
		return result;
	if (offer_http2 && SSL_CTX_set_alpn_protos(context, alpn_http2, sizeof(alpn_http2) - 1) != 0)
		return err_set_tls(err, "unable to offer HTTP/2");
	pthread_once(&server_name_once, make_server_name_index);
	SSL_CTX_set_ex_data(context, server_name_index, xstrdup(config->server_name));
	*ret_context = TAKE(context);
	return 0;
}

static bool is_ip_address(const char *text)
{
	unsigned char address[sizeof(struct in6_addr)];
	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

int tls_client_connect(SSL_CTX *context, int fd, const char *server_name, const char *host, SSL **ret_ssl,
                       struct err *err)
{
	pthread_once(&server_name_once, make_server_name_index);
	if (!server_name)
		server_name = SSL_CTX_get_ex_data(context, server_name_index);
	if (!server_name)
		server_name = host;
	SSL *ssl AUTO(SSL_free) = SSL_new(context);
	if (!ssl || SSL_set_fd(ssl, fd) != 1)
		return err_set_tls(err, "unable to make a TLS connection");
	int named;
	if (is_ip_address(server_name))
		named = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server_name);
	else
		named = SSL_set1_host(ssl, server_name) == 1 && SSL_set_tlsext_host_name(ssl, server_name) == 1;
	if (named != 1)
		return err_set_tls(err, "invalid server name \"%s\"", server_name);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	SSL_set_connect_state(ssl);
	*ret_ssl = TAKE(ssl);
	return 0;
}

// --- identity --------------------------------------------------------------

// NULL for a value that is empty, no text, or holds a NUL.
static const char *name_value(struct arena *arena, const X509_NAME_ENTRY *entry)
{
	unsigned char *text = NULL;
	int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
	const char *value = NULL;
	if (length > 0 && !memchr(text, '\0', (size_t)length))
		value = arena_strndup(arena, (const char *)text, (size_t)length);
	OPENSSL_free(text);
	return value;
}

static const char *fingerprint(struct arena *arena, X509 *certificate)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	char *text = arena_alloc(arena, 2 * EVP_MAX_MD_SIZE + 1);
	X509_digest(certificate, EVP_sha256(), digest, &length);
	hex_encode(text, digest, length);
	return text;
}

static int64_t end_of(X509 *certificate)
{
	struct tm end;
	if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1)
		return 0;
	return (int64_t)timegm(&end);
}

static bool is_uid(const X509_NAME_ENTRY *entry)
{
	char text[64];
	return OBJ_obj2txt(text, sizeof(text), X509_NAME_ENTRY_get_object(entry), 1) > 0 &&
	       strcmp(text, "1.3.6.1.4.1.57683.2") == 0;
}

void tls_identity_read(X509 *certificate, struct arena *arena, struct tls_identity *ret_identity)
{
	const X509_NAME *subject = X509_get_subject_name(certificate);
	int entry_count = X509_NAME_entry_count(subject);
	const char **organizations = ARENA_ARRAY(arena, const char *, (size_t)entry_count + 1);
	struct tls_identity identity = {.organizations = organizations, .presented = true};
	for (int i = 0; i < entry_count; i++) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, i);
		int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
		if (nid == NID_commonName)
			identity.common_name = name_value(arena, entry);
		else if (nid == NID_organizationName) {
			organizations[identity.organization_count] = name_value(arena, entry);
			identity.organization_count += organizations[identity.organization_count] != NULL;
		} else if (is_uid(entry))
			identity.uid = name_value(arena, entry);
	}
	identity.fingerprint = fingerprint(arena, certificate);
	identity.expires = end_of(certificate);
	*ret_identity = identity;
}

void tls_peer_identity(SSL *ssl, struct arena *arena, struct tls_identity *ret_identity)
{
	*ret_identity = (struct tls_identity){0};
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	if (!certificate || SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE || SSL_get_verify_result(ssl) != X509_V_OK)
		return;
	tls_identity_read(certificate, arena, ret_identity);
	if (!ret_identity->common_name)
		*ret_identity = (struct tls_identity){.presented = true};
}
