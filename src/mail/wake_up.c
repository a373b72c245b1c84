/*
 * wake_up.c
 *		Tells a waiting mailer that there is mail: a hint, never the truth.
 *
 * Commits that notify queue behind one cluster-wide lock, which they hold
 * while they write their WAL.  So the notification is queued at the very end
 * of the transaction, and only by one that finds no other committing with a
 * notification in this database: the mailer that is woken finds the others'
 * mail too, or polls soon after.  As the transaction's body has not notified,
 * it can also be prepared for two-phase commit; its mail then waits for the
 * next poll.
 */
#include "orgusers.h"

#include "access/xact.h"
#include "commands/async.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/guc.h"

#define WAKE_UP_CHANNEL "orgusers_mail"

/*
 * The advisory lock that a notifying commit holds.  Somebody who takes it on
 * purpose makes mail wait for the poll, and nothing else.
 */
#define WAKE_UP_LOCK1 0x6f75	/* "ou" */
#define WAKE_UP_LOCK2 0x6d61696c	/* "mail" */
#define WAKE_UP_LOCK_CLASS 2	/* as a pair of integers, in SQL's terms */

PG_FUNCTION_INFO_V1(orgusers_wake_mailer);

/* orgusers.mail_wake_up */
static bool mail_wake_up = true;

/* Whether the current transaction has enqueued mail. */
static bool wake_up_wanted = false;

/* Notifies the mailer unless another committing transaction is doing so. */
static void
wake_up_at_commit(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, WAKE_UP_LOCK1, WAKE_UP_LOCK2,
						 WAKE_UP_LOCK_CLASS);
	if (LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL)
		Async_Notify(WAKE_UP_CHANNEL, "");
}

/* Acts on the transaction's wish at its end, and forgets it. */
static void
wake_up_xact_callback(XactEvent event, void *arg)
{
	(void) arg;

	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (wake_up_wanted)
				wake_up_at_commit();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			wake_up_wanted = false;
			break;
		default:
			break;
	}
}

/*
 * orgusers_wake_mailer
 *		Asks for one wake-up of the mailers when this transaction commits,
 *		however often it is called; nothing when orgusers.mail_wake_up is off.
 */
Datum
orgusers_wake_mailer(PG_FUNCTION_ARGS)
{
	(void) fcinfo;

	if (mail_wake_up)
		wake_up_wanted = true;
	PG_RETURN_VOID();
}

/*
 * orgusers_mail_init
 *		Defines the mail room's setting and its end-of-transaction callback.
 */
void
orgusers_mail_init(void)
{
	DefineCustomBoolVariable("orgusers.mail_wake_up",
							 "Wakes the mailers by NOTIFY when mail is enqueued.",
							 "When off, mail waits for the mailers' next poll.",
							 &mail_wake_up, true, PGC_SUSET, 0,
							 NULL, NULL, NULL);
	RegisterXactCallback(wake_up_xact_callback, NULL);
}
