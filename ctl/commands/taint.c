// SPDX-License-Identifier: Apache-2.0
// taint: KEY=VALUE:EFFECT adds or changes, KEY:EFFECT- and KEY- remove.

#include <string.h>

#include "common/api/object.h"
#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/selection.h"
#include "ctl/write.h"

static struct {
	struct selection_options selection;
	struct write_options write;
	bool overwrite;
} arg = {.write = WRITE_OPTIONS_INIT("kubectl-taint")};

static const struct option options[] = {
        {"overwrite", 0, OPTION_BOOL, &arg.overwrite, NULL, NULL, "Change taints that are already there"},
        SELECTOR_OPTION_ROW(arg.selection),
        ALL_OPTION_ROW(arg.selection),
        WRITE_OPTION_ROWS(arg.write),
        VALIDATE_OPTION_ROW(arg.write),
        {0},
};

struct taint {
	const char *key, *value, *effect; // effect "" = all of the key
	bool remove;
};

static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute"};

static bool is_effect(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(effects); i++)
		if (strcmp(effects[i], text) == 0)
			return true;
	return false;
}

static bool is_taint(const char *text)
{
	return strpbrk(text, "=:") || (strlen(text) > 1 && text[strlen(text) - 1] == '-');
}

// Reports and returns false when the text is no taint.
static bool parse_taint(struct ctl *ctl, const char *text, struct taint *taint)
{
	char *copy = arena_strdup(ctl->arena, text);
	size_t length = strlen(copy);
	*taint = (struct taint){.remove = copy[length - 1] == '-' && !strpbrk(copy + length - 1, "=:")};
	if (taint->remove)
		copy[length - 1] = '\0';
	char *colon = strrchr(copy, ':');
	taint->effect = colon ? colon + 1 : "";
	if (colon)
		*colon = '\0';
	char *equals = strchr(copy, '=');
	taint->value = equals ? equals + 1 : "";
	if (equals)
		*equals = '\0';
	taint->key = copy;
	if (!taint->key[0] || (!taint->remove && !colon)) {
		report(ctl, "invalid taint spec: %s", text);
		return false;
	}
	if (taint->effect[0] && !is_effect(taint->effect)) {
		report(ctl, "invalid taint effect: %s, unsupported taint effect", taint->effect);
		return false;
	}
	return true;
}

static bool matches(const struct json *present, const struct taint *taint)
{
	const char *key = json_get_text(present, "key"), *effect = json_get_text(present, "effect");
	return key && strcmp(key, taint->key) == 0 &&
	       (!taint->effect[0] || (effect && strcmp(effect, taint->effect) == 0));
}

static size_t remove_matching(struct json *list, const struct taint *taint)
{
	size_t removed = 0;
	for (size_t i = 0; i < list->length;) {
		if (!matches(list->items[i], taint)) {
			i++;
			continue;
		}
		json_remove_at(list, i);
		removed++;
	}
	return removed;
}

static void append_taint(struct ctl *ctl, struct json *list, const struct taint *taint)
{
	struct json *item = json_object(ctl->arena);
	json_set_text(ctl->arena, item, "key", taint->key);
	if (taint->value[0])
		json_set_text(ctl->arena, item, "value", taint->value);
	json_set_text(ctl->arena, item, "effect", taint->effect);
	json_append(ctl->arena, list, item);
}

struct outcome {
	bool added, removed, overwritten;
};

// Changes the list; false when something doesn't fit (reported).
static bool apply_taints(struct ctl *ctl, const struct target *node, struct json *list, const struct taint *taints,
                         size_t count, struct outcome *outcome)
{
	for (size_t i = 0; i < count; i++) {
		size_t removed = 0;
		bool present = false;
		json_for_each_item (item, list)
			present |= matches(item, &taints[i]);
		if (!taints[i].remove && present && !arg.overwrite) {
			report(ctl, "node %s already has %s taint(s) with same effect(s) and --overwrite is false",
			       node->name, taints[i].key);
			return false;
		}
		removed = remove_matching(list, &taints[i]);
		if (taints[i].remove && !removed) {
			report(ctl, taints[i].effect[0] ? "taint \"%s:%s\" not found" : "taint \"%s\" not found",
			       taints[i].key, taints[i].effect);
			return false;
		}
		outcome->removed |= taints[i].remove;
		outcome->overwritten |= !taints[i].remove && removed;
		outcome->added |= !taints[i].remove;
		if (!taints[i].remove)
			append_taint(ctl, list, &taints[i]);
	}
	return true;
}

static void taint_node(struct ctl *ctl, struct writer *writer, const struct target *node, const struct taint *taints,
                       size_t count)
{
	struct rest_response response;
	struct outcome outcome = {0};
	const struct json *present = json_path(node->object, "spec", "taints");
	struct json *list = json_is(present, JSON_ARRAY) ? json_clone(ctl->arena, present) : json_array(ctl->arena);
	if (!apply_taints(ctl, node, list, taints, count, &outcome))
		return;
	const char *what = outcome.overwritten || (outcome.added && outcome.removed) ? "modified"
	                   : outcome.removed                                         ? "untainted"
	                                                                             : "tainted";
	struct json *patch = json_object(ctl->arena);
	json_set(ctl->arena, json_ensure_object(ctl->arena, patch, "spec"), "taints",
	         list->length ? list : json_null(ctl->arena));
	if (writer->dry_run == DRY_RUN_CLIENT)
		writer_tell(ctl, writer, node, node->object, what);
	else if (write_patch(ctl, writer, node, NULL, REST_STRATEGIC_MERGE_PATCH, patch, &response))
		writer_tell(ctl, writer, node, response.object, what);
	else
		report_response(ctl, &response, NULL);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct target_list targets = {0};
	struct writer writer;
	int resources = 0;
	while (resources < argc && !is_taint(argv[resources]))
		resources++;
	size_t count = (size_t)(argc - resources);
	struct taint *taints = ARENA_ARRAY(ctl->arena, struct taint, count);
	if (resources < 1)
		return report(ctl, "one or more resources must be specified as <resource> <name>");
	if (!count)
		return report(ctl, "at least one taint update is required");
	for (size_t i = 0; i < count; i++)
		if (!parse_taint(ctl, argv[resources + (int)i], &taints[i]))
			return EXIT_PROBLEM;
	if (resources == 1 && !arg.selection.all && !arg.selection.selector)
		return report(ctl, "at least one resource name must be specified since 'all' parameter is not set");
	if (!writer_init(ctl, &arg.write, &writer) || !selection_fetch(ctl, &arg.selection, resources, argv, &targets))
		return EXIT_PROBLEM;
	for (size_t i = 0; i < targets.count; i++) {
		if (strcmp(targets.items[i].resource->kind, "Node") != 0)
			return report(ctl, "invalid resource type %s, only node types are supported",
			              targets.items[i].resource->plural);
		taint_node(ctl, &writer, &targets.items[i], taints, count);
	}
	return EXIT_OK;
}

const struct command command_taint = {
        .name = "taint",
        .group = COMMAND_CLUSTER,
        .summary = "Update the taints on one or more nodes",
        .usage = "NODE NAME KEY_1=VAL_1:TAINT_EFFECT_1 ... KEY_N=VAL_N:TAINT_EFFECT_N",
        .examples = "  ctl taint nodes node-1 dedicated=gpu:NoSchedule\n  ctl taint nodes --all "
                    "node-role.kubernetes.io/control-plane-",
        .options = options,
        .run = run,
};
