// SPDX-License-Identifier: Apache-2.0
#pragma once
// Flags of TLS, authentication and authorization that have to be read apart and
// checked against each other.

#include "apiserver/server.h"

struct security_flags {
	struct string_list cipher_suites;
	struct string_list sni; // "cert,key" or "cert,key:name,name"
	struct string_list strict_transport_security;
};

// What they say goes into `config`; texts live as long as the process.
NODISCARD int security_flags_apply(const struct security_flags *flags, struct server_config *config, struct err *err);
