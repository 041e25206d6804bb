// SPDX-License-Identifier: Apache-2.0
//
// Certificates by the name that a client asks for. The table hangs on the
// server's context and goes with it, so a handshake under way keeps the one it
// began with. An exact name goes before a pattern; a pattern's star stands for
// one label.
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"
#include "common/io/tls_internal.h"

struct tls_sni {
	struct {
		SSL_CTX *context;
		char **names; // NULL-terminated; NULL: the certificate's
	} rows[TLS_SNI_MAX];
	size_t count;
};

struct tls_sni *tls_sni_new(void)
{
	return NEW(struct tls_sni);
}

void tls_sni_free(struct tls_sni *sni)
{
	if (!sni)
		return;
	for (size_t i = 0; i < sni->count; i++) {
		SSL_CTX_free(sni->rows[i].context);
		for (char **name = sni->rows[i].names; name && *name; name++)
			free(*name);
		free(sni->rows[i].names);
	}
	free(sni);
}

void tls_sni_add(struct tls_sni *sni, SSL_CTX *named, const char *const *names)
{
	size_t count = 0;
	while (names && names[count])
		count++;
	sni->rows[sni->count].context = named;
	if (names) {
		sni->rows[sni->count].names = xcalloc(count + 1, sizeof(char *));
		for (size_t i = 0; i < count; i++)
			sni->rows[sni->count].names[i] = xstrdup(names[i]);
	}
	sni->count++;
}

static bool pattern_matches(const char *pattern, const char *name)
{
	const char *dot = strchr(name, '.');
	return strncmp(pattern, "*.", 2) == 0 && dot && strcasecmp(pattern + 1, dot) == 0;
}

static bool row_matches(const struct tls_sni *sni, size_t row, const char *name, bool exactly)
{
	if (!sni->rows[row].names) {
		X509 *certificate = SSL_CTX_get0_certificate(sni->rows[row].context);
		unsigned flags = exactly ? X509_CHECK_FLAG_NO_WILDCARDS : X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
		return X509_check_host(certificate, name, 0, flags, NULL) == 1;
	}
	for (char **at = sni->rows[row].names; *at; at++)
		if (exactly ? strcasecmp(*at, name) == 0 : pattern_matches(*at, name))
			return true;
	return false;
}

static int choose(SSL *ssl, int *alert, void *context)
{
	const struct tls_sni *sni = context;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	(void)alert;
	for (int exactly = 1; name && exactly >= 0; exactly--)
		for (size_t i = 0; i < sni->count; i++)
			if (row_matches(sni, i, name, exactly)) {
				SSL_set_SSL_CTX(ssl, sni->rows[i].context);
				return SSL_TLSEXT_ERR_OK;
			}
	return SSL_TLSEXT_ERR_OK;
}

// --- living with the context ---------------------------------------------------

static int sni_index = -1;
static pthread_once_t sni_once = PTHREAD_ONCE_INIT;

static void free_with_context(void *parent, void *sni, CRYPTO_EX_DATA *data, int index, long argument, void *pointer)
{
	(void)parent, (void)data, (void)index, (void)argument, (void)pointer;
	tls_sni_free(sni);
}

static void make_index(void)
{
	sni_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_with_context);
}

void tls_sni_use(struct tls_sni *sni, SSL_CTX *context)
{
	pthread_once(&sni_once, make_index);
	SSL_CTX_set_ex_data(context, sni_index, sni);
	SSL_CTX_set_tlsext_servername_arg(context, sni);
	SSL_CTX_set_tlsext_servername_callback(context, choose);
}
