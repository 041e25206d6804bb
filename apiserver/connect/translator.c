// SPDX-License-Identifier: Apache-2.0
// As upstream's apiserver does it for kubelets that don't know the client's protocol
// (StreamTranslator, StreamTunneling).
//
// The end of an exec: the kubelet ends stdout and stderr and tells the outcome on the
// error stream, each with its stream's end. The outcome goes to the client as one
// message, then the WebSocket is closed.

#include "apiserver/connect/translator.h"

#include <string.h>

#include "common/base/memory.h"
#include "common/io/spdy.h"
#include "common/io/websocket.h"

enum {
	MAX_MESSAGE_BYTES = 4 << 20,
	MAX_OUTCOME_BYTES = 64 << 10,
	CHANNEL_CLOSE = 255,
	CLOSE_NORMAL = 1000,
};

enum channel { // numbered as the protocol's
	CHANNEL_STDIN,
	CHANNEL_STDOUT,
	CHANNEL_STDERR,
	CHANNEL_ERROR,
	CHANNEL_RESIZE,
	CHANNEL_COUNT_,
};

static const char *const stream_types[CHANNEL_COUNT_] = {"stdin", "stdout", "stderr", "error", "resize"};

struct translator {
	struct translator_config config;
	struct websocket socket;
	struct spdy_session *session; // NULL: a tunnel
	struct spdy_stream *streams[CHANNEL_COUNT_];
	bool ended[CHANNEL_COUNT_]; // by the kubelet
	struct strbuf outcome;
	bool over;
};

const char *translator_protocol(const struct http_request *request, bool forwards)
{
	static const char *const tunnel[] = {"SPDY/3.1+portforward.k8s.io", NULL};
	static const char *const channels[] = {"v5.channel.k8s.io", NULL};

	if (!websocket_is_upgrade(request))
		return NULL;
	return websocket_choose_protocol(request, forwards ? tunnel : channels);
}

const char *translator_kubelet_protocol(bool is_tunnel)
{
	return is_tunnel ? "portforward.k8s.io" : "v4.channel.k8s.io";
}

static void finish(struct translator *translator)
{
	if (!translator->over)
		websocket_close(&translator->socket, CLOSE_NORMAL, "");
	translator->over = true;
}

// --- the kubelet's side -------------------------------------------------------------------------

static void send_channel(struct translator *translator, enum channel channel, const void *data, size_t length)
{
	AUTO_FREE char *message = xmalloc(length + 1);

	message[0] = (char)channel;
	if (length)
		memcpy(message + 1, data, length);
	websocket_send(&translator->socket, WEBSOCKET_BINARY, message, length + 1);
}

static enum channel channel_of(const struct translator *translator, const struct spdy_stream *stream)
{
	int channel = 0;

	while (channel < CHANNEL_COUNT_ && translator->streams[channel] != stream)
		channel++;
	return (enum channel)channel;
}

static void on_stream_data(void *context, struct spdy_stream *stream, const void *data, size_t length)
{
	struct translator *translator = context;
	enum channel channel = channel_of(translator, stream);

	if (channel == CHANNEL_ERROR)
		strbuf_append(&translator->outcome, data, length);
	else if (channel < CHANNEL_COUNT_)
		send_channel(translator, channel, data, length);
	spdy_stream_consumed(stream, length);
}

static bool has_ended(const struct translator *translator, enum channel channel)
{
	return !translator->streams[channel] || translator->ended[channel];
}

static void tell_outcome(struct translator *translator)
{
	if (!has_ended(translator, CHANNEL_STDOUT) || !has_ended(translator, CHANNEL_STDERR) ||
	    !has_ended(translator, CHANNEL_ERROR) || translator->over)
		return;
	if (translator->outcome.length)
		send_channel(translator, CHANNEL_ERROR, translator->outcome.data, translator->outcome.length);
	finish(translator);
}

static void on_stream_end(void *context, struct spdy_stream *stream)
{
	struct translator *translator = context;
	enum channel channel = channel_of(translator, stream);

	if (channel < CHANNEL_COUNT_)
		translator->ended[channel] = true;
	tell_outcome(translator);
}

static void on_stream_reset(void *context, struct spdy_stream *stream, uint32_t status)
{
	struct translator *translator = context;
	enum channel channel = channel_of(translator, stream);

	(void)status;
	if (channel < CHANNEL_COUNT_)
		translator->streams[channel] = NULL;
	spdy_stream_close(stream, SPDY_CANCEL);
	tell_outcome(translator);
}

static void on_session_send(void *context, const void *data, size_t length)
{
	struct translator *translator = context;

	translator->config.to_kubelet(translator->config.context, data, length);
}

void translator_from_kubelet(struct translator *translator, const void *data, size_t length)
{
	if (translator->config.is_tunnel)
		websocket_send(&translator->socket, WEBSOCKET_BINARY, data, length);
	else if (!spdy_feed(translator->session, data, length))
		finish(translator);
}

void translator_kubelet_ended(struct translator *translator)
{
	for (int channel = 0; channel < CHANNEL_COUNT_; channel++)
		translator->ended[channel] = true;
	if (!translator->config.is_tunnel)
		tell_outcome(translator);
	finish(translator);
}

// --- the client's side --------------------------------------------------------------------------

static void on_message(void *context, enum websocket_opcode opcode, const uint8_t *data, size_t length)
{
	struct translator *translator = context;
	struct spdy_stream *stream;

	if (opcode != WEBSOCKET_BINARY || !length)
		return;
	if (translator->config.is_tunnel) {
		translator->config.to_kubelet(translator->config.context, data, length);
	} else if (data[0] == CHANNEL_STDIN || data[0] == CHANNEL_RESIZE) {
		stream = translator->streams[data[0]];
		if (stream)
			spdy_stream_write(stream, data + 1, length - 1);
	} else if (data[0] == CHANNEL_CLOSE && length > 1 && data[1] == CHANNEL_STDIN &&
	           translator->streams[CHANNEL_STDIN]) {
		spdy_stream_finish(translator->streams[CHANNEL_STDIN]);
	}
}

static void on_socket_close(void *context, uint16_t code, const char *reason)
{
	struct translator *translator = context;

	(void)code;
	(void)reason;
	translator->over = true;
}

static void on_socket_send(void *context, const void *data, size_t length)
{
	struct translator *translator = context;

	translator->config.to_client(translator->config.context, data, length);
}

void translator_from_client(struct translator *translator, const void *data, size_t length)
{
	(void)websocket_feed(&translator->socket, data, length); // on_socket_close tells of a breach
}

bool translator_is_over(const struct translator *translator)
{
	return translator->over;
}

// --- life -----------------------------------------------------------------------------------------

static void open_stream(struct translator *translator, enum channel channel)
{
	const struct spdy_header header = {"streamtype", stream_types[channel]};

	translator->streams[channel] = spdy_stream_open(translator->session, &header, 1);
}

static void open_streams(struct translator *translator)
{
	static const struct spdy_callbacks callbacks = {
	        .on_data = on_stream_data,
	        .on_end = on_stream_end,
	        .on_reset = on_stream_reset,
	        .send = on_session_send,
	};
	const struct translator_config *config = &translator->config;

	translator->session = spdy_session_new(true, &callbacks, translator);
	open_stream(translator, CHANNEL_ERROR);
	if (config->input)
		open_stream(translator, CHANNEL_STDIN);
	if (config->output)
		open_stream(translator, CHANNEL_STDOUT);
	if (config->error && !config->terminal)
		open_stream(translator, CHANNEL_STDERR);
	if (config->terminal)
		open_stream(translator, CHANNEL_RESIZE);
	send_channel(translator, config->output ? CHANNEL_STDOUT : CHANNEL_ERROR, NULL, 0); // that it stands
}

struct translator *translator_new(const struct translator_config *config)
{
	struct translator *translator = NEW(struct translator);

	translator->config = *config;
	translator->outcome = STRBUF_INIT(MAX_OUTCOME_BYTES);
	websocket_init(&translator->socket, false, MAX_MESSAGE_BYTES);
	translator->socket.on_message = on_message;
	translator->socket.on_close = on_socket_close;
	translator->socket.send = on_socket_send;
	translator->socket.context = translator;
	if (!config->is_tunnel)
		open_streams(translator);
	return translator;
}

struct translator *translator_free(struct translator *translator)
{
	if (!translator)
		return NULL;
	spdy_session_free(translator->session);
	websocket_done(&translator->socket);
	strbuf_done(&translator->outcome);
	free(translator);
	return NULL;
}
