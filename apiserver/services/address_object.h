// SPDX-License-Identifier: Apache-2.0
#pragma once
// IPAddress objects: one for each cluster IP, its name the address, its
// parentRef the Service that holds it.

#include "apiserver/services/ip_range.h"
#include "common/api/json.h"
#include "common/base/blob.h"

struct loop;
struct schema_resource;
struct server;
struct stored_object;

const struct schema_resource *address_resource(void);
struct blob *address_encode(const struct ip *ip, const char *service_namespace, const char *service_name,
                            int64_t now_realtime_ns);
// True when the object says that this Service holds it.
bool address_is_held_by(const struct stored_object *object, const char *service_namespace, const char *service_name);
// Removes it when that Service holds it; in the background, no questions asked.
void address_release(struct server *server, struct loop *loop, const char *ip_text, const char *service_namespace,
                     const char *service_name);
