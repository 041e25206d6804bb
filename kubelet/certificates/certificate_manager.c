// SPDX-License-Identifier: Apache-2.0
//   look: is there a good one? ─▶ yes: sleep until its rotation
//    └▶ POST the request ─▶ GET it, again and again ─▶ issued: check, store, look
//                                  └▶ denied, failed, or PATIENCE_NS over: look again later
//
// The key of a request lives in memory only: a kubelet that ends meanwhile asks anew.
// Retries wait 2 s, doubling to 5 min. Upstream's counterpart: client-go's
// util/certificate.

#include "kubelet/certificates/certificate_manager.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/api/json.h"
#include "common/base/clock.h"
#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/hashmap.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/client/rest.h"
#include "common/io/loop.h"

#define FIRST_RETRY_NS (2 * NSEC_PER_SEC)
#define MAX_RETRY_NS (300 * NSEC_PER_SEC)
#define PATIENCE_NS (900 * NSEC_PER_SEC)
#define FIRST_POLL_NS (200 * NSEC_PER_MSEC)
#define MAX_POLL_NS (5 * NSEC_PER_SEC)
#define MAX_SLEEP_NS (3600 * NSEC_PER_SEC) // the clock may be set

enum { MAX_PEM_BYTES = 1 << 20 };

struct certificate_manager {
	struct loop *loop;
	struct certificate_manager_config config;
	struct loop_timer timer;
	struct rest_call *call;
	struct strbuf key; // of the request under way
	char *name;        // of the request under way; NULL: none
	int64_t asked_at_ns;
	int64_t poll_ns;
	int64_t retry_ns;
};

static void look(struct certificate_manager *manager);
static void poll_request(struct certificate_manager *manager);

char *certificate_current_path(const char *directory, const char *prefix)
{
	return xasprintf("%s/%s-current.pem", directory, prefix);
}

int certificate_store(const char *directory, const char *prefix, const char *pem, size_t length, int64_t now_ns,
                      struct err *err)
{
	char stamp[32];
	struct tm parts;
	time_t seconds = (time_t)(now_ns / NSEC_PER_SEC);
	gmtime_r(&seconds, &parts);
	strftime(stamp, sizeof(stamp), "%Y-%m-%d-%H-%M-%S", &parts);
	AUTO_FREE char *name = xasprintf("%s-%s.pem", prefix, stamp);
	AUTO_FREE char *path = xasprintf("%s/%s", directory, name);
	AUTO_FREE char *beside = xasprintf("%s/%s-updated.pem", directory, prefix);
	AUTO_FREE char *current = certificate_current_path(directory, prefix);
	int result = file_make_folders(directory, 0750, err);
	if (result == 0)
		result = file_write_atomic(path, pem, length, 0600, err);
	if (result < 0)
		return result;
	unlink(beside);
	if (symlink(name, beside) < 0 || rename(beside, current) < 0)
		return err_set_errno(err, errno, "link %s to %s", current, name);
	return 0;
}

// --- requests ------------------------------------------------------------------------

static void drop_request(struct certificate_manager *manager)
{
	free(TAKE(manager->name));
	strbuf_done(&manager->key);
}

static void on_look_timer(struct loop_timer *timer)
{
	look(container_of(timer, struct certificate_manager, timer));
}

static void try_later(struct certificate_manager *manager, const char *what, const char *why)
{
	drop_request(manager);
	manager->retry_ns = manager->retry_ns ? manager->retry_ns * 2 : FIRST_RETRY_NS;
	if (manager->retry_ns > MAX_RETRY_NS)
		manager->retry_ns = MAX_RETRY_NS;
	log_warning(what, kv_str("signerName", manager->config.signer_name), kv_str("err", why),
	            kv_duration("retryAfter", manager->retry_ns));
	loop_timer_start(manager->loop, &manager->timer, manager->retry_ns, on_look_timer);
}

static void take_certificate(struct certificate_manager *manager, const char *text)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf pem = STRBUF_INIT(MAX_PEM_BYTES);
	struct certificate_validity validity;
	struct err err = ERR_INIT;
	uint8_t *data;
	size_t length;
	if (!base64_decode(arena, text, strlen(text), &data, &length)) {
		try_later(manager, "Certificate request failed", "the certificate is not base64");
		return;
	}
	strbuf_append(&pem, data, length);
	strbuf_append(&pem, manager->key.data, manager->key.length);
	if (certificate_pair_check(pem.data, pem.length, &validity, &err) < 0 ||
	    certificate_store(manager->config.directory, manager->config.prefix, pem.data, pem.length,
	                      loop_realtime_ns(manager->loop), &err) < 0) {
		try_later(manager, "Certificate request failed", err.message);
		return;
	}
	log_info("Certificate is renewed", kv_str("signerName", manager->config.signer_name),
	         kv_str("request", manager->name));
	drop_request(manager);
	manager->retry_ns = 0;
	loop_timer_start(manager->loop, &manager->timer, 0, on_look_timer);
	if (manager->config.on_renewed)
		manager->config.on_renewed(manager->config.context);
}

static const char *refusal(const struct json *status)
{
	json_for_each_item (condition, json_get(status, "conditions")) {
		const char *type = json_get_text(condition, "type");
		const char *message = json_get_text(condition, "message");
		if (type && (!strcmp(type, "Denied") || !strcmp(type, "Failed")))
			return message && *message ? message : type;
	}
	return NULL;
}

static void on_poll_timer(struct loop_timer *timer)
{
	poll_request(container_of(timer, struct certificate_manager, timer));
}

static void on_polled(void *context, const struct rest_response *response)
{
	struct certificate_manager *manager = context;
	const struct json *status = json_get(response->object, "status");
	const char *certificate = json_get_text(status, "certificate");
	manager->call = NULL;
	bool failed = response->err.code == ERR_NOT_FOUND;
	if (response->err.code == ERR_NONE && certificate && *certificate) {
		take_certificate(manager, certificate);
	} else if (failed || refusal(status)) {
		try_later(manager, "Certificate request is refused", failed ? response->err.message : refusal(status));
	} else if (loop_now_ns(manager->loop) - manager->asked_at_ns > PATIENCE_NS) {
		try_later(manager, "Certificate request is not answered", "timed out waiting for the condition");
	} else {
		manager->poll_ns = manager->poll_ns * 3 / 2 < MAX_POLL_NS ? manager->poll_ns * 3 / 2 : MAX_POLL_NS;
		loop_timer_start(manager->loop, &manager->timer, manager->poll_ns, on_poll_timer);
	}
}

static void poll_request(struct certificate_manager *manager)
{
	const struct rest_request request = {
	        .method = "GET",
	        .resource = schema_find_resource("certificates.k8s.io", "v1", "certificatesigningrequests"),
	        .name = manager->name,
	};
	manager->call = rest_start(manager->config.client, &request, on_polled, manager);
}

static void on_created(void *context, const struct rest_response *response)
{
	struct certificate_manager *manager = context;
	const char *name = json_get_text(json_get(response->object, "metadata"), "name");
	manager->call = NULL;
	if (response->err.code != ERR_NONE || !name) {
		try_later(manager, "Certificate request could not be made", response->err.message);
		return;
	}
	manager->name = xstrdup(name);
	manager->asked_at_ns = loop_now_ns(manager->loop);
	manager->poll_ns = FIRST_POLL_NS;
	loop_timer_start(manager->loop, &manager->timer, manager->poll_ns, on_poll_timer);
}

static struct json *make_object(struct arena *arena, const struct certificate_manager_config *config,
                                const struct strbuf *request)
{
	AUTO_STRBUF struct strbuf encoded = STRBUF_INIT(MAX_PEM_BYTES);
	base64_encode(&encoded, request->data, request->length);
	struct json *object = json_object(arena);
	json_set_text(arena, object, "apiVersion", "certificates.k8s.io/v1");
	json_set_text(arena, object, "kind", "CertificateSigningRequest");
	json_set_text(arena, json_ensure_object(arena, object, "metadata"), "generateName", "csr-");
	struct json *spec = json_ensure_object(arena, object, "spec");
	json_set_text(arena, spec, "request", strbuf_text(&encoded));
	json_set_text(arena, spec, "signerName", config->signer_name);
	struct json *usages = json_ensure_array(arena, spec, "usages");
	for (const char *const *usage = config->usages; *usage; usage++)
		json_append(arena, usages, json_string(arena, *usage));
	return object;
}

static void ask(struct certificate_manager *manager)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	AUTO_STRBUF struct strbuf request = STRBUF_INIT(MAX_PEM_BYTES);
	AUTO_STRBUF struct strbuf body = STRBUF_INIT(MAX_PEM_BYTES);
	struct err err = ERR_INIT;
	drop_request(manager);
	if (certificate_request_make(&manager->config.subject, &manager->key, &request, &err) < 0) {
		try_later(manager, "Certificate request could not be made", err.message);
		return;
	}
	json_write(&body, make_object(arena, &manager->config, &request));
	const struct rest_request create = {
	        .method = "POST",
	        .resource = schema_find_resource("certificates.k8s.io", "v1", "certificatesigningrequests"),
	        .body = body.data,
	        .body_length = body.length,
	};
	manager->call = rest_start(manager->config.client, &create, on_created, manager);
}

// --- the look ------------------------------------------------------------------------

static void look(struct certificate_manager *manager)
{
	AUTO_FREE char *path = certificate_current_path(manager->config.directory, manager->config.prefix);
	AUTO_STRBUF struct strbuf pem = STRBUF_INIT(MAX_PEM_BYTES);
	struct certificate_validity validity;
	struct err err = ERR_INIT;
	if (file_read(path, &pem, &err) < 0 || certificate_pair_check(pem.data, pem.length, &validity, &err) < 0 ||
	    validity.self_signed) {
		ask(manager);
		return;
	}
	// The same percentage for the same certificate, so that a restart changes nothing.
	unsigned percent = fnv32a(pem.data, pem.length) % 20;
	int64_t left_ns = certificate_rotation_time(&validity, percent) - loop_realtime_ns(manager->loop);
	if (left_ns <= 0)
		ask(manager);
	else
		loop_timer_start(manager->loop, &manager->timer, left_ns < MAX_SLEEP_NS ? left_ns : MAX_SLEEP_NS,
		                 on_look_timer);
}

struct certificate_manager *certificate_manager_new(struct loop *loop, const struct certificate_manager_config *config)
{
	struct certificate_manager *manager = NEW(struct certificate_manager);
	*manager = (struct certificate_manager){.loop = loop, .config = *config, .key = STRBUF_INIT(MAX_PEM_BYTES)};
	loop_timer_start(loop, &manager->timer, 0, on_look_timer);
	return manager;
}

struct certificate_manager *certificate_manager_free(struct certificate_manager *manager)
{
	if (!manager)
		return NULL;
	loop_timer_stop(&manager->timer);
	if (manager->call)
		rest_cancel(manager->call);
	drop_request(manager);
	free(manager);
	return NULL;
}
