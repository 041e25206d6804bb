// SPDX-License-Identifier: Apache-2.0
#pragma once
// The server's warnings on stderr, each once.

struct ctl;
struct rest_response;

void warnings_print(struct ctl *ctl, const struct rest_response *response);
