// SPDX-License-Identifier: Apache-2.0
//
// Waiting for what was started, and what only a running control plane can be
// told: this node's role.
#include <stdio.h>
#include <string.h>

#include "adm/admin_client.h"
#include "adm/init_run.h"
#include "adm/unit.h"
#include "common/base/clock.h"
#include "common/client/rest.h"
#include "common/io/loop.h"

int phase_wait_control_plane(struct init_run *run UNUSED, const struct init_phase *phase, struct err *err)
{
	phase_say(phase, "Waiting for the API server to be ready, up to 4m0s");
	AUTO_ADMIN_CLIENT struct admin_client client = {0};
	int result = admin_client_init(&client, ADM_KUBERNETES_FOLDER "/super-admin.conf", err);
	if (result < 0)
		return result;
	int64_t started_ns = loop_now_ns(client.loop);
	struct rest_request request = {
	        .method = "GET", .path = "/readyz", .accept = "text/plain", .timeout_ns = 5 * NSEC_PER_SEC};
	result = admin_client_run(&client, &request, ERR_NONE, err);
	if (result < 0) {
		unit_show_journal("kube-etcd");
		unit_show_journal("kube-apiserver");
		return err_wrap(err, "the API server did not become ready; its journal is above");
	}
	phase_say(phase, "The API server is ready after %lld ms",
	          (long long)((loop_now_ns(client.loop) - started_ns) / NSEC_PER_MSEC));
	return 0;
}

int phase_mark_control_plane(struct init_run *run, const struct init_phase *phase, struct err *err)
{
	static const char patch[] = "{\"metadata\":{\"labels\":{\"node-role.kubernetes.io/control-plane\":\"\","
	                            "\"node.kubernetes.io/exclude-from-external-load-balancers\":\"\"}},"
	                            "\"spec\":{\"taints\":[{\"key\":\"node-role.kubernetes.io/"
	                            "control-plane\",\"effect\":\"NoSchedule\"}]}}";
	AUTO_ADMIN_CLIENT struct admin_client client = {0};
	int result = admin_client_init(&client, ADM_KUBERNETES_FOLDER "/super-admin.conf", err);
	if (result < 0)
		return result;
	AUTO_STRBUF struct strbuf path = STRBUF_INIT(1024);
	strbuf_append_text(&path, "/api/v1/nodes/");
	url_escape(&path, run->settings.node_name);
	struct rest_request request = {
	        .method = "PATCH",
	        .path = strbuf_text(&path),
	        .body_type = REST_STRATEGIC_MERGE_PATCH,
	        .body = patch,
	        .body_length = sizeof(patch) - 1,
	};
	result = admin_client_run(&client, &request, ERR_NONE, err);
	if (result < 0) {
		unit_show_journal("kubelet");
		return err_wrap(err, "the node %s did not register", run->settings.node_name);
	}
	phase_say(phase,
	          "Marked the node %s as control-plane, with the taint "
	          "node-role.kubernetes.io/control-plane:NoSchedule",
	          run->settings.node_name);
	return 0;
}
