// SPDX-License-Identifier: Apache-2.0
//
//   claims ─► claimValidationRules ─► claimMappings ─► user ─► userValidationRules
//
// An expression sees `claims`, the rules of users `user`. A user name out of the
// claim email counts only while email_verified isn't false.

#include "apiserver/authentication/claim_rules.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/cel/cel.h"

enum {
	CLAIM_MAX_RULES = 64,
};

// A claim with a prefix, or an expression.
struct mapping {
	const char *claim;
	const char *prefix;
	struct cel_program *program;
};

struct validation_rule {
	const char *claim; // required to be `value`; NULL: an expression
	const char *value;
	struct cel_program *program;
	const char *message;
};

struct extra_mapping {
	const char *key;
	struct cel_program *program;
};

struct claim_rules {
	struct arena *arena;
	struct cel_env *claims_env;
	struct cel_env *user_env;
	struct mapping username, groups, uid;
	struct extra_mapping extra[CLAIM_MAX_RULES];
	size_t extra_count;
	struct validation_rule claim_rules[CLAIM_MAX_RULES];
	size_t claim_rule_count;
	struct validation_rule user_rules[CLAIM_MAX_RULES];
	size_t user_rule_count;
};

// --- reading the configuration -----------------------------------------------------------------

static int compile(struct claim_rules *rules, struct cel_env *env, const struct json *from, const char *member,
                   struct cel_program **ret_program, struct err *err)
{
	const char *text = json_get_text(from, member);
	struct cel_compile_result result = {0};

	*ret_program = NULL;
	if (text_is_empty(text))
		return 0;
	if (cel_compile(env, rules->arena, text, strlen(text), &result) < 0)
		return err_set(err, ERR_INVALID, "%s: %.180s", member, result.error);
	*ret_program = result.program;
	return 0;
}

static int read_mapping(struct claim_rules *rules, const struct json *from, struct mapping *ret_mapping,
                        struct err *err)
{
	ret_mapping->claim = arena_strdup(rules->arena, json_get_text(from, "claim"));
	ret_mapping->prefix = arena_strdup(rules->arena, text_or_empty(json_get_text(from, "prefix")));
	return compile(rules, rules->claims_env, from, "expression", &ret_mapping->program, err);
}

static int read_rules(struct claim_rules *rules, struct cel_env *env, const struct json *list,
                      struct validation_rule *rows, size_t *count, struct err *err)
{
	int r = 0;

	json_for_each_item (item, list) {
		struct validation_rule *row = &rows[*count];

		if (r < 0 || *count == CLAIM_MAX_RULES)
			break;
		row->claim = arena_strdup(rules->arena, json_get_text(item, "claim"));
		row->value = arena_strdup(rules->arena, text_or_empty(json_get_text(item, "requiredValue")));
		row->message = arena_strdup(rules->arena, text_or_empty(json_get_text(item, "message")));
		r = compile(rules, env, item, "expression", &row->program, err);
		(*count)++;
	}
	return r;
}

static int read_extra(struct claim_rules *rules, const struct json *list, struct err *err)
{
	int r = 0;

	json_for_each_item (item, list) {
		struct extra_mapping *row = &rules->extra[rules->extra_count];

		if (r < 0 || rules->extra_count == CLAIM_MAX_RULES)
			break;
		row->key = arena_strdup(rules->arena, text_or_empty(json_get_text(item, "key")));
		r = compile(rules, rules->claims_env, item, "valueExpression", &row->program, err);
		rules->extra_count += r == 0;
	}
	return r;
}

int claim_rules_new(const struct json *config, struct claim_rules **ret_rules, struct err *err)
{
	struct claim_rules *rules = NEW(struct claim_rules);
	const struct json *mappings = json_get(config, "claimMappings");
	int r;

	rules->arena = arena_new(2048);
	rules->claims_env = cel_env_new(NULL);
	rules->user_env = cel_env_new(NULL);
	cel_env_declare(rules->claims_env, "claims", cel_type_map(rules->claims_env, &cel_type_string, &cel_type_dyn));
	cel_env_declare(rules->user_env, "user", &cel_type_dyn);
	r = read_mapping(rules, json_get(mappings, "username"), &rules->username, err);
	if (r == 0 && !rules->username.claim && !rules->username.program)
		r = err_set(err, ERR_INVALID,
		            "claimMappings.username: Required value: claim or expression is required");
	if (r == 0)
		r = read_mapping(rules, json_get(mappings, "groups"), &rules->groups, err);
	if (r == 0)
		r = read_mapping(rules, json_get(mappings, "uid"), &rules->uid, err);
	if (r == 0)
		r = read_extra(rules, json_get(mappings, "extra"), err);
	if (r == 0)
		r = read_rules(rules, rules->claims_env, json_get(config, "claimValidationRules"), rules->claim_rules,
		               &rules->claim_rule_count, err);
	if (r == 0)
		r = read_rules(rules, rules->user_env, json_get(config, "userValidationRules"), rules->user_rules,
		               &rules->user_rule_count, err);
	if (r < 0)
		claim_rules_free(rules);
	else
		*ret_rules = rules;
	return r;
}

static void free_programs(struct validation_rule *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		cel_program_free(rows[i].program);
}

struct claim_rules *claim_rules_free(struct claim_rules *rules)
{
	if (!rules)
		return NULL;
	cel_program_free(rules->username.program);
	cel_program_free(rules->groups.program);
	cel_program_free(rules->uid.program);
	for (size_t i = 0; i < rules->extra_count; i++)
		cel_program_free(rules->extra[i].program);
	free_programs(rules->claim_rules, rules->claim_rule_count);
	free_programs(rules->user_rules, rules->user_rule_count);
	cel_env_unref(rules->claims_env);
	cel_env_unref(rules->user_env);
	arena_free(rules->arena);
	free(rules);
	return NULL;
}

// --- a token's claims ---------------------------------------------------------------------------------

// The value as JSON; NULL and the error.
static const struct json *evaluate(const struct cel_program *program, struct arena *arena, const struct json *input,
                                   const char **ret_error)
{
	struct cel_run run = CEL_RUN_INIT(arena);
	struct cel_binding binding = cel_bind_json(input);
	struct cel_value value;
	struct cel_error error = {0};
	struct json *result = NULL;

	if (cel_eval(program, &run, &binding, 1, &value, &error) < 0) {
		*ret_error = error.message;
		return NULL;
	}
	if (cel_value_to_json(arena, &value, &result, NULL) < 0)
		*ret_error = "the expression has no value";
	return result;
}

static const struct json *map_value(const struct mapping *mapping, struct arena *arena, const struct json *claims,
                                    const char **ret_error)
{
	if (mapping->program)
		return evaluate(mapping->program, arena, claims, ret_error);
	return mapping->claim ? json_get(claims, mapping->claim) : NULL;
}

// A text or a list of them; anything else is an error.
static bool read_texts(struct arena *arena, const struct json *value, const char *prefix, const char *const **ret_texts,
                       size_t *ret_count)
{
	const char **texts = ARENA_ARRAY(arena, const char *, (json_is(value, JSON_ARRAY) ? value->length : 0) + 1);

	*ret_texts = texts;
	*ret_count = 0;
	if (json_text(value))
		texts[(*ret_count)++] = arena_printf(arena, "%s%s", prefix, json_text(value));
	json_for_each_item (item, value) {
		if (!json_text(item))
			return false;
		texts[(*ret_count)++] = arena_printf(arena, "%s%s", prefix, json_text(item));
	}
	return json_text(value) || json_is(value, JSON_ARRAY) || !value || json_is_null(value);
}

static const char *check_claims(const struct claim_rules *rules, struct arena *arena, const struct json *claims)
{
	for (size_t i = 0; i < rules->claim_rule_count; i++) {
		const struct validation_rule *rule = &rules->claim_rules[i];
		const char *value = rule->claim ? json_get_text(claims, rule->claim) : NULL, *error = NULL;
		const struct json *result;

		if (rule->claim && (!value || strcmp(value, rule->value) != 0))
			return arena_printf(arena, "oidc: claim %s does not have its required value", rule->claim);
		if (!rule->program)
			continue;
		result = evaluate(rule->program, arena, claims, &error);
		if (!json_is(result, JSON_BOOL) || !result->boolean)
			return arena_printf(arena, "oidc: %s",
			                    error              ? error
			                    : rule->message[0] ? rule->message
			                                       : "a claim validation rule was not satisfied");
	}
	return NULL;
}

static const char *map_username(const struct claim_rules *rules, struct arena *arena, const struct json *claims,
                                struct user *user)
{
	const struct json *verified = json_get(claims, "email_verified"), *value;
	const char *error = NULL;

	value = map_value(&rules->username, arena, claims, &error);
	if (error || text_is_empty(json_text(value)))
		return arena_printf(arena, "oidc: could not find the user name: %s",
		                    error ? error : "claim not present");
	if (rules->username.claim && !strcmp(rules->username.claim, "email") && verified &&
	    !(json_is(verified, JSON_BOOL) && verified->boolean))
		return "oidc: email not verified";
	user->name = arena_printf(arena, "%s%s", rules->username.prefix, json_text(value));
	return NULL;
}

static const char *map_rest(const struct claim_rules *rules, struct arena *arena, const struct json *claims,
                            struct user *user)
{
	struct user_extra *extra = ARENA_ARRAY(arena, struct user_extra, rules->extra_count + 1);
	const struct json *value;
	const char *error = NULL;

	value = map_value(&rules->groups, arena, claims, &error);
	if (error || !read_texts(arena, value, rules->groups.prefix, &user->groups, &user->group_count))
		return arena_printf(arena, "oidc: groups: %s", error ? error : "not a text or a list of texts");
	value = map_value(&rules->uid, arena, claims, &error);
	if (error)
		return arena_printf(arena, "oidc: uid: %s", error);
	user->uid = json_text(value);
	user->extra = extra;
	for (size_t i = 0; i < rules->extra_count; i++) {
		struct user_extra *row = &extra[user->extra_count];

		value = rules->extra[i].program ? evaluate(rules->extra[i].program, arena, claims, &error) : NULL;
		if (error || !read_texts(arena, value, "", &row->values, &row->value_count))
			return arena_printf(arena, "oidc: extra %s: %s", rules->extra[i].key,
			                    error ? error : "not a text or a list of texts");
		row->key = rules->extra[i].key;
		user->extra_count += row->value_count > 0;
	}
	return NULL;
}

static const char *check_user(const struct claim_rules *rules, struct arena *arena, const struct user *user)
{
	const struct json *info = user_to_json(arena, user);

	for (size_t i = 0; i < rules->user_rule_count; i++) {
		const struct validation_rule *rule = &rules->user_rules[i];
		const char *error = NULL;
		const struct json *result = rule->program ? evaluate(rule->program, arena, info, &error) : NULL;

		if (!json_is(result, JSON_BOOL) || !result->boolean)
			return arena_printf(arena, "oidc: %s",
			                    error              ? error
			                    : rule->message[0] ? rule->message
			                                       : "a user validation rule was not satisfied");
	}
	return NULL;
}

const char *claim_rules_apply(const struct claim_rules *rules, struct arena *arena, const struct json *claims,
                              struct user *ret_user)
{
	const char *error = check_claims(rules, arena, claims);
	struct user user = {0};

	if (!error)
		error = map_username(rules, arena, claims, &user);
	if (!error)
		error = map_rest(rules, arena, claims, &user);
	if (!error)
		error = check_user(rules, arena, &user);
	if (!error)
		*ret_user = user;
	return error;
}
