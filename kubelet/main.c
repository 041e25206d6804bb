// SPDX-License-Identifier: Apache-2.0
// kubelet: runs the pods that are bound to its node, and those of its manifest folder.

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/client/daemon.h"
#include "common/client/event_recorder.h"
#include "common/client/informer.h"
#include "common/client/rest.h"
#include "common/io/loop.h"
#include "kubelet/certificates/client_certificate.h"
#include "kubelet/kubelet.h"
#include "kubelet/node/node_agent.h"
#include "kubelet/node/node_facts.h"
#include "kubelet/pod/mirror.h"
#include "kubelet/pod/object_cache.h"
#include "kubelet/pod/pod_manager.h"
#include "kubelet/pod/static_pods.h"
#include "kubelet/runtime/runtime.h"
#include "kubelet/server/kubelet_server.h"

#define END_PATIENCE_NS (10 * NSEC_PER_SEC)
#define END_LOOK_NS (20 * NSEC_PER_MSEC)

enum { WORKER_THREADS = 4 };

static struct daemon_options arg_daemon = DAEMON_OPTIONS_INIT(10248);
static struct kubelet_config arg_config;

#define GROUP "Kubelet"
static const struct option options[] = {
        {"config", 0, OPTION_STRING, &arg_config.config_file, GROUP, "file",
         "KubeletConfiguration file; flags go before it"},
        {"bootstrap-kubeconfig", 0, OPTION_STRING, &arg_config.bootstrap_kubeconfig, GROUP, "file",
         "credentials to use while --kubeconfig doesn't exist"},
        {"hostname-override", 0, OPTION_STRING, &arg_config.hostname_override, GROUP, "name", "the node's name"},
        {"node-ip", 0, OPTION_STRING, &arg_config.node_ip, GROUP, "address", "the node's address"},
        {"root-dir", 0, OPTION_STRING, &arg_config.root_directory, GROUP, "folder",
         "where pods' volumes and records are kept"},
        {"cert-dir", 0, OPTION_STRING, &arg_config.certificate_directory, GROUP, "folder",
         "where a serving certificate is made when none is given"},
        {"pod-logs-dir", 0, OPTION_STRING, &arg_config.pod_logs_directory, GROUP, "folder",
         "where containers' logs are kept"},
        {"pod-manifest-path", 0, OPTION_STRING, &arg_config.static_pod_path, GROUP, "path",
         "folder or file of static pods"},
        {"file-check-frequency", 0, OPTION_DURATION, &arg_config.file_check_ns, GROUP, "duration",
         "how often the manifests are read again"},
        {"sync-frequency", 0, OPTION_DURATION, &arg_config.sync_ns, GROUP, "duration",
         "how often running pods are looked at"},
        {"container-runtime-endpoint", 0, OPTION_STRING, &arg_config.container_runtime_endpoint, GROUP, "address",
         "containerd's socket, unix:///…"},
        {"oci-runtime", 0, OPTION_STRING, &arg_config.runtime_name, GROUP, "name",
         "containerd's name of the OCI runtime"},
        {"container-logger", 0, OPTION_STRING, &arg_config.logger_path, GROUP, "file",
         "the program that writes containers' logs (crilog beside this program)"},
        {"container-log-max-size", 0, OPTION_IGNORED, NULL, GROUP, "size",
         "set containerLogMaxSize in the config file"},
        {"container-log-max-files", 0, OPTION_INT, &arg_config.container_log_max_files, GROUP, "number",
         "files kept of each container's log"},
        {"pod-infra-container-image", 0, OPTION_STRING, &arg_config.infra_image, GROUP, "image",
         "image of the container that stands for a pod's sandbox"},
        {"cni-conf-dir", 0, OPTION_STRING, &arg_config.cni_config_directory, GROUP, "folder", "network configurations"},
        {"cni-bin-dir", 0, OPTION_STRING, &arg_config.cni_binary_path, GROUP, "folders",
         "network plugins, folders separated by ':'"},
        {"cgroup-root", 0, OPTION_STRING, &arg_config.cgroup_root, GROUP, "path",
         "cgroup below which pods' cgroups are made"},
        {"cgroup-driver", 0, OPTION_STRING, &arg_config.cgroup_driver, GROUP, "driver",
         "cgroupfs (systemd is taken for it)"},
        {"cluster-dns", 0, OPTION_STRINGS, &arg_config.cluster_dns, GROUP, "addresses",
         "name servers of ClusterFirst pods"},
        {"cluster-domain", 0, OPTION_STRING, &arg_config.cluster_domain, GROUP, "domain", "the cluster's domain"},
        {"resolv-conf", 0, OPTION_STRING, &arg_config.resolv_conf, GROUP, "file", "the node's resolver configuration"},
        {"node-labels", 0, OPTION_STRINGS, &arg_config.node_labels, GROUP, "labels",
         "labels of the node when it registers"},
        {"register-with-taints", 0, OPTION_STRINGS, &arg_config.taints, GROUP, "taints",
         "taints of the node when it registers"},
        {"register-node", 0, OPTION_BOOL, &arg_config.register_node, GROUP, "",
         "register the node with the API server"},
        {"seccomp-default", 0, OPTION_BOOL, &arg_config.seccomp_default, GROUP, "",
         "containers that say nothing get RuntimeDefault instead of Unconfined"},
        {"allowed-unsafe-sysctls", 0, OPTION_STRINGS, &arg_config.allowed_unsafe_sysctls, GROUP, "names",
         "sysctls that pods may set besides the safe ones, patterns end in *"},
        {"max-pods", 0, OPTION_INT, &arg_config.max_pods, GROUP, "number", "pods that the node may run"},
        {"node-status-update-frequency", 0, OPTION_DURATION, &arg_config.node_status_update_ns, GROUP, "duration",
         "how often the node's status is looked at"},
        {"address", 0, OPTION_STRING, &arg_config.address, GROUP, "address", "address of the HTTPS server"},
        {"port", 0, OPTION_INT, &arg_config.port, GROUP, "port", "port of the HTTPS server; 0 serves none"},
        {"read-only-port", 0, OPTION_INT, &arg_config.read_only_port, GROUP, "port", "accepted for compatibility"},
        {"healthz-bind-address", 0, OPTION_STRING, &arg_config.healthz_address, GROUP, "address",
         "address of /healthz"},
        {"healthz-port", 0, OPTION_INT, &arg_config.healthz_port, GROUP, "port", "port of /healthz; 0 serves none"},
        {"client-ca-file", 0, OPTION_STRING, &arg_config.client_ca_file, GROUP, "file",
         "authority of the clients of the HTTPS server"},
        {"tls-cert-file", 0, OPTION_STRING, &arg_config.tls_certificate_file, GROUP, "file", "serving certificate"},
        {"tls-private-key-file", 0, OPTION_STRING, &arg_config.tls_private_key_file, GROUP, "file", "its key"},
        {"anonymous-auth", 0, OPTION_BOOL, &arg_config.anonymous_auth, GROUP, "",
         "let those who show no credentials be system:anonymous"},
        {"authentication-token-webhook", 0, OPTION_BOOL, &arg_config.token_webhook, GROUP, "",
         "judge bearer tokens by TokenReview"},
        {"authentication-token-webhook-cache-ttl", 0, OPTION_DURATION, &arg_config.token_cache_ns, GROUP, "duration",
         "how long the answers of TokenReview are kept"},
        {"authorization-mode", 0, OPTION_STRING, &arg_config.authorization_mode, GROUP, "mode",
         "AlwaysAllow or Webhook (SubjectAccessReview)"},
        {"authorization-webhook-cache-authorized-ttl", 0, OPTION_DURATION, &arg_config.allowed_cache_ns, GROUP,
         "duration", "how long it is kept that somebody may"},
        {"authorization-webhook-cache-unauthorized-ttl", 0, OPTION_DURATION, &arg_config.denied_cache_ns, GROUP,
         "duration", "how long it is kept that somebody may not"},
        {"container-runtime", 0, OPTION_IGNORED, NULL, GROUP, "name", "accepted for compatibility"},
        {"rotate-certificates", 0, OPTION_BOOL, &arg_config.rotate_certificates, GROUP, "",
         "have a new client certificate made by the API server before the old one expires"},
        {"rotate-server-certificates", 0, OPTION_BOOL, &arg_config.server_tls_bootstrap, GROUP, "",
         "have the serving certificate made by the API server"},
        {"fail-swap-on", 0, OPTION_IGNORED, NULL, GROUP, "bool", "accepted for compatibility"},
        {"feature-gates", 0, OPTION_IGNORED, NULL, GROUP, "gates", "accepted for compatibility"},
        DAEMON_OPTION_ROWS(arg_daemon),
        {0},
};

struct main_state {
	struct kubelet kubelet;
	struct arena *arena;
	struct informer_handler pod_handler;
	struct static_pods *static_pods;
	struct kubelet_server *server;
	struct certificate_manager *client_certificate;  // NULL: not rotated
	struct certificate_manager *serving_certificate; // NULL likewise
	struct daemon *daemon;                           // while ending
	struct loop_timer end_timer;
	int64_t end_by_ns;
};
static struct main_state state;

// --- configuration ------------------------------------------------------------------------

static int find_logger(struct err *err)
{
	char path[PATH_MAX];
	if (*arg_config.logger_path)
		return 0;
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (length < 0)
		return err_set_errno(err, errno, "find this program's folder");
	path[length] = '\0';
	char *slash = strrchr(path, '/');
	arg_config.logger_path = arena_printf(state.arena, "%.*s/crilog", (int)(slash - path), path);
	if (access(arg_config.logger_path, X_OK) < 0)
		return err_set_errno(err, errno, "the container logger %s can't be run (see --container-logger)",
		                     arg_config.logger_path);
	return 0;
}

static int check_values(struct err *err)
{
	static const char prefix[] = "unix://";
	if (geteuid() != 0)
		return err_set(err, ERR_FORBIDDEN,
		               "kubelet needs to run as uid `0`: it mounts, and makes namespaces and cgroups");
	if (!strncmp(arg_config.container_runtime_endpoint, prefix, strlen(prefix)))
		arg_config.container_runtime_endpoint += strlen(prefix);
	if (*arg_config.container_runtime_endpoint != '/')
		return err_set(err, ERR_INVALID,
		               "invalid --container-runtime-endpoint: want unix:///path of containerd's socket");
	if (strcmp(arg_config.cgroup_driver, "cgroupfs") && strcmp(arg_config.cgroup_driver, "systemd"))
		return err_set(err, ERR_INVALID, "invalid cgroup driver \"%s\": want cgroupfs or systemd",
		               arg_config.cgroup_driver);
	if (strcmp(arg_config.authorization_mode, "AlwaysAllow") && strcmp(arg_config.authorization_mode, "Webhook"))
		return err_set(err, ERR_INVALID, "unknown authorization-mode %s", arg_config.authorization_mode);
	return 0;
}

static const char *node_name_of(const struct daemon *daemon)
{
	return *arg_config.hostname_override ? arg_config.hostname_override : daemon->host_name;
}

// Rotation keeps a file up; the client is to use that one.
static int adjust_client(struct daemon *daemon, struct client_config *config, struct arena *arena, struct err *err)
{
	(void)daemon;
	if (!arg_config.rotate_certificates)
		return 0;
	return client_certificate_adopt(arena, arg_config.certificate_directory, config, err);
}

static int configure(struct daemon *daemon, struct err *err)
{
	state.arena = arena_new(0);
	int result = 0;
	if (*arg_config.config_file)
		result = kubelet_config_load(state.arena, arg_config.config_file, options, &arg_config, err);
	else
		kubelet_config_set_legacy_defaults(options, &arg_config);
	if (result == 0)
		result = check_values(err);
	if (result == 0)
		result = find_logger(err);
	if (result == 0 && *arg_config.bootstrap_kubeconfig && *arg_daemon.kubeconfig &&
	    access(arg_daemon.kubeconfig, R_OK) < 0)
		result = client_certificate_bootstrap(arg_config.bootstrap_kubeconfig, arg_daemon.kubeconfig,
		                                      node_name_of(daemon), arg_config.certificate_directory, err);
	arg_daemon.health_address = arg_config.healthz_address;
	arg_daemon.health_port = arg_config.healthz_port;
	return result;
}

// --- pods of the API ------------------------------------------------------------------------

static void on_pod_changed(struct informer_handler *handler, struct api_object *old_object,
                           struct api_object *new_object)
{
	(void)handler;
	bool replaced = old_object && new_object && strcmp(old_object->uid, new_object->uid);
	if (old_object && (!new_object || replaced))
		pod_manager_api_pod(state.kubelet.pods, old_object->uid, NULL);
	if (new_object)
		pod_manager_api_pod(state.kubelet.pods, new_object->uid, new_object);
	mirror_wake(state.kubelet.mirror);
}

static void on_pods_synced(struct informer_handler *handler)
{
	(void)handler;
	pod_manager_api_synced(state.kubelet.pods);
}

static void start_client(struct daemon *daemon)
{
	struct kubelet *kubelet = &state.kubelet;
	kubelet->client = daemon->client;
	kubelet->events = event_recorder_new(kubelet->client, "kubelet", kubelet->node_name);
	kubelet->services = informer_new(
	        kubelet->client, &(struct informer_config){.resource = schema_find_resource("", "v1", "services")});
	kubelet->api_pods =
	        informer_new(kubelet->client,
	                     &(struct informer_config){.resource = schema_find_resource("", "v1", "pods"),
	                                               .field_selector = arena_printf(state.arena, "spec.nodeName=%s",
	                                                                              kubelet->node_name)});
}

// --- life --------------------------------------------------------------------------------------

static int find_node(struct daemon *daemon, struct err *err)
{
	struct kubelet *kubelet = &state.kubelet;
	kubelet->node_name = node_name_of(daemon);
	kubelet->node_ip = *arg_config.node_ip ? arg_config.node_ip : node_address_guess(state.arena);
	if (!kubelet->node_ip)
		return err_set(err, ERR_INVALID, "no address of this node was found: give it by --node-ip");
	kubelet->node_memory_bytes = node_facts_read(state.arena, "/").memory_bytes;
	return 0;
}

static int make_folders(struct err *err)
{
	int result = file_make_folders(arg_config.root_directory, 0750, err);
	if (result == 0)
		result = file_make_folders(arena_printf(state.arena, "%s/pods", arg_config.root_directory), 0750, err);
	if (result == 0)
		result = file_make_folders(arg_config.pod_logs_directory, 0755, err);
	return result;
}

static void start_certificates(struct daemon *daemon)
{
	struct kubelet *kubelet = &state.kubelet;
	const char *directory = arg_config.certificate_directory;
	if (!daemon->client)
		return;
	if (arg_config.rotate_certificates)
		state.client_certificate =
		        client_certificate_rotate(daemon->loop, daemon->client, kubelet->node_name, directory);
	if (arg_config.server_tls_bootstrap && !*arg_config.tls_certificate_file)
		state.serving_certificate = serving_certificate_rotate(daemon->loop, daemon->client, kubelet->node_name,
		                                                       kubelet->node_ip, directory);
}

static int start(struct daemon *daemon, struct err *err)
{
	struct kubelet *kubelet = &state.kubelet;
	signal(SIGPIPE, SIG_IGN);
	*kubelet = (struct kubelet){
	        .loop = daemon->loop,
	        .config = &arg_config,
	        .cni = {.config_directory = arg_config.cni_config_directory, .binary_path = arg_config.cni_binary_path},
	};
	int result = find_node(daemon, err);
	if (result == 0)
		result = make_folders(err);
	if (result < 0)
		return result;
	kubelet->pool = work_pool_new(WORKER_THREADS);
	struct ctr_runtime_config runtime = {
	        .address = arg_config.container_runtime_endpoint,
	        .namespace_name = "k8s.io",
	        .logger_path = arg_config.logger_path,
	        .runtime_name = arg_config.runtime_name,
	        .log_max_bytes = arg_config.container_log_max_bytes,
	        .log_max_files = arg_config.container_log_max_files,
	        .lock_path = arena_printf(state.arena, "%s/runtime.lock", arg_config.root_directory),
	};
	kubelet->runtime = ctr_runtime_new(daemon->loop, &runtime);
	if (daemon->client)
		start_client(daemon);
	else
		log_warning("Standalone mode, no API client");
	kubelet->objects = object_cache_new(daemon->loop, daemon->client);
	kubelet->pods = pod_manager_new(kubelet);
	if (daemon->client) {
		kubelet->mirror = mirror_new(kubelet);
		kubelet->node = node_agent_new(kubelet);
		state.pod_handler = (struct informer_handler){.changed = on_pod_changed, .synced = on_pods_synced};
		informer_add_handler(kubelet->api_pods, &state.pod_handler);
	}
	if (*arg_config.static_pod_path)
		state.static_pods = static_pods_new(kubelet);
	start_certificates(daemon);
	if (arg_config.port)
		result = kubelet_server_new(kubelet, daemon->metrics, &state.server, err);
	if (result == 0)
		daemon_ready(daemon);
	return result;
}

static bool is_idle(void)
{
	struct kubelet *kubelet = &state.kubelet;
	return (!kubelet->pods || pod_manager_is_idle(kubelet->pods)) &&
	       (!kubelet->runtime || kubelet->runtime->operations->is_idle(kubelet->runtime));
}

static void on_end_timer(struct loop_timer *timer)
{
	(void)timer;
	if (is_idle() || loop_now_ns(state.kubelet.loop) >= state.end_by_ns)
		daemon_quit(state.daemon, 0);
	else
		loop_timer_start(state.kubelet.loop, &state.end_timer, END_LOOK_NS, on_end_timer);
}

// What was begun is finished first: that is quicker to take up again.
static void terminate(struct daemon *daemon)
{
	if (!state.kubelet.pods) {
		daemon_quit(daemon, 0);
		return;
	}
	state.daemon = daemon;
	state.end_by_ns = loop_now_ns(daemon->loop) + END_PATIENCE_NS;
	pod_manager_halt(state.kubelet.pods);
	loop_timer_start(daemon->loop, &state.end_timer, 0, on_end_timer);
}

// Containers go on: the next kubelet finds them by the records.
static void stop(struct daemon *daemon)
{
	struct kubelet *kubelet = &state.kubelet;
	(void)daemon;
	loop_timer_stop(&state.end_timer);
	if (!is_idle()) {
		// As after SIGKILL, which the records are made for: steps under way can't be taken back.
		log_warning("Leaving steps under way to the next kubelet");
		_exit(0);
	}
	state.server = kubelet_server_free(state.server);
	state.client_certificate = certificate_manager_free(state.client_certificate);
	state.serving_certificate = certificate_manager_free(state.serving_certificate);
	state.static_pods = static_pods_free(state.static_pods);
	if (kubelet->api_pods && state.pod_handler.changed)
		informer_remove_handler(kubelet->api_pods, &state.pod_handler);
	kubelet->node = node_agent_free(kubelet->node);
	kubelet->mirror = mirror_free(kubelet->mirror);
	kubelet->pool = work_pool_free(kubelet->pool);
	if (kubelet->runtime)
		kubelet->runtime->operations->close(kubelet->runtime);
	kubelet->pods = pod_manager_free(kubelet->pods);
	kubelet->objects = object_cache_free(kubelet->objects);
	if (kubelet->api_pods)
		informer_free(kubelet->api_pods);
	if (kubelet->services)
		informer_free(kubelet->services);
	if (kubelet->events)
		event_recorder_free(kubelet->events);
	state.arena = arena_free(state.arena);
}

static const struct daemon_program program = {
        .name = "kubelet",
        .summary = "The node agent: runs the pods that are bound to its node through containerd, and reports on them.",
        .options = options,
        .values = &arg_daemon,
        .kubeconfig_optional = true,
        .configure = configure,
        .adjust_client = adjust_client,
        .start = start,
        .stop = stop,
        .terminate = terminate,
};

int main(int argc, char **argv)
{
	arg_config = kubelet_config_defaults;
	return daemon_main(&program, argc, argv);
}
