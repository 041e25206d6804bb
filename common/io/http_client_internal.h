// SPDX-License-Identifier: Apache-2.0
#pragma once
// The HTTP client's insides: the client around one curl multi handle, its calls,
// and the credentials that it reads from files.

#include <curl/curl.h>
#include <sys/stat.h>

#include "common/base/list.h"
#include "common/base/strbuf.h"
#include "common/io/http_client.h"
#include "common/io/loop.h"

// --- credentials (http_credentials.c) ------------------------------------------------

// One state of the files. A call holds a reference as long as curl may look at it.
struct http_credentials {
	int references;
	char *ca; // PEM; NULL = the system's
	char *certificate;
	char *private_key;
	char *token; // without white space around it
};

struct http_credential_file {
	char *path; // NULL = none
	struct stat seen;
};

struct http_credential_source {
	struct http_credential_file ca, certificate, private_key, token;
	char *ca_data, *certificate_data, *private_key_data, *token_data;
	struct http_credentials *current; // NULL before the first use
};

void http_credential_source_init(struct http_credential_source *source, const struct http_client_config *config);
void http_credential_source_done(struct http_credential_source *source);
// A reference to the present state. When a changed file can't be read, the state before stays.
NODISCARD int http_credential_source_get(struct http_credential_source *source,
                                         struct http_credentials **ret_credentials, struct err *err);
struct http_credentials *http_credentials_unref(struct http_credentials *credentials);

// --- client and calls ------------------------------------------------------------------

struct http_client {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer curl_timer;  // when curl wants to be called
	struct loop_timer start_timer; // calls that failed at their start are finished by it
	struct list calls;
	struct list sockets;
	struct http_credential_source credentials;
	char *server_name;
	char *user_agent;
	bool insecure;
	bool http1_only;
	int depth;     // > 0 inside curl or inside an owner's callback
	bool deferred; // there are calls to add or to drop when depth is 0 again
	bool free_requested;
};

struct http_call {
	struct list node;
	struct http_client *client;
	CURL *easy;
	CURLU *url;
	struct curl_slist *headers;
	struct curl_slist *connect_to;
	struct http_credentials *credentials;
	char *method;
	char *authority; // host:port
	char *body;
	size_t body_length;
	struct loop_timer deadline;
	struct strbuf response;
	struct strbuf response_headers; // name NUL value NUL …
	struct http_call_config config; // callbacks and limits; its pointers are not used later
	int status;
	bool added; // to the multi handle
	bool head_done;
	bool cancelled;     // drop it without a word
	bool finishing;     // in on_done
	struct err failure; // ours: set before or instead of curl's
	char curl_message[CURL_ERROR_SIZE];
};

// Makes the easy handle; false with call->failure set when that can't be.
bool http_call_prepare(struct http_call *call);
// Adds a prepared call to the multi handle.
void http_call_add(struct http_call *call);
// Removes it from everywhere and frees it; no callback.
void http_call_destroy(struct http_call *call);
// Ends it with on_done; curl's result, or call->failure when set.
void http_call_finish(struct http_call *call, CURLcode result);

// Every way into curl or into an owner's callback stands between these two.
void http_client_enter(struct http_client *client);
void http_client_leave(struct http_client *client); // may free the client
curl_socket_t http_client_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address);
int http_client_close_socket(void *context, curl_socket_t fd);

// Says what went wrong, in the words of Go's net package (http_client_error.c).
void http_call_describe_failure(const struct http_call *call, CURLcode result, struct err *err);
