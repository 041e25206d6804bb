// SPDX-License-Identifier: Apache-2.0
// Replays the corpus of tests/fuzz/fuzz_jwt.c.
#include "tests/fuzz/fuzz_jwt.c"
#include "tests/unit/fuzz_replay.h"

FUZZ_REPLAY(jwt)
