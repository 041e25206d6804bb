// SPDX-License-Identifier: Apache-2.0
//
// The server's context and its renewal. At most once a second, when a
// connection is accepted, the files' stamps (device, inode, size, mtime) are
// compared; a difference builds a whole new SSL_CTX. While the new files don't
// fit together (a certificate replaced before its key) the old context serves
// on, and the next second tries again. Connections hold their own reference.
//
// Session tickets: a new context has new ticket keys, so that a session of a
// client whose authority was taken away can't resume. A resumed session is not
// verified again by OpenSSL; so a ticket whose client certificate has meanwhile
// expired is ignored, which leads to a full handshake and its verification.
// There is no session cache: all resumption goes by tickets and that check.
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/io/tls.h"
#include "common/io/tls_internal.h"

DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free)

enum {
	STAMP_COUNT = 3, // certificate, key, client CA
};

struct file_stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified;
};

struct tls_server {
	char *files[STAMP_COUNT];
	bool require_client_certificate;
	bool offer_http2;
	int minimum_version;
	pthread_mutex_t mutex; // guards what follows
	SSL_CTX *context;
	struct file_stamp stamps[STAMP_COUNT];        // of the files behind `context`
	struct file_stamp failed_stamps[STAMP_COUNT]; // of the last set that didn't load
	int64_t checked_ns;
};

static void read_stamps(const struct tls_server *server, struct file_stamp stamps[STAMP_COUNT])
{
	memset(stamps, 0, STAMP_COUNT * sizeof(*stamps));
	for (size_t i = 0; i < STAMP_COUNT; i++) {
		struct stat status;
		if (!server->files[i] || stat(server->files[i], &status) < 0)
			continue;
		stamps[i].device = status.st_dev;
		stamps[i].inode = status.st_ino;
		stamps[i].size = status.st_size;
		stamps[i].modified = status.st_mtim;
	}
}

static bool stamps_equal(const struct file_stamp *left, const struct file_stamp *right)
{
	return memcmp(left, right, STAMP_COUNT * sizeof(*left)) == 0;
}

// Prefers h2; an unknown offer is answered without ALPN, which means HTTP/1.1.
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *offered,
                       unsigned int offered_length, void *context)
{
	static const unsigned char supported[] = "\x02h2\x08http/1.1";
	const struct tls_server *server = context;
	const unsigned char *first = server->offer_http2 ? supported : supported + 3;
	unsigned int length = (unsigned int)(supported + sizeof(supported) - 1 - first);
	(void)ssl;
	unsigned char *chosen;
	if (SSL_select_next_proto(&chosen, out_length, first, length, offered, offered_length) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static int generate_ticket(SSL *ssl, void *context)
{
	(void)ssl, (void)context;
	return 1;
}

static SSL_TICKET_RETURN judge_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *key_name,
                                      size_t key_name_length, SSL_TICKET_STATUS status, void *context)
{
	(void)ssl, (void)key_name, (void)key_name_length, (void)context;
	if (status == SSL_TICKET_EMPTY || status == SSL_TICKET_NO_DECRYPT)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	X509 *peer = session ? SSL_SESSION_get0_peer(session) : NULL;
	if (peer && X509_cmp_current_time(X509_get0_notAfter(peer)) <= 0)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS_RENEW ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}

static void configure_sessions(SSL_CTX *context)
{
	static const unsigned char session_context[] = "caravel";
	// Mandatory with client certificates: without it resumption fails.
	SSL_CTX_set_session_id_context(context, session_context, sizeof(session_context) - 1);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(context, 1);
	SSL_CTX_set_session_ticket_cb(context, generate_ticket, judge_ticket, NULL);
}

static int build_context(struct tls_server *server, SSL_CTX **ret_context, struct err *err)
{
	SSL_CTX *context AUTO(SSL_CTX_free) = NULL;
	int result = tls_context_new(TLS_server_method(), &context, err);
	if (result == 0)
		result = tls_use_certificate(context, server->files[0], NULL, err);
	if (result == 0)
		result = tls_use_private_key(context, server->files[1], NULL, err);
	if (result == 0 && server->files[2])
		result = tls_trust_authorities(context, server->files[2], NULL, err);
	if (result < 0)
		return result;
	if (server->files[2])
		SSL_CTX_set_verify(context,
		                   SSL_VERIFY_PEER |
		                           (server->require_client_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
		                   NULL);
	if (server->minimum_version)
		SSL_CTX_set_min_proto_version(context, server->minimum_version);
	SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_alpn_select_cb(context, select_alpn, server);
	configure_sessions(context);
	*ret_context = TAKE(context);
	return 0;
}

int tls_server_new(const struct tls_server_config *config, struct tls_server **ret_server, struct err *err)
{
	struct tls_server *server = NEW(struct tls_server);
	server->files[0] = xstrdup(config->certificate_file);
	server->files[1] = xstrdup(config->private_key_file);
	server->files[2] = xstrdup(config->client_ca_file);
	server->require_client_certificate = config->require_client_certificate;
	server->offer_http2 = config->offer_http2;
	server->minimum_version = config->minimum_version;
	pthread_mutex_init(&server->mutex, NULL);
	server->checked_ns = clock_monotonic_ns(&clock_system);
	read_stamps(server, server->stamps);
	int result;
	if (!server->files[0] || !server->files[1])
		result = err_set(err, ERR_BAD_REQUEST, "a certificate and its private key must be given");
	else
		result = build_context(server, &server->context, err);
	if (result < 0) {
		tls_server_free(server);
		return result;
	}
	*ret_server = server;
	return 0;
}

struct tls_server *tls_server_free(struct tls_server *server)
{
	if (!server)
		return NULL;
	SSL_CTX_free(server->context);
	pthread_mutex_destroy(&server->mutex);
	for (size_t i = 0; i < STAMP_COUNT; i++)
		free(server->files[i]);
	free(server);
	return NULL;
}

// Called with the mutex held.
static void reload_when_changed(struct tls_server *server)
{
	int64_t now_ns = clock_monotonic_ns(&clock_system);
	if (now_ns - server->checked_ns < NSEC_PER_SEC)
		return;
	server->checked_ns = now_ns;
	struct file_stamp stamps[STAMP_COUNT];
	read_stamps(server, stamps);
	if (stamps_equal(stamps, server->stamps))
		return;
	SSL_CTX *context = NULL;
	struct err err = ERR_INIT;
	if (build_context(server, &context, &err) == 0) {
		SSL_CTX_free(server->context);
		server->context = context;
		memcpy(server->stamps, stamps, sizeof(stamps));
		log_info("Reloaded the serving certificate", kv_str("file", server->files[0]));
	} else if (!stamps_equal(stamps, server->failed_stamps)) {
		memcpy(server->failed_stamps, stamps, sizeof(stamps));
		log_warning("Serving certificate changed but does not load, the old one stays in use", kv_err(&err));
	}
}

int tls_server_accept(struct tls_server *server, int fd, SSL **ret_ssl, struct err *err)
{
	pthread_mutex_lock(&server->mutex);
	reload_when_changed(server);
	SSL *ssl = SSL_new(server->context);
	pthread_mutex_unlock(&server->mutex);
	if (!ssl || SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return err_set_tls(err, "unable to make a TLS connection");
	}
	SSL_set_accept_state(ssl);
	*ret_ssl = ssl;
	return 0;
}
