// SPDX-License-Identifier: Apache-2.0
// Writes one header of typed views: forward declarations and containers first,
// since they need no complete type, then the structs in an order in which
// whatever stands by value is complete, then map entries, then the handles of
// types and resources.

#include "common/api/schemagen/schemagen.h"

#include <string.h>

static void emit_includes(struct package *package, struct strbuf *out)
{
	strbuf_append_text(out, "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n\n");
	for (size_t i = 0; i < package->use_count; i++)
		strbuf_printf(out, "#include \"api/%s.h\"\n", package->uses[i]->short_name);
	strbuf_append_text(out, "#include \"common/api/schema.h\"\n#include \"common/api/view.h\"\n\n");
}

static void emit_containers(const struct type *type, struct strbuf *out)
{
	const char *name = type->c_name;
	strbuf_printf(out, "struct %s;\n", name);
	if (type->in_list)
		strbuf_printf(out, "struct %s_array {\n\tstruct %s *items;\n\tsize_t count;\n};\n", name, name);
	if (type->in_map)
		strbuf_printf(
		        out,
		        "struct %s_map_entry;\nstruct %s_map {\n\tstruct %s_map_entry *entries;\n\tsize_t count;\n};\n",
		        name, name, name);
}

// kind and apiVersion lead every view of a kind in one order, whatever the
// order of the table, so that any of them can be read as the least of them.
static void emit_members(struct arena *arena, const struct type *type, struct strbuf *out)
{
	if (type->is_kind)
		strbuf_append_text(out, "\tconst char *api_version, *kind;\n");
	size_t members = 0;
	for (size_t i = 0; i < type->flat_count; i++) {
		const struct field *field = &type->flat[i];
		if (field->json_name[0] == '\0')
			continue;
		members++;
		if (!type->is_kind || i >= 2)
			strbuf_printf(out, "\t%s;\n", member_declaration(arena, field));
	}
	if (members == 0)
		strbuf_append_text(out, "\tchar empty_;\n");
}

static void emit_struct(struct arena *arena, struct type *type, struct strbuf *out)
{
	if (type->alias_text != NULL || type->order_state == 3)
		return;
	type->order_state = 3;
	for (size_t i = 0; i < type->flat_count; i++) {
		const struct field *field = &type->flat[i];
		if (!field->pointer && field->json_name[0] != '\0' && field->expression->kind == EXPRESSION_STRUCT &&
		    field->expression->type->package == type->package)
			emit_struct(arena, field->expression->type, out);
	}
	strbuf_printf(out, "\nstruct %s {\n", type->c_name);
	emit_members(arena, type, out);
	strbuf_append_text(out, "};\n");
}

void emit_views(struct model *model, struct package *package, struct strbuf *out)
{
	strbuf_append_text(out, "// SPDX-License-Identifier: Apache-2.0\n#pragma once\n");
	strbuf_printf(out, "// Generated from %s: the typed views of its types.\n\n", package->file);
	emit_includes(package, out);
	for (size_t i = 0; i < package->type_count; i++)
		if (package->types[i]->alias_text == NULL)
			emit_containers(package->types[i], out);
	for (size_t i = 0; i < package->type_count; i++)
		emit_struct(model->arena, package->types[i], out);
	strbuf_append_char(out, '\n');
	for (size_t i = 0; i < package->type_count; i++)
		if (package->types[i]->in_map)
			strbuf_printf(out, "struct %s_map_entry {\n\tconst char *key;\n\tstruct %s value;\n};\n",
			              package->types[i]->c_name, package->types[i]->c_name);
	for (size_t i = 0; i < package->type_count; i++)
		strbuf_printf(out, "extern const struct schema_type schema_type_%s;\n", package->types[i]->c_name);
	for (size_t i = 0; i < package->resource_count; i++)
		strbuf_printf(out, "extern const struct schema_resource schema_resource_%s;\n",
		              package->resources[i]->c_name);
}
