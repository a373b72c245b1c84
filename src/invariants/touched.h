/*
 * touched.h
 *		The locking rule, stated once.
 *
 * Whatever changes the seats, role holders, billing admin or plan of an
 * organization first does
 *
 *		UPDATE orgusers.organizations SET epoch = epoch + 1 WHERE id = ...
 *
 * (several organizations: in the order of their ids) and then reads with a
 * new command.  Two transactions that change one organization thus queue
 * behind its row.  At READ COMMITTED the later one then reads what the
 * earlier one committed; at REPEATABLE READ and SERIALIZABLE its UPDATE fails
 * with a serialization error instead of letting it count in an old snapshot.
 * FOR UPDATE would not do: it raises nothing for a row that was only locked,
 * and it conflicts with the key-share locks of foreign keys.
 *
 * orgusers_touch() also waits until the one before has told all sessions whose
 * rights it changed (next_epoch() in touched.c), so behind the lock the cache
 * of rights knows all that was changed under it.
 */
#ifndef ORGUSERS_TOUCHED_H
#define ORGUSERS_TOUCHED_H

#include "orgusers.h"

/* An organization whose epoch this transaction has counted up. */
typedef struct OrgusersTouched
{
	pg_uuid_t	org_id;			/* hash key */
	SubTransactionId subid;		/* where it was counted up */
	CommandId	seats_checked;	/* command whose rows are counted, or none */
	CommandId	added_checked;	/* the same for new holders of roles */
	CommandId	taken_checked;	/* and for holders taken away */
	CommandId	admin_checked;	/* and for the billing admin */
} OrgusersTouched;

extern OrgusersTouched *orgusers_touch(const pg_uuid_t *org_id);

#endif							/* ORGUSERS_TOUCHED_H */
