// SPDX-License-Identifier: Apache-2.0

#include "apiserver/encryption/encryption.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "apiserver/encryption/configuration.h"
#include "apiserver/encryption/kms.h"
#include "common/base/file.h"
#include "common/base/hashmap.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/io/loop.h"

#define ENCRYPTION_LOOK_NS (2 * NSEC_PER_SEC)
#define ENCRYPTION_KMS_WAIT_NS (10 * NSEC_PER_SEC)
#define SEAL_PREFIX "k8s:enc:"

enum {
	ENCRYPTION_MAX_FILE_BYTES = 4 << 20,
	ENCRYPTION_MAX_VALUE_BYTES = 64 << 20,
	ENCRYPTION_MAX_PREFIX_BYTES = 512,
};

// A configuration at work, shared by reference.
struct ring {
	unsigned references; // under the lock
	struct encryption_configuration *configuration;
	struct kms **services; // of the providers in their order, NULL where they are none
	size_t provider_count;
};

struct encryption {
	char *path;
	struct loop *loop;
	struct loop_timer timer; // while reloading
	struct timespec changed;
	pthread_mutex_t lock;
	struct ring *ring;
};

// --- rings ---------------------------------------------------------------------------------------

static void ring_free(struct ring *ring)
{
	for (size_t i = 0; i < ring->provider_count; i++)
		kms_free(ring->services[i]);
	free(ring->services);
	encryption_configuration_free(ring->configuration);
	free(ring);
}

static struct ring *ring_of(struct encryption *encryption)
{
	struct ring *ring;

	pthread_mutex_lock(&encryption->lock);
	ring = encryption->ring;
	ring->references++;
	pthread_mutex_unlock(&encryption->lock);
	return ring;
}

static void give_back(struct encryption *encryption, struct ring *ring)
{
	bool last;

	pthread_mutex_lock(&encryption->lock);
	last = !--ring->references;
	pthread_mutex_unlock(&encryption->lock);
	if (last)
		ring_free(ring);
}

static struct kms *service_of(const struct ring *ring, const struct encryption_provider *wanted)
{
	size_t index = 0;

	for (size_t i = 0; i < ring->configuration->rule_count; i++)
		for (size_t j = 0; j < ring->configuration->rules[i].provider_count; j++, index++)
			if (&ring->configuration->rules[i].providers[j] == wanted)
				return ring->services[index];
	return NULL;
}

static int start_services(struct ring *ring, struct err *err)
{
	size_t count = 0, index = 0;

	for (size_t i = 0; i < ring->configuration->rule_count; i++)
		count += ring->configuration->rules[i].provider_count;
	ring->services = xcalloc(count + 1, sizeof(struct kms *));
	ring->provider_count = count;
	for (size_t i = 0; i < ring->configuration->rule_count; i++)
		for (size_t j = 0; j < ring->configuration->rules[i].provider_count; j++, index++) {
			const struct encryption_provider *provider = &ring->configuration->rules[i].providers[j];
			int r = provider->kms ? kms_new(provider, &ring->services[index], err) : 0;

			if (r < 0)
				return r;
		}
	return 0;
}

static int ring_load(const char *path, struct ring **ret_ring, struct err *err)
{
	struct ring *ring = NEW(struct ring);
	struct strbuf text = STRBUF_INIT(ENCRYPTION_MAX_FILE_BYTES);
	int r = file_read(path, &text, err);

	ring->references = 1;
	if (r == 0)
		r = encryption_configuration_parse(strbuf_text(&text), text.length, &ring->configuration, err);
	if (r == 0)
		r = start_services(ring, err);
	if (text.length)
		cipher_forget(text.data, text.length);
	strbuf_done(&text);
	if (r < 0) {
		ring_free(ring);
		ring = NULL;
	}
	*ret_ring = ring;
	return r;
}

static void await_services(const struct ring *ring)
{
	for (size_t i = 0; i < ring->provider_count; i++)
		if (ring->services[i] && !kms_await(ring->services[i], ENCRYPTION_KMS_WAIT_NS))
			log_warning(
			        "A key management service is not ready; what it encrypts can't be read or written yet");
}

bool encryption_is_healthy(struct encryption *encryption, const char **ret_why)
{
	struct ring *ring = ring_of(encryption);
	bool healthy = true;

	for (size_t i = 0; i < ring->provider_count && healthy; i++)
		healthy = !ring->services[i] || kms_is_healthy(ring->services[i], ret_why);
	give_back(encryption, ring);
	return healthy;
}

// --- sealing --------------------------------------------------------------------------------------

static size_t write_prefix(const struct encryption_provider *provider, const struct encryption_key *key, char *out)
{
	int length = key ? snprintf(out, ENCRYPTION_MAX_PREFIX_BYTES, SEAL_PREFIX "%s:v1:%s:", provider->cipher->name,
	                            key->name)
	                 : snprintf(out, ENCRYPTION_MAX_PREFIX_BYTES, SEAL_PREFIX "kms:v2:%s:", provider->kms_name);

	return length < ENCRYPTION_MAX_PREFIX_BYTES ? (size_t)length : ENCRYPTION_MAX_PREFIX_BYTES - 1;
}

static uint32_t seal_of_prefix(const char *prefix, size_t length, bool stale)
{
	return fnv32a(prefix, length) + stale;
}

static bool is_identity(const struct encryption_provider *provider)
{
	return !provider->cipher && !provider->kms;
}

int encryption_seal(struct encryption *encryption, const char *group, const char *plural, const char *key,
                    struct blob *plain, struct blob **ret_stored, struct err *err)
{
	struct ring *ring = encryption ? ring_of(encryption) : NULL;
	const struct encryption_rule *rule =
	        ring ? encryption_configuration_find(ring->configuration, group, plural) : NULL;
	struct strbuf out = STRBUF_INIT(ENCRYPTION_MAX_VALUE_BYTES);
	char prefix[ENCRYPTION_MAX_PREFIX_BYTES];
	size_t length;
	int r = 0;

	if (!rule || is_identity(&rule->providers[0])) {
		*ret_stored = blob_ref(plain);
	} else {
		const struct encryption_provider *provider = &rule->providers[0];

		strbuf_append(&out, prefix, write_prefix(provider, provider->keys, prefix));
		r = provider->kms ? kms_seal(service_of(ring, provider), key, plain->data, plain->length, &out, err)
		                  : provider->cipher->seal(&provider->keys[0].key, key, plain->data, plain->length,
		                                           &out, err);
		if (r == 0) {
			char *data = strbuf_take(&out, &length);

			*ret_stored = blob_new_take(data, length);
		}
	}
	strbuf_done(&out);
	if (ring)
		give_back(encryption, ring);
	return r;
}

uint32_t encryption_seal_of(struct encryption *encryption, const char *group, const char *plural)
{
	struct ring *ring = encryption ? ring_of(encryption) : NULL;
	const struct encryption_rule *rule =
	        ring ? encryption_configuration_find(ring->configuration, group, plural) : NULL;
	char prefix[ENCRYPTION_MAX_PREFIX_BYTES];
	uint32_t seal = 0;

	if (rule && !is_identity(&rule->providers[0]))
		seal = seal_of_prefix(prefix, write_prefix(&rule->providers[0], rule->providers[0].keys, prefix),
		                      false);
	if (ring)
		give_back(encryption, ring);
	return seal;
}

// --- opening ----------------------------------------------------------------------------------------

bool encryption_is_sealed(const void *stored, size_t length)
{
	return length >= strlen(SEAL_PREFIX) && !memcmp(stored, SEAL_PREFIX, strlen(SEAL_PREFIX));
}

struct opening {
	const struct ring *ring;
	const char *key;
	const uint8_t *stored;
	size_t length;
	struct strbuf *out;
	uint32_t seal;
	bool matched;       // some prefix was right
	struct err failure; // of the last key that was tried
};

static bool has_prefix(struct opening *opening, const char *prefix, size_t length)
{
	return opening->length >= length && !memcmp(opening->stored, prefix, length);
}

static bool open_with(struct opening *opening, const struct encryption_provider *provider,
                      const struct encryption_key *key)
{
	char prefix[ENCRYPTION_MAX_PREFIX_BYTES];
	size_t length = write_prefix(provider, key, prefix);
	const uint8_t *sealed = opening->stored + length;
	bool stale = false;
	int r;

	if (!has_prefix(opening, prefix, length))
		return false;
	opening->matched = true;
	strbuf_clear(opening->out);
	opening->failure = ERR_INIT;
	r = provider->kms ? kms_open(service_of(opening->ring, provider), opening->key, sealed,
	                             opening->length - length, opening->out, &stale, &opening->failure)
	                  : provider->cipher->open(&key->key, opening->key, sealed, opening->length - length,
	                                           opening->out, &opening->failure);
	opening->seal = seal_of_prefix(prefix, length, stale);
	return r == 0;
}

static bool open_by(struct opening *opening, const struct encryption_provider *provider)
{
	if (provider->kms)
		return open_with(opening, provider, NULL);
	for (size_t i = 0; i < provider->key_count; i++)
		if (open_with(opening, provider, &provider->keys[i]))
			return true;
	return false;
}

static int open_sealed(struct opening *opening, const struct encryption_rule *rule, struct err *err)
{
	for (size_t i = 0; rule && i < rule->provider_count; i++)
		if (open_by(opening, &rule->providers[i]))
			return 0;
	if (opening->matched)
		return err_set(err, opening->failure.code, "%s", opening->failure.message);
	return err_set(err, ERR_INTERNAL, "no matching prefix found");
}

static bool allows_plain(const struct encryption_rule *rule)
{
	for (size_t i = 0; i < rule->provider_count; i++)
		if (is_identity(&rule->providers[i]))
			return true;
	return false;
}

int encryption_open(struct encryption *encryption, const char *group, const char *plural, const char *key,
                    const void *stored, size_t length, struct strbuf *out, uint32_t *ret_seal, struct err *err)
{
	struct ring *ring = encryption ? ring_of(encryption) : NULL;
	const struct encryption_rule *rule =
	        ring ? encryption_configuration_find(ring->configuration, group, plural) : NULL;
	struct opening opening = {.ring = ring, .key = key, .stored = stored, .length = length, .out = out};
	int r = 0;

	if (encryption_is_sealed(stored, length))
		r = open_sealed(&opening, rule, err);
	else if (rule && !allows_plain(rule))
		r = err_set(err, ERR_INTERNAL, "no matching prefix found");
	*ret_seal = opening.seal;
	if (ring)
		give_back(encryption, ring);
	return r;
}

// --- reloading ----------------------------------------------------------------------------------------

static bool has_changed(struct encryption *encryption)
{
	struct stat status;

	if (stat(encryption->path, &status) < 0)
		return false;
	if (status.st_mtim.tv_sec == encryption->changed.tv_sec &&
	    status.st_mtim.tv_nsec == encryption->changed.tv_nsec)
		return false;
	encryption->changed = status.st_mtim;
	return true;
}

static void reload(struct encryption *encryption)
{
	struct err err = ERR_INIT;
	struct ring *ring = NULL, *former;

	if (ring_load(encryption->path, &ring, &err) < 0) {
		log_error("The encryption configuration can't be used, the former stays", kv_str("err", err.message));
		return;
	}
	pthread_mutex_lock(&encryption->lock);
	former = encryption->ring;
	encryption->ring = ring;
	pthread_mutex_unlock(&encryption->lock);
	give_back(encryption, former);
	log_info("The encryption configuration was read again", kv_str("file", encryption->path));
}

static void on_timer(struct loop_timer *timer)
{
	struct encryption *encryption = container_of(timer, struct encryption, timer);

	if (has_changed(encryption))
		reload(encryption);
	loop_timer_start(encryption->loop, timer, ENCRYPTION_LOOK_NS, on_timer);
}

int encryption_new(const char *path, bool reload, struct loop *loop, struct encryption **ret_encryption,
                   struct err *err)
{
	struct encryption *encryption = NEW(struct encryption);
	int r;

	encryption->path = xstrdup(path);
	encryption->loop = loop;
	pthread_mutex_init(&encryption->lock, NULL);
	(void)has_changed(encryption);
	r = ring_load(path, &encryption->ring, err);
	if (r < 0) {
		*ret_encryption = encryption_free(encryption);
		return r;
	}
	await_services(encryption->ring);
	if (reload)
		loop_timer_start(loop, &encryption->timer, ENCRYPTION_LOOK_NS, on_timer);
	*ret_encryption = encryption;
	return 0;
}

struct encryption *encryption_free(struct encryption *encryption)
{
	if (!encryption)
		return NULL;
	loop_timer_stop(&encryption->timer);
	if (encryption->ring)
		ring_free(encryption->ring);
	pthread_mutex_destroy(&encryption->lock);
	free(encryption->path);
	free(encryption);
	return NULL;
}
