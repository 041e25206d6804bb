// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kinds that are asked and not stored: SelfSubjectReview, the access reviews.

#include "apiserver/request.h"

bool reviews_is_route(const struct route *route);
// True when the request was one of these (and is ended or on its way).
bool reviews_serve(struct request *request);
