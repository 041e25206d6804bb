// SPDX-License-Identifier: Apache-2.0
//
// `adm init` makes this machine the first of a cluster: a table of phases, run in
// order, each safe to run again. `adm init phase GROUP[/NAME]` runs some of them.
#include "adm/init.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "adm/init_run.h"
#include "common/base/strbuf.h"

enum exit_code {
	EXIT_OK = 0,
	EXIT_ERROR = 1,
	EXIT_PREFLIGHT = 2,
	EXIT_ARGUMENTS = 3,
};

const struct init_phase init_phases[] = {
        {"preflight", "Run pre-flight checks", phase_preflight},
        {"certs/ca", "Generate the self-signed Kubernetes CA", phase_certificate},
        {"certs/apiserver", "Generate the certificate of the API server", phase_certificate},
        {"certs/apiserver-kubelet-client", "Generate the API server's client certificate for kubelets",
         phase_certificate},
        {"certs/front-proxy-ca", "Generate the self-signed CA of the front proxy", phase_certificate},
        {"certs/front-proxy-client", "Generate the front proxy's client certificate", phase_certificate},
        {"certs/etcd-ca", "Generate the self-signed CA of etcd", phase_certificate},
        {"certs/etcd-server", "Generate etcd's serving certificate", phase_certificate},
        {"certs/etcd-peer", "Generate the certificate for etcd's peers", phase_certificate},
        {"certs/etcd-healthcheck-client", "Generate the client certificate for etcd's health", phase_certificate},
        {"certs/apiserver-etcd-client", "Generate the API server's client certificate for etcd", phase_certificate},
        {"certs/sa", "Generate the key that signs service account tokens", phase_certificate},
        {"kubeconfig/admin", "Write the administrator's kubeconfig", phase_kubeconfig},
        {"kubeconfig/super-admin", "Write the super-administrator's kubeconfig", phase_kubeconfig},
        {"kubeconfig/kubelet", "Write the kubelet's kubeconfig", phase_kubeconfig},
        {"kubeconfig/controller-manager", "Write the controller manager's kubeconfig", phase_kubeconfig},
        {"kubeconfig/scheduler", "Write the scheduler's kubeconfig", phase_kubeconfig},
        {"etcd/local", "Start a local etcd", phase_etcd},
        {"control-plane/apiserver", "Start the API server", phase_control_plane},
        {"control-plane/controller-manager", "Start the controller manager", phase_control_plane},
        {"control-plane/scheduler", "Start the scheduler", phase_control_plane},
        {"kubelet-start", "Write the kubelet's settings and start it", phase_kubelet_start},
        {"wait-control-plane", "Wait for the control plane to be ready", phase_wait_control_plane},
        {"mark-control-plane", "Mark the node as a control-plane node", phase_mark_control_plane},
        {"bootstrap-token", "Grant administrators and joining kubelets what they need", phase_rbac},
        {"addon/kube-proxy", "Start kube-proxy", phase_kube_proxy},
        {0},
};

static struct init_settings arg_settings = {
        .advertise_address = "",
        .bind_port = 6443,
        .certificates_folder = ADM_KUBERNETES_FOLDER "/pki",
        .control_plane_endpoint = "",
        .node_name = "",
        .pod_subnet = "",
        .service_subnet = "10.96.0.0/12",
        .dns_domain = "cluster.local",
        .cri_socket = "unix:///run/containerd/containerd.sock",
};
static bool arg_help;

static const struct option options[] = {
        {"apiserver-advertise-address", 0, OPTION_STRING, &arg_settings.advertise_address, NULL, "ip",
         "the IP address that the API server tells others; by default the one of the default route"},
        {"apiserver-bind-port", 0, OPTION_INT, &arg_settings.bind_port, NULL, "port", "port of the API server"},
        {"apiserver-cert-extra-sans", 0, OPTION_STRINGS, &arg_settings.extra_names, NULL, "names",
         "further names and addresses of the API server's certificate"},
        {"cert-dir", 0, OPTION_STRING, &arg_settings.certificates_folder, NULL, "folder",
         "where certificates are kept"},
        {"control-plane-endpoint", 0, OPTION_STRING, &arg_settings.control_plane_endpoint, NULL, "host[:port]",
         "a stable name or address of the whole control plane"},
        {"cri-socket", 0, OPTION_STRING, &arg_settings.cri_socket, NULL, "path", "containerd's socket"},
        {"ignore-preflight-errors", 0, OPTION_STRINGS, &arg_settings.ignored_checks, NULL, "names",
         "checks whose errors are shown as warnings; 'all' for all of them"},
        {"node-name", 0, OPTION_STRING, &arg_settings.node_name, NULL, "name",
         "the node's name; by default the host's"},
        {"pod-network-cidr", 0, OPTION_STRING, &arg_settings.pod_subnet, NULL, "cidr",
         "addresses of pods; with it each node gets a part"},
        {"service-cidr", 0, OPTION_STRING, &arg_settings.service_subnet, NULL, "cidr", "addresses of services"},
        {"service-dns-domain", 0, OPTION_STRING, &arg_settings.dns_domain, NULL, "domain", "DNS domain of services"},
        {"skip-phases", 0, OPTION_STRINGS, &arg_settings.skip_phases, NULL, "names", "phases to leave out"},
        {"help", 'h', OPTION_BOOL, &arg_help, NULL, "", "print this help"},
        {0},
};

static void print_usage(void)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(64 * 1024);
	strbuf_append_text(&text, "Make this machine the first of a cluster.\n\nUsage:\n  adm init [flags]\n"
	                          "  adm init phase NAME [flags]\n\nPhases:\n");
	for (const struct init_phase *phase = init_phases; phase->name; phase++)
		strbuf_printf(&text, "  %-34s %s\n", phase->name, phase->summary);
	strbuf_append_text(&text, "\nFlags:\n");
	options_help(options, &text);
	fputs(strbuf_text(&text), stdout);
}

void phase_say(const struct init_phase *phase, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	printf("[%.*s] ", (int)strcspn(phase->name, "/"), phase->name);
	vprintf(format, args);
	putchar('\n');
	fflush(stdout);
	va_end(args);
}

const char *init_certificate_path(struct init_run *run, const char *name)
{
	return arena_printf(run->arena, "%s/%s", run->settings.certificates_folder, name);
}

// "certs" names all of its group, as "certs/all" does.
static bool phase_matches(const struct init_phase *phase, const char *name)
{
	size_t group = strcspn(phase->name, "/");
	if (strcmp(phase->name, name) == 0)
		return true;
	if (strncmp(phase->name, name, group) != 0)
		return false;
	return name[group] == '\0' || strcmp(name + group, "/all") == 0;
}

static bool phase_is_skipped(const struct init_run *run, const struct init_phase *phase)
{
	for (size_t i = 0; i < run->settings.skip_phases.count; i++)
		if (phase_matches(phase, run->settings.skip_phases.items[i]))
			return true;
	return false;
}

static int complete_settings(struct init_run *run, struct err *err)
{
	struct init_settings *settings = &run->settings;
	int result = 0;
	if (!*settings->advertise_address)
		result = default_address(run->arena, &settings->advertise_address, err);
	if (result == 0 && !*settings->node_name) {
		char name[256];
		if (gethostname(name, sizeof(name) - 1) < 0)
			return err_set(err, ERR_INVALID, "the host has no name; give --node-name");
		name[sizeof(name) - 1] = '\0';
		for (char *letter = name; *letter; letter++)
			if (*letter >= 'A' && *letter <= 'Z')
				*letter = (char)(*letter + ('a' - 'A'));
		settings->node_name = arena_strdup(run->arena, name);
	}
	if (result == 0 && (settings->bind_port < 1 || settings->bind_port > 65535))
		return err_set(err, ERR_INVALID, "--apiserver-bind-port must be from 1 to 65535");
	if (result == 0)
		result = subnet_address(run->arena, settings->service_subnet, 1, &run->service_address, err);
	if (result == 0)
		result = subnet_address(run->arena, settings->service_subnet, 10, &run->dns_address, err);
	const char *ignored;
	if (result == 0 && *settings->pod_subnet)
		result = subnet_address(run->arena, settings->pod_subnet, 1, &ignored, err);
	if (result < 0)
		return result;
	const char *brackets = strchr(settings->advertise_address, ':') ? "[]" : "";
	run->local_server = arena_printf(run->arena, "https://%.1s%s%s:%d", brackets, settings->advertise_address,
	                                 *brackets ? "]" : "", (int)settings->bind_port);
	const char *endpoint = settings->control_plane_endpoint;
	if (!*endpoint)
		run->server = run->local_server;
	else if (strrchr(endpoint, ':') && !strchr(strrchr(endpoint, ':'), ']'))
		run->server = arena_printf(run->arena, "https://%s", endpoint);
	else
		run->server = arena_printf(run->arena, "https://%s:6443", endpoint);
	return 0;
}

static int run_phases(struct init_run *run, const char *only, bool *ret_preflight_failed, struct err *err)
{
	bool any = false;
	for (const struct init_phase *phase = init_phases; phase->name; phase++) {
		if (only ? !phase_matches(phase, only) : phase_is_skipped(run, phase))
			continue;
		any = true;
		int result = phase->run(run, phase, err);
		if (result < 0) {
			*ret_preflight_failed = phase->run == phase_preflight;
			return *ret_preflight_failed ? result : err_wrap(err, "phase %s", phase->name);
		}
	}
	if (!any)
		return err_set(err, ERR_NOT_FOUND, "unknown phase \"%s\"; 'adm init --help' lists them", only);
	return 0;
}

static void print_next_steps(void)
{
	puts("\nYour Kubernetes control-plane has initialized successfully!\n\n"
	     "To use it as an ordinary user:\n\n"
	     "  mkdir -p $HOME/.kube\n"
	     "  sudo cp -i " ADM_KUBERNETES_FOLDER "/admin.conf $HOME/.kube/config\n"
	     "  sudo chown $(id -u):$(id -g) $HOME/.kube/config\n\n"
	     "As root:\n\n"
	     "  export KUBECONFIG=" ADM_KUBERNETES_FOLDER "/admin.conf\n");
}

int command_init(int argc, char **argv)
{
	AUTO(arena_free) struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	int positional;
	if (options_parse(options, argc, argv, true, &positional, &err) < 0) {
		fprintf(stderr, "error: %s\nSee 'adm init --help'.\n", err.message);
		return EXIT_ARGUMENTS;
	}
	if (arg_help) {
		print_usage();
		return EXIT_OK;
	}
	bool one_phase = positional == 2 && strcmp(argv[1], "phase") == 0;
	if (positional > 0 && !one_phase) {
		fprintf(stderr, "error: unknown argument \"%s\"\nSee 'adm init --help'.\n", argv[1]);
		return EXIT_ARGUMENTS;
	}
	struct init_run run = {.arena = arena, .settings = arg_settings};
	if (complete_settings(&run, &err) < 0) {
		fprintf(stderr, "error: %s\n", err.message);
		return EXIT_ARGUMENTS;
	}
	if (!one_phase)
		printf("[init] Using Kubernetes version: %s\n", CARAVEL_VERSION);
	bool preflight_failed = false;
	if (run_phases(&run, one_phase ? argv[2] : NULL, &preflight_failed, &err) < 0) {
		fprintf(stderr, "error: %s\n", err.message);
		return preflight_failed ? EXIT_PREFLIGHT : EXIT_ERROR;
	}
	if (!one_phase)
		print_next_steps();
	return EXIT_OK;
}
