// SPDX-License-Identifier: Apache-2.0
#include "controller-manager/manager.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "controller-manager/internal.h"

struct shared_informer *controller_manager_informer(struct controller_manager *manager,
						    const struct schema_resource *resource)
{
	struct shared_informer *shared;
	list_for_each(shared, &manager->informers, node)
		if (shared->resource == resource)
			return shared;
	struct informer_config config = {.resource = resource};
	shared = NEW(struct shared_informer);
	shared->resource = resource;
	shared->informer = informer_new(manager->config.client, &config);
	list_append(&manager->informers, &shared->node);
	return shared;
}

struct informer *controller_manager_find_informer(struct controller_manager *manager,
						  const struct schema_resource *resource)
{
	struct shared_informer *shared;
	list_for_each(shared, &manager->informers, node)
		if (shared->resource == resource)
			return shared->informer;
	return NULL;
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

static int start_controllers(struct controller_manager *manager, struct err *err)
{
	size_t known = 0;
	while (controller_types[known])
		known++;
	// An array that never moves: watches point at its members.
	manager->controllers = xcalloc(known, sizeof(*manager->controllers));
	for (size_t i = 0; i < known; i++) {
		if (!is_enabled(manager->config.enabled, controller_types[i]->name)) {
			log_warning("Controller is disabled", kv_str("controller", controller_types[i]->name));
			continue;
		}
		struct controller *controller = &manager->controllers[manager->controller_count++];
		int result = controller_init(controller, controller_types[i], manager, err);
		if (result < 0)
			return err_wrap(err, "start %s", controller_types[i]->name);
	}
	return 0;
}

int controller_manager_new(const struct controller_manager_config *config, struct controller_manager **ret_manager,
			   struct err *err)
{
	struct controller_manager *manager = NEW(struct controller_manager);
	manager->config = *config;
	manager->loop = rest_client_loop(config->client);
	manager->events = event_recorder_new(config->client, "kube-controller-manager", config->host_name);
	list_init(&manager->informers);
	int result = start_controllers(manager, err);
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
	for (size_t i = 0; i < manager->controller_count; i++)
		controller_done(&manager->controllers[i]);
	free(manager->controllers);
	struct shared_informer *shared;
	list_for_each(shared, &manager->informers, node) {
		list_remove(&shared->node);
		informer_free(shared->informer);
		free(shared);
	}
	event_recorder_free(manager->events);
	free(manager);
	return NULL;
}
