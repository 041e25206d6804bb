// SPDX-License-Identifier: Apache-2.0
// Replays the corpus of tests/fuzz/fuzz_request.c.
#include "tests/fuzz/fuzz_request.c"
#include "tests/unit/fuzz_replay.h"

FUZZ_REPLAY(request)
