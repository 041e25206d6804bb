// SPDX-License-Identifier: Apache-2.0
#pragma once
// A self-signed serving certificate for a kubelet that was given none.

#include "common/base/err.h"

// Makes <directory>/kubelet.crt and kubelet.key for the names, unless they are there and fit: key and certificate
// belong together, name both, and have a month to go. Cheap when nothing is to be done.
NODISCARD int serving_certificate_ensure(const char *directory, const char *node_name, const char *node_ip,
                                         struct err *err);
