// SPDX-License-Identifier: Apache-2.0
#pragma once
// Go's name of the processor that this program was built for, as nodes and versions show it.

#if defined(__x86_64__)
#define ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#else
#define ARCHITECTURE "unknown"
#endif
