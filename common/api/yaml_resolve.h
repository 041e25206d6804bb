// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a plain YAML scalar means: the rules that the reader applies and the
// writer quotes by.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum yaml_scalar {
	YAML_TEXT,
	YAML_NULL,
	YAML_TRUE,
	YAML_FALSE,
	YAML_INTEGER,   // in `integer`
	YAML_UNSIGNED,  // above INT64_MAX: in `unsigned_integer`
	YAML_FLOAT,     // in `number`
	YAML_TIMESTAMP, // a string to JSON, but quoted by writers
};

struct yaml_resolved {
	enum yaml_scalar kind;
	int64_t integer;
	uint64_t unsigned_integer;
	double number;
};

struct yaml_resolved yaml_resolve(const char *text, size_t length);

// A number as encoding/json writes a float64: the shortest text that reads back the same.
#define YAML_NUMBER_BYTES 40
void yaml_number_text(double number, char out[YAML_NUMBER_BYTES]);

// "12:30:45": a sexagesimal number to YAML 1.1 readers.
bool yaml_is_base60(const char *text, size_t length);
