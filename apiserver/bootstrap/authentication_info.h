// SPDX-License-Identifier: Apache-2.0
#pragma once
// The ConfigMap kube-system/extension-apiserver-authentication: by which
// authorities and headers other servers of the cluster know clients. Published at
// start and kept: put right every minute, and when a file has changed.

struct authentication_info;
struct server;

struct authentication_info *authentication_info_start(struct server *server); // on the main loop
struct authentication_info *authentication_info_free(struct authentication_info *info);
