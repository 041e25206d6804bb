// SPDX-License-Identifier: Apache-2.0
// Images by ctr: look-up, pull, list.
//
//   image_get: images ls (name → digest) → content get (index → this platform's
//   manifest) → content get (manifest → configuration's digest, sizes) →
//   content get (configuration) → runtime_image
//
// A found image is kept by its reference until `ctr events` tells of a change of
// that name, so that a start costs no look-up. The chain id, by which containerd
// knows the unpacked layers, is computed as the OCI image specification says.

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "common/api/json.h"
#include "common/base/architecture.h"
#include "common/base/encode.h"
#include "common/base/memory.h"
#include "kubelet/runtime/ctr_internal.h"

#define LOOKUP_TIMEOUT_NS (10 * NSEC_PER_SEC)
#define PULL_TIMEOUT_NS (1800 * NSEC_PER_SEC)

struct runtime_image_block {
	struct runtime_image image; // first
	struct arena *arena;
};

struct runtime_image *runtime_image_ref(struct runtime_image *image)
{
	if (image)
		image->references++;
	return image;
}

struct runtime_image *runtime_image_unref(struct runtime_image *image)
{
	if (image && --image->references == 0)
		arena_free(container_of(image, struct runtime_image_block, image)->arena);
	return NULL;
}

char *runtime_normalize_reference(const char *reference)
{
	const char *slash = strchr(reference, '/');
	bool has_host =
	        slash && (memchr(reference, '.', (size_t)(slash - reference)) ||
	                  memchr(reference, ':', (size_t)(slash - reference)) || !strncmp(reference, "localhost/", 10));
	const char *last = strrchr(reference, '/');
	const char *tail = last ? last + 1 : reference;
	bool tagged = strchr(tail, ':') || strchr(tail, '@');
	return xasprintf("%s%s%s%s", has_host ? "" : "docker.io/", has_host || slash ? "" : "library/", reference,
	                 tagged ? "" : ":latest");
}

// --- look-up -------------------------------------------------------------------------

struct image_op {
	struct ctr_runtime *driver;
	struct arena *arena; // becomes the image's
	struct runtime_image_block *block;
	struct loop_task cached_task;
	bool tried_digest;
	void (*done)(void *context, struct runtime_image *image, const struct err *err);
	void *context;
};

static void image_op_finish(struct image_op *op, struct runtime_image *image, const struct err *err)
{
	op->done(op->context, image, err);
	if (!image)
		arena_free(op->arena);
	free(op);
}

static void on_cached(struct loop_task *task)
{
	struct image_op *op = container_of(task, struct image_op, cached_task);
	struct runtime_image *image = &op->block->image;
	op->done(op->context, image, NULL);
	runtime_image_unref(image);
	free(op);
}

static void hash_text(const char *text, char out[72])
{
	unsigned char digest[32];
	unsigned length = sizeof(digest);
	EVP_Digest(text, strlen(text), digest, &length, EVP_sha256(), NULL);
	memcpy(out, "sha256:", 7);
	hex_encode(out + 7, digest, sizeof(digest));
}

static const char *chain_id(struct arena *arena, const struct json *layers)
{
	char chain[72] = "";
	json_for_each_item (layer, layers) {
		const char *text = json_text(layer);
		if (!text || strlen(text) >= sizeof(chain))
			return NULL;
		if (!*chain)
			memcpy(chain, text, strlen(text) + 1);
		else
			hash_text(arena_printf(arena, "%s %s", chain, text), chain);
	}
	return *chain ? arena_strdup(arena, chain) : NULL;
}

static const char *const *text_list(struct arena *arena, const struct json *array)
{
	size_t count = json_is(array, JSON_ARRAY) ? array->length : 0;
	const char **texts = ARENA_ARRAY(arena, const char *, count + 1);
	size_t used = 0;
	json_for_each_item (item, array)
		if (json_text(item))
			texts[used++] = json_text(item);
	return texts;
}

static const char *text_or_empty(const struct json *object, const char *key)
{
	const char *text = json_get_text(object, key);
	return text ? text : "";
}

// The blob's document in the operation's arena; finishes the operation and returns NULL when it can't be had.
static struct json *take_document(struct image_op *op, const struct process_result *result, const char *what)
{
	struct err err = ERR_INIT;
	struct json *document = NULL;
	if (ctr_check(result, what, &err) == 0 &&
	    json_parse(op->arena, result->output, result->output_length, NULL, &document, &err) == 0)
		return document;
	image_op_finish(op, NULL, &err);
	return NULL;
}

static void on_config(void *context, const struct process_result *result)
{
	struct image_op *op = context;
	struct json *document = take_document(op, result, "read image configuration");
	if (!document)
		return;
	struct runtime_image *image = &op->block->image;
	const struct json *config = json_get(document, "config");
	image->entrypoint = text_list(op->arena, json_get(config, "Entrypoint"));
	image->command = text_list(op->arena, json_get(config, "Cmd"));
	image->environment = text_list(op->arena, json_get(config, "Env"));
	image->user = text_or_empty(config, "User");
	image->working_directory = text_or_empty(config, "WorkingDir");
	image->stop_signal = text_or_empty(config, "StopSignal");
	image->chain_id = chain_id(op->arena, json_path(document, "rootfs", "diff_ids"));
	if (!image->chain_id) {
		struct err err = ERR_INIT;
		(void)err_set(&err, ERR_INVALID, "image %s has no layers", image->reference);
		image_op_finish(op, NULL, &err);
		return;
	}
	hashmap_put(op->driver->images, image->reference, runtime_image_ref(image));
	image_op_finish(op, image, NULL);
	runtime_image_unref(image);
}

static void get_content(struct image_op *op, const char *digest, ctr_done_fn *done)
{
	CTR_RUN(&op->driver->ctr, CTR_LANE_QUICK, LOOKUP_TIMEOUT_NS, done, op, "content", "get", digest);
}

static void on_manifest(void *context, const struct process_result *result);

// An index names one manifest for each platform.
static const char *choose_manifest(const struct json *index)
{
	json_for_each_item (manifest, json_get(index, "manifests")) {
		const struct json *platform = json_get(manifest, "platform");
		if (!platform || (!strcmp(text_or_empty(platform, "os"), "linux") &&
		                  !strcmp(text_or_empty(platform, "architecture"), ARCHITECTURE)))
			return json_get_text(manifest, "digest");
	}
	return NULL;
}

static void on_manifest(void *context, const struct process_result *result)
{
	struct image_op *op = context;
	struct json *document = take_document(op, result, "read image manifest");
	if (!document)
		return;
	struct runtime_image *image = &op->block->image;
	if (json_get(document, "manifests")) {
		const char *digest = choose_manifest(document);
		struct err err = ERR_INIT;
		if (digest) {
			get_content(op, digest, on_manifest);
			return;
		}
		(void)err_set(&err, ERR_NOT_FOUND, "image %s has no variant for linux/" ARCHITECTURE, image->reference);
		image_op_finish(op, NULL, &err);
		return;
	}
	const struct json *config = json_get(document, "config");
	int64_t size = 0;
	json_get_integer(config, "size", &size);
	json_for_each_item (layer, json_get(document, "layers")) {
		int64_t layer_size = 0;
		json_get_integer(layer, "size", &layer_size);
		size += layer_size;
	}
	image->size_bytes = size;
	image->id = text_or_empty(config, "digest");
	get_content(op, image->id, on_config);
}

// The digest in the third column of the first row.
static const char *first_digest(struct arena *arena, const char *text)
{
	const char *row = strchr(text, '\n');
	const char *digest = row ? strstr(row, "sha256:") : NULL;
	return digest ? arena_strndup(arena, digest, strcspn(digest, " \n")) : NULL;
}

static void on_found(void *context, const struct process_result *result)
{
	struct image_op *op = context;
	struct err err = ERR_INIT;
	if (ctr_check(result, "list images", &err) < 0) {
		image_op_finish(op, NULL, &err);
		return;
	}
	struct runtime_image *image = &op->block->image;
	const char *digest = first_digest(op->arena, result->output);
	const char *wanted = strstr(image->reference, "@sha256:");
	if (!digest && wanted && !op->tried_digest) {
		op->tried_digest = true;
		CTR_RUN(&op->driver->ctr, CTR_LANE_QUICK, LOOKUP_TIMEOUT_NS, on_found, op, "images", "ls",
		        arena_printf(op->arena, "target.digest==\"%s\"", wanted + 1));
		return;
	}
	if (!digest) {
		image_op_finish(op, NULL, NULL);
		return;
	}
	image->digest = digest;
	get_content(op, digest, on_manifest);
}

void ctr_image_get(struct runtime *runtime, const char *reference,
                   void (*done)(void *context, struct runtime_image *image, const struct err *err), void *context)
{
	struct ctr_runtime *driver = ctr_runtime_of(runtime);
	AUTO_FREE char *normal = runtime_normalize_reference(reference);
	struct image_op *op = NEW(struct image_op);
	*op = (struct image_op){.driver = driver, .done = done, .context = context};
	struct runtime_image *cached = hashmap_get(driver->images, normal);
	if (cached) {
		op->block = container_of(runtime_image_ref(cached), struct runtime_image_block, image);
		loop_post(driver->loop, &op->cached_task, on_cached);
		return;
	}
	op->arena = arena_new(0);
	op->block = ARENA_NEW(op->arena, struct runtime_image_block);
	op->block->arena = op->arena;
	op->block->image.references = 1;
	op->block->image.reference = arena_strdup(op->arena, normal);
	CTR_RUN(&driver->ctr, CTR_LANE_QUICK, LOOKUP_TIMEOUT_NS, on_found, op, "images", "ls",
	        arena_printf(op->arena, "name==\"%s\"", normal));
}

// --- pull -----------------------------------------------------------------------------

struct pull_op {
	void (*done)(void *context, const struct err *err);
	void *context;
	char *reference;
};

static void on_pulled(void *context, const struct process_result *result)
{
	struct pull_op *op = context;
	struct err err = ERR_INIT;
	if (ctr_check(result, "failed to pull and unpack image", &err) < 0)
		op->done(op->context, &err);
	else
		op->done(op->context, NULL);
	free(op->reference);
	free(op);
}

void ctr_image_pull(struct runtime *runtime, const char *reference, void (*done)(void *context, const struct err *err),
                    void *context)
{
	struct pull_op *op = NEW(struct pull_op);
	*op = (struct pull_op){.done = done, .context = context, .reference = runtime_normalize_reference(reference)};
	CTR_RUN(&ctr_runtime_of(runtime)->ctr, CTR_LANE_PULL, PULL_TIMEOUT_NS, on_pulled, op, "images", "pull",
	        "--hosts-dir", "/etc/containerd/certs.d", op->reference);
}

// --- list -------------------------------------------------------------------------------

struct list_op {
	void (*done)(void *context, const struct runtime_image_info *images, size_t count, const struct err *err);
	void *context;
};

static int64_t parse_size(const char *number, const char *unit)
{
	static const struct {
		const char *unit;
		double factor;
	} units[] = {{"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"B", 1.0}};
	for (size_t index = 0; index < ARRAY_SIZE(units); index++)
		if (!strcmp(unit, units[index].unit))
			return (int64_t)(strtod(number, NULL) * units[index].factor);
	return 0;
}

// "REF TYPE DIGEST 2.0 MiB PLATFORMS LABELS"
static bool parse_row(char *line, struct runtime_image_info *ret_info)
{
	char *fields[5];
	char *save = NULL;
	for (int index = 0; index < 5; index++) {
		fields[index] = strtok_r(index ? NULL : line, " ", &save);
		if (!fields[index])
			return false;
	}
	*ret_info = (struct runtime_image_info){
	        .reference = fields[0], .digest = fields[2], .size_bytes = parse_size(fields[3], fields[4])};
	return !strncmp(fields[2], "sha256:", 7);
}

static void on_listed(void *context, const struct process_result *result)
{
	struct list_op *op = context;
	struct err err = ERR_INIT;
	if (ctr_check(result, "list images", &err) < 0) {
		op->done(op->context, NULL, 0, &err);
		free(op);
		return;
	}
	AUTO_FREE char *text = xstrdup(result->output);
	AUTO_FREE struct runtime_image_info *rows = NULL;
	size_t count = 0;
	char *save = NULL;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		rows = xreallocarray(rows, count + 1, sizeof(*rows));
		if (parse_row(line, &rows[count]))
			count++;
	}
	op->done(op->context, rows, count, NULL);
	free(op);
}

void ctr_image_list(struct runtime *runtime,
                    void (*done)(void *context, const struct runtime_image_info *images, size_t count,
                                 const struct err *err),
                    void *context)
{
	struct list_op *op = NEW(struct list_op);
	*op = (struct list_op){.done = done, .context = context};
	CTR_RUN(&ctr_runtime_of(runtime)->ctr, CTR_LANE_QUICK, LOOKUP_TIMEOUT_NS, on_listed, op, "images", "ls");
}
