// SPDX-License-Identifier: Apache-2.0
#pragma once
// kubeconfig files: reading, merging ($KUBECONFIG is a list, the first value
// wins) and choosing a context.

#include <stdbool.h>

#include "common/base/arena.h"
#include "common/base/err.h"

struct json;

struct client_config { // everything a client needs to talk to one cluster; texts in the arena
	const char *server;
	const char *ca_file, *ca_data; // data: PEM, decoded
	const char *certificate_file, *certificate_data;
	const char *private_key_file, *private_key_data;
	const char *bearer_token, *bearer_token_file;
	const char *tls_server_name;
	bool insecure_skip_tls_verify;
	const char *namespace_name; // of the context, "default" when unset
	const char *context_name;
	// impersonation
	const char *as_user, *as_uid;
	const char *const *as_groups; // NULL-terminated, NULL = none
};

struct kubeconfig_overrides { // command-line flags; NULL = not given
	const char *path;     // --kubeconfig
	const char *context;
	const char *cluster;
	const char *user;
	const char *server;
	const char *namespace_name;
};

// Order: --kubeconfig, $KUBECONFIG, ~/.kube/config, in-cluster. Relative paths
// are relative to the file that names them.
NODISCARD int kubeconfig_load(struct arena *arena, const struct kubeconfig_overrides *overrides,
                              struct client_config *ret_config, struct err *err);

// The service account's configuration inside a pod (KUBERNETES_SERVICE_HOST and the
// mounted token). ERR_NOT_FOUND outside of one.
NODISCARD int kubeconfig_load_in_cluster(struct arena *arena, struct client_config *ret_config, struct err *err);

// The merged document itself, relative paths made absolute (for `config view`).
// `path` is --kubeconfig or NULL. An empty Config when no file is there.
NODISCARD int kubeconfig_read(struct arena *arena, const char *path, struct json **ret_document, struct err *err);
