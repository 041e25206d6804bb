// SPDX-License-Identifier: Apache-2.0
#include "adm/admin_client.h"

#include <time.h>

#include "common/base/clock.h"
#include "common/io/loop.h"

#define CONTROL_PLANE_TIMEOUT_NS (INT64_C(240) * NSEC_PER_SEC)
#define RETRY_INTERVAL_NS (20 * NSEC_PER_MSEC)

void admin_client_done(struct admin_client *client)
{
	rest_client_free(client->rest);
	loop_free(client->loop);
	arena_free(client->arena);
}

int admin_client_init(struct admin_client *client, const char *kubeconfig, struct err *err)
{
	client->arena = arena_new(0);
	struct kubeconfig_overrides overrides = {.path = kubeconfig};
	struct client_config config;
	int result = kubeconfig_load(client->arena, &overrides, &config, err);
	if (result == 0)
		result = loop_new(&clock_system, &client->loop, err);
	if (result == 0)
		result = rest_client_new(client->loop, &config, "adm", &client->rest, err);
	return result;
}

int admin_client_run(struct admin_client *client, const struct rest_request *request, enum err_code good_enough,
                     struct err *err)
{
	int64_t deadline_ns = loop_now_ns(client->loop) + CONTROL_PLANE_TIMEOUT_NS;
	while (true) {
		struct rest_response response;
		struct err last = ERR_INIT;
		AUTO(arena_free) struct arena *arena = arena_new(0);
		if (rest_run(client->rest, arena, request, &response, &last) == 0 || last.code == good_enough)
			return 0;
		if (loop_now_ns(client->loop) > deadline_ns)
			return err_copy(err, &last);
		nanosleep(&(struct timespec){.tv_nsec = RETRY_INTERVAL_NS}, NULL);
	}
}
