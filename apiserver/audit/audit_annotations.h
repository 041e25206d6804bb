// SPDX-License-Identifier: Apache-2.0
#pragma once
// What stages note about a request for its audit event.

struct request;

// The first value of a key stays. Copies. Costs nothing for what isn't audited.
void audit_annotate(struct request *request, const char *key, const char *value);
