// SPDX-License-Identifier: Apache-2.0
// The formats of texts that custom resources are checked for; a format that isn't in
// the table says something to readers alone. "date-time" and "datetime" are one.

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/object.h"
#include "common/api/structural.h"
#include "common/base/arena.h"
#include "common/base/duration.h"
#include "common/base/encode.h"

struct structural_format {
	const char *name;
	bool (*matches)(const char *text, size_t length);
};

// --- scanning ---------------------------------------------------------------------------

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

// A text against a picture: 'x' a hexadecimal digit, '9' a decimal one, '?' an optional hyphen, else itself.
static bool fits(const char *text, const char *picture)
{
	for (; *picture; picture++) {
		if (*picture == '?') {
			text += *text == '-';
			continue;
		}
		if (*picture == 'x' ? hex_digit(*text) < 0 : *picture == '9' ? !is_digit(*text) : *text != *picture)
			return false;
		text++;
	}
	return !*text;
}

static bool matches_object_id(const char *text, size_t length)
{
	(void)length;
	return fits(text, "xxxxxxxxxxxxxxxxxxxxxxxx");
}

static bool matches_uuid(const char *text, size_t length)
{
	(void)length;
	return fits(text, "xxxxxxxx?xxxx?xxxx?xxxx?xxxxxxxxxxxx");
}

static bool matches_uuid3(const char *text, size_t length)
{
	(void)length;
	return fits(text, "xxxxxxxx?xxxx?3xxx?xxxx?xxxxxxxxxxxx");
}

// Versions 4 and 5 say their variant too.
static bool matches_variant(const char *text, const char *picture)
{
	size_t digits = 0;

	if (!fits(text, picture))
		return false;
	for (; digits < 16; text++)
		digits += *text != '-';
	while (*text == '-')
		text++;
	return strchr("89abAB", *text) != NULL;
}

static bool matches_uuid4(const char *text, size_t length)
{
	(void)length;
	return matches_variant(text, "xxxxxxxx?xxxx?4xxx?xxxx?xxxxxxxxxxxx");
}

static bool matches_uuid5(const char *text, size_t length)
{
	(void)length;
	return matches_variant(text, "xxxxxxxx?xxxx?5xxx?xxxx?xxxxxxxxxxxx");
}

static bool matches_ssn(const char *text, size_t length)
{
	char plain[16];
	size_t kept = 0;

	for (size_t i = 0; i < length && kept < sizeof(plain) - 1; i++) {
		bool separator =
		        (text[i] == ' ' || text[i] == '-') && (kept == 3 || kept == 5) && is_digit(text[i - 1]);

		if (!separator)
			plain[kept++] = text[i];
	}
	plain[kept] = '\0';
	return fits(plain, "999999999");
}

static bool matches_hex_color(const char *text, size_t length)
{
	(void)length;
	text += *text == '#';
	return fits(text, "xxx") || fits(text, "xxxxxx");
}

static bool matches_rgb_color(const char *text, size_t length)
{
	static const char blanks[] = " \t";
	(void)length;

	if (strncmp(text, "rgb(", 4))
		return false;
	text += 4;
	for (int i = 0; i < 3; i++) {
		char *end;
		long part;

		text += strspn(text, blanks);
		if (!is_digit(*text))
			return false;
		part = strtol(text, &end, 10);
		if (part > 255 || (end - text > 1 && *text == '0'))
			return false;
		text = end + strspn(end, blanks);
		if (*text++ != (i < 2 ? ',' : ')'))
			return false;
	}
	return !*text;
}

// --- numbers of books and cards ------------------------------------------------------------

// Digits (and a last X), without blanks and hyphens. Returns how many.
static size_t digits_of(const char *text, char *out, size_t size)
{
	size_t count = 0;

	for (; *text; text++) {
		if (*text == ' ' || *text == '-')
			continue;
		if (count == size || !(is_digit(*text) || *text == 'X' || *text == 'x'))
			return 0;
		out[count++] = *text;
	}
	return count;
}

static bool matches_isbn10(const char *text, size_t length)
{
	char digits[10];
	int sum = 0;
	(void)length;

	if (digits_of(text, digits, 10) != 10)
		return false;
	for (int i = 0; i < 10; i++) {
		if (!is_digit(digits[i]) && i < 9)
			return false;
		sum += (10 - i) * (is_digit(digits[i]) ? digits[i] - '0' : 10);
	}
	return sum % 11 == 0;
}

static bool matches_isbn13(const char *text, size_t length)
{
	char digits[13];
	int sum = 0;
	(void)length;

	if (digits_of(text, digits, 13) != 13)
		return false;
	for (int i = 0; i < 13; i++) {
		if (!is_digit(digits[i]))
			return false;
		sum += (i % 2 ? 3 : 1) * (digits[i] - '0');
	}
	return sum % 10 == 0;
}

static bool matches_isbn(const char *text, size_t length)
{
	return matches_isbn10(text, length) || matches_isbn13(text, length);
}

static bool is_card_prefix(const char *digits, size_t count)
{
	int first2 = 10 * (digits[0] - '0') + digits[1] - '0';
	int first3 = 10 * first2 + digits[2] - '0', first4 = 10 * first3 + digits[3] - '0';

	return (digits[0] == '4' && (count == 13 || count == 16)) || (count == 16 && first2 >= 51 && first2 <= 55) ||
	       (count == 16 && (first4 == 6011 || first2 == 65)) || (count == 15 && (first2 == 34 || first2 == 37)) ||
	       (count == 14 && ((first3 >= 300 && first3 <= 305) || first2 == 36 || first2 == 38)) ||
	       (count == 15 && (first4 == 2131 || first4 == 1800)) || (count == 16 && first2 == 35);
}

static bool matches_credit_card(const char *text, size_t length)
{
	char digits[19];
	size_t count = 0;
	int sum = 0;

	for (size_t i = 0; i < length; i++)
		if (is_digit(text[i])) {
			if (count == sizeof(digits))
				return false;
			digits[count++] = text[i];
		}
	if (count < 13 || !is_card_prefix(digits, count))
		return false;
	for (size_t i = 0; i < count; i++) {
		int digit = digits[count - 1 - i] - '0';

		digit *= i % 2 ? 2 : 1;
		sum += digit > 9 ? digit - 9 : digit;
	}
	return sum % 10 == 0;
}

// --- the network ---------------------------------------------------------------------------

static bool matches_ipv4(const char *text, size_t length)
{
	struct in_addr address;

	// Leading zeros are refused by inet_pton as by Go.
	return length <= 15 && inet_pton(AF_INET, text, &address) == 1;
}

static bool matches_ipv6(const char *text, size_t length)
{
	struct in6_addr address;

	return length <= 45 && strchr(text, ':') && inet_pton(AF_INET6, text, &address) == 1;
}

static bool matches_cidr(const char *text, size_t length)
{
	char address[46];
	const char *slash = strchr(text, '/');
	size_t prefix;
	(void)length;

	if (!slash || (size_t)(slash - text) >= sizeof(address) || !slash[1] || strlen(slash + 1) > 3 ||
	    strspn(slash + 1, "0123456789") != strlen(slash + 1) || (slash[1] == '0' && slash[2]))
		return false;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	prefix = (size_t)strtol(slash + 1, NULL, 10);
	if (matches_ipv4(address, strlen(address)))
		return prefix <= 32;
	return matches_ipv6(address, strlen(address)) && prefix <= 128;
}

static bool matches_mac(const char *text, size_t length)
{
	static const size_t bytes[] = {6, 8, 20};
	char separator = length > 4 ? (text[2] == ':' || text[2] == '-' ? text[2] : text[4]) : '\0';
	size_t group = separator == '.' ? 4 : 2, count = 0;

	if (!strchr(":-.", separator) || !separator)
		return false;
	for (size_t i = 0; i < length; i++) {
		bool at_separator = i % (group + 1) == group;

		if (at_separator ? text[i] != separator : hex_digit(text[i]) < 0)
			return false;
		count += !at_separator;
	}
	if ((length + 1) % (group + 1))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++)
		if (count == 2 * bytes[i])
			return true;
	return false;
}

static bool is_host_character(char c)
{
	return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static bool matches_hostname(const char *text, size_t length)
{
	size_t label = 0;

	if (!length || length > 255)
		return false;
	for (size_t i = 0; i <= length; i++) {
		if (text[i] == '.' || i == length) {
			if (!label || label > 63 || text[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!is_host_character(text[i]) && (text[i] != '-' || !label))
			return false;
		label++;
	}
	return true;
}

// As Go's url.ParseRequestURI takes it: absolute, or an absolute path.
static bool matches_uri(const char *text, size_t length)
{
	const char *colon;

	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return false;
		if (text[i] == '%' && (hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0))
			return false;
	}
	if (text[0] == '/')
		return true;
	colon = strpbrk(text, ":/?#");
	if (!isalpha((unsigned char)text[0]) || !colon || *colon != ':')
		return false;
	for (const char *c = text; c < colon; c++)
		if (!isalnum((unsigned char)*c) && !strchr("+-.", *c))
			return false;
	return true;
}

static bool is_atom(char c)
{
	return isalnum((unsigned char)c) || (unsigned char)c >= 0x80 || strchr("!#$%&'*+/=?^_`{|}~-", c);
}

static const char *skip_dotted_atoms(const char *text)
{
	const char *start = text;

	while (*text && (is_atom(*text) || (*text == '.' && text > start && text[-1] != '.')))
		text++;
	return text > start && text[-1] != '.' ? text : NULL;
}

// local@domain, or a name and that in angle brackets.
static bool matches_email(const char *text, size_t length)
{
	const char *open = strrchr(text, '<');
	bool bracketed = length && text[length - 1] == '>' && open;
	const char *at = bracketed ? open + 1 : text;

	if (*at == '"') {
		for (at++; *at && *at != '"'; at++)
			if (*at == '\\' && at[1])
				at++;
		at = *at ? at + 1 : NULL;
	} else {
		at = skip_dotted_atoms(at);
	}
	if (!at || *at != '@')
		return false;
	if (at[1] == '[')
		at = strchr(at, ']') ? strchr(at, ']') + 1 : NULL;
	else
		at = skip_dotted_atoms(at + 1);
	return at && (bracketed ? !strcmp(at, ">") : !*at);
}

// --- times and data -------------------------------------------------------------------------

static bool matches_date(const char *text, size_t length)
{
	char whole[40];
	int64_t seconds;
	int32_t nanoseconds;
	(void)length;

	if (!fits(text, "9999-99-99"))
		return false;
	snprintf(whole, sizeof(whole), "%sT00:00:00Z", text);
	return api_time_parse_parts(whole, &seconds, &nanoseconds);
}

static bool matches_date_time(const char *text, size_t length)
{
	char upper[64];
	int64_t seconds;
	int32_t nanoseconds;

	if (length < 20 || length >= sizeof(upper))
		return false;
	for (size_t i = 0; i <= length; i++)
		upper[i] = (char)toupper((unsigned char)text[i]);
	return api_time_parse_parts(upper, &seconds, &nanoseconds);
}

// Go's form, or Scala's: a number and a unit in words.
static bool matches_duration(const char *text, size_t length)
{
	static const char *const units[] = {
	        "nano",        "nanos",        "nanosecond", "nanoseconds", "micro",       "micros",
	        "microsecond", "microseconds", "milli",      "millis",      "millisecond", "milliseconds",
	        "s",           "sec",          "secs",       "second",      "seconds",     "m",
	        "min",         "mins",         "minute",     "minutes",     "h",           "hr",
	        "hour",        "hours",        "d",          "day",         "days",        "w",
	        "week",        "weeks",        "ns",         "us",          "\xc2\xb5s",   "ms"};
	int64_t duration_ns;
	size_t digits;
	(void)length;

	if (duration_parse_err(text, &duration_ns, NULL) == 0)
		return true;
	digits = strspn(text, "0123456789");
	if (!digits)
		return false;
	text += digits;
	text += strspn(text, " ");
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (!strcmp(text, units[i]))
			return true;
	return false;
}

static bool matches_byte(const char *text, size_t length)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	uint8_t *data;
	size_t data_length;

	return base64_decode(arena, text, length, &data, &data_length);
}

static bool matches_anything(const char *text, size_t length)
{
	(void)text;
	(void)length;
	return true;
}

// --- the table ------------------------------------------------------------------------------

static const struct structural_format formats[] = {
        {"bsonobjectid", matches_object_id},
        {"byte", matches_byte},
        {"cidr", matches_cidr},
        {"creditcard", matches_credit_card},
        {"date", matches_date},
        {"datetime", matches_date_time},
        {"duration", matches_duration},
        {"email", matches_email},
        {"hexcolor", matches_hex_color},
        {"hostname", matches_hostname},
        {"ipv4", matches_ipv4},
        {"ipv6", matches_ipv6},
        {"isbn", matches_isbn},
        {"isbn10", matches_isbn10},
        {"isbn13", matches_isbn13},
        {"mac", matches_mac},
        {"password", matches_anything},
        {"rgbcolor", matches_rgb_color},
        {"ssn", matches_ssn},
        {"uri", matches_uri},
        {"uuid", matches_uuid},
        {"uuid3", matches_uuid3},
        {"uuid4", matches_uuid4},
        {"uuid5", matches_uuid5},
};

const struct structural_format *structural_format_find(const char *name)
{
	char plain[24];
	size_t length = 0;

	for (; *name; name++)
		if (*name != '-') {
			if (length == sizeof(plain) - 1)
				return NULL;
			plain[length++] = *name;
		}
	plain[length] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (!strcmp(formats[i].name, plain))
			return &formats[i];
	return NULL;
}

bool structural_format_matches(const struct structural_format *format, const char *text, size_t length)
{
	return !memchr(text, '\0', length) && format->matches(text, length);
}
