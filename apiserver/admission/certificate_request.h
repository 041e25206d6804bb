// SPDX-License-Identifier: Apache-2.0
#pragma once
// Whom a CertificateSigningRequest asks a certificate for.

#include <stdbool.h>
#include <stddef.h>

#include "common/api/json.h"

struct certificate_subject {
	const char *common_name;
	const char **organizations;
	size_t organization_count;
};

// From spec.request of the object; false when that is no request in PEM.
bool certificate_request_subject(struct arena *arena, const struct json *object,
                                 struct certificate_subject *ret_subject);
