// SPDX-License-Identifier: Apache-2.0
// A map under a mutex, filled on first use: a cluster that nobody explores does
// not hold megabytes of OpenAPI. The ETag is a hash of the bytes, so equal
// servers give equal tags. The index of OpenAPI's version 3 names each document
// with a hash of its own: asked for by that URL a document may be kept for ever, and
// by an old one the client is sent to the new.

#include "apiserver/documents/documents.h"

#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apiserver/request.h"
#include "common/base/blob.h"
#include "common/base/encode.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"

enum {
	DOCUMENT_MAX_BYTES = 64 << 20,
};

struct document {
	struct blob *body;
	char etag[2 * SHA256_DIGEST_LENGTH + 3]; // with its quotes
	char hash[17];                           // as the index of OpenAPI has it
};

struct documents {
	pthread_mutex_t lock;
	struct hashmap *by_key;
};

static void document_free(void *value)
{
	struct document *document = value;

	blob_unref(document->body);
	free(document);
}

struct documents *documents_new(void)
{
	struct documents *documents = NEW(struct documents);

	pthread_mutex_init(&documents->lock, NULL);
	documents->by_key = hashmap_new(document_free);
	return documents;
}

struct documents *documents_free(struct documents *documents)
{
	if (!documents)
		return NULL;
	hashmap_free(documents->by_key);
	pthread_mutex_destroy(&documents->lock);
	free(documents);
	return NULL;
}

static struct document *make(struct request *request, bool (*write)(struct request *request, struct strbuf *out))
{
	struct strbuf text = STRBUF_INIT(DOCUMENT_MAX_BYTES);
	uint8_t hash[SHA256_DIGEST_LENGTH];
	struct document *document;
	size_t length;
	char *data;

	if (!write(request, &text)) {
		strbuf_done(&text);
		return NULL;
	}
	document = NEW(struct document);
	data = strbuf_take(&text, &length);
	document->body = blob_new_take(data, length);
	SHA256((const uint8_t *)data, length, hash);
	document->etag[0] = '"';
	hex_encode(document->etag + 1, hash, sizeof(hash));
	document->etag[sizeof(document->etag) - 2] = '"';
	document->etag[sizeof(document->etag) - 1] = '\0';
	snprintf(document->hash, sizeof(document->hash), "%016llX", (unsigned long long)fnv64a(data, length));
	return document;
}

static const struct document *find_or_make(struct documents *documents, struct request *request, const char *key,
                                           bool (*write)(struct request *request, struct strbuf *out))
{
	struct document *document;

	pthread_mutex_lock(&documents->lock);
	document = hashmap_get(documents->by_key, key);
	if (!document) {
		document = make(request, write);
		if (document)
			hashmap_put(documents->by_key, key, document);
	}
	pthread_mutex_unlock(&documents->lock);
	return document;
}

static bool client_has(const struct request *request, const char *etag)
{
	const char *held = http_request_header(request->http, "if-none-match");

	return held && (strstr(held, etag) || !strcmp(held, "*"));
}

// 301 to the URL with the right hash.
static void redirect(struct request *request, const struct document *document)
{
	size_t count;
	struct http_header *headers = request_headers(request, NULL, 1, &count);

	headers[count++] = (struct http_header){
	        "location", arena_printf(request->arena, "%s?hash=%s", request->route.path, document->hash)};
	http_exchange_respond(request->exchange, 301, headers, count, NULL);
	request_finish_sent(request, 301);
}

// A year from now: nobody asks again for what never changes.
static const char *distant_date(struct arena *arena)
{
	time_t then = time(NULL) + 365 * 24 * 3600;
	char *text = arena_alloc(arena, 64);
	struct tm fields;

	gmtime_r(&then, &fields);
	strftime(text, 64, "%a, %d %b %Y %H:%M:%S GMT", &fields);
	return text;
}

void documents_serve(struct documents *documents, struct request *request, const char *key, const char *content_type,
                     bool (*write)(struct request *request, struct strbuf *out))
{
	const struct document *document = find_or_make(documents, request, key, write);
	struct http_header *headers;
	const char *hash;
	size_t count;
	bool unchanged;

	if (!document) {
		AUTO(blob_unref) struct blob *body = blob_new("404 page not found\n", 19);

		request_finish_blob(request, 404, "text/plain; charset=utf-8", body);
		return;
	}
	hash = query_get(&request->query, "hash");
	if (hash && strcmp(hash, document->hash) != 0) {
		redirect(request, document);
		return;
	}
	unchanged = client_has(request, document->etag);
	headers = request_headers(request, unchanged ? NULL : content_type, 3, &count);
	if (hash) {
		for (size_t i = 0; i < count; i++)
			if (!strcmp(headers[i].name, "cache-control"))
				headers[i].value = "public, immutable";
		headers[count++] = (struct http_header){"expires", distant_date(request->arena)};
	}
	headers[count++] = (struct http_header){"etag", document->etag};
	headers[count++] = (struct http_header){"vary", "Accept"};
	http_exchange_respond(request->exchange, unchanged ? 304 : 200, headers, count,
	                      unchanged ? NULL : document->body);
	request_finish_sent(request, unchanged ? 304 : 200);
}
