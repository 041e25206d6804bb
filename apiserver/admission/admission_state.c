// SPDX-License-Identifier: Apache-2.0
// What plug-ins keep: made when the server starts, from the configuration file.

#include <stdlib.h>

#include "apiserver/admission/admission_internal.h"
#include "apiserver/admission/event_rate_limit.h"
#include "apiserver/admission/expression_check.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/admission/pod_security.h"
#include "apiserver/admission/policy_config.h"
#include "apiserver/admission/quota.h"
#include "apiserver/admission/webhook_call.h"
#include "apiserver/admission/webhook_config.h"
#include "apiserver/server.h"

int admission_plugins_start(struct server *server, struct err *err)
{
	struct admission *admission = server->admission;
	const struct json *limits = admission_configuration(server, "EventRateLimit");
	int r = 0;

	if (limits)
		r = event_rate_limits_new(limits, &admission->event_rate_limits, err);
	if (r == 0)
		r = pod_security_configure(admission->arena, admission_configuration(server, "PodSecurity"),
		                           &admission->pod_security, err);
	admission->webhook_cache = webhook_cache_new();
	admission->policy_cache = policy_cache_new();
	admission_rules_set_compiler(expression_check);
	for (size_t i = 0; i < SERVER_LOOPS; i++)
		admission->webhook_desks[i] = webhook_desk_new(server, server->loops[i].loop);
	admission->quota = quota_desk_new(server, admission_configuration(server, "ResourceQuota"));
	admission->quota_is_limiting =
	        json_get(admission_configuration(server, "ResourceQuota"), "limitedResources") != NULL;
	return r;
}

void admission_plugins_stop(struct admission *admission)
{
	quota_desk_free(admission->quota);
	for (size_t i = 0; i < SERVER_LOOPS; i++)
		webhook_desk_free(admission->webhook_desks[i]);
	webhook_cache_free(admission->webhook_cache);
	policy_cache_free(admission->policy_cache);
	event_rate_limits_free(admission->event_rate_limits);
}
