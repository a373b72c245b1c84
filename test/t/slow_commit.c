/*
 * slow_commit.c
 *		For tests: commits that linger between the moment at which others see
 *		them and the one at which their invalidations are sent.
 */
#include "postgres.h"

#include <limits.h>

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static int	most;

static void
linger(XactEvent event, void *arg)
{
	(void) arg;
	if (event == XACT_EVENT_COMMIT && most > 0 && rand() % 2 == 0)
		pg_usleep(rand() % most);
}

void
_PG_init(void)
{
	srand(MyProcPid);
	DefineCustomIntVariable("slow_commit.most", "Most microseconds of a pause.",
							NULL, &most, 0, 0, INT_MAX, PGC_USERSET, 0,
							NULL, NULL, NULL);
	RegisterXactCallback(linger, NULL);
}
