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
//
// A server that accepts any client certificate leaves the handshake to prove that
// the client has the key, and judges the certificate itself, against the client
// authorities and against the front proxy's: when the connection is made, and
// again when an authority file changed or the certificate has expired. A chain
// with intermediates gets no ticket, since a session doesn't keep them.
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/strbuf.h"
#include "common/io/tls.h"
#include "common/io/tls_internal.h"

DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free)

enum {
	STAMP_FIXED = 4, // certificate, key, client CA, front proxy CA
	STAMP_COUNT = STAMP_FIXED + 2 * TLS_SNI_MAX,
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
	bool accept_any_client_certificate;
	int minimum_version;
	char *cipher_list; // OpenSSL's names; NULL = the default
	size_t sni_count;
	char **sni_names[TLS_SNI_MAX]; // NULL: those of the certificate
	atomic_uint generation;        // counts the contexts
	pthread_mutex_t mutex;         // guards what follows
	SSL_CTX *context;
	X509_STORE *clients;
	X509_STORE *front_proxies;
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

// A context that serves one certificate.
static int certificate_context(const struct tls_server *server, const char *certificate, const char *key,
                               SSL_CTX **ret_context, struct err *err)
{
	SSL_CTX *context AUTO(SSL_CTX_free) = NULL;
	int result = tls_context_new(TLS_server_method(), &context, err);
	if (result == 0)
		result = tls_use_certificate(context, certificate, NULL, err);
	if (result == 0)
		result = tls_use_private_key(context, key, NULL, err);
	if (result < 0)
		return result;
	if (server->cipher_list && SSL_CTX_set_cipher_list(context, server->cipher_list) != 1)
		return err_set_tls(err, "unable to use the cipher suites");
	*ret_context = TAKE(context);
	return 0;
}

static int add_sni(const struct tls_server *server, SSL_CTX *context, struct err *err)
{
	struct tls_sni *sni = server->sni_count ? tls_sni_new() : NULL;
	int result = 0;
	for (size_t i = 0; result == 0 && i < server->sni_count; i++) {
		SSL_CTX *named = NULL;
		result = certificate_context(server, server->files[STAMP_FIXED + 2 * i],
		                             server->files[STAMP_FIXED + 2 * i + 1], &named, err);
		if (result == 0)
			tls_sni_add(sni, named, (const char *const *)server->sni_names[i]);
	}
	if (result < 0)
		tls_sni_free(sni);
	else if (sni)
		tls_sni_use(sni, context);
	return result;
}

// The key is proven by the handshake; whose it is, tls_server_judge says. No ticket for a chain with
// intermediates: the session would forget them.
static int accept_any(X509_STORE_CTX *store_context, void *context)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store_context, SSL_get_ex_data_X509_STORE_CTX_idx());
	(void)context;
	if (sk_X509_num(X509_STORE_CTX_get0_untrusted(store_context)) > 1) {
		SSL_set_num_tickets(ssl, 0);
		SSL_set_options(ssl, SSL_OP_NO_TICKET);
	}
	return 1;
}

static int ask_for_certificates(const struct tls_server *server, SSL_CTX *context, struct err *err)
{
	int result = 0;
	if (!server->files[2] && !server->files[3])
		return 0;
	if (server->accept_any_client_certificate)
		SSL_CTX_set_cert_verify_callback(context, accept_any, NULL);
	for (size_t i = 2; result == 0 && i < STAMP_FIXED; i++)
		if (server->files[i])
			result = tls_trust_authorities(context, server->files[i], NULL, err);
	SSL_CTX_set_verify(context,
	                   SSL_VERIFY_PEER | (server->require_client_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
	                   NULL);
	return result;
}

static int build_context(struct tls_server *server, SSL_CTX **ret_context, struct err *err)
{
	SSL_CTX *context AUTO(SSL_CTX_free) = NULL;
	int result = certificate_context(server, server->files[0], server->files[1], &context, err);
	if (result == 0)
		result = ask_for_certificates(server, context, err);
	if (result == 0)
		result = add_sni(server, context, err);
	if (result < 0)
		return result;
	if (server->minimum_version)
		SSL_CTX_set_min_proto_version(context, server->minimum_version);
	SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_alpn_select_cb(context, select_alpn, server);
	configure_sessions(context);
	*ret_context = TAKE(context);
	return 0;
}

// Everything that comes of the files, or nothing of it.
static int build(struct tls_server *server, struct err *err)
{
	X509_STORE *clients = NULL, *front_proxies = NULL;
	SSL_CTX *context = NULL;
	int result = build_context(server, &context, err);
	if (result == 0 && server->files[2])
		result = tls_store_new(server->files[2], &clients, err);
	if (result == 0 && server->files[3])
		result = tls_store_new(server->files[3], &front_proxies, err);
	if (result < 0) {
		SSL_CTX_free(context);
		X509_STORE_free(clients);
		X509_STORE_free(front_proxies);
		return result;
	}
	SSL_CTX_free(server->context);
	X509_STORE_free(server->clients);
	X509_STORE_free(server->front_proxies);
	server->context = context;
	server->clients = clients;
	server->front_proxies = front_proxies;
	atomic_fetch_add(&server->generation, 1);
	return 0;
}

// "TLS_AES_128_GCM_SHA256", … → OpenSSL's list. Those of TLS 1.3 are always on, as in Go.
static int parse_cipher_suites(struct tls_server *server, const char *const *names, struct err *err)
{
	struct strbuf list = STRBUF_INIT(16 << 10);
	for (size_t i = 0; names && names[i]; i++) {
		const char *name = OPENSSL_cipher_name(names[i]);
		if (strcmp(name, "(NONE)") == 0) {
			strbuf_done(&list);
			return err_set(err, ERR_BAD_REQUEST, "Cipher suite %s not supported or doesn't exist",
			               names[i]);
		}
		if (strncmp(name, "TLS_", 4) != 0)
			strbuf_printf(&list, "%s%s", list.length ? ":" : "", name);
	}
	if (list.length)
		server->cipher_list = xstrdup(strbuf_text(&list));
	strbuf_done(&list);
	return 0;
}

static char **copy_names(const char *const *names)
{
	size_t count = 0;
	while (names && names[count])
		count++;
	char **copy = names ? xcalloc(count + 1, sizeof(*copy)) : NULL;
	for (size_t i = 0; i < count; i++)
		copy[i] = xstrdup(names[i]);
	return copy;
}

static int copy_sni(struct tls_server *server, const struct tls_sni_certificate *sni, struct err *err)
{
	for (; sni && sni->certificate_file; sni++) {
		size_t i = server->sni_count;
		if (i == TLS_SNI_MAX)
			return err_set(err, ERR_BAD_REQUEST, "more than %d certificates for names", TLS_SNI_MAX);
		server->files[STAMP_FIXED + 2 * i] = xstrdup(sni->certificate_file);
		server->files[STAMP_FIXED + 2 * i + 1] = xstrdup(sni->private_key_file);
		server->sni_names[i] = copy_names(sni->names);
		server->sni_count++;
	}
	return 0;
}

int tls_server_new(const struct tls_server_config *config, struct tls_server **ret_server, struct err *err)
{
	struct tls_server *server = NEW(struct tls_server);
	server->files[0] = xstrdup(config->certificate_file);
	server->files[1] = xstrdup(config->private_key_file);
	server->files[2] = xstrdup(config->client_ca_file);
	server->files[3] = xstrdup(config->front_proxy_ca_file);
	server->accept_any_client_certificate = config->accept_any_client_certificate;
	server->require_client_certificate = config->require_client_certificate;
	server->offer_http2 = config->offer_http2;
	server->minimum_version = config->minimum_version;
	pthread_mutex_init(&server->mutex, NULL);
	server->checked_ns = clock_monotonic_ns(&clock_system);
	int result = 0;
	if (!server->files[0] || !server->files[1])
		result = err_set(err, ERR_BAD_REQUEST, "a certificate and its private key must be given");
	if (result == 0)
		result = parse_cipher_suites(server, config->cipher_suites, err);
	if (result == 0)
		result = copy_sni(server, config->sni, err);
	read_stamps(server, server->stamps);
	if (result == 0)
		result = build(server, err);
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
	X509_STORE_free(server->clients);
	X509_STORE_free(server->front_proxies);
	pthread_mutex_destroy(&server->mutex);
	for (size_t i = 0; i < STAMP_COUNT; i++)
		free(server->files[i]);
	for (size_t i = 0; i < server->sni_count; i++) {
		for (char **name = server->sni_names[i]; name && *name; name++)
			free(*name);
		free(server->sni_names[i]);
	}
	free(server->cipher_list);
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
	struct err err = ERR_INIT;
	if (build(server, &err) == 0) {
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

void tls_server_judge(struct tls_server *server, SSL *ssl, struct arena *arena, struct tls_identity *ret_identity)
{
	if (!server->accept_any_client_certificate) {
		tls_peer_identity(ssl, arena, ret_identity);
		ret_identity->generation = atomic_load(&server->generation);
		return;
	}
	pthread_mutex_lock(&server->mutex);
	reload_when_changed(server);
	X509_STORE *clients = server->clients, *front_proxies = server->front_proxies;
	if (clients)
		X509_STORE_up_ref(clients);
	if (front_proxies)
		X509_STORE_up_ref(front_proxies);
	unsigned generation = atomic_load(&server->generation);
	pthread_mutex_unlock(&server->mutex);
	tls_judge(ssl, clients, front_proxies, arena, ret_identity);
	ret_identity->generation = generation;
	X509_STORE_free(clients);
	X509_STORE_free(front_proxies);
}

bool tls_server_must_judge(const struct tls_server *server, const struct tls_identity *identity)
{
	if (!identity->presented || !server->accept_any_client_certificate)
		return false;
	return identity->generation != atomic_load(&server->generation) ||
	       clock_realtime_ns(&clock_system) / NSEC_PER_SEC >= identity->expires;
}
