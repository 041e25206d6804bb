// SPDX-License-Identifier: Apache-2.0
// schemagen OUT FILE.schema…: writes OUT/schema_tables.c and OUT/api/*.h. Files
// whose content is unchanged are not touched, so that what includes them isn't
// built again. Nothing is written when any schema is wrong.

#include "common/api/schemagen/schemagen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/file.h"

#define OUTPUT_MAX_BYTES (64u << 20)

static int write_if_changed(const char *path, const struct strbuf *text, struct err *err)
{
	AUTO_STRBUF struct strbuf old = STRBUF_INIT(OUTPUT_MAX_BYTES);
	if (file_read(path, &old, NULL) == 0 && old.length == text->length &&
	    memcmp(strbuf_text(&old), text->data, text->length) == 0)
		return 0;
	return file_write_atomic(path, text->data, text->length, 0644, err);
}

static int write_outputs(struct model *model, const char *folder, struct err *err)
{
	struct arena *arena = model->arena;
	int result = file_make_folders(arena_printf(arena, "%s/api", folder), 0755, err);
	for (size_t i = 0; result == 0 && i < model->package_count; i++) {
		AUTO_STRBUF struct strbuf views = STRBUF_INIT(OUTPUT_MAX_BYTES);
		emit_views(model, model->packages[i], &views);
		const char *path = arena_printf(arena, "%s/api/%s.h", folder, model->packages[i]->short_name);
		result = write_if_changed(path, &views, err);
	}
	if (result < 0)
		return result;
	AUTO_STRBUF struct strbuf tables = STRBUF_INIT(OUTPUT_MAX_BYTES);
	emit_tables(model, &tables);
	return write_if_changed(arena_printf(arena, "%s/schema_tables.c", folder), &tables, err);
}

static int generate(struct model *model, int argc, char **argv, struct err *err)
{
	for (int i = 2; i < argc; i++) {
		int result = parse_file(model, argv[i], err);
		if (result < 0)
			return result;
	}
	if (model->errors == 0)
		resolve(model);
	if (model->errors > 0)
		return err_set(err, ERR_INVALID, "%d mistakes in the schema; nothing was written", model->errors);
	return write_outputs(model, argv[1], err);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: schemagen OUT FILE.schema…\n");
		return 2;
	}
	AUTO(arena_free) struct arena *arena = arena_new(1u << 20);
	struct model model = {.arena = arena};
	struct err err = ERR_INIT;
	if (generate(&model, argc, argv, &err) < 0) {
		fprintf(stderr, "schemagen: %s\n", err.message);
		return 1;
	}
	return 0;
}
