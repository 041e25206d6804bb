// SPDX-License-Identifier: Apache-2.0
#pragma once
// The kubelet's own certificate towards the API server.

#include "common/base/arena.h"
#include "common/client/kubeconfig.h"
#include "kubelet/certificates/certificate_manager.h"

struct loop;
struct rest_client;

// The first one: asks for it with the credentials of `bootstrap_kubeconfig`, waits for it, and writes a `kubeconfig`
// that refers to it. Blocks; before the daemon's loop runs.
NODISCARD int client_certificate_bootstrap(const char *bootstrap_kubeconfig, const char *kubeconfig,
                                           const char *node_name, const char *directory, struct err *err);
// Lets the client use the file that rotation keeps, made from the kubeconfig's certificate when that is the newer one.
// Without a certificate in it nothing changes.
NODISCARD int client_certificate_adopt(struct arena *arena, const char *directory, struct client_config *config,
                                       struct err *err);
struct certificate_manager *client_certificate_rotate(struct loop *loop, struct rest_client *client,
                                                      const char *node_name, const char *directory);
// The serving certificate by serverTLSBootstrap: a certificate of kubernetes.io/kubelet-serving.
struct certificate_manager *serving_certificate_rotate(struct loop *loop, struct rest_client *client,
                                                       const char *node_name, const char *node_ip,
                                                       const char *directory);

#define CLIENT_CERTIFICATE_PREFIX "kubelet-client"
#define SERVING_CERTIFICATE_PREFIX "kubelet-server"
