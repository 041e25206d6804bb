// SPDX-License-Identifier: Apache-2.0
#pragma once
// How the server's seats are divided among priority levels: nominally by their
// shares, and then, every ten seconds, by what each level asked for lately, within
// what it may lend and borrow. Upstream's rules.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct concurrency_limits {
	unsigned nominal; // by shares
	unsigned lower;   // what is never lent
	unsigned upper;   // nominal and what may be borrowed
};

// `borrowing_percent` < 0: no limit but the server's. `shares_total` is never 0.
struct concurrency_limits concurrency_limits_of(unsigned server_seats, unsigned shares, unsigned shares_total,
                                                int lendable_percent, int borrowing_percent);

// The seats that a level was asked for, over one period.
struct seat_demand {
	int64_t since_ns; // start of the period
	int64_t last_ns;  // of the last change
	double seats;     // now
	double integral;  // of seats over time
	double squares;   // of seats squared over time
	double high;      // highest in the period
	double smoothed;  // over periods
};

void seat_demand_change(struct seat_demand *demand, double seats, int64_t now_ns);
// Ends the period and begins the next: the demand to plan for is in `smoothed`, its peak returned.
double seat_demand_end_period(struct seat_demand *demand, int64_t now_ns);

struct concurrency_claim {
	double lower;
	double upper;
	double target;
	double result;
};

// Sets each result to its target times one common factor, kept between lower and
// upper, such that together they make `total` (as far as the bounds allow). Returns the factor.
double concurrency_divide(double total, struct concurrency_claim *claims, size_t count);
