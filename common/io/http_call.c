// SPDX-License-Identifier: Apache-2.0
//
// One call: its curl handle and options, what comes in, and its end. The states
// are drawn in http_client.c.
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"
#include "common/io/http_client_internal.h"

enum { CONNECT_TIMEOUT_MS = 10000 };

// --- what comes in ----------------------------------------------------------------------

static void add_header(struct http_call *call, const char *line, size_t length)
{
	const char *colon = memchr(line, ':', length);
	if (!colon)
		return;
	const char *value = colon + 1, *end = line + length;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && strchr(" \t\r\n", end[-1]))
		end--;
	strbuf_append(&call->response_headers, line, (size_t)(colon - line));
	strbuf_append_char(&call->response_headers, '\0');
	strbuf_append(&call->response_headers, value, (size_t)(end - value));
	strbuf_append_char(&call->response_headers, '\0');
}

static void on_head_complete(struct http_call *call)
{
	long status = 0;
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200)
		return; // an interim answer: the real one follows
	call->head_done = true;
	call->status = (int)status;
	if (call->config.on_head)
		call->config.on_head(call->config.context, call->status);
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
	struct http_call *call = context;
	size_t length = size * count;
	if (call->cancelled || call->head_done) // trailers are of no use here
		return length;
	if (length >= 5 && memcmp(line, "HTTP/", 5) == 0)
		strbuf_clear(&call->response_headers);
	else if (length <= 2 && (line[0] == '\r' || line[0] == '\n'))
		on_head_complete(call);
	else
		add_header(call, line, length);
	if (!call->response_headers.overflowed)
		return length;
	err_set(&call->failure, ERR_TOO_LARGE, "%s %s: response headers are too large", call->method, call->authority);
	return 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
	struct http_call *call = context;
	size_t length = size * count;
	if (call->cancelled)
		return length; // dropped as soon as curl has returned
	if (call->config.on_data) {
		call->config.on_data(call->config.context, data, length);
		return length;
	}
	strbuf_append(&call->response, data, length);
	if (!call->response.overflowed)
		return length;
	err_set(&call->failure, ERR_TOO_LARGE, "%s %s: response body is larger than %zu bytes", call->method,
	        call->authority, call->response.max_bytes);
	return 0;
}

// Names and values follow one another, each with a NUL behind it.
static const char *find_header(const struct http_call *call, const char *name, const char *at)
{
	const char *end = at ? call->response_headers.data + call->response_headers.length : NULL;
	while (at < end) {
		const char *value = at + strlen(at) + 1;
		if (strcasecmp(at, name) == 0)
			return value;
		at = value + strlen(value) + 1;
	}
	return NULL;
}

const char *http_call_response_header(const struct http_call *call, const char *name)
{
	return find_header(call, name, call->response_headers.data);
}

const char *http_call_next_response_header(const struct http_call *call, const char *name, const char *previous)
{
	return find_header(call, name, previous + strlen(previous) + 1);
}

// --- options ----------------------------------------------------------------------------

static bool has_header(const char *const *headers, const char *name)
{
	size_t length = strlen(name);
	for (; headers && *headers; headers++)
		if (strncasecmp(*headers, name, length) == 0 && (*headers)[length] == ':')
			return true;
	return false;
}

static void append_header(struct http_call *call, const char *line)
{
	struct curl_slist *longer = curl_slist_append(call->headers, line);
	if (!longer)
		abort();
	call->headers = longer;
}

static void set_headers(struct http_call *call, const char *host)
{
	const char *const *headers = call->config.headers;
	for (const char *const *line = headers; line && *line; line++)
		append_header(call, *line);
	append_header(call, "Expect:");
	if (call->body && !has_header(headers, "Content-Type"))
		append_header(call, "Content-Type:");
	if (call->credentials->token && *call->credentials->token && !has_header(headers, "Authorization")) {
		AUTO_FREE char *line = xasprintf("Authorization: Bearer %s", call->credentials->token);
		append_header(call, line);
		explicit_bzero(line, strlen(line));
	}
	if (host && !has_header(headers, "Host")) {
		AUTO_FREE char *line = xasprintf("Host: %s", host);
		append_header(call, line);
	}
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
}

static void set_method(struct http_call *call)
{
	bool takes_body = strcmp(call->method, "POST") == 0 || strcmp(call->method, "PUT") == 0 ||
	                  strcmp(call->method, "PATCH") == 0;
	if (strcmp(call->method, "HEAD") == 0) {
		curl_easy_setopt(call->easy, CURLOPT_NOBODY, 1L);
	} else if (call->body || takes_body) {
		curl_easy_setopt(call->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, call->body ? call->body : "");
		curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_length);
		curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, call->method);
	} else if (strcmp(call->method, "GET") != 0) {
		curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, call->method);
	}
}

static void set_blob(struct http_call *call, CURLoption option, char *text)
{
	// Not copied: the call's reference to its credentials keeps it.
	struct curl_blob blob = {.data = text, .len = text ? strlen(text) : 0, .flags = CURL_BLOB_NOCOPY};
	if (text)
		curl_easy_setopt(call->easy, option, &blob);
}

static void set_tls(struct http_call *call)
{
	curl_easy_setopt(call->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	set_blob(call, CURLOPT_CAINFO_BLOB, call->credentials->ca);
	if (call->credentials->ca)
		curl_easy_setopt(call->easy, CURLOPT_CAPATH, NULL); // the given authority and no other
	set_blob(call, CURLOPT_SSLCERT_BLOB, call->credentials->certificate);
	set_blob(call, CURLOPT_SSLKEY_BLOB, call->credentials->private_key);
	if (call->client->insecure) {
		curl_easy_setopt(call->easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(call->easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

static void set_transport(struct http_call *call, bool loopback)
{
	struct http_client *client = call->client;
	curl_easy_setopt(call->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(call->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	curl_easy_setopt(call->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(call->easy, CURLOPT_OPENSOCKETFUNCTION, http_client_open_socket);
	curl_easy_setopt(call->easy, CURLOPT_CLOSESOCKETFUNCTION, http_client_close_socket);
	curl_easy_setopt(call->easy, CURLOPT_CLOSESOCKETDATA, client);
	curl_easy_setopt(call->easy, CURLOPT_HTTP_VERSION,
	                 (long)(client->http1_only ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
	curl_easy_setopt(call->easy, CURLOPT_PIPEWAIT, client->http1_only ? 0L : 1L);
	if (client->user_agent)
		curl_easy_setopt(call->easy, CURLOPT_USERAGENT, client->user_agent);
	if (loopback) // no proxy can stand between us and ourselves
		curl_easy_setopt(call->easy, CURLOPT_PROXY, "");
}

static bool is_loopback(const char *host)
{
	return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0;
}

// With a server name of its own the URL carries that name, and the connection is
// led to the real address.
static void use_server_name(struct http_call *call, const char *host, const char *port)
{
	AUTO_FREE char *route = xasprintf("%s:%s:%s:%s", call->client->server_name, port, host, port);
	call->connect_to = curl_slist_append(NULL, route);
	curl_url_set(call->url, CURLUPART_HOST, call->client->server_name, 0);
	curl_easy_setopt(call->easy, CURLOPT_CONNECT_TO, call->connect_to);
}

static bool parse_url(struct http_call *call, char **ret_host, char **ret_port)
{
	call->url = curl_url();
	CURLUcode result = curl_url_set(call->url, CURLUPART_URL, call->config.url, CURLU_PATH_AS_IS);
	if (result == CURLUE_OK)
		result = curl_url_get(call->url, CURLUPART_HOST, ret_host, 0);
	if (result == CURLUE_OK)
		result = curl_url_get(call->url, CURLUPART_PORT, ret_port, CURLU_DEFAULT_PORT);
	if (result == CURLUE_OK)
		return true;
	err_set(&call->failure, ERR_BAD_REQUEST, "parse \"%s\": %s", call->config.url, curl_url_strerror(result));
	return false;
}

static bool configure(struct http_call *call, const char *host, const char *port)
{
	free(call->authority);
	call->authority = xasprintf("%s:%s", host, port);
	if (http_credential_source_get(&call->client->credentials, &call->credentials, &call->failure) < 0)
		return false;
	call->easy = curl_easy_init();
	if (!call->easy)
		abort(); // curl is out of memory
	curl_easy_setopt(call->easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(call->easy, CURLOPT_ERRORBUFFER, call->curl_message);
	curl_easy_setopt(call->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(call->easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(call->easy, CURLOPT_WRITEDATA, call);
	set_transport(call, is_loopback(host));
	set_tls(call);
	set_method(call);
	if (call->client->server_name)
		use_server_name(call, host, port);
	set_headers(call, call->client->server_name ? call->authority : NULL);
	curl_easy_setopt(call->easy, CURLOPT_CURLU, call->url);
	return true;
}

bool http_call_prepare(struct http_call *call)
{
	char *host = NULL, *port = NULL;
	bool prepared = parse_url(call, &host, &port) && configure(call, host, port);
	curl_free(host);
	curl_free(port);
	return prepared;
}

// --- the end ----------------------------------------------------------------------------

void http_call_destroy(struct http_call *call)
{
	if (call->added)
		curl_multi_remove_handle(call->client->multi, call->easy);
	loop_timer_stop(&call->deadline);
	list_remove(&call->node);
	curl_easy_cleanup(call->easy);
	curl_url_cleanup(call->url);
	curl_slist_free_all(call->headers);
	curl_slist_free_all(call->connect_to);
	http_credentials_unref(call->credentials);
	strbuf_done(&call->response);
	strbuf_done(&call->response_headers);
	free(call->method);
	free(call->authority);
	free(call->body);
	free(call);
}

void http_call_finish(struct http_call *call, CURLcode result)
{
	struct err err = ERR_INIT;
	call->finishing = true;
	if (call->failure.code != ERR_NONE)
		err = call->failure;
	else if (result != CURLE_OK)
		http_call_describe_failure(call, result, &err);
	if (call->added) {
		curl_multi_remove_handle(call->client->multi, call->easy);
		call->added = false;
	}
	loop_timer_stop(&call->deadline);
	if (!call->cancelled && call->config.on_done) {
		bool failed = err.code != ERR_NONE;
		call->config.on_done(call->config.context, call->status, strbuf_text(&call->response),
		                     call->response.length, failed ? &err : NULL);
	}
	http_call_destroy(call);
}
