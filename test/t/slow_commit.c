/*
 * slow_commit.c
 *		For tests: commits that linger between the moment at which others see
 *		them and the one at which their invalidations are sent.
 */
#include "postgres.h"

#include <limits.h>

#include "access/xact.h"
#include "fmgr.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static int	pause_us;

static void
linger(XactEvent event, void *arg)
{
	(void) arg;
	if (event == XACT_EVENT_COMMIT)
		pg_usleep(pause_us);
}

void
_PG_init(void)
{
	DefineCustomIntVariable("slow_commit.pause", "Microseconds to linger.",
							NULL, &pause_us, 0, 0, INT_MAX, PGC_USERSET, 0,
							NULL, NULL, NULL);
	RegisterXactCallback(linger, NULL);
}
