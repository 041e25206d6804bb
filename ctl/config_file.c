// SPDX-License-Identifier: Apache-2.0
#include "ctl/config_file.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <unistd.h>

#include "common/api/yaml.h"
#include "common/base/file.h"
#include "common/base/strbuf.h"
#include "common/client/kubeconfig.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"

enum { CONFIG_MAX_BYTES = 4 << 20 };

static const struct {
	const char *list;
	const char *inner;
} sections[] = {
        [CONFIG_CLUSTERS] = {"clusters", "cluster"},
        [CONFIG_CONTEXTS] = {"contexts", "context"},
        [CONFIG_USERS] = {"users", "user"},
};

const char *config_section_list(enum config_section section)
{
	return sections[section].list;
}

// --- files --------------------------------------------------------------------------------

static const char *home_path(struct ctl *ctl)
{
	const char *home = getenv("HOME");
	return ctl_printf(ctl, "%s/.kube/config", home ? home : "");
}

// --kubeconfig; else the first file of $KUBECONFIG that exists, or its last; else the one at home.
static const char *own_path(struct ctl *ctl, bool *ret_single)
{
	const char *list = getenv("KUBECONFIG"), *last = NULL, *found = NULL;
	*ret_single = true;
	if (ctl->global->kubeconfig)
		return ctl->global->kubeconfig;
	char *rest = list && list[0] ? arena_strdup(ctl->arena, list) : NULL;
	for (char *path; rest && (path = strsep(&rest, ":"));) {
		if (!path[0])
			continue;
		*ret_single &= last == NULL;
		last = path;
		if (!found && access(path, F_OK) == 0)
			found = path;
	}
	return found ? found : last ? last : home_path(ctl);
}

static struct json *empty_document(struct ctl *ctl)
{
	struct json *document = json_object(ctl->arena);
	json_set_text(ctl->arena, document, "apiVersion", "v1");
	json_set_text(ctl->arena, document, "kind", "Config");
	json_set_text(ctl->arena, document, "current-context", "");
	json_set(ctl->arena, document, "preferences", json_object(ctl->arena));
	return document;
}

static struct json *read_document(struct ctl *ctl, const char *path)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(CONFIG_MAX_BYTES);
	struct yaml_document *documents;
	size_t count = 0;
	struct err err = ERR_INIT;
	int result = file_read(path, &text, &err);
	if (result == -ERR_NOT_FOUND)
		return empty_document(ctl);
	if (result < 0 || yaml_parse(ctl->arena, strbuf_text(&text), text.length, NULL, &documents, &count, &err) < 0) {
		report(ctl, "error loading config file \"%s\": %s", path, err.message);
		return NULL;
	}
	if (!count || !json_is(documents[0].value, JSON_OBJECT))
		return empty_document(ctl);
	json_ensure_object(ctl->arena, documents[0].value, "preferences");
	return documents[0].value;
}

struct json *config_file_read_own(struct ctl *ctl, const char **ret_path)
{
	bool single;
	*ret_path = own_path(ctl, &single);
	return read_document(ctl, *ret_path);
}

struct json *config_file_read_all(struct ctl *ctl)
{
	bool single;
	struct json *document;
	struct err err = ERR_INIT;
	const char *path = own_path(ctl, &single);
	if (single)
		return read_document(ctl, path);
	if (kubeconfig_read(ctl->arena, NULL, &document, &err) < 0) {
		report_err(ctl, &err);
		return NULL;
	}
	json_ensure_object(ctl->arena, document, "preferences");
	return document;
}

bool config_file_write(struct ctl *ctl, const char *path, struct json *document)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(CONFIG_MAX_BYTES);
	struct err err = ERR_INIT;
	const char *folder = dirname(arena_strdup(ctl->arena, path));
	yaml_write(&text, document);
	if (file_make_folders(folder, 0750, &err) == 0 &&
	    file_write_atomic(path, text.data, text.length, 0600, &err) == 0)
		return true;
	report_err(ctl, &err);
	return false;
}

// --- entries ------------------------------------------------------------------------------

static struct json *find_item(const struct json *document, enum config_section section, const char *name)
{
	json_for_each_item (item, json_get(document, sections[section].list)) {
		const char *own = json_get_text(item, "name");
		if (own && strcmp(own, name) == 0)
			return item;
	}
	return NULL;
}

struct json *config_entry(const struct json *document, enum config_section section, const char *name)
{
	return json_get(find_item(document, section, name), sections[section].inner);
}

struct json *config_entry_ensure(struct ctl *ctl, struct json *document, enum config_section section, const char *name)
{
	struct json *item = find_item(document, section, name);
	if (!item) {
		item = json_object(ctl->arena);
		json_set_text(ctl->arena, item, "name", name);
		json_append(ctl->arena, json_ensure_array(ctl->arena, document, sections[section].list), item);
	}
	return json_ensure_object(ctl->arena, item, sections[section].inner);
}

bool config_entry_remove(struct json *document, enum config_section section, const char *name)
{
	struct json *list = json_get(document, sections[section].list);
	for (size_t i = 0; json_is(list, JSON_ARRAY) && i < list->length; i++) {
		const char *own = json_get_text(list->items[i], "name");
		if (own && strcmp(own, name) == 0) {
			json_remove_at(list, i);
			return true;
		}
	}
	return false;
}

const char *config_current_context(struct ctl *ctl, const struct json *document)
{
	const char *current = json_get_text(document, "current-context");
	return ctl->global->context ? ctl->global->context : current ? current : "";
}
