// SPDX-License-Identifier: Apache-2.0
// One batch is one transaction: the kernel takes all of it or nothing. Only the
// batch's last message asks for an answer; errors of any message come unasked, and
// the first one ends the wait. Every outcome but "done" leaves the tables as they
// were, except a wait that timed out: then the caller must replace everything.
// Calls block until the kernel has answered.

#include "kube-proxy/nft.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common/base/memory.h"
#include "kube-proxy/nft_batch.h"
#include "kube-proxy/nft_layout.h"

enum {
	SOCKET_BUFFER_BYTES = 64 * 1024 * 1024,
	RECEIVE_BYTES = 64 * 1024,
	ANSWER_TIMEOUT_SECONDS = 30,
};

struct nft {
	struct mnl_socket *socket;
	struct nft_config config;
};

int nft_new(const struct nft_config *config, struct nft **ret_nft, struct err *err)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!socket)
		return err_set_errno(err, errno, "open a netfilter netlink socket");
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		int error_number = errno;
		mnl_socket_close(socket);
		return err_set_errno(err, error_number, "bind the netfilter netlink socket");
	}
	int fd = mnl_socket_get_fd(socket);
	int bytes = SOCKET_BUFFER_BYTES;
	struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_SECONDS};
	// Without CAP_NET_ADMIN these fail, and so will the first transaction, with a clear error.
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	struct nft *nft = NEW(struct nft);
	nft->socket = socket;
	nft->config = *config;
	*ret_nft = nft;
	return 0;
}

struct nft *nft_free(struct nft *nft)
{
	if (!nft)
		return NULL;
	mnl_socket_close(nft->socket);
	free(nft);
	return NULL;
}

// Reads answers until the one to the last message, or the first error.
static int await_answer(struct nft *nft, uint32_t last_sequence, struct err *err)
{
	AUTO_FREE char *buffer = xmalloc(RECEIVE_BYTES);
	while (true) {
		ssize_t received = mnl_socket_recvfrom(nft->socket, buffer, RECEIVE_BYTES);
		if (received < 0 && errno == EINTR)
			continue;
		if (received < 0)
			return err_set_errno(
			        err, errno,
			        "read the kernel's answer to an nftables transaction (its outcome is unknown)");
		int left = (int)received;
		for (struct nlmsghdr *header = (struct nlmsghdr *)buffer; mnl_nlmsg_ok(header, left);
		     header = mnl_nlmsg_next(header, &left)) {
			if (header->nlmsg_type != NLMSG_ERROR)
				continue;
			const struct nlmsgerr *answer = mnl_nlmsg_get_payload(header);
			if (answer->error)
				return err_set_errno(err, -answer->error,
				                     "nftables transaction refused at message %u (type %u)",
				                     header->nlmsg_seq, answer->msg.nlmsg_type & 0xff);
			if (header->nlmsg_seq == last_sequence)
				return 0;
		}
	}
}

// Answers left over from a transaction that failed must not be taken for the next one's.
static void drain(struct nft *nft)
{
	char buffer[4096];
	while (recv(mnl_socket_get_fd(nft->socket), buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
		;
}

static int send_batch(struct nft *nft, struct nft_batch *batch, struct err *err)
{
	uint32_t last_sequence = batch->sequence - 1;
	nft_batch_end(batch);
	if (batch->data.overflowed)
		return err_set(err, ERR_TOO_LARGE, "an nftables transaction grew past %zu bytes",
		               batch->data.max_bytes);
	if (mnl_socket_sendto(nft->socket, batch->data.data, batch->data.length) < 0)
		return err_set_errno(err, errno, "send an nftables transaction of %zu bytes", batch->data.length);
	int result = await_answer(nft, last_sequence, err);
	drain(nft);
	return result;
}

static void add_plan(struct nft_batch *batch, const struct rule_plan *plan)
{
	for (size_t i = 0; i < plan->chains_added_count; i++)
		nft_layout_add_chain(batch, &plan->chains_added[i]);
	nft_layout_elements(batch, &plan->removed, false);
	nft_layout_elements(batch, &plan->added, true);
	for (size_t i = 0; i < plan->chains_removed_count; i++)
		nft_layout_remove_chain(batch, &plan->chains_removed[i]);
}

int nft_commit(struct nft *nft, const struct rule_plan *plan, bool replace_all, struct err *err)
{
	struct nft_batch batch;
	nft_batch_init(&batch);
	batch.sequence = (uint32_t)time(NULL);
	nft_batch_begin(&batch);
	for (int ipv6 = 0; replace_all && ipv6 < 2; ipv6++)
		nft_layout_make(&batch, &nft->config, ipv6);
	add_plan(&batch, plan);
	int result = send_batch(nft, &batch, err);
	nft_batch_done(&batch);
	return result;
}

int nft_cleanup(struct nft *nft, struct err *err)
{
	struct nft_batch batch;
	nft_batch_init(&batch);
	batch.sequence = (uint32_t)time(NULL);
	nft_batch_begin(&batch);
	nft_layout_drop(&batch, false);
	nft_layout_drop(&batch, true);
	int result = send_batch(nft, &batch, err);
	nft_batch_done(&batch);
	return result;
}
