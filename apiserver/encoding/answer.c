// SPDX-License-Identifier: Apache-2.0
//
// As upstream, answers over 128 KiB are gzipped at the fastest level for clients
// that take it. Compressing is the one costly thing about a list, so it is done on
// a worker, a piece of output at a time:
//
//   deflating (worker) ──> written ──┬─ client keeps up ─────────> deflating …
//                                    ├─ its buffers are full ───> waiting ──drained──> deflating …
//                                    ├─ all of the body is in ──> ended
//                                    └─ client left ────────────> ended
//
// So a list of any length needs one piece of output and zlib's own state, beside
// the cached buffers that it is made of.
#include "apiserver/encoding/answer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/base/memory.h"

enum {
	GZIP_THRESHOLD_BYTES = 128 << 10,
	GZIP_LEVEL = 1,
	GZIP_WINDOW = 15 + 16, // the largest, with gzip's header
	GZIP_MEMORY = 8,
	OUTPUT_BYTES = 128 << 10,
	HIGH_WATER_BYTES = 1 << 20,
	LOW_WATER_BYTES = 256 << 10,
	CLIENT_LEFT = 499,
};

// --- bodies -----------------------------------------------------------------------------

void answer_body_add(struct answer_body *body, struct blob *blob, size_t offset, size_t length)
{
	if (!length)
		return;
	if (body->count == body->capacity) {
		body->capacity = body->capacity ? 2 * body->capacity : 64;
		body->pieces = xreallocarray(body->pieces, body->capacity, sizeof(*body->pieces));
	}
	body->pieces[body->count++] = (struct answer_piece){blob_ref(blob), offset, length};
	body->length += length;
}

void answer_body_done(struct answer_body *body)
{
	for (size_t i = 0; i < body->count; i++)
		blob_unref(body->pieces[i].blob);
	free(body->pieces);
	*body = ANSWER_BODY_INIT;
}

// --- as it is ----------------------------------------------------------------------------

static void send_plain(struct request *request, int code, const char *content_type, struct answer_body *body)
{
	size_t count;
	struct http_header *headers = request_headers(request, content_type, 1, &count);

	headers[count++] = (struct http_header){"content-length", arena_printf(request->arena, "%zu", body->length)};
	http_exchange_start(request->exchange, code, headers, count);
	for (size_t i = 0; i < body->count; i++)
		http_exchange_write(request->exchange, body->pieces[i].blob, body->pieces[i].offset,
		                    body->pieces[i].length);
	http_exchange_end(request->exchange);
	answer_body_done(body);
	request_finish_sent(request, code);
}

// --- gzipped ------------------------------------------------------------------------------

struct compression {
	struct request *request;
	int code;
	struct answer_body body;
	size_t next; // piece
	z_stream stream;
	char *output; // of the present turn, heap
	size_t output_length;
	bool finished;
	bool waiting; // for the client
};

static void deflate_some(struct request *request)
{
	struct compression *compression = request->stage_context;
	z_stream *stream = &compression->stream;
	const struct answer_body *body = &compression->body;

	compression->output = xmalloc(OUTPUT_BYTES);
	stream->next_out = (Bytef *)compression->output;
	stream->avail_out = OUTPUT_BYTES;
	while (stream->avail_out && !compression->finished) {
		if (!stream->avail_in && compression->next < body->count) {
			const struct answer_piece *piece = &body->pieces[compression->next++];

			assert(piece->length <= UINT32_MAX);
			stream->next_in = (Bytef *)(uintptr_t)(piece->blob->data + piece->offset);
			stream->avail_in = (uInt)piece->length;
		}
		bool last = !stream->avail_in && compression->next == body->count;

		compression->finished = deflate(stream, last ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_END;
	}
	compression->output_length = OUTPUT_BYTES - stream->avail_out;
}

static void end(struct compression *compression, int code)
{
	struct request *request = compression->request;

	http_exchange_on_gone(request->exchange, NULL, NULL);
	http_exchange_on_drain(request->exchange, 0, NULL, NULL);
	if (compression->finished)
		http_exchange_end(request->exchange);
	(void)deflateEnd(&compression->stream);
	answer_body_done(&compression->body);
	request_finish_sent(request, code);
}

static void on_deflated(struct request *request);

static void go_on(struct compression *compression)
{
	compression->waiting = false;
	compression->request->stage_context = compression;
	request_run(compression->request, true, deflate_some, on_deflated);
}

static void on_deflated(struct request *request)
{
	struct compression *compression = request->stage_context;
	AUTO(blob_unref) struct blob *piece = blob_new_take(compression->output, compression->output_length);

	if (http_exchange_is_gone(request->exchange)) {
		compression->finished = false;
		end(compression, CLIENT_LEFT);
		return;
	}
	http_exchange_write(request->exchange, piece, 0, piece->length);
	if (compression->finished)
		end(compression, compression->code);
	else if (http_exchange_pending_bytes(request->exchange) > HIGH_WATER_BYTES)
		compression->waiting = true;
	else
		go_on(compression);
}

static void on_drain(void *context)
{
	struct compression *compression = context;

	if (compression->waiting)
		go_on(compression);
}

// While a worker has it, on_deflated finds out.
static void on_gone(void *context)
{
	struct compression *compression = context;

	if (compression->waiting)
		end(compression, CLIENT_LEFT);
}

static void send_gzipped(struct request *request, int code, const char *content_type, struct answer_body *body)
{
	struct compression *compression = ARENA_NEW(request->arena, struct compression);
	size_t count;
	struct http_header *headers = request_headers(request, content_type, 2, &count);

	headers[count++] = (struct http_header){"content-encoding", "gzip"};
	headers[count++] = (struct http_header){"vary", "Accept-Encoding"};
	compression->request = request;
	compression->code = code;
	compression->body = *body;
	*body = ANSWER_BODY_INIT;
	if (deflateInit2(&compression->stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) !=
	    Z_OK)
		abort(); // no memory
	http_exchange_start(request->exchange, code, headers, count);
	http_exchange_on_gone(request->exchange, on_gone, compression);
	http_exchange_on_drain(request->exchange, LOW_WATER_BYTES, on_drain, compression);
	go_on(compression);
}

bool answer_accepts_gzip(const char *accept_encoding)
{
	const char *at = accept_encoding;

	while (at && *at) {
		size_t length = strcspn(at, ",");
		size_t skipped = strspn(at, " \t"), end = length;

		while (end > skipped && (at[end - 1] == ' ' || at[end - 1] == '\t'))
			end--;
		if (end >= skipped && end - skipped == 4 && !memcmp(at + skipped, "gzip", 4))
			return true;
		at += length + (at[length] == ',');
	}
	return false;
}

void answer_send(struct request *request, int code, const char *content_type, struct answer_body *body)
{
	if (body->length > GZIP_THRESHOLD_BYTES &&
	    answer_accepts_gzip(http_request_header(request->http, "accept-encoding")))
		send_gzipped(request, code, content_type, body);
	else
		send_plain(request, code, content_type, body);
}

void answer_send_blob(struct request *request, int code, const char *content_type, struct blob *blob)
{
	struct answer_body body = ANSWER_BODY_INIT;

	if (blob->length <= GZIP_THRESHOLD_BYTES) {
		request_finish_blob(request, code, content_type, blob);
		return;
	}
	answer_body_add(&body, blob, 0, blob->length);
	answer_send(request, code, content_type, &body);
}
