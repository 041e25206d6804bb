// SPDX-License-Identifier: Apache-2.0
#pragma once
// A running evaluation and what its functions share: making values, failing, and
// charging for work and memory.

#include "common/api/json_hash.h"
#include "common/cel/ast.h"
#include "common/cel/library.h"
#include "common/cel/types.h"

// How a value's pointer is to be taken (flags of struct cel_value).
enum cel_form {
	CEL_FORM_MADE,        // cel_list, cel_map, cel_object
	CEL_FORM_JSON,        // a tree seen through the declared type
	CEL_FORM_COMPOSITION, // an object of programs
};

struct cel_list {
	struct cel_value *values;
	uint32_t count, capacity; // a value may show fewer: those appended later belong to others
};

struct cel_map_entry {
	struct cel_value key, value;
};

struct cel_map {
	struct cel_map_entry *entries; // in the order of insertion
	uint32_t count, capacity;
	uint32_t *slots; // entry number + 1 by hash, NULL while small
	uint32_t mask;
};

struct cel_object {
	uint32_t count;
	const struct cel_text *names; // JSON names
	struct cel_value *values;
};

enum { CEL_INDEX_SLOTS = 64 };

struct cel_json_index {
	const struct json *object;
	unsigned searches;
	bool made;
	struct json_index index;
};

// One unit of work is a few nanoseconds: an element visited, some bytes of text compared.
#define CEL_MAX_WORK UINT64_C(100000000)

struct cel_eval {
	struct cel_run *run;
	struct arena *arena;
	const struct cel_program *program;
	const struct cel_binding *bindings;
	size_t binding_count;
	struct cel_value *locals;
	struct cel_value *called; // values of bindings that are calls, by index; NULL = none asked for yet
	uint64_t cost, limit;
	uint64_t work;
	size_t memory, max_memory;
	bool aborted; // past a limit: every value is an error until the evaluation ends
	enum cel_error_kind abort_kind;
	const char *abort_message;
	struct cel_json_index *indexes; // CEL_INDEX_SLOTS of them, NULL = none yet
};

struct cel_program {
	struct arena *arena;
	struct cel_env *env;
	struct cel_expr *root;
	uint32_t local_count;
	const struct cel_type *type;
	bool *uses; // by variable
	size_t variable_count;
	uint64_t min_cost, max_cost;
};

// --- failing and charging ---------------------------------------------------------------

// An error as a value; the text is cut at 1 KB.
struct cel_value cel_fail(struct cel_eval *eval, const char *format, ...) PRINTF_LIKE(2, 3);
struct cel_value cel_fail_text(const char *constant_text);
struct cel_value cel_no_such_overload(void);
struct cel_value cel_no_such_key(struct cel_eval *eval, const struct cel_value *key);
// "operation cancelled: actual cost limit exceeded", ends the evaluation.
struct cel_value cel_abort(struct cel_eval *eval);
static inline bool cel_is_error(const struct cel_value *value)
{
	return value->kind == CEL_ERROR;
}

// Notes work done; false once there was too much.
bool cel_work(struct cel_eval *eval, uint64_t units);
// Memory of the evaluation, NULL when there was too much: return cel_abort().
void *cel_allocate(struct cel_eval *eval, size_t bytes);
static inline bool cel_charge(struct cel_eval *eval, uint64_t cost)
{
	eval->cost += cost;
	return eval->cost <= eval->limit;
}

// --- making values ----------------------------------------------------------------------------

static inline struct cel_value cel_make_uint(uint64_t value)
{
	return (struct cel_value){.kind = CEL_UINT, .unsigned_integer = value};
}
static inline struct cel_value cel_make_double(double value)
{
	return (struct cel_value){.kind = CEL_DOUBLE, .real = value};
}
static inline struct cel_value cel_make_duration(int64_t nanoseconds)
{
	return (struct cel_value){.kind = CEL_DURATION, .integer = nanoseconds};
}
static inline struct cel_value cel_make_opaque(const struct cel_type *type, const void *opaque)
{
	return (struct cel_value){.kind = CEL_OPAQUE, .type = type, .opaque = opaque};
}
static inline struct cel_value cel_make_type(const struct cel_type *type)
{
	return (struct cel_value){.kind = CEL_TYPE, .type = type};
}
struct cel_value cel_make_bytes(const void *data, size_t length); // borrowed
struct cel_value cel_copy_text(struct cel_eval *eval, const char *text, size_t length);
struct cel_value cel_make_optional(struct cel_eval *eval, struct cel_value value);
extern const struct cel_value cel_optional_none;
static inline bool cel_has_value(const struct cel_value *optional)
{
	return optional->inner != NULL;
}

// A new list with room for `capacity` elements; an error when there is no memory for it.
struct cel_value cel_list_new(struct cel_eval *eval, size_t capacity);
// Appends; *list may move on to other storage and becomes an error when memory is short. Only the list's maker may.
bool cel_list_add(struct cel_eval *eval, struct cel_value *list, struct cel_value item);
struct cel_value cel_list_get(struct cel_eval *eval, const struct cel_value *list, size_t index);
struct cel_value cel_list_concat(struct cel_eval *eval, const struct cel_value *left, const struct cel_value *right);
// The same of lists that are declared as sets or maps.
struct cel_value cel_list_merge(struct cel_eval *eval, const struct cel_value *left, const struct cel_value *right);
bool cel_list_contains(struct cel_eval *eval, const struct cel_value *list, const struct cel_value *item);

struct cel_value cel_map_new(struct cel_eval *eval, size_t capacity);
enum cel_insert {
	CEL_INSERTED,
	CEL_INSERT_EXISTS,
	CEL_INSERT_FAILED, // *map is an error
};
enum cel_insert cel_map_insert(struct cel_eval *eval, struct cel_value *map, struct cel_value key,
                               struct cel_value value);
// False when there is none; *ret_value may be an error of the data.
bool cel_map_find(struct cel_eval *eval, const struct cel_value *map, const struct cel_value *key,
                  struct cel_value *ret_value);
void cel_map_entry(struct cel_eval *eval, const struct cel_value *map, size_t index, struct cel_value *ret_key,
                   struct cel_value *ret_value);
struct cel_value cel_map_extend(struct cel_eval *eval, const struct cel_value *map, struct cel_value key,
                                struct cel_value value);

// The value of a field of an object; false when it isn't there.
bool cel_object_get(struct cel_eval *eval, const struct cel_value *object, const struct cel_text *name,
                    const struct cel_field *declared, struct cel_value *ret_value);
// A member of a JSON object, found by an index when it is large and searched often.
struct json *cel_json_member(struct cel_eval *eval, const struct json *object, const char *key, size_t length);
// The tree as a value of its declared type; texts that don't fit it yield errors.
struct cel_value cel_from_json(struct cel_eval *eval, const struct json *json, const struct cel_type *type);

// --- looking at values --------------------------------------------------------------------------

bool cel_equal(struct cel_eval *eval, const struct cel_value *a, const struct cel_value *b);
// How many: characters, bytes, elements; 1 for what has no size. As costs count it.
uint64_t cel_size(const struct cel_value *value);
size_t cel_count_characters(const char *text, size_t length);
// The character at `text` and its bytes (`length` > 0); UINT32_MAX and 1 where the text is no UTF-8.
size_t cel_decode_rune(const char *text, size_t length, uint32_t *ret_rune);
// -1, 0, 1; false when they can't be compared (then *ret_error says why).
bool cel_compare(const struct cel_value *a, const struct cel_value *b, int *ret_order, struct cel_value *ret_error);
const struct cel_type *cel_type_of(const struct cel_value *value);

// --- costs ------------------------------------------------------------------------------------

uint64_t cel_call_cost(enum cel_cost_rule rule, const struct cel_value *args, unsigned count,
                       const struct cel_value *result);

// --- text of values ---------------------------------------------------------------------------

struct cel_value cel_convert_string(struct cel_eval *eval, const struct cel_value *value);
size_t cel_format_double(double value, char out[400]); // Go's shortest form, 'f' or exponent as strconv 'f'/-1
// As a CEL_TIMESTAMP, which keeps the zone that it was written in.
bool cel_parse_timestamp(const char *text, size_t length, struct cel_value *ret_timestamp);
// In its zone, or in UTC.
size_t cel_format_timestamp(const struct cel_value *timestamp, bool in_zone, char out[48]);
bool cel_parse_date(const char *text, size_t length, int64_t *ret_seconds);
size_t cel_format_duration(int64_t nanoseconds, char out[40]); // "90.5s"

// Opaque values of each library.
bool cel_opaque_equal(struct cel_eval *eval, const struct cel_value *a, const struct cel_value *b);
bool cel_url_equal(const void *a, const void *b);
bool cel_ip_equal(const void *a, const void *b);
bool cel_cidr_equal(const void *a, const void *b);
bool cel_quantity_equal(const void *a, const void *b);
bool cel_semver_equal(const void *a, const void *b);
uint64_t cel_opaque_size(const struct cel_value *value); // what costs count: bytes of an address, text of a URL

// Evaluates a tree (the checker's constants, tests of the planner).
struct cel_value cel_evaluate(struct cel_eval *eval, const struct cel_expr *expr);

// Adds to the cost; the value, or the end of the evaluation.
static inline struct cel_value cel_spend(struct cel_eval *eval, uint64_t cost, struct cel_value value)
{
	return cel_charge(eval, cost) && !eval->aborted ? value : cel_abort(eval);
}

// Names, fields and elements (evaluate_access.c).
struct cel_value cel_eval_ident(struct cel_eval *eval, const struct cel_expr *expr);
struct cel_value cel_eval_select(struct cel_eval *eval, const struct cel_expr *expr);
struct cel_value cel_eval_index(struct cel_eval *eval, const struct cel_expr *expr);
struct cel_value cel_eval_optional_select(struct cel_eval *eval, const struct cel_expr *expr);
bool cel_usable_key(const struct cel_value *key); // of a map
