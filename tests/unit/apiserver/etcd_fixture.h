// SPDX-License-Identifier: Apache-2.0
#pragma once
// A real etcd for a test: its own temporary directory, free loopback ports, dies
// with the test. It may be killed and started again on the same data. Included by
// one test program, hence static.

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/macros.h"

struct etcd_fixture {
	char directory[64];
	int client_port;
	int peer_port;
	char endpoint[64];
	const char *endpoints[2];
	char unix_endpoint[128]; // "unix:DIR/localhost:PORT" when asked for
	bool with_unix;
	char ca_file[96]; // set by etcd_fixture_make_certificates
	char certificate_file[96];
	char key_file[96];
	bool with_tls;
	pid_t pid;
};

static void must(bool fine, const char *what)
{
	if (fine)
		return;
	perror(what);
	abort();
}

static int free_port(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	must(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
	must(getsockname(fd, (struct sockaddr *)&address, &length) == 0, "getsockname");
	close(fd);
	return ntohs(address.sin_port);
}

static UNUSED void etcd_fixture_init(struct etcd_fixture *fixture)
{
	*fixture = (struct etcd_fixture){.directory = "/tmp/caravel-etcd-XXXXXX"};
	must(mkdtemp(fixture->directory) != NULL, "mkdtemp");
	fixture->client_port = free_port();
	fixture->peer_port = free_port();
	snprintf(fixture->endpoint, sizeof(fixture->endpoint), "http://127.0.0.1:%d", fixture->client_port);
	fixture->endpoints[0] = fixture->endpoint;
}

static void run(const char *command)
{
	must(system(command) == 0, command);
}

// TLS with client certificates from now on.
static UNUSED void etcd_fixture_make_certificates(struct etcd_fixture *fixture)
{
	const char *d = fixture->directory;
	char command[1024];
	snprintf(fixture->ca_file, sizeof(fixture->ca_file), "%s/ca.crt", d);
	snprintf(fixture->certificate_file, sizeof(fixture->certificate_file), "%s/client.crt", d);
	snprintf(fixture->key_file, sizeof(fixture->key_file), "%s/client.key", d);
	snprintf(command, sizeof(command),
	         "cd %s && exec 2>openssl.log && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
	         "-keyout ca.key -out ca.crt -days 2 -subj /CN=test-ca",
	         d);
	run(command);
	static const char *const names[] = {"server", "client", "root"};
	for (int i = 0; i < 3; i++) {
		snprintf(command, sizeof(command),
		         "cd %s && exec 2>>openssl.log && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
		         "-nodes "
		         "-keyout %s.key -out %s.csr -subj /CN=%s && printf "
		         "'subjectAltName=IP:127.0.0.1,DNS:localhost\\n"
		         "extendedKeyUsage=serverAuth,clientAuth\\n' > ext && openssl x509 -req -in %s.csr -CA ca.crt "
		         "-CAkey ca.key -CAcreateserial -days 2 -extfile ext -out %s.crt",
		         d, names[i], names[i], names[i], names[i], names[i]);
		run(command);
	}
	fixture->with_tls = true;
	snprintf(fixture->endpoint, sizeof(fixture->endpoint), "https://127.0.0.1:%d", fixture->client_port);
}

// Returns at once; etcd serves a little later.
static UNUSED void etcd_fixture_start(struct etcd_fixture *fixture)
{
	char data[96], client_urls[192], peer_url[64], ca[128], certificate[128], key[128];
	char cluster[96];
	snprintf(data, sizeof(data), "%s/data", fixture->directory);
	snprintf(client_urls, sizeof(client_urls), "%s", fixture->endpoint);
	if (fixture->with_unix) {
		snprintf(client_urls, sizeof(client_urls), "%s,unix://localhost:%d", fixture->endpoint,
		         fixture->client_port + 1);
		snprintf(fixture->unix_endpoint, sizeof(fixture->unix_endpoint), "unix:%s/localhost:%d",
		         fixture->directory, fixture->client_port + 1);
	}
	snprintf(peer_url, sizeof(peer_url), "http://127.0.0.1:%d", fixture->peer_port);
	snprintf(cluster, sizeof(cluster), "default=%s", peer_url);
	snprintf(ca, sizeof(ca), "--trusted-ca-file=%s/ca.crt", fixture->directory);
	snprintf(certificate, sizeof(certificate), "--cert-file=%s/server.crt", fixture->directory);
	snprintf(key, sizeof(key), "--key-file=%s/server.key", fixture->directory);
	fixture->pid = fork();
	must(fixture->pid >= 0, "fork");
	if (fixture->pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	must(chdir(fixture->directory) == 0, "chdir");
	int log = open("etcd.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	const char *arguments[20] = {"etcd",
	                             "--data-dir",
	                             data,
	                             "--listen-client-urls",
	                             client_urls,
	                             "--advertise-client-urls",
	                             fixture->endpoint,
	                             "--listen-peer-urls",
	                             peer_url,
	                             "--initial-advertise-peer-urls",
	                             peer_url,
	                             "--initial-cluster",
	                             cluster,
	                             "--heartbeat-interval=20",
	                             "--election-timeout=200"};
	int count = 15;
	if (fixture->with_tls) {
		arguments[count++] = ca;
		arguments[count++] = certificate;
		arguments[count++] = key;
		arguments[count++] = "--client-cert-auth";
	}
	arguments[count] = NULL;
	execvp("etcd", (char **)arguments);
	_exit(127);
}

// SIGKILL, and waits for the end.
static UNUSED void etcd_fixture_kill(struct etcd_fixture *fixture)
{
	if (fixture->pid <= 0)
		return;
	kill(fixture->pid, SIGKILL);
	waitpid(fixture->pid, NULL, 0);
	fixture->pid = 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *position)
{
	(void)status;
	(void)type;
	(void)position;
	return remove(path);
}

static UNUSED void etcd_fixture_done(struct etcd_fixture *fixture)
{
	etcd_fixture_kill(fixture);
	nftw(fixture->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
