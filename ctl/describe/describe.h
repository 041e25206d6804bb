// SPDX-License-Identifier: Apache-2.0
#pragma once
// describe: what people want to know about one object, as text. Describers write
// lines with tabs, which are aligned at the end.

#include <stdint.h>

#include "common/api/json.h"
#include "common/base/strbuf.h"
#include "ctl/target.h"

struct ctl;

struct describer {
	struct ctl *ctl;
	struct strbuf lines;
	int64_t now_realtime_ns;
	bool show_events;
};

// Appends the aligned description of the object. `show_events`: ask the server for its events.
void describe_object(struct ctl *ctl, const struct target *target, bool show_events, struct strbuf *out);

// "Pod Template:" with labels, containers and volumes, aligned.
void describe_pod_template_text(struct ctl *ctl, const struct json *pod_template, struct strbuf *out);

// --- for describers ----------------------------------------------------------------------

// One line, indented by two blanks a level.
void describe_line(struct describer *describer, int level, const char *format, ...) PRINTF_LIKE(3, 4);
// "Labels:\ta=b" and one more line for each further one; "<none>" for none.
void describe_map(struct describer *describer, int level, const char *title, const struct json *map);
void describe_annotations(struct describer *describer, int level, const struct json *metadata);
// "Name:", "Namespace:" (when it has one).
void describe_names(struct describer *describer, const struct json *object);
void describe_pod_template(struct describer *describer, const struct json *pod_template);
void describe_containers(struct describer *describer, int level, const char *title, const struct json *containers,
                         const struct json *statuses);
void describe_volumes(struct describer *describer, int level, const struct json *volumes);
void describe_tolerations(struct describer *describer, const struct json *tolerations);
void describe_node_selector(struct describer *describer, int level, const struct json *selector);
// "Events:" with the object's events.
void describe_events(struct describer *describer, const struct json *object);

// "default" when there is no such text.
const char *text_of(const struct json *object, const char *key, const char *fallback);
int64_t number_of(const struct json *object, const char *key, int64_t fallback);
// Integers and texts as text; "" for nothing.
const char *scalar_text(struct describer *describer, const struct json *value);
// "Sun, 22 Nov 2026 19:00:00 +0000"
const char *time_text(struct describer *describer, const char *rfc3339);
// "5m"; "<unknown>"
const char *age_of(struct describer *describer, const char *rfc3339);

typedef void describe_function(struct describer *describer, const struct json *object);
describe_function describe_pod, describe_node, describe_deployment, describe_replica_set, describe_daemon_set,
        describe_stateful_set, describe_job, describe_service, describe_namespace, describe_config_map, describe_secret,
        describe_service_account, describe_generic;
