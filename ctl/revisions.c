// SPDX-License-Identifier: Apache-2.0
#include "ctl/revisions.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/object.h"
#include "common/api/patch.h"
#include "common/api/selector.h"
#include "common/base/strbuf.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/selection.h"

#define REVISION_ANNOTATION "deployment.kubernetes.io/revision"
#define CHANGE_CAUSE_ANNOTATION "kubernetes.io/change-cause"
#define TEMPLATE_HASH_LABEL "pod-template-hash"

static bool is_deployment(const struct target *target)
{
	return strcmp(target->resource->kind, "Deployment") == 0;
}

static bool is_owned_by(const struct json *object, const char *uid)
{
	json_for_each_item (owner, json_path(object, "metadata", "ownerReferences")) {
		const char *owner_uid = json_get_text(owner, "uid");
		if (json_get_bool(owner, "controller", false) && owner_uid && uid && strcmp(owner_uid, uid) == 0)
			return true;
	}
	return false;
}

static void read_replica_set(struct ctl *ctl, struct json *object, struct revision *revision)
{
	const char *number = json_text(json_path(object, "metadata", "annotations", REVISION_ANNOTATION));
	revision->object = object;
	revision->number = number ? strtoll(number, NULL, 10) : 0;
	revision->template = json_clone(ctl->arena, json_path(object, "spec", "template"));
	struct json *labels = json_path(revision->template, "metadata", "labels");
	if (json_is(labels, JSON_OBJECT))
		json_remove(labels, TEMPLATE_HASH_LABEL);
}

// A ControllerRevision's data is a patch of its owner.
static void read_controller_revision(struct ctl *ctl, const struct target *target, struct json *object,
                                     struct revision *revision)
{
	struct json *owner = json_clone(ctl->arena, target->object);
	struct err err = ERR_INIT;
	revision->object = object;
	json_get_integer(object, "revision", &revision->number);
	if (target->resource->type && json_get(object, "data") &&
	    patch_strategic(ctl->arena, target->resource->type, &owner, json_get(object, "data"), &err) == 0)
		revision->template = json_path(owner, "spec", "template");
}

static const char *selector_text(struct ctl *ctl, const struct target *target)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(65536);
	struct label_selector *selector;
	if (label_selector_from_json(ctl->arena, json_path(target->object, "spec", "selector"), &selector, NULL) < 0)
		return NULL;
	label_selector_write(selector, &text);
	return arena_strdup(ctl->arena, strbuf_text(&text));
}

static int compare_revisions(const void *one, const void *other)
{
	int64_t a = ((const struct revision *)one)->number, b = ((const struct revision *)other)->number;
	return a < b ? -1 : a > b;
}

bool revisions_read(struct ctl *ctl, const struct target *target, struct revision **ret_revisions, size_t *ret_count)
{
	struct rest_response response;
	bool deployment = is_deployment(target);
	const struct target collection = {
	        .resource = schema_find_resource("apps", "v1", deployment ? "replicasets" : "controllerrevisions"),
	        .namespace_name = target->namespace_name,
	};
	const char *query = query_add(ctl, NULL, "labelSelector", selector_text(ctl, target));
	if (!list_all(ctl, &collection, query, NULL, 500, &response)) {
		report_response(ctl, &response, NULL);
		return false;
	}
	const struct json *items = json_get(response.object, "items");
	struct revision *revisions = ARENA_ARRAY(ctl->arena, struct revision, items ? items->length : 0);
	size_t count = 0;
	json_for_each_item (item, items) {
		if (!is_owned_by(item, object_uid(target->object)))
			continue;
		struct revision *revision = &revisions[count++];
		if (deployment)
			read_replica_set(ctl, item, revision);
		else
			read_controller_revision(ctl, target, item, revision);
	}
	qsort(revisions, count, sizeof(*revisions), compare_revisions);
	*ret_revisions = revisions;
	*ret_count = count;
	return true;
}

const struct revision *revisions_choose(const struct revision *revisions, size_t count, int64_t wanted,
                                        const struct target *target, struct err *err)
{
	for (size_t i = 0; wanted && i < count; i++)
		if (revisions[i].number == wanted)
			return &revisions[i];
	if (wanted) {
		(void)err_set(err, ERR_NOT_FOUND, "unable to find specified revision %" PRId64 " in history", wanted);
		return NULL;
	}
	if (count >= 2)
		return &revisions[count - 2];
	(void)err_set(err, ERR_NOT_FOUND, "no rollout history found for %s \"%s\"", target->resource->singular,
	              target->name);
	return NULL;
}

const char *revision_change_cause(const struct revision *revision)
{
	const char *cause = json_text(json_path(revision->object, "metadata", "annotations", CHANGE_CAUSE_ANNOTATION));
	return cause && cause[0] ? cause : "<none>";
}
