// SPDX-License-Identifier: Apache-2.0
#pragma once
// What webhook configurations and admission policies share: rules of operations
// and resources, match conditions, and the place where their CEL expressions are
// compiled.

#include "apiserver/validation/rules.h"

void validate_operation_rule(struct validation *v, const struct json *rule, const struct rule_path *path);
void validate_match_conditions(struct validation *v, const struct json *conditions, const struct rule_path *parent);

// Where an expression stands, which says what it may speak of.
enum expression_place {
	EXPRESSION_MATCH_CONDITION,
	EXPRESSION_VARIABLE,
	EXPRESSION_VALIDATION,
	EXPRESSION_MESSAGE,
	EXPRESSION_AUDIT_ANNOTATION,
	EXPRESSION_DEVICE_SELECTOR,
};

// Compiles an expression and adds its errors at `path`. NULL until a compiler is
// set: then every expression that isn't empty passes.
typedef void (*expression_compiler)(struct validation *v, enum expression_place place, const char *expression,
                                    const struct rule_path *path);
void admission_rules_set_compiler(expression_compiler compiler);
void admission_rules_compile(struct validation *v, enum expression_place place, const char *expression,
                             const struct rule_path *path);

bool is_blank(const char *text);
