// SPDX-License-Identifier: Apache-2.0
#pragma once
// May this user do this? The authorizers of --authorization-mode (or of the
// structured configuration) in their order: the first that allows or denies
// decides, one without an opinion passes on, and nobody's opinion is no.
//
// Everything that requests, admission plug-ins and expressions ask goes through
// here. A decision needs no waiting but where a webhook has to be asked.

#include "apiserver/authentication/user.h"
#include "common/base/err.h"

struct loop;
struct request;
struct server;

// One requirement of a field or label selector: In, NotIn (fields have these two), Exists, DoesNotExist.
struct authorization_requirement {
	const char *key;
	const char *operator;
	const char *const *values;
	size_t value_count;
};

struct authorization_attributes {
	const char *verb; // "get", "list", …; of paths the lower-case method
	bool is_resource;
	const char *path;                                     // when it is no resource
	const char *group, *version, *resource, *subresource; // "" where there is none
	const char *namespace_name, *name;                    // likewise
	const struct authorization_requirement *field_requirements;
	size_t field_requirement_count;
	const struct authorization_requirement *label_requirements;
	size_t label_requirement_count;
};

enum authorization_decision {
	AUTHORIZATION_NO_OPINION,
	AUTHORIZATION_ALLOWED,
	AUTHORIZATION_DENIED,
};

struct authorization_answer {
	enum authorization_decision decision;
	const char *reason; // never NULL; in the arena or constant
	const char *error;  // evaluation errors; NULL = none
};

// The decision at once; thread-safe. A webhook counts with what it said lately; where it would have to
// be asked it has no opinion (`error` says so): who can wait uses authorization_ask.
void authorize_attributes(struct server *server, struct arena *arena, const struct user *user,
                          const struct authorization_attributes *attributes, struct authorization_answer *ret_answer);
static inline bool authorization_allows(const struct authorization_answer *answer)
{
	return answer->decision == AUTHORIZATION_ALLOWED;
}

// The same for callers that can wait. Everything pointed to must live until `done`, which comes
// exactly once on `loop`, possibly from within the call.
struct authorization_ask {
	struct server *server;
	struct loop *loop;
	struct arena *arena;
	const struct user *user;
	const struct authorization_attributes *attributes;
	void (*done)(struct authorization_ask *ask, const struct authorization_answer *answer);
	void *context; // the caller's
	// --- kept by the chain ---
	size_t next;
	const char *reasons;
	const char *errors;
};
void authorization_ask(struct authorization_ask *ask);

// Selectors as requests have them, for the two requirement lists; text that doesn't parse gives none.
void authorization_parse_field_selector(struct arena *arena, const char *text,
                                        struct authorization_attributes *attributes);
void authorization_parse_label_selector(struct arena *arena, const char *text,
                                        struct authorization_attributes *attributes);

// What a request asks for; `verb` NULL: its own.
void authorization_attributes_of(struct request *request, const char *verb,
                                 struct authorization_attributes *ret_attributes);

// The text of a refusal, in upstream's words.
const char *authorization_refusal(struct arena *arena, const struct user *user,
                                  const struct authorization_attributes *attributes, const char *reason);
