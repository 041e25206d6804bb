// SPDX-License-Identifier: Apache-2.0
#pragma once
// Pod networks by the Container Network Interface, version 0.3 to 1.0: plugin lists
// from a directory, run one after another with the result passed on.

#include <stdbool.h>
#include <stddef.h>

#include "common/api/json.h"
#include "common/base/err.h"

struct loop;

struct cni_config {
	const char *config_directory; // "/etc/cni/net.d"
	const char *binary_path;      // "/opt/cni/bin:/usr/lib/cni"
};

// The network of the directory's first *.conflist, *.conf or *.json by name, as a plugin list document.
// ERR_NOT_FOUND with Kubernetes' words when there is none.
NODISCARD int cni_load(struct arena *arena, const char *config_directory, struct json **ret_list, struct err *err);

struct cni_port_mapping {
	int host_port;
	int container_port;
	const char *protocol; // "tcp"
	const char *host_ip;  // may be NULL
};

struct cni_attachment {
	const char *list_text; // the plugin list as it was loaded: kept with the pod, DEL uses the same
	const char *container_id;
	const char *network_path;
	const char *interface_name; // "eth0"
	const char *pod_namespace, *pod_name, *pod_uid;
	const struct cni_port_mapping *ports;
	size_t port_count;
	const char *result_text; // of ADD, for DEL; NULL when it isn't known
};

// The last plugin's result document as text; parsed addresses are read with cni_result_addresses.
typedef void cni_done_fn(void *context, const char *result_text, const struct err *err);

// Brings the loopback up and runs ADD through the list. On failure everything is undone by DEL. The attachment is
// copied. done comes exactly once, never from inside.
void cni_add(struct loop *loop, const struct cni_config *config, const struct cni_attachment *attachment,
             cni_done_fn *done, void *context);
// Runs DEL through the list backwards; result_text is NULL. All plugins are run whatever one of them says; the first
// error is given.
void cni_delete(struct loop *loop, const struct cni_config *config, const struct cni_attachment *attachment,
                cni_done_fn *done, void *context);

// The addresses of a result, without prefix lengths, in order.
size_t cni_result_addresses(struct arena *arena, const char *result_text, const char **ret_addresses, size_t capacity);

// The configuration that one plugin gets on its standard input.
struct json *cni_plugin_input(struct arena *arena, const struct json *list, const struct json *plugin,
                              const struct cni_attachment *attachment, const struct json *previous_result);
