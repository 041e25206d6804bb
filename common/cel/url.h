// SPDX-License-Identifier: Apache-2.0
#pragma once
// Whether a text is a URL or an absolute path, as Go's url.ParseRequestURI.

#include <stddef.h>

// NULL when it is one, else what is wrong with it.
const char *cel_url_check(const char *text, size_t length);
