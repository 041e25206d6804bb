// SPDX-License-Identifier: Apache-2.0
// Validation as tables: each file of validation/ has an object of one kind that is
// valid, and cases that change it and say what is wrong then, in upstream's words.
//
//   resource: pods              group: apps, version: v2 where they aren't "" and v1
//   base: {…}                   the valid object
//   cases:
//   - set: {…}                  a merge patch on the base (or `patch`, a JSON patch)
//     old: {…}                  an update: the stored object is the base changed by this
//     subresource: status
//     errors: ["spec.x: Invalid value: …"]     each cause as "field: message", in order
//     warnings: ["…"]                          what is said of a valid one; absent: not looked at

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/object_io.h"
#include "apiserver/server.h"
#include "apiserver/validation/validate.h"
#include "apiserver/validation/warnings.h"
#include "common/api/decode.h"
#include "common/api/object.h"
#include "common/api/patch.h"
#include "common/api/yaml.h"

#define ROWS_FOLDER "tests/unit/apiserver/validation"

struct rows {
	struct arena *arena;
	const struct schema_resource *resource;
	const char *name;
	struct json *base;
	struct json *cases;
	size_t index; // of the case under test; 0 is the base
	size_t failures;
};

static struct json *read_rows(struct arena *arena, const char *name)
{
	const char *path = arena_printf(arena, ROWS_FOLDER "/%s", name);
	struct yaml_document *documents;
	struct err err = ERR_INIT;
	FILE *file = fopen(path, "r");
	char *text = arena_alloc(arena, 1 << 20);
	size_t length, count = 0;

	if (!file)
		fail_msg("%s isn't there", path);
	length = fread(text, 1, (1 << 20) - 1, file);
	fclose(file);
	if (yaml_parse(arena, text, length, NULL, &documents, &count, &err) < 0 || count != 1)
		fail_msg("%s: %s", name, err.message);
	return documents[0].value;
}

// As a request decodes it: checked against its type, with defaults.
static struct json *decoded(struct rows *rows, struct json *object)
{
	struct err err = ERR_INIT;

	if (schema_normalize(rows->arena, rows->resource->type, object, NULL, &err) < 0)
		fail_msg("%s, case %zu: %s", rows->name, rows->index, err.message);
	object_complete(rows->arena, rows->resource->type, object);
	return object;
}

static struct json *changed(struct rows *rows, const struct json *from, const struct json *merge,
                            const struct json *operations)
{
	struct json *object = json_clone(rows->arena, from);
	struct err err = ERR_INIT;

	if (merge && patch_merge(rows->arena, &object, json_clone(rows->arena, merge), &err) < 0)
		fail_msg("%s, case %zu: %s", rows->name, rows->index, err.message);
	if (operations && patch_json(rows->arena, &object, json_clone(rows->arena, operations), &err) < 0)
		fail_msg("%s, case %zu: %s", rows->name, rows->index, err.message);
	return object;
}

static bool same_errors(const struct json *wanted, const struct status *status, struct arena *arena)
{
	size_t count = status ? status->cause_count : 0;

	if (length_of(wanted) != count)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct status_cause *cause = &status->causes[i];
		const char *text = arena_printf(arena, "%s: %s", cause->field, cause->message);

		if (strcmp(json_text(wanted->items[i]), text))
			return false;
	}
	return true;
}

static const char *warned(struct arena *arena, const struct request_warning *warning)
{
	char *text = arena_strdup(arena, warning->text + strlen("299 - \"")), *to = text;

	for (const char *from = text; *from; from++) {
		from += *from == '\\';
		*to++ = *from;
	}
	to[-1] = '\0'; // the closing quote
	return text;
}

static bool same_warnings(const struct json *wanted, const struct request *request)
{
	const struct request_warning *warning = request->warnings;

	json_for_each_item (text, wanted) {
		if (!warning || strcmp(json_text(text), warned(request->arena, warning)) != 0)
			return false;
		warning = warning->next;
	}
	return !warning;
}

static void check_warnings(struct rows *rows, const struct json *row, const struct change *change)
{
	const struct json *wanted = json_get(row, "warnings");

	if (!wanted)
		return;
	warn_about_change(change);
	if (same_warnings(wanted, change->request))
		return;
	rows->failures++;
	print_error("%s, case %zu:\n", rows->name, rows->index);
	json_for_each_item (text, wanted)
		print_error("  want %s\n", json_text(text));
	for (const struct request_warning *at = change->request->warnings; at; at = at->next)
		print_error("  warn %s\n", warned(rows->arena, at));
}

static void check_case(struct rows *rows, const struct json *row)
{
	static const struct server_config config = {.node_port_first = 30000, .node_port_count = 2768};
	struct server server = {.config = &config};
	struct request request = {.arena = rows->arena, .server = &server};
	const struct json *old = json_get(row, "old");
	struct json *before = changed(rows, rows->base, old, NULL);
	struct json *object = changed(rows, before, json_get(row, "set"), json_get(row, "patch"));
	const char *subresource = json_get_text(row, "subresource");
	struct change change = {.request = &request,
	                        .server = &server,
	                        .arena = rows->arena,
	                        .resource = rows->resource,
	                        .subresource = subresource ? subresource : "",
	                        .object = decoded(rows, object),
	                        .old = old ? decoded(rows, before) : NULL,
	                        .namespace_name = rows->resource->namespaced ? "ns" : ""};
	const struct status *status;

	if (object_namespace(object) && rows->resource->namespaced)
		change.namespace_name = object_namespace(object);
	change.name = object_name(object) ? object_name(object) : "";
	request.last_warning = &request.warnings;
	status = validate_change(&change);
	if (same_errors(json_get(row, "errors"), status, rows->arena)) {
		check_warnings(rows, row, &change);
		return;
	}
	rows->failures++;
	print_error("%s, case %zu:\n", rows->name, rows->index);
	json_for_each_item (wanted, json_get(row, "errors"))
		print_error("  want %s\n", json_text(wanted));
	for (size_t i = 0; status && i < status->cause_count; i++)
		print_error("  have %s: %s\n", status->causes[i].field, status->causes[i].message);
}

static size_t check_file(const char *name)
{
	struct rows rows = {.arena = arena_new(0), .name = name};
	struct json *document = read_rows(rows.arena, name);
	const char *group = json_get_text(document, "group"), *version = json_get_text(document, "version");
	size_t failures;

	rows.resource =
	        schema_find_resource(group ? group : "", version ? version : "v1", json_get_text(document, "resource"));
	if (!rows.resource)
		fail_msg("%s: no such resource", name);
	rows.base = json_get(document, "base");
	rows.cases = json_get(document, "cases");
	check_case(&rows, json_object(rows.arena)); // the base itself is valid
	json_for_each_item (row, rows.cases) {
		rows.index++;
		check_case(&rows, row);
	}
	print_message("%s: %zu cases\n", name, rows.index);
	failures = rows.failures;
	arena_free(rows.arena);
	return failures;
}

static void test_all_rows(void **state)
{
	struct dirent **entries = NULL;
	size_t failures = 0, files = 0;
	int count = scandir(ROWS_FOLDER, &entries, NULL, alphasort);

	(void)state;
	for (int i = 0; i < count; i++) {
		if (strstr(entries[i]->d_name, ".yaml")) {
			failures += check_file(entries[i]->d_name);
			files++;
		}
		free(entries[i]);
	}
	free(entries);
	assert_true(files > 0);
	assert_int_equal(failures, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_all_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
