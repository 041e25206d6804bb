// SPDX-License-Identifier: Apache-2.0
#pragma once
// authentication.k8s.io's reviews: whose token is this, and who am I.

#include "apiserver/request.h"

void token_review_serve(struct request *request);
void self_subject_review_serve(struct request *request);
