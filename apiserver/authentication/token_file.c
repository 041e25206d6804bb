// SPDX-License-Identifier: Apache-2.0
// Static tokens, read once at start. They are looked up by their hash, so that
// the time of a look-up says nothing about how much of a token was right.

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/authentication/authenticators.h"
#include "common/base/encode.h"
#include "common/base/file.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"

enum {
	TOKEN_FILE_MAX_BYTES = 16 << 20,
	TOKEN_FILE_MAX_FIELDS = 4,
	TOKEN_FILE_MAX_GROUPS = 256,
};

struct token_file {
	struct token_authenticator authenticator;
	struct arena *arena;
	struct hashmap *users; // hash of the token → struct user
};

static void hash_text(const char *text, size_t length, char out[2 * EVP_MAX_MD_SIZE + 1])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned digest_length = 0;

	EVP_Digest(text, length, digest, &digest_length, EVP_sha256(), NULL);
	hex_encode(out, digest, digest_length);
}

static enum token_outcome decide(struct token_authenticator *authenticator, struct token_ask *ask)
{
	struct token_file *file = container_of(authenticator, struct token_file, authenticator);
	char hash[2 * EVP_MAX_MD_SIZE + 1];
	const struct user *user;

	hash_text(ask->token, ask->token_length, hash);
	user = hashmap_get(file->users, hash);
	if (!user)
		return TOKEN_UNKNOWN;
	user_copy(ask->arena, user, &ask->user);
	return TOKEN_AUTHENTICATED;
}

static void free_file(struct token_authenticator *authenticator)
{
	struct token_file *file = container_of(authenticator, struct token_file, authenticator);

	hashmap_free(file->users);
	arena_free(file->arena);
	free(file);
}

// One CSV field with its quotes taken off; *cursor moves past the comma.
static char *next_field(struct arena *arena, const char **cursor)
{
	const char *at = *cursor;
	char *field = arena_alloc(arena, strlen(at) + 1), *out = field;
	bool quoted;

	while (*at == ' ')
		at++;
	quoted = *at == '"';
	for (at += quoted; *at && (quoted || *at != ','); at++) {
		if (quoted && *at == '"' && at[1] != '"') {
			quoted = false;
			continue;
		}
		at += quoted && *at == '"';
		*out++ = *at;
	}
	while (out > field && out[-1] == ' ')
		out--;
	*out = '\0';
	*cursor = *at ? at + 1 : NULL;
	return field;
}

static void split_groups(struct arena *arena, const char *text, struct user *user)
{
	const char **groups = ARENA_ARRAY(arena, const char *, TOKEN_FILE_MAX_GROUPS);

	while (*text && user->group_count < TOKEN_FILE_MAX_GROUPS) {
		size_t length = strcspn(text, ",");

		if (length)
			groups[user->group_count++] = arena_strndup(arena, text, length);
		text += length + (text[length] == ',');
	}
	user->groups = groups;
}

static int add_line(struct token_file *file, const char *name, int number, const char *line, struct err *err)
{
	char *fields[TOKEN_FILE_MAX_FIELDS] = {0}, hash[2 * EVP_MAX_MD_SIZE + 1];
	struct user *user = ARENA_NEW(file->arena, struct user);
	size_t count = 0;

	for (const char *cursor = line; cursor && count < TOKEN_FILE_MAX_FIELDS; count++)
		fields[count] = next_field(file->arena, &cursor);
	if (count < 3)
		return err_set(err, ERR_PARSE,
		               "token file '%s' must have at least 3 columns (token, user name, user uid), line %d",
		               name, number);
	if (!fields[0][0])
		return err_set(err, ERR_PARSE, "token file '%s' has an empty token in line %d", name, number);
	*user = (struct user){.name = fields[1], .uid = fields[2]};
	if (fields[3])
		split_groups(file->arena, fields[3], user);
	hash_text(fields[0], strlen(fields[0]), hash);
	hashmap_put(file->users, hash, user);
	return 0;
}

int token_file_new(const char *name, struct token_authenticator **ret_authenticator, struct err *err)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(TOKEN_FILE_MAX_BYTES);
	struct token_file *file;
	char *save = NULL;
	int number = 0, r = file_read(name, &text, err);

	if (r < 0)
		return r;
	file = NEW(struct token_file);
	file->authenticator = (struct token_authenticator){.name = "tokenfile", .decide = decide, .free = free_file};
	file->arena = arena_new(4096);
	file->users = hashmap_new(NULL);
	for (char *line = strtok_r(text.data, "\r\n", &save); r == 0 && line; line = strtok_r(NULL, "\r\n", &save)) {
		number++;
		if (line[0] != '#')
			r = add_line(file, name, number, line, err);
	}
	if (r < 0)
		free_file(&file->authenticator);
	else
		*ret_authenticator = &file->authenticator;
	return r;
}
