// SPDX-License-Identifier: Apache-2.0
//
// An etcd that upstream has filled holds its built-in kinds in protobuf, and an
// older one may hold them in a version that isn't the storage version any more.
// What is read here is brought to the one form that caches, lists and watches
// share: JSON of the storage version, with the defaults and the document shape
// that upstream's decoding gives. etcd keeps the old bytes until the object's next
// write. Converting at once and not when an object is first asked for costs a few
// microseconds each at the start, and keeps one kind of object in memory.
//
// A version that isn't served (policy/v1beta1 of a cluster that was upgraded) is
// read by the storage version's tables: upstream keeps field names and numbers
// when a kind graduates.
#include "apiserver/storage/storage_decode.h"

#include <string.h>

#include "apiserver/encoding/convert.h"
#include "apiserver/object_io.h"
#include "common/api/object.h"
#include "common/api/protobuf.h"
#include "common/base/memory.h"

void storage_form_init(struct storage_form *form, const struct schema_resource *resource)
{
	const struct schema_resource *stored = convert_storage_resource(resource);
	*form = (struct storage_form){
	        .api_version =
	                *stored->group ? xasprintf("%s/%s", stored->group, stored->version) : xstrdup(stored->version),
	        .kind = xstrdup(stored->kind),
	};
	// The apiserver's own records have types of no members; their kinds are core's.
	const struct schema_type *type = protobuf_serves_type(stored->type)
	                                         ? stored->type
	                                         : protobuf_find_type(stored->group, stored->version, stored->kind);
	// Custom resources' tables come and go, and only what is stored as JSON has them.
	if (type && schema_find_type(type->openapi_name) == type && protobuf_serves_type(type))
		form->type = type;
}

void storage_form_done(struct storage_form *form)
{
	free(form->api_version);
	free(form->kind);
	if (form->reader.release)
		form->reader.release(form->reader.context);
	*form = (struct storage_form){0};
}

static int refuse(struct etcd_bytes key, struct err *err, const char *why)
{
	return err_set(err, ERR_INTERNAL, "stored object %.*s cannot be read: %s", (int)key.length, key.data, why);
}

static bool is_encrypted(struct etcd_bytes value)
{
	static const char mark[] = "k8s:enc:";
	return value.length >= sizeof(mark) - 1 && memcmp(value.data, mark, sizeof(mark) - 1) == 0;
}

// The resource of a version of this kind; NULL: it isn't served.
static const struct schema_resource *find_version(struct arena *arena, const char *api_version, const char *kind)
{
	const char *group, *version;
	api_version_split(arena, api_version, &group, &version);
	return schema_find_kind(group, version, kind);
}

static int read_protobuf(struct arena *arena, const struct storage_form *form, struct etcd_bytes value,
                         struct json **ret_tree, struct err *err)
{
	const char *api_version, *kind;
	const struct schema_type *type = form->type;
	int outcome = protobuf_read_type_meta(arena, value.data, value.length, &api_version, &kind, err);
	if (outcome)
		return outcome;
	if (!type || strcmp(kind, form->kind) != 0)
		return err_set(err, ERR_PARSE, "it is a %.64s in protobuf where %s of %s are stored", kind, form->kind,
		               form->api_version);
	if (strcmp(api_version, form->api_version) != 0) {
		const struct schema_resource *resource = find_version(arena, api_version, kind);
		type = resource ? resource->type : type;
	}
	return protobuf_read_object(arena, type, value.data, value.length, ret_tree, err);
}

// True when the tree had another version.
static bool convert(struct arena *arena, const struct storage_form *form, struct json *tree)
{
	const char *api_version = object_api_version(tree), *kind = object_kind(tree);
	if (!form->type || !api_version || !kind || strcmp(kind, form->kind) != 0 ||
	    strcmp(api_version, form->api_version) == 0)
		return false;
	const struct schema_resource *resource = find_version(arena, api_version, kind);
	if (resource)
		convert_to_storage(arena, resource, tree);
	json_set_text(arena, tree, "apiVersion", form->api_version);
	return true;
}

int storage_decode(struct arena *arena, const struct storage_form *form, struct etcd_bytes key, struct etcd_bytes value,
                   struct json **ret_tree, bool *ret_rewritten, struct err *err)
{
	struct err why = ERR_INIT;
	struct json *tree = NULL;
	bool binary = protobuf_is_envelope(value.data, value.length);
	if (is_encrypted(value))
		return refuse(key, err, "it is encrypted, and no encryption provider is configured");
	int outcome = binary ? read_protobuf(arena, form, value, &tree, &why)
	                     : json_parse(arena, value.data, value.length, NULL, &tree, &why);
	if (outcome)
		return refuse(key, err, why.message);
	if (tree->type != JSON_OBJECT || value.length > UINT32_MAX / 2)
		return refuse(key, err, "not a JSON object");
	if (form->reader.read) {
		*ret_rewritten = form->reader.read(form->reader.context, arena, tree);
		*ret_tree = tree;
		return 0;
	}
	*ret_rewritten = convert(arena, form, tree) || binary;
	if (*ret_rewritten)
		object_complete(arena, form->type, tree);
	*ret_tree = tree;
	return 0;
}
