/*
 * slow_commit.c
 *		For tests: some commits take their time between the moment at which
 *		others see them and the one at which their invalidations are sent.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static void
linger(XactEvent event, void *arg)
{
	(void) arg;
	if (event == XACT_EVENT_COMMIT && rand() % 4 == 0)
		pg_usleep(rand() % 3000);
}

void
_PG_init(void)
{
	srand(MyProcPid);
	RegisterXactCallback(linger, NULL);
}
