// SPDX-License-Identifier: Apache-2.0
// Content negotiation. A client names what it takes in clauses with parameters
// and weights; the best-weighted clause that is served wins, the first of equals.
// kubectl asks for "application/json;as=Table;v=v1;g=meta.k8s.io, …,
// application/json", client-go for protobuf with JSON after it.

#include "apiserver/encoding/negotiate.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/api/protobuf.h"

struct clause {
	char media[64];
	char as[48];
	char version[16];
	char group[64];
	double weight;
};

static size_t trim(const char **text, size_t length)
{
	while (length && (**text == ' ' || **text == '\t')) {
		(*text)++;
		length--;
	}
	while (length && ((*text)[length - 1] == ' ' || (*text)[length - 1] == '\t'))
		length--;
	return length;
}

static void copy(char *out, size_t size, const char *text, size_t length)
{
	if (length >= size)
		length = size - 1;
	memcpy(out, text, length);
	out[length] = '\0';
}

static void parse_parameter(const char *text, size_t length, struct clause *clause)
{
	const char *equals = memchr(text, '=', length);
	char name[16], value[64];

	if (!equals)
		return;
	copy(name, sizeof(name), text, (size_t)(equals - text));
	copy(value, sizeof(value), equals + 1, length - (size_t)(equals - text) - 1);
	if (!strcmp(name, "as"))
		copy(clause->as, sizeof(clause->as), value, strlen(value));
	else if (!strcmp(name, "v"))
		copy(clause->version, sizeof(clause->version), value, strlen(value));
	else if (!strcmp(name, "g"))
		copy(clause->group, sizeof(clause->group), value, strlen(value));
	else if (!strcmp(name, "q"))
		clause->weight = strtod(value, NULL);
}

static void parse_clause(const char *text, size_t length, struct clause *ret_clause)
{
	struct clause clause = {.weight = 1};
	bool first = true;

	while (length || first) {
		const char *semicolon = memchr(text, ';', length);
		size_t part = semicolon ? (size_t)(semicolon - text) : length;
		const char *start = text;
		size_t trimmed = trim(&start, part);

		if (first)
			copy(clause.media, sizeof(clause.media), start, trimmed);
		else
			parse_parameter(start, trimmed, &clause);
		first = false;
		text += part + (semicolon != NULL);
		length -= part + (semicolon != NULL);
	}
	*ret_clause = clause;
}

static bool media_is_json(const char *media)
{
	return !strcasecmp(media, "application/json") || !strcmp(media, "*/*") || !strcasecmp(media, "application/*") ||
	       !media[0];
}

// The shape that a clause asks for; false when it isn't served.
static bool clause_shape(const struct clause *clause, unsigned flags, enum output_shape *ret_shape)
{
	*ret_shape = OUTPUT_OBJECT;
	if (!clause->as[0])
		return true;
	if (!(flags & NEGOTIATE_SHAPES) || strcmp(clause->group, "meta.k8s.io") || strcmp(clause->version, "v1"))
		return false;
	if (!strcmp(clause->as, "Table"))
		*ret_shape = OUTPUT_TABLE;
	else if (!strcmp(clause->as, "PartialObjectMetadata") || !strcmp(clause->as, "PartialObjectMetadataList"))
		*ret_shape = OUTPUT_PARTIAL_METADATA;
	else
		return false;
	return true;
}

static bool clause_output(const struct clause *clause, unsigned flags, struct output *ret_output)
{
	struct output output = {0};

	if (!clause_shape(clause, flags, &output.shape))
		return false;
	if (media_is_json(clause->media))
		output.format = OUTPUT_JSON;
	else if (!strcasecmp(clause->media, "application/yaml") && !(flags & NEGOTIATE_WATCH))
		output.format = OUTPUT_YAML;
	else if (!strcasecmp(clause->media, PROTOBUF_MEDIA_TYPE) && flags & NEGOTIATE_PROTOBUF &&
	         output.shape != OUTPUT_TABLE)
		output.format = OUTPUT_PROTOBUF;
	else
		return false;
	*ret_output = output;
	return true;
}

static const struct status *not_acceptable(struct arena *arena, unsigned flags)
{
	bool watch = flags & NEGOTIATE_WATCH, protobuf = flags & NEGOTIATE_PROTOBUF;

	return status_new(arena, ERR_NOT_ACCEPTABLE, "only the following media types are accepted: %s%s",
	                  watch ? "application/json, application/json;stream=watch"
	                        : "application/json, application/yaml",
	                  !protobuf ? ""
	                  : watch   ? ", " PROTOBUF_WATCH_MEDIA_TYPE
	                            : ", " PROTOBUF_MEDIA_TYPE);
}

static const char *content_type_of(const struct output *output, unsigned flags)
{
	if (output->format == OUTPUT_PROTOBUF)
		return flags & NEGOTIATE_WATCH ? PROTOBUF_WATCH_MEDIA_TYPE : PROTOBUF_MEDIA_TYPE;
	return output->format == OUTPUT_YAML ? "application/yaml" : "application/json";
}

const struct status *negotiate_output(struct arena *arena, const char *accept, unsigned flags,
                                      struct output *ret_output)
{
	struct output best = {0};
	double best_weight = 0;

	if (!accept || !accept[0])
		accept = "*/*";
	for (const char *at = accept; *at;) {
		size_t length = strcspn(at, ",");
		struct output output;
		struct clause clause;

		parse_clause(at, length, &clause);
		if (clause.weight > best_weight && clause_output(&clause, flags, &output)) {
			best = output;
			best_weight = clause.weight;
		}
		at += length + (at[length] == ',');
	}
	if (best_weight <= 0)
		return not_acceptable(arena, flags);
	best.content_type = content_type_of(&best, flags);
	*ret_output = best;
	return NULL;
}

const struct status *negotiate_body(struct arena *arena, const char *content_type, bool patch,
                                    enum body_format *ret_format)
{
	static const struct {
		const char *media;
		enum body_format format;
		bool patch;
	} table[] = {
	        {"application/json", BODY_JSON, false},
	        {"application/yaml", BODY_YAML, false},
	        {PROTOBUF_MEDIA_TYPE, BODY_PROTOBUF, false},
	        {"application/json-patch+json", BODY_JSON_PATCH, true},
	        {"application/merge-patch+json", BODY_MERGE_PATCH, true},
	        {"application/strategic-merge-patch+json", BODY_STRATEGIC_PATCH, true},
	};
	struct clause clause = {.media = "application/json"};

	if (content_type && content_type[0])
		parse_clause(content_type, strlen(content_type), &clause);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].patch == patch && !strcasecmp(table[i].media, clause.media)) {
			*ret_format = table[i].format;
			return NULL;
		}
	if (patch)
		return status_new(arena, ERR_UNSUPPORTED_MEDIA,
		                  "the body of the request was in an unknown format - accepted media types include: "
		                  "application/json-patch+json, application/merge-patch+json, "
		                  "application/strategic-merge-patch+json, application/apply-patch+yaml");
	return status_new(arena, ERR_UNSUPPORTED_MEDIA,
	                  "the body of the request was in an unknown format - accepted media types include: "
	                  "application/json, application/yaml, application/vnd.kubernetes.protobuf");
}

const struct status *negotiate_no_protobuf(struct arena *arena)
{
	return status_new(arena, ERR_UNSUPPORTED_MEDIA,
	                  "the body of the request was in an unknown format - accepted media types include: "
	                  "application/json, application/yaml");
}
