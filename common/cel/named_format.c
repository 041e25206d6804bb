// SPDX-License-Identifier: Apache-2.0
//
// format.named('dns1123Label') and format.dns1123Label(): a value whose validate() yields
// what is wrong with a text, in upstream's words, or nothing.
#include <stdio.h>
#include <string.h>

#include "common/base/encode.h"
#include "common/cel/evaluate.h"
#include "common/cel/url.h"

struct complaints {
	struct cel_eval *eval;
	struct cel_value list; // of texts
};

struct named_format {
	const char *name;
	const char *function;  // "format.dns1123Label"
	unsigned pattern_size; // what its cost takes for the pattern's length
	bool prefix;
	void (*check)(struct complaints *complaints, const struct named_format *format, const struct cel_value *text);
};

static void complain(struct complaints *complaints, const char *text)
{
	if (complaints->list.kind == CEL_LIST)
		(void)cel_list_add(complaints->eval, &complaints->list, cel_value_string(text, strlen(text)));
}

static bool is_lower(char character)
{
	return character >= 'a' && character <= 'z';
}

static bool is_digit(char character)
{
	return character >= '0' && character <= '9';
}

static bool is_alphanumeric(char character)
{
	return is_lower(character) || is_digit(character) || (character >= 'A' && character <= 'Z');
}

// --- DNS names -------------------------------------------------------------------------

// Labels of [a-z0-9-], one or several; the first character a letter where `letter_first`.
static bool dns_shape(const char *text, size_t length, bool dots, bool letter_first)
{
	bool begins = true;
	for (size_t i = 0; i < length; i++) {
		bool ends = i + 1 == length || (dots && text[i + 1] == '.');
		bool letter = is_lower(text[i]) || (is_digit(text[i]) && !(letter_first && begins));
		if (dots && text[i] == '.' && !begins) {
			begins = true;
			if (i + 1 == length)
				return false;
			continue;
		}
		if (!letter && (text[i] != '-' || begins || ends))
			return false;
		begins = false;
	}
	return length > 0;
}

struct dns_rule {
	bool dots, letter_first;
	size_t longest;
	const char *too_long, *wrong;
};

static const struct dns_rule label_rule = {
        .longest = 63,
        .too_long = "must be no more than 63 characters",
        .wrong = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
                 "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
                 "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
};

static const struct dns_rule subdomain_rule = {
        .dots = true,
        .longest = 253,
        .too_long = "must be no more than 253 characters",
        .wrong = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
                 "must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
                 "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
};

static const struct dns_rule label_1035_rule = {
        .letter_first = true,
        .longest = 63,
        .too_long = "must be no more than 63 characters",
        .wrong = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
                 "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
                 "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
};

// A prefix is to be completed: a dash at its end doesn't stay there.
static void check_dns(struct complaints *complaints, const struct cel_value *text, bool prefix,
                      const struct dns_rule *rule)
{
	char masked[260];
	const char *name = text->text;
	size_t length = text->length;
	if (prefix && length > 1 && name[length - 1] == '-' && length < sizeof(masked)) {
		memcpy(masked, name, length - 2);
		masked[length - 2] = 'a';
		name = masked;
		length--;
	}
	if (length > rule->longest)
		complain(complaints, rule->too_long);
	if (dns_shape(name, length, rule->dots, rule->letter_first))
		return;
	bool only_dots = rule == &label_rule && dns_shape(name, length, true, false);
	complain(complaints, only_dots ? "must not contain dots" : rule->wrong);
}

static void check_label(struct complaints *complaints, const struct named_format *format, const struct cel_value *text)
{
	check_dns(complaints, text, format->prefix, &label_rule);
}

static void check_subdomain(struct complaints *complaints, const struct named_format *format,
                            const struct cel_value *text)
{
	check_dns(complaints, text, format->prefix, &subdomain_rule);
}

static void check_label_1035(struct complaints *complaints, const struct named_format *format,
                             const struct cel_value *text)
{
	check_dns(complaints, text, format->prefix, &label_1035_rule);
}

// --- names and values of labels -------------------------------------------------------------

static bool name_shape(const char *text, size_t length)
{
	if (length == 0 || !is_alphanumeric(text[0]) || !is_alphanumeric(text[length - 1]))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!is_alphanumeric(text[i]) && text[i] != '-' && text[i] != '_' && text[i] != '.')
			return false;
	return true;
}

static void check_qualified_name(struct complaints *complaints, const struct named_format *format,
                                 const struct cel_value *text)
{
	const char *slash = text->length ? memchr(text->text, '/', text->length) : NULL, *name = text->text;
	static const char shape[] =
	        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
	        "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
	        "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
	(void)format;
	if (slash && memchr(slash + 1, '/', (size_t)(text->text + text->length - slash - 1))) {
		complain(
		        complaints,
		        "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and "
		        "end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used "
		        "for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain "
		        "prefix and '/' (e.g. 'example.com/MyName')");
		return;
	}
	if (slash) {
		size_t length = (size_t)(slash - text->text);
		name = slash + 1;
		if (length == 0)
			complain(complaints, "prefix part must be non-empty");
		else if (length > subdomain_rule.longest)
			complain(complaints, "prefix part must be no more than 253 characters");
		if (length && !dns_shape(text->text, length, true, false))
			complain(complaints,
			         "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
			         "characters, '-' or '.', and must start and end with an alphanumeric character (e.g. "
			         "'example.com', regex used for validation is "
			         "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')");
	}
	size_t length = (size_t)(text->text + text->length - name);
	if (length == 0)
		complain(complaints, "name part must be non-empty");
	else if (length > 63)
		complain(complaints, "name part must be no more than 63 characters");
	if (!name_shape(name, length)) {
		struct cel_value message = cel_fail(complaints->eval, "name part %s", shape);
		complain(complaints, message.text);
	}
}

static void check_label_value(struct complaints *complaints, const struct named_format *format,
                              const struct cel_value *text)
{
	(void)format;
	if (text->length > 63)
		complain(complaints, "must be no more than 63 characters");
	if (text->length && !name_shape(text->text, text->length))
		complain(
		        complaints,
		        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
		        "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
		        "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')");
}

// --- formats of OpenAPI ------------------------------------------------------------------------

static void check_uri(struct complaints *complaints, const struct named_format *format, const struct cel_value *text)
{
	const char *error = cel_url_check(text->text, text->length);
	(void)format;
	if (!error)
		return;
	struct cel_value message = cel_fail(complaints->eval, "parse \"%.*s\": %s",
	                                    text->length > 256 ? 256 : (int)text->length, text->text, error);
	complain(complaints, message.text);
}

static void check_uuid(struct complaints *complaints, const struct named_format *format, const struct cel_value *text)
{
	static const unsigned groups[] = {8, 4, 4, 4, 12};
	const char *at = text->text, *end = at + text->length;
	bool valid = true;
	(void)format;
	for (size_t i = 0; i < ARRAY_SIZE(groups) && valid; i++) {
		if (i && at < end && *at == '-')
			at++;
		for (unsigned j = 0; j < groups[i] && valid; j++)
			valid = at < end && hex_digit(*at++) >= 0;
	}
	if (!valid || at != end)
		complain(complaints, "does not match the UUID format");
}

static void check_byte(struct complaints *complaints, const struct named_format *format, const struct cel_value *text)
{
	size_t padding = 0;
	bool valid = text->length % 4 == 0 && text->length > 0;
	(void)format;
	while (valid && padding < 2 && text->text[text->length - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; valid && i < text->length - padding; i++)
		valid = is_alphanumeric(text->text[i]) || text->text[i] == '+' || text->text[i] == '/';
	if (!valid)
		complain(complaints, "invalid base64");
}

static void check_date(struct complaints *complaints, const struct named_format *format, const struct cel_value *text)
{
	int64_t seconds;
	(void)format;
	if (!cel_parse_date(text->text, text->length, &seconds))
		complain(complaints, "invalid date");
}

static void check_datetime(struct complaints *complaints, const struct named_format *format,
                           const struct cel_value *text)
{
	struct cel_value timestamp;
	(void)format;
	if (!cel_parse_timestamp(text->text, text->length, &timestamp))
		complain(complaints, "invalid datetime");
}

static const struct named_format formats[] = {
        {"dns1123Label", "format.dns1123Label", 30, false, check_label},
        {"dns1123Subdomain", "format.dns1123Subdomain", 60, false, check_subdomain},
        {"dns1035Label", "format.dns1035Label", 30, false, check_label_1035},
        {"qualifiedName", "format.qualifiedName", 60, false, check_qualified_name},
        {"dns1123LabelPrefix", "format.dns1123LabelPrefix", 30, true, check_label},
        {"dns1123SubdomainPrefix", "format.dns1123SubdomainPrefix", 60, true, check_subdomain},
        {"dns1035LabelPrefix", "format.dns1035LabelPrefix", 30, true, check_label_1035},
        {"labelValue", "format.labelValue", 40, false, check_label_value},
        {"uri", "format.uri", 1023, false, check_uri},
        {"uuid", "format.uuid", 74, false, check_uuid},
        {"byte", "format.byte", 75, false, check_byte},
        {"date", "format.date", 177, false, check_date},
        {"datetime", "format.datetime", 177, false, check_datetime},
};

// --- functions -----------------------------------------------------------------------------------

static struct cel_value make_format(const struct named_format *format)
{
	struct cel_value value = cel_make_opaque(&cel_type_named_format, format);
	value.length = format->pattern_size;
	return value;
}

static struct cel_value named(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                              unsigned count)
{
	(void)call, (void)count;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (strlen(formats[i].name) == args[0].length &&
		    memcmp(formats[i].name, args[0].text, args[0].length) == 0)
			return cel_make_optional(eval, make_format(&formats[i]));
	return cel_optional_none;
}

static struct cel_value direct(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                               unsigned count)
{
	(void)eval, (void)args, (void)count;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (strcmp(formats[i].function, call->call.function.text) == 0)
			return make_format(&formats[i]);
	return cel_no_such_overload();
}

static struct cel_value validate(struct cel_eval *eval, const struct cel_expr *call, const struct cel_value *args,
                                 unsigned count)
{
	const struct named_format *format = args[0].opaque;
	struct complaints complaints = {.eval = eval, .list = cel_list_new(eval, 0)};
	(void)call, (void)count;
	if (!cel_work(eval, args[1].length / 8))
		return cel_abort(eval);
	format->check(&complaints, format, &args[1]);
	if (complaints.list.kind != CEL_LIST)
		return complaints.list;
	return complaints.list.length ? cel_make_optional(eval, complaints.list) : cel_optional_none;
}

#define DIRECT(name)                                       \
	{                                                  \
		"format." name, ">F", direct, CEL_COST_ONE \
	}

static const struct cel_function_row rows[] = {
        {"format.named", "s>?F", named, CEL_COST_ONE},
        {"validate", "F.s>?[s", validate, CEL_COST_VALIDATE, .by_name = true},
        DIRECT("dns1123Label"),
        DIRECT("dns1123Subdomain"),
        DIRECT("dns1035Label"),
        DIRECT("qualifiedName"),
        DIRECT("dns1123LabelPrefix"),
        DIRECT("dns1123SubdomainPrefix"),
        DIRECT("dns1035LabelPrefix"),
        DIRECT("labelValue"),
        DIRECT("uri"),
        DIRECT("uuid"),
        DIRECT("byte"),
        DIRECT("date"),
        DIRECT("datetime"),
};

const struct cel_library cel_library_format = CEL_LIBRARY(rows);
