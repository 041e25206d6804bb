// SPDX-License-Identifier: Apache-2.0
#pragma once
// API aggregation (apiregistration.k8s.io): versions of groups that other servers
// answer for stand in this server's discovery, and requests for them are sent on,
// with who asked in the front proxy's headers.

#include "apiserver/aggregation/api_service.h"
#include "common/base/strbuf.h"

struct aggregation;
struct request;
struct server;

// On the main loop, after storage.
struct aggregation *aggregation_start(struct server *server);
struct aggregation *aggregation_free(struct aggregation *aggregation);

// A stage of the line: sends the request on when another server answers for its path, else passes.
void aggregation_serve(struct request *request);

// Is there any API service of another server?
bool aggregation_is_used(const struct server *server);
// The API services of other servers now, the caller's reference; NULL: none. Any thread.
struct api_service_table *aggregation_table(struct server *server);

// Discovery as a whole: lays the other servers' groups over the document of this server's own.
// `document` is parsed, changed and written anew; false when there is nothing to add.
bool aggregation_add_to_groups(struct request *request, struct strbuf *document);     // APIGroupList
bool aggregation_add_to_discovery(struct request *request, struct strbuf *document);  // APIGroupDiscoveryList
bool aggregation_add_to_openapi_v3(struct request *request, struct strbuf *document); // its index
// /apis/GROUP of a group that only other servers have; false: there is none such.
bool aggregation_write_group(struct request *request, const char *group, struct strbuf *out);
