// SPDX-License-Identifier: Apache-2.0
//
// serviceaccount-controller: every namespace that is not being deleted has a
// ServiceAccount "default". Keys are names of namespaces.
#include <string.h>

#include "api/core_v1.h"
#include "common/api/view.h"
#include "common/base/memory.h"
#include "controller-manager/controllers.h"

#define ACCOUNT_NAME "default"

struct serviceaccount_controller {
	struct informer *namespaces;
	struct informer *accounts;
};

static void on_account(struct controller *controller, struct api_object *old_object, struct api_object *new_object)
{
	if (!new_object && strcmp(old_object->name, ACCOUNT_NAME) == 0)
		controller_enqueue(controller, old_object->namespace_name);
}

static void on_namespace(struct controller *controller, struct api_object *old_object UNUSED,
                         struct api_object *new_object)
{
	if (new_object)
		controller_enqueue(controller, new_object->name);
}

static int start(struct controller *controller, struct err *err UNUSED)
{
	struct serviceaccount_controller *state = NEW(struct serviceaccount_controller);
	const struct informer_config accounts = {
	        .resource = &schema_resource_core_v1_serviceaccounts,
	        .metadata_only = true,
	};
	controller_set_state(controller, state);
	state->namespaces = controller_watch(controller, &schema_resource_core_v1_namespaces, on_namespace);
	state->accounts = controller_watch_with(controller, &accounts, on_account);
	return 0;
}

static void stop(struct controller *controller)
{
	free(controller_state(controller));
}

static void reconcile_namespace(struct controller *controller, struct reconcile *reconcile, const char *key)
{
	struct serviceaccount_controller *state = controller_state(controller);
	struct api_object *object = informer_get(state->namespaces, NULL, key);
	if (!object || api_object_metadata(object)->deletion_timestamp ||
	    informer_get(state->accounts, key, ACCOUNT_NAME))
		return;
	struct core_v1_service_account account = {
	        .api_version = "v1",
	        .kind = "ServiceAccount",
	        .metadata = {.name = ACCOUNT_NAME, .namespace = key},
	};
	reconcile_create(reconcile, &schema_resource_core_v1_serviceaccounts, key, &account, NULL, NULL);
}

const struct controller_type serviceaccount_controller = {
        .name = "serviceaccount-controller",
        .start = start,
        .reconcile = reconcile_namespace,
        .stop = stop,
};
