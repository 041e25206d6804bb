// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the controllers share: one informer for each resource, the event recorder,
// the settings; and starting and stopping all of them together.

#include "controller-manager/controller.h"

struct controller_manager;
struct metrics_registry;

struct controller_manager_config {
	struct rest_client *client;
	struct metrics_registry *metrics;
	const char *host_name;
	struct controller_settings settings;
	bool use_service_accounts;  // --use-service-account-credentials
	const char *const *enabled; // --controllers: names, "-name", "*"; NULL-terminated
};

NODISCARD int controller_manager_new(const struct controller_manager_config *config,
                                     struct controller_manager **ret_manager, struct err *err);
struct controller_manager *controller_manager_free(struct controller_manager *manager);
