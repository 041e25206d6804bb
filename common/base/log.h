// SPDX-License-Identifier: Apache-2.0
#pragma once
// Structured log lines in klog's text format (or JSON): a constant message and
// typed pairs.
//
//   log_info("Pod status updated", kv_obj("pod", ns, name), kv_str("status", s));
//   I1122 18:05:01.123456    4711 pod_status.c:88] "Pod status updated" pod="ns/name" status="Running"
//
// Messages begin with a capital, end without a stop and hold no '%'. `common/`
// returns errors; the daemons log them, once, where the error's journey ends.
// Never log a secret. Safe from any thread: one write(2) a line to stderr.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/macros.h"

enum log_severity {
	LOG_INFO,
	LOG_WARNING,
	LOG_ERROR,
	LOG_FATAL,
};

enum log_value_type {
	LOG_VALUE_STRING,
	LOG_VALUE_INT,
	LOG_VALUE_BOOL,
	LOG_VALUE_DURATION, // nanoseconds, printed as "1.5s"
	LOG_VALUE_OBJECT,   // namespace/name
};

struct log_pair {
	const char *key; // lowerCamelCase
	enum log_value_type type;
	const char *text;  // borrowed for the call
	const char *text2; // LOG_VALUE_OBJECT: the name
	int64_t number;
};

static inline struct log_pair kv_str(const char *key, const char *value)
{
	return (struct log_pair){.key = key, .type = LOG_VALUE_STRING, .text = value};
}

static inline struct log_pair kv_int(const char *key, int64_t value)
{
	return (struct log_pair){.key = key, .type = LOG_VALUE_INT, .number = value};
}

static inline struct log_pair kv_bool(const char *key, bool value)
{
	return (struct log_pair){.key = key, .type = LOG_VALUE_BOOL, .number = value};
}

static inline struct log_pair kv_duration(const char *key, int64_t duration_ns)
{
	return (struct log_pair){.key = key, .type = LOG_VALUE_DURATION, .number = duration_ns};
}

// A namespaced object, or a cluster-scoped one when `namespace_name` is NULL or "".
static inline struct log_pair kv_obj(const char *key, const char *namespace_name, const char *name)
{
	return (struct log_pair){.key = key, .type = LOG_VALUE_OBJECT, .text = namespace_name, .text2 = name};
}

static inline struct log_pair kv_err(const struct err *err)
{
	return (struct log_pair){.key = "err", .type = LOG_VALUE_STRING, .text = err->message};
}

// Set once at start, before threads.
struct log_config {
	int verbosity;       // -v
	const char *vmodule; // --vmodule: pattern=N,…; file stems with '*'; borrowed for ever
	bool json;           // --logging-format=json
};
void log_configure(const struct log_config *config);

// Sends lines elsewhere (tests); NULL restores stderr.
void log_set_sink(void (*sink)(void *context, const char *line, size_t length), void *context);

bool log_enabled(const char *file, int verbosity);
void log_write(enum log_severity severity, int verbosity, const char *file, int line, const char *message,
               const struct log_pair *pairs, size_t pair_count);

// A line of free text, unquoted: for the few lines whose form upstream fixes ("FLAG: --v=\"2\"").
void log_write_plain(enum log_severity severity, int verbosity, const char *file, int line, const char *text);

// (cppcheck 2.10 cannot read __VA_OPT__.)
#ifdef CPPCHECK
#define LOG_WRITE_(severity, verbosity, message, ...) \
	log_write((severity), (verbosity), __FILE__, __LINE__, (message), NULL, 0)
#else
#define LOG_WRITE_(severity, verbosity, message, ...)                      \
	log_write((severity), (verbosity), __FILE__, __LINE__, (message),  \
	          (const struct log_pair[]){__VA_OPT__(__VA_ARGS__, ){0}}, \
	          ARRAY_SIZE(((const struct log_pair[]){__VA_OPT__(__VA_ARGS__, ){0}})) - 1)
#endif

#define log_info(message, ...) LOG_WRITE_(LOG_INFO, 0, message, __VA_ARGS__)
#define log_warning(message, ...) LOG_WRITE_(LOG_WARNING, 0, message, __VA_ARGS__)
#define log_error(message, ...) LOG_WRITE_(LOG_ERROR, 0, message, __VA_ARGS__)

// Shown from -v=N on; pairs are not evaluated below it.
#define log_v(verbosity, message, ...)                                           \
	do {                                                                     \
		if (log_enabled(__FILE__, (verbosity)))                          \
			LOG_WRITE_(LOG_INFO, (verbosity), message, __VA_ARGS__); \
	} while (0)
