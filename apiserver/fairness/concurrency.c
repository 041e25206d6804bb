// SPDX-License-Identifier: Apache-2.0

#include "apiserver/fairness/concurrency.h"

#include <math.h>

enum {
	DIVIDE_STEPS = 60, // halvings: more than a double can tell apart
};

static const double smoothing = 0.977; // of the former periods when demand falls

struct concurrency_limits concurrency_limits_of(unsigned server_seats, unsigned shares, unsigned shares_total,
                                                int lendable_percent, int borrowing_percent)
{
	unsigned nominal = (unsigned)ceil((double)server_seats * shares / shares_total);
	unsigned lendable = (unsigned)lround((double)nominal * lendable_percent / 100);
	unsigned upper = server_seats;

	if (borrowing_percent >= 0)
		upper = nominal + (unsigned)lround((double)nominal * borrowing_percent / 100);
	return (struct concurrency_limits){nominal, nominal - lendable, upper > nominal ? upper : nominal};
}

static void account(struct seat_demand *demand, int64_t now_ns)
{
	double seconds = (double)(now_ns - demand->last_ns) / 1e9;

	demand->last_ns = now_ns;
	demand->integral += demand->seats * seconds;
	demand->squares += demand->seats * demand->seats * seconds;
}

void seat_demand_change(struct seat_demand *demand, double seats, int64_t now_ns)
{
	account(demand, now_ns);
	demand->seats = seats;
	if (seats > demand->high)
		demand->high = seats;
}

double seat_demand_end_period(struct seat_demand *demand, int64_t now_ns)
{
	double high = demand->high, seconds, average = demand->seats, deviation = 0, envelope, faded;

	account(demand, now_ns);
	seconds = (double)(now_ns - demand->since_ns) / 1e9;
	if (seconds > 0) {
		average = demand->integral / seconds;
		deviation = sqrt(fmax(0, demand->squares / seconds - average * average));
	}
	envelope = fmin(high, average + deviation);
	faded = smoothing * demand->smoothed + (1 - smoothing) * envelope;
	demand->smoothed = fmax(envelope, faded); // up at once, down slowly
	demand->since_ns = now_ns;
	demand->integral = demand->squares = 0;
	demand->high = demand->seats;
	return high;
}

static double divide_by(struct concurrency_claim *claims, size_t count, double factor)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++) {
		claims[i].result = fmax(claims[i].lower, fmin(claims[i].upper, factor * claims[i].target));
		sum += claims[i].result;
	}
	return sum;
}

double concurrency_divide(double total, struct concurrency_claim *claims, size_t count)
{
	double low = 0, high = 1;

	for (int i = 0; i < DIVIDE_STEPS && divide_by(claims, count, high) < total; i++)
		high *= 2;
	for (int i = 0; i < DIVIDE_STEPS; i++) {
		double middle = (low + high) / 2;

		if (divide_by(claims, count, middle) > total)
			high = middle;
		else
			low = middle;
	}
	(void)divide_by(claims, count, low);
	return low;
}
