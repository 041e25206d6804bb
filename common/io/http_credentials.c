// SPDX-License-Identifier: Apache-2.0
//
// Certificates and tokens are handed to curl as bytes, not as paths: curl keeps
// connections apart by these bytes, so a renewed certificate opens a connection
// of its own at the next call while what runs on the old one goes on. Files are
// looked at (stat) at each call's start and read when they changed.
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/io/http_client_internal.h"

enum { CREDENTIAL_MAX_BYTES = 4 * 1024 * 1024 };

void http_credential_source_init(struct http_credential_source *source, const struct http_client_config *config)
{
	*source = (struct http_credential_source){
	        .ca.path = xstrdup(config->tls.ca_file),
	        .certificate.path = xstrdup(config->tls.certificate_file),
	        .private_key.path = xstrdup(config->tls.private_key_file),
	        .token.path = xstrdup(config->bearer_token_file),
	        .ca_data = xstrdup(config->tls.ca_data),
	        .certificate_data = xstrdup(config->tls.certificate_data),
	        .private_key_data = xstrdup(config->tls.private_key_data),
	        .token_data = xstrdup(config->bearer_token),
	};
}

static void wipe(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

struct http_credentials *http_credentials_unref(struct http_credentials *credentials)
{
	if (!credentials || --credentials->references > 0)
		return NULL;
	free(credentials->ca);
	free(credentials->certificate);
	wipe(credentials->private_key);
	wipe(credentials->token);
	free(credentials);
	return NULL;
}

void http_credential_source_done(struct http_credential_source *source)
{
	source->current = http_credentials_unref(source->current);
	free(source->ca.path);
	free(source->certificate.path);
	free(source->private_key.path);
	free(source->token.path);
	free(source->ca_data);
	free(source->certificate_data);
	wipe(source->private_key_data);
	wipe(source->token_data);
}

static bool changed(const struct http_credential_file *file)
{
	struct stat now;
	if (!file->path)
		return false;
	if (stat(file->path, &now) < 0)
		return true; // the reading says why
	return now.st_dev != file->seen.st_dev || now.st_ino != file->seen.st_ino ||
	       now.st_size != file->seen.st_size || now.st_mtim.tv_sec != file->seen.st_mtim.tv_sec ||
	       now.st_mtim.tv_nsec != file->seen.st_mtim.tv_nsec;
}

static int read_file(const char *path, struct stat *ret_status, char **ret_text, struct err *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, ret_status) < 0)
		return err_set_errno(err, errno, "open %s", path);
	AUTO_STRBUF struct strbuf text = STRBUF_INIT(CREDENTIAL_MAX_BYTES);
	char part[4096];
	ssize_t length;
	while ((length = read(fd, part, sizeof(part))) != 0 && !text.overflowed) {
		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return err_set_errno(err, errno, "read %s", path);
		strbuf_append(&text, part, (size_t)length);
	}
	explicit_bzero(part, sizeof(part));
	if (text.overflowed || memchr(strbuf_text(&text), '\0', text.length))
		return err_set(err, ERR_BAD_REQUEST, "%s: not a text file of at most %d bytes", path,
		               CREDENTIAL_MAX_BYTES);
	*ret_text = strbuf_take(&text, NULL);
	return 0;
}

// The file's text when there is a file, else a copy of the given one (which may be NULL).
static int load(const struct http_credential_file *file, const char *data, struct stat *ret_status, char **ret_text,
                struct err *err)
{
	if (file->path && !data)
		return read_file(file->path, ret_status, ret_text, err);
	*ret_text = xstrdup(data);
	return 0;
}

static void trim(char *text)
{
	if (!text)
		return;
	size_t skip = strspn(text, " \t\r\n"), length = strlen(text + skip);
	memmove(text, text + skip, length + 1);
	while (length && strchr(" \t\r\n", text[length - 1]))
		text[--length] = '\0';
}

int http_credential_source_get(struct http_credential_source *source, struct http_credentials **ret_credentials,
                               struct err *err)
{
	struct http_credentials *fresh = NULL;
	struct stat ca = source->ca.seen, certificate = source->certificate.seen, key = source->private_key.seen,
	            token = source->token.seen;
	struct err problem = ERR_INIT;
	if (!source->current || changed(&source->ca) || changed(&source->certificate) ||
	    changed(&source->private_key) || changed(&source->token)) {
		fresh = NEW(struct http_credentials);
		fresh->references = 1;
		// A token's file goes before a token given as text; elsewhere the text goes first.
		const char *token_data = source->token.path ? NULL : source->token_data;
		if (load(&source->ca, source->ca_data, &ca, &fresh->ca, &problem) < 0 ||
		    load(&source->certificate, source->certificate_data, &certificate, &fresh->certificate, &problem) <
		            0 ||
		    load(&source->private_key, source->private_key_data, &key, &fresh->private_key, &problem) < 0 ||
		    load(&source->token, token_data, &token, &fresh->token, &problem) < 0)
			fresh = http_credentials_unref(fresh);
		else
			trim(fresh->token);
	}
	if (fresh) {
		http_credentials_unref(source->current);
		source->current = fresh;
		source->ca.seen = ca;
		source->certificate.seen = certificate;
		source->private_key.seen = key;
		source->token.seen = token;
	}
	if (!source->current)
		return err_copy(err, &problem);
	source->current->references++;
	*ret_credentials = source->current;
	return 0;
}
