// SPDX-License-Identifier: Apache-2.0
#pragma once
// Compiler helpers that the whole tree uses: scope-bound cleanup, ownership
// transfer, intrusive structures and attributes.

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

// A result that must be looked at; `(void)f()` says that it is ignored on purpose
// (which gcc takes for its [[nodiscard]] only, clang for its older attribute only).
#ifdef __clang__
#define NODISCARD __attribute__((warn_unused_result))
#else
#define NODISCARD [[nodiscard]]
#endif
#define PRINTF_LIKE(format_index, args_index) __attribute__((format(printf, format_index, args_index)))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define UNUSED __attribute__((unused))

// The struct that embeds `member` at address `pointer`.
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

// AUTO(fn): a local whose owner `fn` (taking the value, accepting NULL) is
// called with it when the scope ends. Declare the adapter once beside the type:
//   DEFINE_CLEANUP(struct arena *, arena_free)
#define AUTO(function) __attribute__((cleanup(function##_cleanup_)))
#define DEFINE_CLEANUP(type, function)                               \
	static inline UNUSED void function##_cleanup_(type *pointer) \
	{                                                            \
		(void)function(*pointer);                            \
	}

// Hands over the value of an owning variable and leaves NULL behind.
#define TAKE(variable)                                    \
	({                                                \
		__typeof__(variable) taken_ = (variable); \
		(variable) = NULL;                        \
		taken_;                                   \
	})

static inline void auto_free_cleanup_(void *pointer)
{
	free(*(void **)pointer);
}

static inline void auto_close_cleanup_(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

// A heap pointer freed at scope end; a descriptor (-1 = none) closed at scope end.
#define AUTO_FREE __attribute__((cleanup(auto_free_cleanup_)))
#define AUTO_CLOSE __attribute__((cleanup(auto_close_cleanup_)))

static inline int take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}
