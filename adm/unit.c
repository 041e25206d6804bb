// SPDX-License-Identifier: Apache-2.0
#include "adm/unit.h"

#include <stdio.h>
#include <string.h>

#include "adm/init_run.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/io/process.h"

enum { MAX_ARGUMENT_FILE_BYTES = 64 * 1024, MAX_OUTPUT_BYTES = 64 * 1024 };

int unit_write_arguments(const char *unit, const char *variable, const char *const *arguments, size_t count,
                         struct err *err)
{
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(MAX_ARGUMENT_FILE_BYTES);
	strbuf_printf(&text, "# Written by adm. systemd reads this when it starts %s.service.\n%s=\"", unit, variable);
	for (size_t i = 0; i < count; i++) {
		if (strpbrk(arguments[i], " \t\n\"\\$"))
			return err_set(err, ERR_INVALID, "argument of %s with a space, quote or $: %s", unit,
			               arguments[i]);
		strbuf_printf(&text, "%s%s", i ? " \\\n " : "", arguments[i]);
	}
	strbuf_append_text(&text, "\"\n");
	AUTO_FREE char *path = xasprintf(ADM_KUBERNETES_FOLDER "/%s.env", unit);
	return file_write_atomic(path, text.data, text.length, 0600, err);
}

static int systemctl(const char *const *argv, struct err *err)
{
	AUTO_STRBUF struct strbuf output = STRBUF_INIT(MAX_OUTPUT_BYTES);
	int code = process_run(argv, NULL, &output, err);
	if (code < 0)
		return err_wrap(err, "systemctl");
	if (code > 0)
		return err_set(err, ERR_INTERNAL, "systemctl %s %s failed (exit %d): %s", argv[1], argv[3], code,
		               strbuf_text(&output));
	return 0;
}

int unit_start(const char *unit, struct err *err)
{
	AUTO_FREE char *service = xasprintf("%s.service", unit);
	int result = systemctl((const char *const[]){"systemctl", "enable", "--quiet", service, NULL}, err);
	if (result < 0)
		return result;
	return systemctl((const char *const[]){"systemctl", "restart", "--no-block", service, NULL}, err);
}

void unit_show_journal(const char *unit)
{
	AUTO_FREE char *service = xasprintf("%s.service", unit);
	AUTO_STRBUF struct strbuf output = STRBUF_INIT(MAX_OUTPUT_BYTES);
	struct err ignored = ERR_INIT;
	const char *const argv[] = {"journalctl", "--no-pager", "-n", "15", "-u", service, NULL};
	if (process_run(argv, NULL, &output, &ignored) >= 0)
		fputs(strbuf_text(&output), stderr);
}
