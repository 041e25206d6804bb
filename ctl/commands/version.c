// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "common/api/yaml.h"
#include "ctl/commands/commands.h"
#include "ctl/ctl.h"
#include "ctl/errors.h"
#include "ctl/output.h"

static struct {
	bool client_only;
	const char *output;
} arg;

static const struct option options[] = {
        {"client", 0, OPTION_BOOL, &arg.client_only, NULL, NULL, "Only this tool's version"},
        {"output", 'o', OPTION_STRING, &arg.output, NULL, "", "json or yaml"},
        {0},
};

static struct json *client_version(struct ctl *ctl)
{
	struct json *version = json_object(ctl->arena);
	int major = 0, minor = 0;
	sscanf(CARAVEL_VERSION, "v%d.%d", &major, &minor);
	json_set_text(ctl->arena, version, "major", ctl_printf(ctl, "%d", major));
	json_set_text(ctl->arena, version, "minor", ctl_printf(ctl, "%d", minor));
	json_set_text(ctl->arena, version, "gitVersion", CARAVEL_VERSION);
	json_set_text(ctl->arena, version, "compiler", "cc");
	json_set_text(ctl->arena, version, "platform", "linux/amd64");
	return version;
}

static int minor_of(const struct json *version)
{
	const char *text = json_get_text(version, "minor");
	return text ? (int)strtol(text, NULL, 10) : 0;
}

static void warn_skew(struct ctl *ctl, const struct json *client, const struct json *server)
{
	int skew = minor_of(client) - minor_of(server);
	if (skew > 1 || skew < -1)
		fprintf(ctl->err,
		        "WARNING: version difference between client (%s.%s) and server (%s.%s) exceeds the supported "
		        "minor version skew of +/-1\n",
		        json_get_text(client, "major"), json_get_text(client, "minor"), json_get_text(server, "major"),
		        json_get_text(server, "minor"));
}

static void print_text(struct ctl *ctl, const struct json *client, const struct json *server)
{
	fprintf(ctl->out, "Client Version: %s\n", json_get_text(client, "gitVersion"));
	if (server)
		fprintf(ctl->out, "Server Version: %s\n", json_get_text(server, "gitVersion"));
	fflush(ctl->out);
}

static void print_document(struct ctl *ctl, struct json *client, struct json *server)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 20);
	struct json *document = json_object(ctl->arena);
	json_set(ctl->arena, document, "clientVersion", client);
	if (server)
		json_set(ctl->arena, document, "serverVersion", server);
	if (strcmp(arg.output, "yaml") == 0) {
		yaml_write(&text, document);
	} else {
		json_write_pretty(&text, document);
		strbuf_append_char(&text, '\n');
	}
	fputs(strbuf_text(&text), ctl->out);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct rest_response response = {0};
	struct json *client = client_version(ctl), *server = NULL;
	int code = EXIT_OK;
	if (argc > 0)
		return report(ctl, "extra arguments: [%s]", argv[0]);
	if (arg.output && arg.output[0] && strcmp(arg.output, "json") != 0 && strcmp(arg.output, "yaml") != 0)
		return report(ctl, "--output must be 'yaml' or 'json'");
	const struct rest_request request = {.method = "GET", .path = "/version"};
	bool asked = !arg.client_only, answered = asked && ctl_call(ctl, &request, &response);
	if (answered)
		server = response.object;
	if (arg.output && arg.output[0])
		print_document(ctl, client, server);
	else
		print_text(ctl, client, server);
	if (server)
		warn_skew(ctl, client, server);
	if (asked && !answered)
		code = report_response(ctl, &response, NULL);
	return code;
}

const struct command command_version = {
        .name = "version",
        .group = COMMAND_OTHER,
        .summary = "Print the client and server version information",
        .usage = "[--client] [-o json|yaml]",
        .options = options,
        .run = run,
};
