// SPDX-License-Identifier: Apache-2.0
#pragma once
// The Common Expression Language with Kubernetes' libraries: validation rules of
// custom resources, admission policies, match conditions, authentication
// configuration. An environment declares variables and types, a program is an
// expression compiled against it, and an evaluation runs a program over JSON
// trees without copying them. docs/CEL.md tells the whole story.
//
//   struct cel_env *env = cel_env_new(NULL);
//   const struct cel_type *self = cel_type_from_openapi(env, schema, true);
//   int self_index = cel_env_declare(env, "self", self);
//   struct cel_compile_result compiled;
//   if (cel_compile(env, arena, rule, strlen(rule), &compiled)) … compiled.error
//   …
//   struct cel_binding bindings[1] = {[self_index] = cel_bind_json(object)};
//   struct cel_run run = CEL_RUN_INIT(arena);
//   struct cel_value value;
//   struct cel_error error;
//   if (cel_eval(compiled.program, &run, bindings, 1, &value, &error)) … error.message
//
// Threads: an environment is built by one thread; once it is complete, it and its
// programs are immutable and may be used by many at once. A run, its arena and its
// bindings belong to one thread.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/api/json.h"
#include "common/api/schema.h"
#include "common/base/arena.h"
#include "common/base/macros.h"

struct cel_env;
struct cel_type;
struct cel_program;
struct cel_list;
struct cel_map;
struct cel_object;
struct cel_composition;
struct cel_authorizer;

// Upstream's limits, in cost units.
#define CEL_PER_CALL_LIMIT UINT64_C(1000000)
#define CEL_RUNTIME_BUDGET UINT64_C(10000000) // one object, or one binding of a policy
#define CEL_MATCH_CONDITIONS_BUDGET UINT64_C(2500000)
#define CEL_STATIC_RULE_LIMIT UINT64_C(10000000)   // the estimate of one rule of a CRD
#define CEL_STATIC_CRD_LIMIT UINT64_C(100000000)   // and of all of them
#define CEL_MAX_REQUEST_BYTES INT64_C(3145728)     // what estimates take for the largest object
#define CEL_MESSAGE_MAX_BYTES ((size_t)(5 * 1024)) // the longest text of a messageExpression

// --- environments ------------------------------------------------------------

// What Kubernetes 1.33 takes in new objects (1.32's language, so that a downgrade still
// understands them) and in stored ones (everything).
enum cel_version {
	CEL_VERSION_NEW = 132,
	CEL_VERSION_STORED = 133,
};

struct cel_env_options {
	enum cel_version version; // 0 = CEL_VERSION_NEW
	bool mutation;            // Object{…}, JSONPatch{…} and jsonpatch.escapeKey: mutating policies
	bool heterogeneous;       // list and map literals may mix types (plain CEL, not Kubernetes)
	const char *container;    // names are looked up in it first ("" when NULL)
};

// `options` may be NULL.
struct cel_env *cel_env_new(const struct cel_env_options *options);
struct cel_env *cel_env_ref(struct cel_env *env);
// Frees the environment with its types when the last reference and the last program have gone; accepts NULL, returns
// NULL.
struct cel_env *cel_env_unref(struct cel_env *env);
DEFINE_CLEANUP(struct cel_env *, cel_env_unref)

// Declares a variable (a dotted name is one variable: "authorizer.requestResource") and returns its index in the
// bindings: 0, 1, 2, … in order. Declared twice, the later type counts.
int cel_env_declare(struct cel_env *env, const char *name, const struct cel_type *type);

// --- types -----------------------------------------------------------------------
// They live as long as their environment; the simple ones for ever.

extern const struct cel_type cel_type_dyn, cel_type_null, cel_type_bool, cel_type_int, cel_type_uint, cel_type_double,
        cel_type_string, cel_type_bytes, cel_type_timestamp, cel_type_duration;
// kubernetes.authorization.Authorizer and .ResourceCheck (authorizer.requestResource).
extern const struct cel_type cel_type_authorizer, cel_type_resource_check;

const struct cel_type *cel_type_list(struct cel_env *env, const struct cel_type *element);
const struct cel_type *cel_type_map(struct cel_env *env, const struct cel_type *key, const struct cel_type *value);
const struct cel_type *cel_type_optional(struct cel_env *env, const struct cel_type *value);
// An object type; fields are added until the first expression that uses them is compiled ("variables" grows with each
// variable of a policy). The name is what messages call it. Types with the same name must be one.
struct cel_type *cel_type_object(struct cel_env *env, const char *name);
// `name` as in JSON; it is escaped here (see cel_escape). Names that can't be escaped are left out.
void cel_type_add_field(struct cel_env *env, struct cel_type *object, const char *name, const struct cel_type *type);

// The type of data that an OpenAPI v3 structural schema (the JSON tree of a CRD) describes, with the sizes that the
// cost estimate needs; `resource_root` adds apiVersion, kind, metadata.name and metadata.generateName. NULL when the
// schema isn't visible to expressions (unknown fields, no type). The schema is copied as far as it is needed.
const struct cel_type *cel_type_from_openapi(struct cel_env *env, const struct json *schema, bool resource_root);
// The type of a built-in kind or of a custom resource's table (type checking of policies); `type` must outlive `env`.
const struct cel_type *cel_type_from_schema(struct cel_env *env, const struct schema_type *type);
// The request of an admission review (kubernetes.AdmissionRequest) and the namespaceObject (kubernetes.Namespace: only
// the fields that policies may see).
const struct cel_type *cel_type_admission_request(struct cel_env *env);
const struct cel_type *cel_type_namespace(struct cel_env *env);

bool cel_type_equal(const struct cel_type *a, const struct cel_type *b);
// As messages print it: "list(string)", "map(string, dyn)", "int".
char *cel_type_format(struct arena *arena, const struct cel_type *type);

// How often data of this type can occur in one request (for rules below lists and maps without limits): the factor for
// cel_program_cost. 1 and more.
uint64_t cel_type_max_cardinality(const struct cel_type *type);

// A property's name as an identifier ("a-b" -> "a__dash__b", "namespace" -> "__namespace__"), in the arena; NULL when
// it has none.
char *cel_escape(struct arena *arena, const char *name, size_t length);

// --- programs ------------------------------------------------------------------------

struct cel_compile_result {
	struct cel_program *program; // the caller owns it
	const char *error; // on failure, in the arena: "ERROR: <input>:1:5: …\n | …\n | ....^", all of them
};

// Parses, checks and plans. 0, or -ERR_INVALID with the error's text in `result`.
NODISCARD int cel_compile(struct cel_env *env, struct arena *arena, const char *text, size_t length,
                          struct cel_compile_result *result);
struct cel_program *cel_program_free(struct cel_program *program);
DEFINE_CLEANUP(struct cel_program *, cel_program_free)

// What it yields; dyn when that is only known at run time.
const struct cel_type *cel_program_type(const struct cel_program *program);
// Whether the expression names the variable ("oldSelf": a transition rule).
bool cel_program_uses(const struct cel_program *program, const char *variable);
// The highest cost that it can have, UINT64_MAX when there is no bound.
uint64_t cel_program_max_cost(const struct cel_program *program);
uint64_t cel_program_min_cost(const struct cel_program *program);
// "estimated rule cost exceeds budget by factor of 3.2x (try simplifying the rule, …)" with
// `what` = "estimated rule cost", "estimated messageExpression cost",
// "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"; in the arena.
char *cel_cost_message(struct arena *arena, const char *what, uint64_t cost, uint64_t limit);

// --- values -----------------------------------------------------------------------------

enum cel_kind {
	CEL_NULL,
	CEL_BOOL,
	CEL_INT,
	CEL_UINT,
	CEL_DOUBLE,
	CEL_STRING,
	CEL_BYTES,
	CEL_TIMESTAMP,
	CEL_DURATION,
	CEL_LIST,
	CEL_MAP,
	CEL_OBJECT,
	CEL_OPTIONAL,
	CEL_TYPE,
	CEL_OPAQUE, // URL, IP, CIDR, quantity, semver, named format, authorizer and its parts
	CEL_ERROR,  // inside evaluations only
	CEL_KIND_COUNT_,
};

// A value by value. What it points to lives in the run's arena, in the bound trees or in the program. Read it with the
// functions below; the members are the library's own.
struct cel_value {
	uint8_t kind;                // enum cel_kind
	uint8_t flags;               // how the pointer is to be taken
	int16_t zone_minutes;        // of a timestamp's text, east of UTC
	uint32_t length;             // bytes of text, number of elements, nanoseconds of a timestamp
	const struct cel_type *type; // declared type of a list, map or object; library type of an opaque value
	union {
		bool boolean;
		int64_t integer; // also nanoseconds of a duration, seconds of a timestamp
		uint64_t unsigned_integer;
		double real;
		const char *text;
		const struct json *json;
		struct cel_list *list;
		struct cel_map *map;
		const struct cel_object *object;
		const struct cel_value *inner;
		const void *opaque;
	};
};

static inline enum cel_kind cel_value_kind(const struct cel_value *value)
{
	return (enum cel_kind)value->kind;
}
static inline bool cel_value_is_true(const struct cel_value *value)
{
	return value->kind == CEL_BOOL && value->boolean;
}
// Not terminated by a NUL; NULL for other kinds than CEL_STRING.
static inline const char *cel_value_text(const struct cel_value *value, size_t *ret_length)
{
	*ret_length = value->kind == CEL_STRING ? value->length : 0;
	return value->kind == CEL_STRING ? value->text : NULL;
}

struct cel_value cel_value_bool(bool value);
struct cel_value cel_value_int(int64_t value);
struct cel_value cel_value_string(const char *text, size_t length); // borrowed
struct cel_value cel_value_null(void);
// The tree seen as `type` (NULL = dyn); both are borrowed, the arena takes what must be decoded (bytes).
struct cel_value cel_value_json(struct arena *arena, const struct json *json, const struct cel_type *type);
// optional.none(), or optional.of(value) with the value copied into the arena.
struct cel_value cel_value_optional(struct arena *arena, const struct cel_value *value);

// The name of the value's type: "int", "list", "google.protobuf.Timestamp".
const char *cel_value_type_name(const struct cel_value *value);
// JSON in the arena, sharing what came from bound trees: timestamps and durations as text, bytes in base64, JSONPatch
// and Object values as objects. -ERR_INVALID for what has no JSON form (types, optionals, NaN, opaque values).
NODISCARD int cel_value_to_json(struct arena *arena, const struct cel_value *value, struct json **ret_json,
                                struct err *err);

// --- running --------------------------------------------------------------------------------

enum cel_error_kind {
	CEL_ERROR_NONE,
	CEL_ERROR_EVALUATION, // "no such key: x", "division by zero", …
	CEL_ERROR_COST_LIMIT, // "operation cancelled: actual cost limit exceeded"; also the bound on work and memory
	CEL_ERROR_BUDGET,     // the run's budget is used up by this and earlier calls
};

struct cel_error {
	enum cel_error_kind kind;
	const char *message; // in the run's arena
};

// What several evaluations share: memory, the limit of each, the budget of all.
struct cel_run {
	struct arena *arena;
	uint64_t limit;          // of one call; CEL_PER_CALL_LIMIT
	uint64_t budget;         // what is left for all calls; UINT64_MAX = no budget
	uint64_t cost;           // of the last call
	size_t max_memory_bytes; // of one call, above the arena's content; 0 = 64 MiB
	unsigned depth;          // composed variables within composed variables
};
#define CEL_RUN_INIT(arena_) \
	((struct cel_run){.arena = (arena_), .limit = CEL_PER_CALL_LIMIT, .budget = UINT64_MAX, .max_memory_bytes = 0})

enum cel_binding_kind {
	CEL_BINDING_ABSENT, // using it is an error: "no such attribute(s): x"
	CEL_BINDING_VALUE,
	CEL_BINDING_JSON, // the tree, seen as the declared type
	CEL_BINDING_CALL, // asked for once for each call, when first used
	CEL_BINDING_COMPOSITION,
};

// One variable's value. Everything in it is borrowed for the call.
struct cel_binding {
	enum cel_binding_kind kind;
	union {
		struct cel_value value;
		const struct json *json; // NULL counts as null
		struct {
			// Returns 0, or negative with `error` filled.
			int (*get)(void *context, struct cel_run *run, struct cel_value *ret_value,
			           struct cel_error *error);
			void *context;
		} call;
		struct cel_composition *composition;
	};
};

static inline struct cel_binding cel_bind_json(const struct json *json)
{
	return (struct cel_binding){.kind = CEL_BINDING_JSON, .json = json};
}
static inline struct cel_binding cel_bind_value(struct cel_value value)
{
	return (struct cel_binding){.kind = CEL_BINDING_VALUE, .value = value};
}
static inline struct cel_binding cel_bind_composition(struct cel_composition *composition)
{
	return (struct cel_binding){.kind = CEL_BINDING_COMPOSITION, .composition = composition};
}

// Evaluates; `bindings` stand in the order of declaration, those past `count` are absent. 0 and the value, or
// -ERR_INVALID and the error. run->cost is what it took in either case, run->budget what is left.
NODISCARD int cel_eval(const struct cel_program *program, struct cel_run *run, const struct cel_binding *bindings,
                       size_t count, struct cel_value *ret_value, struct cel_error *error);

// The variables of a policy: an object whose fields are programs, each evaluated when it is first used and then kept.
// They may use each other: later ones those before them. One composition serves the evaluations of one object.
struct cel_composition {
	const struct cel_type *type; // of the object, as it was declared
	const char *const *names;
	const struct cel_program *const *programs;
	size_t count;
	const struct cel_binding *bindings; // for all of them, this composition among them
	size_t binding_count;
	struct cel_composed_value *values; // `count` of them, zeroed, the caller's storage
};

struct cel_composed_value {
	bool known;
	struct cel_value value;
	struct cel_error error;
};

// --- authorization ------------------------------------------------------------------------------

struct cel_authorization_request {
	const char *service_account_namespace; // with the next: ask for that service account, NULL = the request's user
	const char *service_account_name;
	const char *path; // a non-resource request, NULL = a resource
	const char *verb;
	const char *group, *resource, *subresource, *namespace, *name; // "" when not given
	const char *field_selector, *label_selector;                   // NULL = none
};

enum cel_authorization {
	CEL_AUTHORIZATION_DENIED,
	CEL_AUTHORIZATION_NO_OPINION,
	CEL_AUTHORIZATION_ALLOWED,
};

struct cel_authorization_answer {
	enum cel_authorization decision;
	const char *reason; // in the run's arena or constant; NULL = ""
	const char *error;  // NULL = none
};

// Decides at once. `resource_*` is what authorizer.requestResource stands for.
struct cel_authorizer {
	void (*authorize)(void *context, struct arena *arena, const struct cel_authorization_request *request,
	                  struct cel_authorization_answer *ret_answer);
	void *context;
};

// The values of `authorizer` and `authorizer.requestResource`; `authorizer` is borrowed, `resource`'s texts as well.
struct cel_value cel_value_authorizer(const struct cel_authorizer *authorizer);
struct cel_value cel_value_resource_check(struct arena *arena, const struct cel_authorizer *authorizer,
                                          const struct cel_authorization_request *resource);
