// SPDX-License-Identifier: Apache-2.0
// Controllers start in the order of the table, those that say so (the garbage
// collector, whose lean watches then find the others' informers) after all others.
// Two that want the same informer share it; one of full objects also serves those
// that need only metadata.

#include "controller-manager/manager.h"

#include <malloc.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "controller-manager/internal.h"

#define TRIM_PERIOD_NS (20 * NSEC_PER_SEC)

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool serves(const struct informer_config *present, const struct informer_config *wanted)
{
	return present->resource == wanted->resource && same_text(present->namespace_name, wanted->namespace_name) &&
	       same_text(present->label_selector, wanted->label_selector) &&
	       same_text(present->field_selector, wanted->field_selector) &&
	       (wanted->metadata_only || !present->metadata_only);
}

struct shared_informer *controller_manager_informer(struct controller_manager *manager,
                                                    const struct informer_config *config)
{
	struct shared_informer *shared;
	list_for_each (shared, &manager->informers, node)
		if (serves(&shared->config, config))
			return shared;
	shared = NEW(struct shared_informer);
	shared->config = *config;
	shared->informer = informer_new(manager->config.client, config);
	list_append(&manager->informers, &shared->node);
	return shared;
}

// --controllers: the last word about a name counts; "*" is everything.
static bool is_enabled(const char *const *enabled, const char *name)
{
	bool result = false;
	for (; enabled && *enabled; enabled++) {
		if (strcmp(*enabled, "*") == 0 || strcmp(*enabled, name) == 0)
			result = true;
		else if ((*enabled)[0] == '-' && strcmp(*enabled + 1, name) == 0)
			return false;
	}
	return result;
}

static int start_some(struct controller_manager *manager, bool last, struct err *err)
{
	for (size_t i = 0; controller_types[i]; i++) {
		const struct controller_type *type = controller_types[i];
		if (type->starts_last != last)
			continue;
		if (!is_enabled(manager->config.enabled, type->name)) {
			log_warning("Controller is disabled", kv_str("controller", type->name));
			continue;
		}
		struct controller *controller = &manager->controllers[manager->controller_count++];
		if (controller_init(controller, type, manager, err) < 0)
			return err_wrap(err, "start %s", type->name);
	}
	return 0;
}

// Not an error: scripts name upstream's controllers, of which not all are here.
static void warn_of_unknown(const char *const *enabled)
{
	for (; enabled && *enabled; enabled++) {
		const char *name = (*enabled)[0] == '-' ? *enabled + 1 : *enabled;
		bool is_known = strcmp(name, "*") == 0;
		for (size_t i = 0; controller_types[i] && !is_known; i++)
			is_known = strcmp(controller_types[i]->name, name) == 0;
		if (!is_known)
			log_warning("Controller is not in the list of known controllers", kv_str("controller", name));
	}
}

static int start_controllers(struct controller_manager *manager, struct err *err)
{
	size_t known = 0;
	warn_of_unknown(manager->config.enabled);
	while (controller_types[known])
		known++;
	// An array that never moves: watches point at its members.
	manager->controllers = xcalloc(known, sizeof(*manager->controllers));
	int result = start_some(manager, false, err);
	return result < 0 ? result : start_some(manager, true, err);
}

// The heap that a burst of work took goes back to the system.
static void on_trim_timer(struct loop_timer *timer)
{
	struct controller_manager *manager = container_of(timer, struct controller_manager, trim_timer);
	malloc_trim(0);
	loop_timer_start(manager->loop, timer, TRIM_PERIOD_NS, on_trim_timer);
}

// Several controllers may have waited for one account.
static void on_credential(void *context)
{
	struct controller_manager *manager = context;
	for (size_t i = 0; i < manager->controller_count; i++)
		controller_start_if_ready(&manager->controllers[i]);
}

int controller_manager_new(const struct controller_manager_config *config, struct controller_manager **ret_manager,
                           struct err *err)
{
	struct controller_manager *manager = NEW(struct controller_manager);
	manager->config = *config;
	manager->loop = rest_client_loop(config->client);
	manager->events = event_recorder_new(config->client, "kube-controller-manager", config->host_name);
	list_init(&manager->informers);
	loop_timer_start(manager->loop, &manager->trim_timer, TRIM_PERIOD_NS, on_trim_timer);
	int result = 0;
	if (config->use_service_accounts)
		result = credentials_new(config->client, on_credential, manager, &manager->credentials, err);
	if (result == 0)
		result = start_controllers(manager, err);
	if (result < 0) {
		controller_manager_free(manager);
		return result;
	}
	*ret_manager = manager;
	return 0;
}

struct controller_manager *controller_manager_free(struct controller_manager *manager)
{
	if (!manager)
		return NULL;
	loop_timer_stop(&manager->trim_timer);
	for (size_t i = 0; i < manager->controller_count; i++)
		controller_done(&manager->controllers[i]);
	free(manager->controllers);
	struct shared_informer *shared;
	list_for_each (shared, &manager->informers, node) {
		list_remove(&shared->node);
		informer_free(shared->informer);
		free(shared);
	}
	credentials_free(manager->credentials);
	event_recorder_free(manager->events);
	free(manager);
	return NULL;
}
