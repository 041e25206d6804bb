// SPDX-License-Identifier: Apache-2.0
//
// Client certificates judged apart from the handshake: chain, purpose and time
// against the client authorities, and the same against the front proxy's. A
// certificate may satisfy both, one or neither.
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/io/tls.h"
#include "common/io/tls_internal.h"

int tls_store_new(const char *file, X509_STORE **ret_store, struct err *err)
{
	BIO *bio = BIO_new_file(file, "r");
	X509_STORE *store = bio ? X509_STORE_new() : NULL;
	size_t count = 0;
	if (!store) {
		BIO_free(bio);
		return err_set_tls(err, "unable to load certificate authorities %s", file);
	}
	for (X509 *authority; (authority = PEM_read_bio_X509(bio, NULL, NULL, NULL)); count++) {
		X509_STORE_add_cert(store, authority);
		X509_free(authority);
	}
	BIO_free(bio);
	ERR_clear_error();
	if (!count) {
		X509_STORE_free(store);
		return err_set(err, ERR_PARSE, "no certificate in %s", file);
	}
	*ret_store = store;
	return 0;
}

static bool is_trusted(X509_STORE *store, X509 *certificate, STACK_OF(X509) * chain)
{
	X509_STORE_CTX *context = store ? X509_STORE_CTX_new() : NULL;
	bool trusted = false;
	if (context && X509_STORE_CTX_init(context, store, certificate, chain) == 1) {
		X509_STORE_CTX_set_flags(context, X509_V_FLAG_PARTIAL_CHAIN);
		X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_CLIENT);
		trusted = X509_verify_cert(context) == 1;
	}
	X509_STORE_CTX_free(context);
	ERR_clear_error();
	return trusted;
}

void tls_judge(SSL *ssl, X509_STORE *clients, X509_STORE *front_proxies, struct arena *arena,
               struct tls_identity *ret_identity)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	*ret_identity = (struct tls_identity){0};
	if (!certificate)
		return;
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
	struct tls_identity read;
	tls_identity_read(certificate, arena, &read);
	ret_identity->presented = true;
	ret_identity->expires = read.expires;
	if (is_trusted(front_proxies, certificate, chain))
		ret_identity->front_proxy_name = read.common_name ? read.common_name : "";
	if (!is_trusted(clients, certificate, chain))
		return;
	read.front_proxy_name = ret_identity->front_proxy_name;
	*ret_identity = read;
}
