// SPDX-License-Identifier: Apache-2.0
//
// libmicrohttpd in a thread of its own, so that a daemon whose loop hangs still
// answers that it is alive but not well. The whole request target is kept as it
// came; paths and queries are read by us.
#include "common/io/plain_server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/memory.h"
#include "common/io/socket_address.h"

enum {
	IDLE_TIMEOUT_SECONDS = 30,
	MAX_CONNECTIONS = 128,
	CONNECTION_MEMORY_BYTES = 16 * 1024,
	MAX_ANSWER_BYTES = 64 * 1024 * 1024,
};

struct plain_server {
	struct MHD_Daemon *daemon;
	int port;
	const struct health_check *checks;
	struct metrics_registry *metrics;
};

struct plain_request {
	char *target;
	bool seen; // its head was announced; the next call wants the answer
};

static void *on_target(void *context UNUSED, const char *target, struct MHD_Connection *connection UNUSED)
{
	struct plain_request *request = NEW(struct plain_request);
	request->target = xstrdup(target);
	return request;
}

static void on_completed(void *context UNUSED, struct MHD_Connection *connection UNUSED, void **request_place,
                         enum MHD_RequestTerminationCode code UNUSED)
{
	struct plain_request *request = *request_place;
	if (request)
		free(request->target);
	free(request);
	*request_place = NULL;
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, int status, const char *content_type,
                                   struct strbuf *body)
{
	size_t length;
	char *text = strbuf_take(body, &length);
	struct MHD_Response *response = MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_FREE);
	MHD_add_response_header(response, "Content-Type", content_type);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Cache-Control", "no-cache, no-store, must-revalidate");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, "Allow", "GET, HEAD");
	enum MHD_Result result = MHD_queue_response(connection, (unsigned)status, response);
	MHD_destroy_response(response);
	return result;
}

static int respond(struct plain_server *server, char *target, const char **ret_content_type, struct strbuf *body)
{
	char *query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	if (!server->metrics || strcmp(target, "/metrics") != 0)
		return health_respond(server->checks, target, query ? query : "", body);
	*ret_content_type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_write(server->metrics, body);
	return MHD_HTTP_OK;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url UNUSED,
                                  const char *method, const char *version UNUSED, const char *upload UNUSED,
                                  size_t *upload_length, void **request_place)
{
	struct plain_request *request = *request_place;
	AUTO_STRBUF struct strbuf body = STRBUF_INIT(MAX_ANSWER_BYTES);
	const char *content_type = "text/plain; charset=utf-8";
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		strbuf_append_text(&body, "Method Not Allowed\n");
		return send_answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, content_type, &body);
	}
	if (!request->seen) {
		request->seen = true; // answering now would cost the connection
		return MHD_YES;
	}
	if (*upload_length) {
		*upload_length = 0; // a body nobody asked for
		return MHD_YES;
	}
	int status = respond(context, request->target, &content_type, &body);
	if (body.overflowed) {
		strbuf_clear(&body);
		status = MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
	return send_answer(connection, status, content_type, &body);
}

// --- start and end ----------------------------------------------------------------------

static int bound_port(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof(address);
	char host[NI_MAXHOST], port[NI_MAXSERV];
	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0 ||
	    getnameinfo((struct sockaddr *)&address, length, host, sizeof(host), port, sizeof(port),
	                NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return 0;
	return (int)strtol(port, NULL, 10);
}

static int open_listener(const struct plain_server_config *config, int *ret_fd, struct err *err)
{
	char text[SOCKET_ADDRESS_TEXT_BYTES], port[16];
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	const char *host = config->bind_address && *config->bind_address ? config->bind_address : "0.0.0.0";
	socket_host_port_format(host, config->port, text);
	snprintf(port, sizeof(port), "%d", config->port);
	if (config->port < 0 || config->port > 65535 || getaddrinfo(host, port, &hints, &found) != 0)
		return err_set(err, ERR_BAD_REQUEST, "listen tcp %s: not an IP address and a port", text);
	AUTO_CLOSE int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, error_number = 0;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 128) < 0)
		error_number = errno;
	freeaddrinfo(found);
	if (error_number)
		return err_set_socket(err, error_number, "listen tcp %s: bind", text);
	*ret_fd = take_fd(&fd);
	return 0;
}

static struct MHD_Daemon *start_daemon(struct plain_server *server, int fd)
{
	return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL, on_request, server,
	                        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, on_target, NULL,
	                        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_CONNECTION_TIMEOUT,
	                        (unsigned)IDLE_TIMEOUT_SECONDS, MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS,
	                        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_END);
}

int plain_server_new(const struct plain_server_config *config, struct plain_server **ret_server, struct err *err)
{
	AUTO_CLOSE int fd = -1;
	int result = open_listener(config, &fd, err);
	if (result < 0)
		return result;
	struct plain_server *server = NEW(struct plain_server);
	server->checks = config->checks;
	server->metrics = config->metrics;
	server->port = bound_port(fd);
	sigset_t all, before; // signals belong to the loop's thread
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	server->daemon = start_daemon(server, fd);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!server->daemon) {
		free(server);
		return err_set(err, ERR_INTERNAL, "start the server of port %d", config->port);
	}
	(void)take_fd(&fd); // closed with the daemon
	*ret_server = server;
	return 0;
}

int plain_server_port(const struct plain_server *server)
{
	return server->port;
}

struct plain_server *plain_server_free(struct plain_server *server)
{
	if (!server)
		return NULL;
	MHD_stop_daemon(server->daemon);
	free(server);
	return NULL;
}
