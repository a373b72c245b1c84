/*
 * touched.h
 *		The locking rule, stated once.
 *
 * Whatever changes the seats, role holders, billing admin or plan of an
 * organization first does
 *
 *		UPDATE orgusers.organizations SET epoch = epoch + 1 WHERE id = ...
 *
 * and then reads with a new command.  Two transactions that change one
 * organization thus queue behind its row.  At READ COMMITTED the later one
 * then reads what the earlier one committed; at REPEATABLE READ and
 * SERIALIZABLE its UPDATE fails with a serialization error instead of letting
 * it count in an old snapshot.  FOR UPDATE would not do: it raises nothing for
 * a row that was only locked, and it conflicts with the key-share locks of
 * foreign keys.
 *
 * orgusers_touch() also waits until the one before has told all sessions whose
 * rights it changed (wait_for_writer() in touched.c), so behind the lock the cache
 * of rights knows all that was changed under it.
 *
 * Where a policy lets an address be used only once in a tree of account and
 * sub-accounts (unique_in_tree), a change of one organization is a change of
 * the tree: the row of the root is updated first, then the organization's.
 * Root and policy of an organization in a tree never change, so they can be
 * read before anything is locked.  An organization without a parent never gets
 * one and is its tree's root, so it is updated without that look.
 *
 * Who changes several organizations takes them in the order of (root_id, id).
 * With that, nobody waits in a circle.  Give the lock of an organization the
 * place (root_id, id), and that of a root of such a tree the first place of
 * its tree.  Every lock that somebody waits for then has a later place than
 * all that he holds: within a tree the root comes first, whichever of its
 * organizations is meant, and one tree is done with before the next begins.
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
	CommandId	admin_checked;	/* and for the billing admin */
	CommandId	taken_checked;	/* and for holders taken away, of this role */
	pg_uuid_t	taken_role;
	CommandId	apart_checked;	/* command that found no unique_in_tree */
	CommandId	spaces_checked; /* and for spaces and roles of ... */
	pg_uuid_t	spaces_subject; /* ... this user or group */
} OrgusersTouched;

/* Where an organization is in its tree. */
typedef struct OrgusersPlace
{
	pg_uuid_t	root_id;		/* its own id when it is unknown */
	bool		unique_in_tree; /* an address is used once in the tree */
} OrgusersPlace;

extern OrgusersPlace orgusers_place(const pg_uuid_t *org_id);
extern OrgusersTouched *orgusers_touch(const pg_uuid_t *org_id);

#endif							/* ORGUSERS_TOUCHED_H */
