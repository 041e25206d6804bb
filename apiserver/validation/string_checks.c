// SPDX-License-Identifier: Apache-2.0
// Hand-written matchers for the few patterns there are, with the sentences that
// upstream makes of each.

#include "apiserver/validation/string_checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_COMPLAINTS = 6,
};

struct complaints {
	const char *text[MAX_COMPLAINTS];
	size_t count;
};

static void complain(struct complaints *complaints, const char *text)
{
	if (complaints->count < MAX_COMPLAINTS)
		complaints->text[complaints->count++] = text;
}

static const char *complaint_at(const struct complaints *complaints, size_t index)
{
	return index < complaints->count ? complaints->text[index] : NULL;
}

static void complain_length(struct complaints *complaints, struct arena *arena, const char *text, size_t maximum)
{
	if (strlen(text) > maximum)
		complain(complaints, arena_printf(arena, "must be no more than %zu characters", maximum));
}

// --- character classes ------------------------------------------------------------------------

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower_alphanumeric(char c)
{
	return is_lower(c) || is_digit(c);
}

static bool is_alphanumeric(char c)
{
	return is_lower_alphanumeric(c) || (c >= 'A' && c <= 'Z');
}

// Ends are lower-case alphanumeric, the middle may hold `inner` too.
static bool matches_lower(const char *text, size_t length, const char *inner)
{
	if (!length || !is_lower_alphanumeric(text[0]) || !is_lower_alphanumeric(text[length - 1]))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!is_lower_alphanumeric(text[i]) && !strchr(inner, text[i]))
			return false;
	return true;
}

static bool matches_any_case(const char *text, size_t length)
{
	if (!length || !is_alphanumeric(text[0]) || !is_alphanumeric(text[length - 1]))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!is_alphanumeric(text[i]) && !strchr("-_.", text[i]))
			return false;
	return true;
}

static bool matches_subdomain(const char *text, const char *inner)
{
	while (true) {
		size_t length = strcspn(text, ".");

		if (!matches_lower(text, length, inner))
			return false;
		if (!text[length])
			return true;
		text += length + 1;
	}
}

bool is_dns_label(const char *text)
{
	size_t length = strlen(text);

	return length <= 63 && matches_lower(text, length, "-");
}

bool is_dns_subdomain(const char *text)
{
	return strlen(text) <= 253 && matches_subdomain(text, "-");
}

// --- the formats ---------------------------------------------------------------------------------

#define LABEL_PATTERN "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define SUBDOMAIN_PATTERN LABEL_PATTERN "(\\." LABEL_PATTERN ")*"

const char *check_dns_label(struct arena *arena, const char *text, size_t index)
{
	struct complaints complaints = {0};

	complain_length(&complaints, arena, text, 63);
	if (!matches_lower(text, strlen(text), "-")) {
		if (matches_subdomain(text, "-"))
			complain(&complaints, "must not contain dots");
		else
			complain(
			        &complaints,
			        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
			        "and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', "
			        "regex used for validation is '" LABEL_PATTERN "')");
	}
	return complaint_at(&complaints, index);
}

const char *check_dns_subdomain(struct arena *arena, const char *text, size_t index)
{
	struct complaints complaints = {0};

	complain_length(&complaints, arena, text, 253);
	if (!matches_subdomain(text, "-"))
		complain(&complaints,
		         "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
		         "'.', "
		         "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
		         "validation is '" SUBDOMAIN_PATTERN "')");
	return complaint_at(&complaints, index);
}

const char *check_search_domain(struct arena *arena, const char *text, size_t index)
{
	struct complaints complaints = {0};
	char *copy = arena_strdup(arena, text);
	size_t length = strlen(copy);

	if (length > 1 && copy[length - 1] == '.')
		copy[length - 1] = '\0';
	complain_length(&complaints, arena, copy, 253);
	for (char *c = copy; *c; c++)
		if (*c == '_')
			*c = 'a';
	if (strcmp(copy, ".") && !matches_subdomain(copy, "-"))
		complain(&complaints,
		         "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
		         "'_', '-' or '.', and must start and end with an alphanumeric character (e.g. "
		         "'example.com', regex used for validation is '" SUBDOMAIN_PATTERN "')");
	return complaint_at(&complaints, index);
}

const char *check_dns_1035_label(struct arena *arena, const char *text, size_t index)
{
	struct complaints complaints = {0};

	complain_length(&complaints, arena, text, 63);
	if (!is_lower(text[0]) || !matches_lower(text, strlen(text), "-"))
		complain(&complaints,
		         "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
		         "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
		         "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')");
	return complaint_at(&complaints, index);
}

const char *check_wildcard_subdomain(struct arena *arena, const char *text, size_t index)
{
	struct complaints complaints = {0};

	complain_length(&complaints, arena, text, 253);
	if (strncmp(text, "*.", 2) || !matches_subdomain(text + 2, "-"))
		complain(&complaints,
		         "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which "
		         "must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric "
		         "character (e.g. '*.example.com', regex used for validation is '\\*\\." SUBDOMAIN_PATTERN
		         "')");
	return complaint_at(&complaints, index);
}

#define QUALIFIED_PATTERN "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

static void complain_prefix(struct complaints *complaints, struct arena *arena, const char *prefix)
{
	const char *complaint;

	if (!prefix[0]) {
		complain(complaints, "prefix part must be non-empty");
		return;
	}
	for (size_t i = 0; (complaint = check_dns_subdomain(arena, prefix, i)); i++)
		complain(complaints, arena_printf(arena, "prefix part %s", complaint));
}

const char *check_qualified_name(struct arena *arena, const char *text, size_t index)
{
	struct complaints complaints = {0};
	const char *slash = strchr(text, '/');
	const char *name = slash ? slash + 1 : text;

	if (slash && strchr(name, '/')) {
		complain(
		        &complaints,
		        "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and "
		        "end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used "
		        "for validation is '" QUALIFIED_PATTERN
		        "') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')");
		return complaint_at(&complaints, index);
	}
	if (slash)
		complain_prefix(&complaints, arena, arena_strndup(arena, text, (size_t)(slash - text)));
	if (!name[0])
		complain(&complaints, "name part must be non-empty");
	else if (strlen(name) > 63)
		complain(&complaints, "name part must be no more than 63 characters");
	if (!matches_any_case(name, strlen(name)))
		complain(&complaints,
		         "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
		         "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
		         "validation is '" QUALIFIED_PATTERN "')");
	return complaint_at(&complaints, index);
}

bool is_qualified_name(const char *text)
{
	struct arena *arena = arena_new(0);
	bool valid = !check_qualified_name(arena, text, 0);

	arena_free(arena);
	return valid;
}

const char *check_label_value(struct arena *arena, const char *text, size_t index)
{
	struct complaints complaints = {0};

	complain_length(&complaints, arena, text, 63);
	if (text[0] && !matches_any_case(text, strlen(text)))
		complain(
		        &complaints,
		        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
		        "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
		        "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')");
	return complaint_at(&complaints, index);
}

const char *check_config_key(struct arena *arena, const char *text, size_t index)
{
	struct complaints complaints = {0};
	size_t i = 0;

	complain_length(&complaints, arena, text, 253);
	while (is_alphanumeric(text[i]) || (text[i] && strchr("-._", text[i])))
		i++;
	if (!i || text[i])
		complain(&complaints, "a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
		                      "(e.g. 'key.name',  "
		                      "or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')");
	if (!strcmp(text, "."))
		complain(&complaints, "must not be '.'");
	else if (!strcmp(text, ".."))
		complain(&complaints, "must not be '..'");
	else if (!strncmp(text, "..", 2))
		complain(&complaints, "must not start with '..'");
	return complaint_at(&complaints, index);
}

const char *check_env_name(struct arena *arena, const char *text, size_t index)
{
	struct complaints complaints = {0};
	bool valid = text[0] != '\0';

	(void)arena;
	for (const char *c = text; *c; c++)
		if (*c < 0x20 || *c > 0x7e || *c == '=')
			valid = false;
	if (!valid)
		complain(&complaints,
		         "a valid environment variable name must consist only of printable ASCII characters "
		         "other than '='");
	return complaint_at(&complaints, index);
}

const char *check_port_name(struct arena *arena, const char *text, size_t index)
{
	struct complaints complaints = {0};
	size_t length = strlen(text);
	bool plain = true, letter = false;

	(void)arena;
	for (const char *c = text; *c; c++) {
		plain &= is_lower_alphanumeric(*c) || *c == '-';
		letter |= is_lower(*c);
	}
	if (length > 15)
		complain(&complaints, "must be no more than 15 characters");
	if (!plain)
		complain(&complaints, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
	if (!letter)
		complain(&complaints, "must contain at least one letter (a-z)");
	if (strstr(text, "--"))
		complain(&complaints, "must not contain consecutive hyphens");
	if (length && (text[0] == '-' || text[length - 1] == '-'))
		complain(&complaints, "must not begin or end with a hyphen");
	return complaint_at(&complaints, index);
}

const char *check_path_segment(struct arena *arena, const char *text, size_t index)
{
	struct complaints complaints = {0};

	(void)arena;
	if (!strcmp(text, "."))
		complain(&complaints, "may not be '.'");
	if (!strcmp(text, ".."))
		complain(&complaints, "may not be '..'");
	if (strchr(text, '/'))
		complain(&complaints, "may not contain '/'");
	if (strchr(text, '%'))
		complain(&complaints, "may not contain '%'");
	return complaint_at(&complaints, index);
}

const char *check_http_header_name(struct arena *arena, const char *text, size_t index)
{
	struct complaints complaints = {0};
	const char *c = text;

	(void)arena;
	while (is_alphanumeric(*c) || *c == '-')
		c++;
	if (*c || c == text)
		complain(&complaints, "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. "
		                      "'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')");
	return complaint_at(&complaints, index);
}

#define HTTP_PATH_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-._~%!$&'()*+,;=:"

const char *check_domain_prefixed_path(struct arena *arena, const char *text, size_t index)
{
	struct complaints complaints = {0};
	const char *slash = strchr(text, '/'), *complaint;

	if (!slash || slash == text || !slash[1]) {
		complain(&complaints, "must be a domain-prefixed path (such as \"acme.io/foo\")");
		return complaint_at(&complaints, index);
	}
	for (size_t i = 0;
	     (complaint = check_dns_subdomain(arena, arena_strndup(arena, text, (size_t)(slash - text)), i)); i++)
		complain(&complaints, complaint);
	if (slash[1 + strspn(slash + 1, HTTP_PATH_CHARACTERS)])
		complain(&complaints, "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')");
	return complaint_at(&complaints, index);
}

const char *check_fully_qualified_name(struct arena *arena, const char *text, size_t index)
{
	const char *complaint = NULL;
	size_t dots = 0;

	for (const char *c = text; *c; c++)
		dots += *c == '.';
	for (size_t i = 0; check_dns_subdomain(arena, text, i); i++)
		complaint = complaint ? arena_printf(arena, "%s,%s", complaint, check_dns_subdomain(arena, text, i))
		                      : check_dns_subdomain(arena, text, i);
	if (!complaint && dots < 2)
		complaint = "should be a domain with at least three segments separated by dots";
	return index ? NULL : complaint;
}

const char *check_signer_name(struct arena *arena, const char *text, size_t index)
{
	enum {
		DOMAIN_MAX = 253,
		PATH_MAX_LENGTH = 63 + 1 + 253,
	};
	struct complaints complaints = {0};
	const char *slash = strchr(text, '/'), *complaint;
	const char *domain = slash ? arena_strndup(arena, text, (size_t)(slash - text)) : text;

	if (!slash || strchr(slash + 1, '/')) {
		complain(&complaints,
		         "must be a fully qualified domain and path of the form 'example.com/signer-name'");
		return complaint_at(&complaints, index);
	}
	for (size_t i = 0; (complaint = check_dns_subdomain(arena, domain, i)); i++)
		complain(&complaints, complaint);
	if (!strchr(domain, '.'))
		complain(&complaints, "should be a domain with at least two segments separated by dots");
	if (strlen(text) > DOMAIN_MAX + 1 + PATH_MAX_LENGTH)
		complain(&complaints,
		         arena_printf(arena, "must be no more than %d characters", DOMAIN_MAX + 1 + PATH_MAX_LENGTH));
	for (size_t i = 0; (complaint = check_dns_subdomain(arena, slash + 1, i)); i++)
		complain(&complaints, complaint);
	return complaint_at(&complaints, index);
}

const char *check_c_identifier(struct arena *arena, const char *text, size_t index)
{
	bool valid = (is_alphanumeric(text[0]) && !is_digit(text[0])) || text[0] == '_';

	(void)arena;
	for (const char *c = text; *c; c++)
		valid &= is_alphanumeric(*c) || *c == '_';
	return index || valid
	               ? NULL
	               : "a valid C identifier must start with alphabetic character or '_', followed by a string "
	                 "of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex "
	                 "used for validation is '[A-Za-z_][A-Za-z0-9_]*')";
}

const char *check_condition_reason(struct arena *arena, const char *text, size_t index)
{
	size_t length = strlen(text);
	bool valid = length && is_alphanumeric(text[0]) && !is_digit(text[0]) &&
	             (length == 1 || is_alphanumeric(text[length - 1]) || text[length - 1] == '_');

	(void)arena;
	for (const char *c = text; *c; c++)
		valid &= is_alphanumeric(*c) || strchr("_,:", *c);
	return index || valid
	               ? NULL
	               : "a condition reason must start with alphabetic character, optionally followed by a string of "
	                 "alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. "
	                 "'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex "
	                 "used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";
}

const char *check_annotation_key(struct arena *arena, const char *text, size_t index)
{
	char *lower = arena_strdup(arena, text);

	for (char *c = lower; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return check_qualified_name(arena, lower, index);
}

bool is_one_of(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(text, *list))
			return true;
	return false;
}

bool has_dot_dot(const char *path)
{
	while (*path) {
		size_t length = strcspn(path, "/");

		if (length == 2 && !strncmp(path, "..", 2))
			return true;
		path += length + (path[length] == '/');
	}
	return false;
}

bool is_local_path(const char *text)
{
	return text[0] != '/' && !has_dot_dot(text);
}

bool is_percent(const char *text, int *ret_value)
{
	char *end;
	long value;

	if (!is_digit(text[0]))
		return false;
	value = strtol(text, &end, 10);
	if (strcmp(end, "%") || value > 1000000)
		return false;
	*ret_value = (int)value;
	return true;
}
