// SPDX-License-Identifier: Apache-2.0
#pragma once
// The holder of an interactive container's standard streams; see console.c.
// What goes over its socket, both ways: a type, the length (4 bytes, network order), bytes.

enum console_frame {
	CONSOLE_STDIN = 0,
	CONSOLE_STDOUT = 1,
	CONSOLE_STDERR = 2,
	CONSOLE_RESIZE = 4,      // columns and rows, 2 bytes each
	CONSOLE_STDIN_END = 255, // the client sends no more
};

enum {
	CONSOLE_HEAD_BYTES = 5,
	CONSOLE_MAX_PAYLOAD_BYTES = 32 << 10,
};

#define CONSOLE_SOCKET "attach.sock" // in the run's directory

// crilog console [log FILE] [max-bytes N] [max-files N] folder DIRECTORY [tty] [stdin] [stdin-once] -- PROGRAM …
int console_main(int argc, char **argv);
