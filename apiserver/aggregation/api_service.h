// SPDX-License-Identifier: Apache-2.0
#pragma once
// One API service that another server answers for: how it is reached, whether it
// can be, and what it serves. Shared by reference; what changes after its making is
// atomic or replaced whole under its own lock.

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/blob.h"
#include "common/base/err.h"

struct json;
struct server;
typedef struct ssl_ctx_st SSL_CTX;

struct api_service {
	atomic_uint references;
	char *name; // "v1beta1.metrics.k8s.io"
	char *uid;
	char *group;
	char *version;
	char *service_namespace;
	char *service_name;
	int port;
	int32_t group_priority;
	int32_t version_priority;
	SSL_CTX *tls;  // with the front proxy's certificate
	char *ca_text; // PEM; NULL = the system's
	bool insecure;
	atomic_bool available;
	pthread_mutex_t lock;   // of the next
	struct blob *discovery; // APIResourceList as it sent it last; NULL = not heard of yet
};

// From a completed APIService that names a service. NULL with err: its TLS files or bundle can't be used.
struct api_service *api_service_new(struct server *server, const struct json *object, struct err *err);
struct api_service *api_service_ref(struct api_service *service);
struct api_service *api_service_unref(struct api_service *service);

// The APIResourceList that it sent last, the caller's reference; NULL = none yet.
struct blob *api_service_discovery(struct api_service *service);
// Takes the reference. True when it differs from what was known.
bool api_service_set_discovery(struct api_service *service, struct blob *discovery);

// All those of other servers at one moment; immutable, shared by reference.
struct api_service_table {
	atomic_uint references;
	size_t count;
	struct api_service *services[]; // sorted by group, then version
};

struct api_service_table *api_service_table_new(struct api_service *const *services, size_t count); // references each
struct api_service_table *api_service_table_ref(struct api_service_table *table);
struct api_service_table *api_service_table_unref(struct api_service_table *table);
// Borrowed; NULL = none of these.
struct api_service *api_service_table_find(const struct api_service_table *table, const char *group,
                                           const char *version);
