// SPDX-License-Identifier: Apache-2.0

#include "apiserver/fairness/priority_levels.h"

#include <math.h>
#include <string.h>

#include "apiserver/fairness/default_objects.h"
#include "common/api/json.h"
#include "common/base/arena.h"
#include "common/base/hashmap.h"
#include "common/base/memory.h"

// --- references --------------------------------------------------------------------------

struct priority_level *priority_level_ref(struct priority_level *level)
{
	level->references++;
	return level;
}

struct priority_level *priority_level_unref(struct priority_level *level)
{
	if (!level || --level->references)
		return NULL;
	list_remove(&level->node);
	queue_set_free(level->queues);
	free(level->name);
	free(level->uid);
	free(level);
	return NULL;
}

struct flow_config *flow_config_ref(struct flow_config *config)
{
	config->references++;
	return config;
}

struct flow_config *flow_config_unref(struct flow_config *config)
{
	if (!config || --config->references)
		return NULL;
	for (size_t i = 0; i < config->count; i++)
		priority_level_unref(config->flows[i].level);
	arena_free(config->arena);
	free(config);
	return NULL;
}

// --- levels ---------------------------------------------------------------------------------

static struct priority_level *find_level(struct priority_levels *set, const char *name)
{
	struct priority_level *level;

	list_for_each (level, &set->levels, node)
		if (!strcmp(level->name, name))
			return level;
	return NULL;
}

static struct priority_level *make_level(struct priority_levels *set, const char *name, int64_t now_ns)
{
	struct priority_level *level = NEW(struct priority_level);

	level->name = xstrdup(name);
	level->queues = queue_set_new();
	level->demand.since_ns = level->demand.last_ns = now_ns;
	level_metrics_init(&level->metrics, set->metrics, name);
	list_append(&set->levels, &level->node);
	return level;
}

static struct queue_set_shape shape_of(const struct flowcontrol_v1_priority_level_configuration_spec *spec)
{
	const struct flowcontrol_v1_queuing_configuration *queuing =
	        spec->limited ? spec->limited->limit_response.queuing : NULL;
	bool queues = spec->limited && spec->limited->limit_response.type &&
	              !strcmp(spec->limited->limit_response.type, "Queue");

	if (!queues || !queuing)
		return (struct queue_set_shape){.exempt = spec->type && !strcmp(spec->type, "Exempt")};
	return (struct queue_set_shape){
	        .queue_count = (unsigned)queuing->queues,
	        .hand_size = (unsigned)queuing->hand_size,
	        .queue_length = (unsigned)queuing->queue_length_limit,
	};
}

static int value_or(const int32_t *value, int otherwise)
{
	return value ? *value : otherwise;
}

static void configure_level(struct priority_levels *set,
                            const struct flowcontrol_v1_priority_level_configuration *wanted, int64_t now_ns)
{
	const struct flowcontrol_v1_priority_level_configuration_spec *spec = &wanted->spec;
	struct queue_set_shape shape = shape_of(spec);
	struct priority_level *level = find_level(set, wanted->metadata.name);

	if (!level)
		level = make_level(set, wanted->metadata.name, now_ns);
	if (!level->configured)
		priority_level_ref(level); // its object's
	level->configured = true;
	free(level->uid);
	level->uid = xstrdup(wanted->metadata.uid ? wanted->metadata.uid : "");
	level->exempt = shape.exempt;
	if (shape.exempt) {
		level->shares = (unsigned)(spec->exempt ? value_or(spec->exempt->nominal_concurrency_shares, 0) : 0);
		level->lendable_percent = spec->exempt ? value_or(spec->exempt->lendable_percent, 0) : 0;
		level->borrowing_percent = -1;
	} else if (spec->limited) {
		level->shares = (unsigned)value_or(spec->limited->nominal_concurrency_shares, 30);
		level->lendable_percent = value_or(spec->limited->lendable_percent, 0);
		level->borrowing_percent = value_or(spec->limited->borrowing_limit_percent, -1);
	}
	queue_set_reshape(level->queues, &shape, now_ns);
}

static void set_current(struct priority_level *level, unsigned seats, int64_t now_ns)
{
	level->current = seats;
	queue_set_limit(level->queues, seats, now_ns);
	metric_set(level->metrics.current, seats);
}

// A level keeps what it has as long as that is within its new bounds.
static void divide_nominally(struct priority_levels *set, int64_t now_ns)
{
	struct priority_level *level;
	unsigned total = 0;

	list_for_each (level, &set->levels, node)
		total += level->configured ? level->shares : 0;
	list_for_each (level, &set->levels, node) {
		bool fresh = !level->limits.upper;
		unsigned seats;

		level->limits =
		        concurrency_limits_of(set->server_seats, level->configured ? level->shares : 0,
		                              total ? total : 1, level->lendable_percent, level->borrowing_percent);
		seats = fresh ? level->limits.nominal : level->current;
		seats = seats < level->limits.lower ? level->limits.lower : seats;
		seats = seats > level->limits.upper ? level->limits.upper : seats;
		set_current(level, seats, now_ns);
		metric_set(level->metrics.nominal, level->limits.nominal);
		metric_set(level->metrics.lower, level->limits.lower);
		metric_set(level->metrics.upper, level->limits.upper);
	}
}

void priority_levels_adjust(struct priority_levels *set, int64_t now_ns)
{
	struct priority_level *level;
	struct concurrency_claim *claims;
	size_t count = 0, i = 0;

	list_for_each (level, &set->levels, node)
		count++;
	claims = xcalloc(count + 1, sizeof(*claims));
	list_for_each (level, &set->levels, node) {
		double high = seat_demand_end_period(&level->demand, now_ns);
		double bound = level->exempt ? high : fmin(level->limits.nominal, high);
		double lower = fmax(level->limits.lower, bound);

		claims[i++] = (struct concurrency_claim){
		        .lower = lower,
		        .upper = fmax(level->limits.upper, lower),
		        .target = fmax(level->demand.smoothed, lower),
		};
		metric_set(level->metrics.high, high);
		metric_set(level->metrics.smoothed, level->demand.smoothed);
	}
	(void)concurrency_divide(set->server_seats, claims, count);
	i = 0;
	list_for_each (level, &set->levels, node)
		set_current(level, (unsigned)lround(claims[i++].result), now_ns);
	free(claims);
}

void priority_level_note_demand(struct priority_level *level, int64_t now_ns)
{
	seat_demand_change(&level->demand,
	                   queue_set_seats_in_use(level->queues) + queue_set_seats_waiting(level->queues), now_ns);
}

// --- the configuration -------------------------------------------------------------------------

static int compare_flows(const void *a, const void *b)
{
	const struct flow *one = a, *other = b;

	return flow_schema_compare(&one->schema, &other->schema);
}

static bool is_among(struct json *const *objects, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		const char *held = json_get_text(json_get(objects[i], "metadata"), "name");

		if (held && !strcmp(held, name))
			return true;
	}
	return false;
}

static void add_level(struct priority_levels *set, struct arena *arena, const struct json *object, int64_t now_ns)
{
	struct flowcontrol_v1_priority_level_configuration view;

	if (view_decode(arena, &schema_type_flowcontrol_v1_priority_level_configuration, object, &view, NULL) == 0 &&
	    view.metadata.name)
		configure_level(set, &view, now_ns);
}

// A schema whose level doesn't exist sends nobody anywhere.
static void add_flow(struct priority_levels *set, struct flow_config *config, const struct json *object)
{
	struct flow *flow = &config->flows[config->count];
	struct priority_level *level;

	if (view_decode(config->arena, &schema_type_flowcontrol_v1_flow_schema, object, &flow->schema, NULL) < 0 ||
	    !flow->schema.metadata.name || !flow->schema.spec.priority_level_configuration.name)
		return;
	level = find_level(set, flow->schema.spec.priority_level_configuration.name);
	if (!level || !level->configured)
		return;
	flow->level = priority_level_ref(level);
	flow->seed = fnv64a(flow->schema.metadata.name, strlen(flow->schema.metadata.name));
	config->count++;
}

static void configure_levels(struct priority_levels *set, struct arena *arena, struct json *const *levels, size_t count,
                             int64_t now_ns)
{
	for (size_t i = 0; i < flow_default_count; i++)
		if (!flow_defaults[i].is_schema && flow_defaults[i].mandatory &&
		    !is_among(levels, count, flow_defaults[i].name))
			add_level(set, arena, flow_default_object(arena, &flow_defaults[i]), now_ns);
	for (size_t i = 0; i < count; i++)
		add_level(set, arena, levels[i], now_ns);
}

static void drop_absent_levels(struct priority_levels *set, struct json *const *levels, size_t count)
{
	struct priority_level *level;

	list_for_each (level, &set->levels, node) {
		bool mandatory = !strcmp(level->name, "exempt") || !strcmp(level->name, "catch-all");

		if (level->configured && !mandatory && !is_among(levels, count, level->name)) {
			level->configured = false;
			priority_level_unref(level);
		}
	}
}

static struct flow_config *make_config(struct priority_levels *set, struct arena *arena, struct json *const *schemas,
                                       size_t count)
{
	struct flow_config *config = NEW(struct flow_config);

	config->references = 1;
	config->arena = arena;
	config->flows = ARENA_ARRAY(arena, struct flow, count + flow_default_count);
	for (size_t i = 0; i < count; i++)
		add_flow(set, config, schemas[i]);
	for (size_t i = 0; i < flow_default_count; i++)
		if (flow_defaults[i].is_schema && flow_defaults[i].mandatory &&
		    !is_among(schemas, count, flow_defaults[i].name))
			add_flow(set, config, flow_default_object(arena, &flow_defaults[i]));
	qsort(config->flows, config->count, sizeof(*config->flows), compare_flows);
	for (size_t i = 0; i < config->count; i++)
		flow_metrics_init(&config->flows[i].metrics, set->metrics, config->flows[i].schema.metadata.name,
		                  config->flows[i].level->name);
	return config;
}

void priority_levels_configure(struct priority_levels *set, struct json *const *levels, size_t level_count,
                               struct json *const *schemas, size_t schema_count, int64_t now_ns)
{
	struct arena *arena = arena_new(32 << 10);
	struct flow_config *former = set->config;

	configure_levels(set, arena, levels, level_count, now_ns);
	drop_absent_levels(set, levels, level_count);
	set->config = make_config(set, arena, schemas, schema_count);
	flow_config_unref(former);
	divide_nominally(set, now_ns);
}

void priority_levels_init(struct priority_levels *set, unsigned server_seats, struct metrics_registry *metrics)
{
	*set = (struct priority_levels){.server_seats = server_seats, .metrics = metrics};
	list_init(&set->levels);
}

void priority_levels_done(struct priority_levels *set)
{
	struct priority_level *level;

	set->config = flow_config_unref(set->config);
	list_for_each (level, &set->levels, node)
		if (level->configured)
			priority_level_unref(level);
}

// --- classifying ---------------------------------------------------------------------------------

const struct flow *flow_config_classify(const struct flow_config *config, const struct flow_attributes *attributes)
{
	for (size_t i = 0; i < config->count; i++)
		if (flow_schema_matches(&config->flows[i].schema.spec, attributes))
			return &config->flows[i];
	return &config->flows[config->count - 1];
}

uint64_t flow_hash(const struct flow *flow, const struct flow_attributes *attributes)
{
	const char *distinguisher = flow_schema_distinguisher(&flow->schema.spec, attributes);

	return flow->seed * UINT64_C(0x9e3779b97f4a7c15) ^ fnv64a(distinguisher, strlen(distinguisher));
}
