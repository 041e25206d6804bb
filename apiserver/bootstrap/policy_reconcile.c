// SPDX-License-Identifier: Apache-2.0
//
//   storage is ready ──► every object at once: read ──► create │ update │ replace │ nothing
//        ▲                                                  │ all answered
//        └──────── again after a second, when one failed ◄──┴──► done
//
// An object whose annotation rbac.authorization.kubernetes.io/autoupdate is
// "false" is its owner's alone. A change by somebody else meanwhile is a failure
// like any other: the next round looks again.

#include "apiserver/bootstrap/policy_reconcile.h"

#include <string.h>

#include "apiserver/bootstrap/bootstrap_objects.h"
#include "apiserver/bootstrap/policy.h"
#include "apiserver/object_io.h"
#include "apiserver/server.h"
#include "apiserver/storage/storage.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define RECONCILE_POLL_NS (20 * NSEC_PER_MSEC)
#define RECONCILE_RETRY_NS NSEC_PER_SEC
#define AUTOUPDATE "rbac.authorization.kubernetes.io/autoupdate"

struct policy_reconcile {
	struct server *server;
	struct arena *arena;
	struct loop_timer timer;
	size_t pending; // writes under way
	size_t failed;
	size_t written;
	bool stopped;
};

// --- what an object lacks --------------------------------------------------------------------

static bool add_members(struct arena *arena, struct json *metadata, const char *member, const struct json *wanted)
{
	struct json *stored = json_ensure_object(arena, metadata, member);
	bool changed = false;

	json_for_each_member (pair, json_get(wanted, member)) {
		if (json_get(stored, pair->key))
			continue;
		json_set(arena, stored, pair->key, json_clone(arena, pair->value));
		changed = true;
	}
	return changed;
}

// Rules: only what the stored ones don't cover is added, one permission a rule.
static bool add_rules(struct arena *arena, struct json *stored, const struct json *wanted)
{
	struct rbac_rules have, want, missing;
	struct json *rules;

	rbac_rules_parse(arena, json_get(stored, "rules"), &have);
	rbac_rules_parse(arena, json_get(wanted, "rules"), &want);
	if (rbac_rules_cover(arena, &have, &want, &missing))
		return false;
	rules = json_ensure_array(arena, stored, "rules");
	for (size_t i = 0; i < missing.count; i++)
		json_append(arena, rules, rbac_rule_to_json(arena, &missing.items[i]));
	return true;
}

static bool same_subject(const struct json *a, const struct json *b)
{
	static const char *const members[] = {"kind", "name", "namespace"};

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const char *left = json_get_text(a, members[i]), *right = json_get_text(b, members[i]);

		if (strcmp(left ? left : "", right ? right : "") != 0)
			return false;
	}
	return true;
}

static bool add_subjects(struct arena *arena, struct json *stored, const struct json *wanted)
{
	struct json *subjects = json_ensure_array(arena, stored, "subjects");
	bool changed = false;

	json_for_each_item (subject, json_get(wanted, "subjects")) {
		bool found = false;

		json_for_each_item (known, subjects)
			found |= same_subject(known, subject);
		if (!found)
			json_append(arena, subjects, json_clone(arena, subject));
		changed |= !found;
	}
	return changed;
}

static bool add_aggregation(struct arena *arena, struct json *stored, const struct json *wanted)
{
	const struct json *rule = json_get(wanted, "aggregationRule");

	if (!rule || json_is(json_get(stored, "aggregationRule"), JSON_OBJECT))
		return false;
	json_set(arena, stored, "aggregationRule", json_clone(arena, rule));
	return true;
}

_Bool policy_reconcile_object(struct arena *arena, struct json *stored, const struct json *wanted)
{
	struct json *metadata = json_ensure_object(arena, stored, "metadata");
	const struct json *from = json_get(wanted, "metadata");
	const char *autoupdate = json_get_text(json_get(metadata, "annotations"), AUTOUPDATE);
	bool changed;

	if (autoupdate && !strcmp(autoupdate, "false"))
		return false;
	changed = add_members(arena, metadata, "labels", from);
	changed |= add_members(arena, metadata, "annotations", from);
	if (json_get(wanted, "roleRef"))
		return add_subjects(arena, stored, wanted) || changed;
	changed |= add_aggregation(arena, stored, wanted);
	if (!json_get(wanted, "aggregationRule"))
		changed |= add_rules(arena, stored, wanted);
	return changed;
}

_Bool policy_reconcile_must_replace(const struct json *stored, const struct json *wanted)
{
	const struct json *a = json_get(stored, "roleRef"), *b = json_get(wanted, "roleRef");
	const char *autoupdate = json_get_text(json_path(stored, "metadata", "annotations"), AUTOUPDATE);

	if (!b || (autoupdate && !strcmp(autoupdate, "false")))
		return false;
	return !same_subject(a, b);
}

// --- a round -------------------------------------------------------------------------------------

static void finish_round(struct policy_reconcile *reconcile);

static void on_timer(struct loop_timer *timer);

static void again(struct policy_reconcile *reconcile, int64_t delay_ns)
{
	loop_timer_start(reconcile->server->main_loop, &reconcile->timer, delay_ns, on_timer);
}

static void on_written(void *context, struct stored_object *object, const struct err *err)
{
	struct policy_reconcile *reconcile = context;

	(void)object;
	if (err && err->code != ERR_ALREADY_EXISTS)
		reconcile->failed++;
	if (--reconcile->pending)
		return;
	if (reconcile->stopped)
		free(reconcile);
	else
		finish_round(reconcile);
}

static void write_object(struct policy_reconcile *reconcile, const struct policy_object *object,
                         enum storage_write_type type, int64_t revision, struct blob *json)
{
	struct storage_write write = {.type = type,
	                              .resource = policy_resource(object->kind),
	                              .namespace_name = object->namespace_name,
	                              .name = object->name,
	                              .expected_revision = revision,
	                              .json = json};

	reconcile->pending++;
	reconcile->written++;
	storage_write(reconcile->server->storage, &write, reconcile->server->main_loop, on_written, reconcile);
}

static void create_object(struct policy_reconcile *reconcile, const struct policy_object *object,
                          const struct json *wanted)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 20);

	json_write(&text, wanted);
	write_object(reconcile, object, STORAGE_CREATE, 0,
	             bootstrap_encode(reconcile->arena, policy_resource(object->kind), strbuf_text(&text),
	                              loop_realtime_ns(reconcile->server->main_loop)));
}

static void reconcile_one(struct policy_reconcile *reconcile, const struct policy_object *object)
{
	const struct schema_resource *resource = policy_resource(object->kind);
	struct json *wanted = policy_to_json(reconcile->arena, object), *tree;
	struct stored_object *stored =
	        storage_peek(reconcile->server->storage, resource, object->namespace_name, object->name);

	if (!stored) {
		create_object(reconcile, object, wanted);
		return;
	}
	tree = object_load(reconcile->arena, resource, stored, NULL);
	if (tree && policy_reconcile_must_replace(tree, wanted)) {
		write_object(reconcile, object, STORAGE_DELETE, stored->revision, NULL);
		reconcile->failed++; // made by the next round
	} else if (tree && policy_reconcile_object(reconcile->arena, tree, wanted)) {
		object_complete(reconcile->arena, resource->type, tree);
		write_object(reconcile, object, STORAGE_UPDATE, stored->revision,
		             object_store(reconcile->arena, resource, tree));
	}
	stored_object_unref(stored);
}

static void run_round(struct policy_reconcile *reconcile)
{
	struct policy_object object;
	size_t cursor = 0;

	reconcile->failed = 0;
	reconcile->pending = 1;
	while (policy_next(&cursor, &object)) {
		arena_reset(reconcile->arena);
		reconcile_one(reconcile, &object);
	}
	if (!--reconcile->pending)
		finish_round(reconcile);
}

static void finish_round(struct policy_reconcile *reconcile)
{
	if (reconcile->failed) {
		again(reconcile, RECONCILE_RETRY_NS);
		return;
	}
	atomic_store(&reconcile->server->policy_reconciled, true);
	log_v(1, "The bootstrap roles are in place", kv_int("written", (int64_t)reconcile->written));
}

static void on_timer(struct loop_timer *timer)
{
	struct policy_reconcile *reconcile = container_of(timer, struct policy_reconcile, timer);

	if (storage_is_ready(reconcile->server->storage))
		run_round(reconcile);
	else
		again(reconcile, RECONCILE_POLL_NS);
}

struct policy_reconcile *policy_reconcile_start(struct server *server)
{
	struct policy_reconcile *reconcile = NEW(struct policy_reconcile);

	reconcile->server = server;
	reconcile->arena = arena_new(32 << 10);
	again(reconcile, 0);
	return reconcile;
}

struct policy_reconcile *policy_reconcile_free(struct policy_reconcile *reconcile)
{
	if (!reconcile)
		return NULL;
	loop_timer_stop(&reconcile->timer);
	arena_free(reconcile->arena);
	reconcile->stopped = true;
	if (!reconcile->pending)
		free(reconcile); // else by the last answer
	return NULL;
}
