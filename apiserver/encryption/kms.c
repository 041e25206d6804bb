// SPDX-License-Identifier: Apache-2.0
// The thread's loop owns the connection:
//
//   Status, every minute (every ten seconds while it fails)
//     └─ another key than the seed's: a new seed ──► Encrypt ──► the state that seals
//
// Other threads take the state under a lock; for an unknown seed they post a Decrypt
// and wait for it. A state that wasn't confirmed for three minutes seals no more: its
// key may have been withdrawn.

#include "apiserver/encryption/kms.h"

#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apiserver/encryption/kms_messages.h"
#include "common/base/encode.h"
#include "common/base/hashmap.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/io/grpc_client.h"
#include "common/io/loop.h"

#define KMS_STATUS_NS (60 * NSEC_PER_SEC)
#define KMS_STATUS_RETRY_NS (10 * NSEC_PER_SEC)
#define KMS_FIRST_RETRY_NS (100 * NSEC_PER_MSEC)
#define KMS_STATE_LIFE_NS (180 * NSEC_PER_SEC)
#define KMS_SERVICE "/v2.KeyManagementService/"

enum {
	KMS_MAX_MESSAGE_BYTES = 64 << 10,
	KMS_MAX_SEEDS = 1000,
};

// What seals now: the seed, and the envelope that every value gets but for its data.
struct kms_state {
	struct cipher_key seed;
	char *key_id;
	struct strbuf envelope; // encoded fields 2 to 5
	int64_t expires_ns;
};

// A seed (or key) of stored values, decrypted.
struct kms_seed {
	const struct cipher *cipher;
	struct cipher_key key;
};

struct kms {
	char *name;
	int64_t timeout_ns;
	struct loop *loop;
	pthread_t thread;
	struct grpc_client *client;
	struct loop_task quit;

	// The thread's own.
	struct loop_timer timer;
	struct grpc_call *call;
	struct strbuf answer;
	struct cipher_key next_seed;
	char *next_key_id;

	pthread_mutex_t lock; // for what follows
	pthread_cond_t changed;
	struct kms_state state;
	const char *trouble;   // NULL: healthy
	struct hashmap *seeds; // hash of the encrypted source → struct kms_seed
};

static void ask_status(struct kms *kms);

// --- the state --------------------------------------------------------------------------------------

static void state_clear(struct kms_state *state)
{
	cipher_forget(&state->seed, sizeof(state->seed));
	free(state->key_id);
	strbuf_done(&state->envelope);
	*state = (struct kms_state){.envelope = STRBUF_INIT(KMS_MAX_MESSAGE_BYTES)};
}

static void settle(struct kms *kms, const char *trouble)
{
	const char *former;

	pthread_mutex_lock(&kms->lock);
	former = kms->trouble;
	kms->trouble = trouble;
	pthread_cond_broadcast(&kms->changed);
	pthread_mutex_unlock(&kms->lock);
	if (trouble && former != trouble)
		log_warning("The key management service is in trouble", kv_str("provider", kms->name),
		            kv_str("why", trouble));
}

static void on_timer(struct loop_timer *timer)
{
	ask_status(container_of(timer, struct kms, timer));
}

static void again(struct kms *kms, const char *trouble)
{
	bool begun;

	settle(kms, trouble);
	pthread_mutex_lock(&kms->lock);
	begun = kms->state.key_id != NULL;
	pthread_mutex_unlock(&kms->lock);
	loop_timer_start(kms->loop, &kms->timer,
	                 !trouble ? KMS_STATUS_NS
	                 : begun  ? KMS_STATUS_RETRY_NS
	                          : KMS_FIRST_RETRY_NS,
	                 on_timer);
}

// --- asking ---------------------------------------------------------------------------------------------

static void on_message(void *context, const uint8_t *message, size_t length)
{
	struct kms *kms = context;

	strbuf_append(&kms->answer, message, length);
}

static void ask(struct kms *kms, const char *path, const struct strbuf *request,
                void (*done)(void *context, enum grpc_status status, const char *message, bool sent))
{
	struct grpc_call_callbacks callbacks = {on_message, done};

	strbuf_clear(&kms->answer);
	kms->call = grpc_call_start(kms->client, path, (const uint8_t *)strbuf_text(request), request->length,
	                            kms->timeout_ns, &callbacks, kms);
}

static struct wire_span answer_of(const struct strbuf *answer)
{
	return kms_span(strbuf_text(answer), answer->length);
}

static bool span_is(struct wire_span span, const char *text)
{
	return wire_span_length(span) == strlen(text) && !memcmp(span.at, text, strlen(text));
}

// --- a new seed -----------------------------------------------------------------------------------------

static void remember_seed(struct kms *kms, const struct kms_envelope *envelope, const struct kms_seed *seed);

static void take_state(struct kms *kms, const struct kms_encrypted *encrypted)
{
	struct kms_envelope envelope = {
	        .key_id = encrypted->key_id,
	        .source = encrypted->ciphertext,
	        .annotations = encrypted->annotations,
	        .source_type = KMS_SOURCE_SEED,
	};

	pthread_mutex_lock(&kms->lock);
	state_clear(&kms->state);
	kms->state.seed = kms->next_seed;
	kms->state.key_id = xstrndup((const char *)encrypted->key_id.at, wire_span_length(encrypted->key_id));
	kms_write_envelope(&kms->state.envelope, &envelope);
	kms->state.expires_ns = loop_now_ns(kms->loop) + KMS_STATE_LIFE_NS;
	pthread_mutex_unlock(&kms->lock);
	remember_seed(kms, &envelope, &(struct kms_seed){&cipher_seeded, kms->next_seed});
	log_info("A new seed seals stored values", kv_str("provider", kms->name));
}

static void on_encrypted(void *context, enum grpc_status status, const char *message, bool sent)
{
	struct kms *kms = context;
	struct kms_encrypted encrypted;
	const char *trouble = NULL;

	(void)message;
	(void)sent;
	kms->call = NULL;
	if (status != GRPC_OK || !kms_read_encrypted(answer_of(&kms->answer), &encrypted))
		trouble = "it could not encrypt a seed";
	else if (!span_is(encrypted.key_id, kms->next_key_id))
		trouble = "it encrypted with another key than its status names";
	else
		take_state(kms, &encrypted);
	cipher_forget(&kms->next_seed, sizeof(kms->next_seed));
	again(kms, trouble);
}

static void encrypt_seed(struct kms *kms)
{
	struct strbuf request = STRBUF_INIT(KMS_MAX_MESSAGE_BYTES);
	char uid[37];

	uuid_v4(uid);
	kms->next_seed.length = CIPHER_SEED_BYTES;
	cipher_random(kms->next_seed.bytes, CIPHER_SEED_BYTES);
	kms_write_encrypt(&request, kms_span(kms->next_seed.bytes, CIPHER_SEED_BYTES), uid);
	ask(kms, KMS_SERVICE "Encrypt", &request, on_encrypted);
	cipher_forget(request.data, request.length);
	strbuf_done(&request);
}

// --- the status -------------------------------------------------------------------------------------------

static bool state_is_of(struct kms *kms, const char *key_id)
{
	bool same;

	pthread_mutex_lock(&kms->lock);
	same = kms->state.key_id && !strcmp(kms->state.key_id, key_id);
	if (same)
		kms->state.expires_ns = loop_now_ns(kms->loop) + KMS_STATE_LIFE_NS;
	pthread_mutex_unlock(&kms->lock);
	return same;
}

static void on_status(void *context, enum grpc_status status, const char *message, bool sent)
{
	struct kms *kms = context;
	struct kms_status told;

	(void)message;
	(void)sent;
	kms->call = NULL;
	if (status != GRPC_OK || !kms_read_status(answer_of(&kms->answer), &told)) {
		again(kms, "it can't be reached");
		return;
	}
	if (!span_is(told.version, "v2") && !span_is(told.version, "v2beta1")) {
		again(kms, "it speaks another version than v2");
		return;
	}
	if (!span_is(told.healthz, "ok") || !wire_span_length(told.key_id) ||
	    wire_span_length(told.key_id) > KMS_MAX_KEY_ID_BYTES) {
		again(kms, "it says that it isn't healthy");
		return;
	}
	free(kms->next_key_id);
	kms->next_key_id = xstrndup((const char *)told.key_id.at, wire_span_length(told.key_id));
	if (state_is_of(kms, kms->next_key_id))
		again(kms, NULL);
	else
		encrypt_seed(kms);
}

static void ask_status(struct kms *kms)
{
	struct strbuf nothing = STRBUF_INIT(1);

	ask(kms, KMS_SERVICE "Status", &nothing, on_status);
	strbuf_done(&nothing);
}

bool kms_is_healthy(struct kms *kms, const char **ret_why)
{
	const char *trouble;

	pthread_mutex_lock(&kms->lock);
	trouble = kms->trouble;
	pthread_mutex_unlock(&kms->lock);
	if (ret_why)
		*ret_why = trouble;
	return !trouble;
}

bool kms_await(struct kms *kms, int64_t timeout_ns)
{
	struct timespec deadline;
	bool healthy;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += timeout_ns / NSEC_PER_SEC + 1;
	pthread_mutex_lock(&kms->lock);
	while (kms->trouble && pthread_cond_timedwait(&kms->changed, &kms->lock, &deadline) == 0)
		;
	healthy = !kms->trouble;
	pthread_mutex_unlock(&kms->lock);
	return healthy;
}

// --- sealing -------------------------------------------------------------------------------------------------

int kms_seal(struct kms *kms, const char *bound_to, const void *plain, size_t length, struct strbuf *out,
             struct err *err)
{
	AUTO_STRBUF struct strbuf data = STRBUF_INIT(length + KMS_MAX_MESSAGE_BYTES);
	AUTO_STRBUF struct strbuf rest = STRBUF_INIT(KMS_MAX_MESSAGE_BYTES);
	struct cipher_key seed;
	bool usable;
	int r;

	pthread_mutex_lock(&kms->lock);
	usable = kms->state.key_id && loop_now_ns(kms->loop) < kms->state.expires_ns;
	seed = kms->state.seed;
	strbuf_append(&rest, strbuf_text(&kms->state.envelope), kms->state.envelope.length);
	pthread_mutex_unlock(&kms->lock);
	if (!usable)
		return err_set(err, ERR_UNAVAILABLE, "the key management service \"%s\" isn't ready to encrypt",
		               kms->name);
	r = cipher_seeded.seal(&seed, bound_to, plain, length, &data, err);
	cipher_forget(&seed, sizeof(seed));
	if (r < 0)
		return r;
	kms_write_envelope(out, &(struct kms_envelope){.data = kms_span(data.data, data.length)});
	strbuf_append(out, rest.data, rest.length);
	return 0;
}

// --- opening ---------------------------------------------------------------------------------------------------

// One Decrypt, on the asking thread's stack.
struct question {
	struct kms *kms;
	struct loop_task task;
	struct strbuf request;
	struct strbuf answer;
	enum grpc_status status;
	bool done; // under the lock
};

static void on_question_message(void *context, const uint8_t *message, size_t length)
{
	struct question *question = context;

	strbuf_append(&question->answer, message, length);
}

static void on_question_done(void *context, enum grpc_status status, const char *message, bool sent)
{
	struct question *question = context;
	struct kms *kms = question->kms;

	(void)message;
	(void)sent;
	pthread_mutex_lock(&kms->lock);
	question->status = status;
	question->done = true;
	pthread_cond_broadcast(&kms->changed);
	pthread_mutex_unlock(&kms->lock);
}

static void on_question(struct loop_task *task)
{
	struct question *question = container_of(task, struct question, task);
	struct grpc_call_callbacks callbacks = {on_question_message, on_question_done};

	grpc_call_start(question->kms->client, KMS_SERVICE "Decrypt", (const uint8_t *)question->request.data,
	                question->request.length, question->kms->timeout_ns, &callbacks, question);
}

static int ask_for_seed(struct kms *kms, const struct kms_envelope *envelope, struct kms_seed *ret_seed,
                        struct err *err)
{
	struct question question = {.kms = kms,
	                            .request = STRBUF_INIT(KMS_MAX_MESSAGE_BYTES),
	                            .answer = STRBUF_INIT(KMS_MAX_MESSAGE_BYTES)};
	struct wire_span plaintext;
	char uid[37];
	int r = 0;

	uuid_v4(uid);
	kms_write_decrypt(&question.request, envelope, uid);
	loop_post(kms->loop, &question.task, on_question);
	pthread_mutex_lock(&kms->lock);
	while (!question.done)
		pthread_cond_wait(&kms->changed, &kms->lock);
	pthread_mutex_unlock(&kms->lock);
	if (question.status != GRPC_OK)
		r = err_set(err, ERR_UNAVAILABLE, "the key management service \"%s\" could not decrypt a seed",
		            kms->name);
	else if (!kms_read_decrypted(answer_of(&question.answer), &plaintext) ||
	         wire_span_length(plaintext) != CIPHER_MAX_KEY_BYTES)
		r = err_set(err, ERR_INTERNAL, "the key management service \"%s\" sent no seed", kms->name);
	if (r == 0) {
		ret_seed->cipher = envelope->source_type == KMS_SOURCE_SEED ? &cipher_seeded : &cipher_aesgcm;
		ret_seed->key.length = CIPHER_MAX_KEY_BYTES;
		memcpy(ret_seed->key.bytes, plaintext.at, CIPHER_MAX_KEY_BYTES);
	}
	if (question.answer.length)
		cipher_forget(question.answer.data, question.answer.length);
	strbuf_done(&question.answer);
	strbuf_done(&question.request);
	return r;
}

static void seed_free(void *value)
{
	cipher_forget(value, sizeof(struct kms_seed));
	free(value);
}

// The place of an envelope's seed among those that are known: a hash of all that Decrypt would be asked with.
static void name_seed(const struct kms_envelope *envelope, char name[2 * SHA256_DIGEST_LENGTH + 1])
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 20);
	struct kms_envelope source = *envelope;
	uint8_t hash[SHA256_DIGEST_LENGTH];

	source.data = (struct wire_span){0};
	kms_write_envelope(&text, &source);
	SHA256((const uint8_t *)strbuf_text(&text), text.length, hash);
	hex_encode(name, hash, sizeof(hash));
	name[2 * SHA256_DIGEST_LENGTH] = '\0';
}

static void remember_seed(struct kms *kms, const struct kms_envelope *envelope, const struct kms_seed *seed)
{
	char name[2 * SHA256_DIGEST_LENGTH + 1];
	struct kms_seed *known = NEW(struct kms_seed);

	*known = *seed;
	name_seed(envelope, name);
	pthread_mutex_lock(&kms->lock);
	if (hashmap_count(kms->seeds) >= KMS_MAX_SEEDS)
		hashmap_clear(kms->seeds);
	hashmap_put(kms->seeds, name, known);
	pthread_mutex_unlock(&kms->lock);
}

static int find_seed(struct kms *kms, const struct kms_envelope *envelope, struct kms_seed *ret_seed, struct err *err)
{
	char name[2 * SHA256_DIGEST_LENGTH + 1];
	struct kms_seed *known;
	int r;

	name_seed(envelope, name);
	pthread_mutex_lock(&kms->lock);
	known = hashmap_get(kms->seeds, name);
	if (known)
		*ret_seed = *known;
	pthread_mutex_unlock(&kms->lock);
	if (known)
		return 0;
	r = ask_for_seed(kms, envelope, ret_seed, err);
	if (r == 0)
		remember_seed(kms, envelope, ret_seed);
	return r;
}

int kms_open(struct kms *kms, const char *bound_to, const uint8_t *sealed, size_t length, struct strbuf *out,
             bool *ret_stale, struct err *err)
{
	struct kms_envelope envelope;
	struct kms_seed seed;
	int r;

	if (!kms_read_envelope(kms_span(sealed, length), &envelope))
		return err_set(err, ERR_INTERNAL, "the stored envelope of a key management service can't be read");
	r = find_seed(kms, &envelope, &seed, err);
	if (r < 0)
		return r;
	r = seed.cipher->open(&seed.key, bound_to, envelope.data.at, wire_span_length(envelope.data), out, err);
	cipher_forget(&seed, sizeof(seed));
	pthread_mutex_lock(&kms->lock);
	*ret_stale = kms->state.key_id &&
	             (!span_is(envelope.key_id, kms->state.key_id) || envelope.source_type != KMS_SOURCE_SEED);
	pthread_mutex_unlock(&kms->lock);
	return r;
}

// --- life ---------------------------------------------------------------------------------------------------------

static void *run(void *context)
{
	loop_run(context);
	return NULL;
}

static void on_quit(struct loop_task *task)
{
	struct kms *kms = container_of(task, struct kms, quit);

	loop_timer_stop(&kms->timer);
	loop_quit(kms->loop, 0);
}

static int connect_to(struct kms *kms, const struct encryption_provider *provider, struct err *err)
{
	AUTO_FREE char *endpoint = xasprintf("unix:%s", provider->kms_socket);
	const char *const endpoints[] = {endpoint, NULL};
	struct grpc_client_config config = {.endpoints = endpoints, .max_message_bytes = KMS_MAX_MESSAGE_BYTES};

	return grpc_client_new(kms->loop, &config, &kms->client, err);
}

int kms_new(const struct encryption_provider *provider, struct kms **ret_kms, struct err *err)
{
	struct kms *kms = NEW(struct kms);
	int r;

	kms->name = xstrdup(provider->kms_name);
	kms->timeout_ns = provider->kms_timeout_ns;
	kms->trouble = "it hasn't been heard of yet";
	kms->answer = STRBUF_INIT(KMS_MAX_MESSAGE_BYTES);
	state_clear(&kms->state);
	kms->seeds = hashmap_new(seed_free);
	pthread_mutex_init(&kms->lock, NULL);
	pthread_cond_init(&kms->changed, NULL);
	r = loop_new(&clock_system, &kms->loop, err);
	if (r == 0)
		r = connect_to(kms, provider, err);
	if (r < 0) {
		*ret_kms = kms_free(kms);
		return r;
	}
	loop_timer_start(kms->loop, &kms->timer, 0, on_timer);
	r = pthread_create(&kms->thread, NULL, run, kms->loop);
	if (r)
		abort();
	*ret_kms = kms;
	return 0;
}

struct kms *kms_free(struct kms *kms)
{
	if (!kms)
		return NULL;
	if (kms->client) {
		loop_post(kms->loop, &kms->quit, on_quit);
		pthread_join(kms->thread, NULL);
		grpc_client_free(kms->client);
	}
	if (kms->loop)
		loop_free(kms->loop);
	state_clear(&kms->state);
	cipher_forget(&kms->next_seed, sizeof(kms->next_seed));
	hashmap_free(kms->seeds);
	strbuf_done(&kms->answer);
	pthread_mutex_destroy(&kms->lock);
	pthread_cond_destroy(&kms->changed);
	free(kms->next_key_id);
	free(kms->name);
	free(kms);
	return NULL;
}
