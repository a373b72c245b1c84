/*
 * new_id.c
 *		Ids: UUIDs of version 7 (RFC 9562), ordered by the time they are made.
 */
#include "directory/new_id.h"

#include <time.h>

#include "miscadmin.h"

#define NS_PER_MS	UINT64CONST(1000000)

/*
 * Random bytes for the next ids, made for many at once: each request takes
 * longer than what it brings.  Made by this backend alone, never inherited.
 */
#define RANDOM_PER_ID	8
static unsigned char pool[32 * RANDOM_PER_ID];
static size_t pool_left = 0;
static int	pool_owner = 0;

/* Milliseconds and their fraction in units of 1/4096, of this backend's last id. */
static uint64 last_time = 0;

PG_FUNCTION_INFO_V1(orgusers_new_id);

/*
 * next_time
 *		Returns the time since 1970 in 1/4096 ms, later than any one before.
 *
 * Where the clock stands still or goes back, it is ahead of the clock.
 */
static uint64
next_time(void)
{
	struct timespec now;
	uint64		ms;
	uint64		time;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not read the clock: %m")));

	ms = (uint64) now.tv_sec * 1000 + (uint64) now.tv_nsec / NS_PER_MS;
	time = (ms << 12) | (((uint64) now.tv_nsec % NS_PER_MS) * 4096 / NS_PER_MS);

	last_time = Max(time, last_time + 1);
	return last_time;
}

/*
 * orgusers_make_id
 *		Makes a new id: 48 bits of milliseconds, version, 12 bits of their
 *		fraction, variant, 62 random bits.  Increasing within one backend.
 */
void
orgusers_make_id(pg_uuid_t *id)
{
	uint64		time = next_time();

	if (pool_left == 0 || pool_owner != MyProcPid)
	{
		pool_left = 0;
		if (!pg_strong_random(pool, sizeof(pool)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		pool_left = sizeof(pool);
		pool_owner = MyProcPid;
	}
	pool_left -= RANDOM_PER_ID;
	memcpy(id->data + UUID_LEN - RANDOM_PER_ID, pool + pool_left, RANDOM_PER_ID);

	for (int i = 0; i < 6; i++)
		id->data[i] = (unsigned char) (time >> (52 - 8 * i));
	id->data[6] = 0x70 | (unsigned char) ((time >> 8) & 0x0F);
	id->data[7] = (unsigned char) time;
	id->data[8] = 0x80 | (id->data[8] & 0x3F);
}

/*
 * orgusers_new_id
 *		SQL: returns a new id.
 */
Datum
orgusers_new_id(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	(void) fcinfo;
	orgusers_make_id(id);
	PG_RETURN_UUID_P(id);
}
