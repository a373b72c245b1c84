/*
 * touched.c
 *		Counts an organization's epoch up, once a transaction, and before it
 *		that of its tree's root where addresses are unique in the tree.
 *
 * The memory of what is counted up lives in the transaction's own context.
 * A subtransaction that rolls back takes its locks with it, so what it (or a
 * child of it) entered is forgotten then.
 */
#include "invariants/touched.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(orgusers_next_epoch);

static HTAB *touched = NULL;
static bool callbacks_registered = false;

static void
forget_checks(OrgusersTouched *entry)
{
	entry->seats_checked = InvalidCommandId;
	entry->added_checked = InvalidCommandId;
	entry->taken_checked = InvalidCommandId;
	entry->admin_checked = InvalidCommandId;
	entry->spaces_checked = InvalidCommandId;
	entry->apart_checked = InvalidCommandId;
}

static void
touched_xact_end(XactEvent event, void *arg)
{
	(void) arg;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		touched = NULL;			/* its context goes with the transaction */
}

static void
touched_subxact_end(SubXactEvent event, SubTransactionId subid,
					SubTransactionId parent, void *arg)
{
	HASH_SEQ_STATUS scan;
	OrgusersTouched *entry;

	(void) parent;
	(void) arg;
	if (event != SUBXACT_EVENT_ABORT_SUB || touched == NULL)
		return;

	/*
	 * Subtransactions are numbered as they start, so from this one on there
	 * are only itself and its children.  Of the entries that stay, a check
	 * may have seen rows that are gone now; let it look again.
	 */
	hash_seq_init(&scan, touched);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		forget_checks(entry);
		if (entry->subid >= subid)
			hash_search(touched, &entry->org_id, HASH_REMOVE, NULL);
	}
}

/*
 * orgusers_next_epoch
 *		next_epoch(epoch bigint, xmin xid): the epoch to go on with, once the
 *		transaction that wrote the row has told everybody of what it changed.
 *
 * A transaction is over for those who look at its rows a moment before it has
 * sent its invalidations, and gives up its own lock only after that.  So who
 * waits for that lock, and then takes in what was sent, has a cache of rights
 * that knows of every change made under this row's lock.
 */
Datum
orgusers_next_epoch(PG_FUNCTION_ARGS)
{
	TransactionId writer = PG_GETARG_TRANSACTIONID(1);

	if (TransactionIdIsNormal(writer) &&
		!TransactionIdIsCurrentTransactionId(writer))
		XactLockTableWait(writer, NULL, NULL, XLTW_None);
	PG_RETURN_INT64(PG_GETARG_INT64(0) + 1);
}

/*
 * touch_row
 *		Does the UPDATE, perhaps of a root only.  Returns whether there is such
 *		an organization.
 */
static bool
touch_row(const pg_uuid_t *org_id, bool root_only)
{
	static SPIPlanPtr plans[2] = {NULL, NULL};
	SPIPlanPtr *plan = &plans[root_only];
	Datum		args[1];
	bool		exists;

	SPI_connect();
	if (*plan == NULL)
	{
		Oid			argtypes[] = {UUIDOID};

		*plan = SPI_prepare(root_only ?
							"UPDATE orgusers.organizations"
							" SET epoch = orgusers.next_epoch(epoch, xmin)"
							" WHERE id = $1 AND parent_id IS NULL" :
							"UPDATE orgusers.organizations"
							" SET epoch = orgusers.next_epoch(epoch, xmin)"
							" WHERE id = $1",
							1, argtypes);
		if (*plan == NULL || SPI_keepplan(*plan) != 0)
			elog(ERROR, "could not prepare the update of an organization's epoch");
	}
	args[0] = UUIDPGetDatum(org_id);
	if (SPI_execute_plan(*plan, args, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not update an organization's epoch");
	exists = SPI_processed > 0;
	SPI_finish();
	return exists;
}

/*
 * orgusers_place
 *		Returns the root of an organization's tree, and whether an address is
 *		used only once there.  Locks nothing.  The caller is as that of
 *		orgusers_touch.
 */
OrgusersPlace
orgusers_place(const pg_uuid_t *org_id)
{
	static SPIPlanPtr plan = NULL;
	OrgusersPlace place = {*org_id, false};
	Datum		args[1];

	SPI_connect();
	if (plan == NULL)
	{
		Oid			argtypes[] = {UUIDOID};

		plan = SPI_prepare("SELECT o.root_id, p.unique_in_tree"
						   " FROM orgusers.organizations o"
						   " JOIN orgusers.policies p ON p.id = o.policy"
						   " WHERE o.id = $1", 1, argtypes);
		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare the look for an organization's root");
	}
	args[0] = UUIDPGetDatum(org_id);
	if (SPI_execute_plan(plan, args, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for an organization's root");
	if (SPI_processed > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		place.root_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
		place.unique_in_tree = DatumGetBool(SPI_getbinval(row, desc, 2,
														  &isnull));
	}
	SPI_finish();
	return place;
}

/*
 * touched_entry
 *		The transaction's entry for an organization, or NULL.
 */
static OrgusersTouched *
touched_entry(const pg_uuid_t *org_id)
{
	return touched == NULL ? NULL :
		hash_search(touched, org_id, HASH_FIND, NULL);
}

/*
 * touch_one
 *		Counts an organization up, unless the transaction has, and enters it;
 *		perhaps a root only.  Returns NULL when there is no such organization.
 */
static OrgusersTouched *
touch_one(const pg_uuid_t *org_id, bool root_only)
{
	OrgusersTouched *entry = touched_entry(org_id);

	if (entry != NULL)
		return entry;
	if (!touch_row(org_id, root_only))
		return NULL;

	/* Only now: an error above must leave no entry without its lock. */
	if (touched == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(pg_uuid_t);
		ctl.entrysize = sizeof(OrgusersTouched);
		ctl.hcxt = TopTransactionContext;
		touched = hash_create("orgusers touched organizations", 64, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(touched, org_id, HASH_ENTER, NULL);
	entry->subid = GetCurrentSubTransactionId();
	forget_checks(entry);
	return entry;
}

/*
 * orgusers_touch
 *		Takes the lock that guards an organization's invariants, by the rule
 *		in touched.h.
 *
 * Returns the transaction's entry for the organization, or NULL when there is
 * no such organization (any more).  The caller is a SECURITY DEFINER function
 * with a pinned search_path, and reads with a new command afterwards.
 */
OrgusersTouched *
orgusers_touch(const pg_uuid_t *org_id)
{
	OrgusersTouched *entry;
	OrgusersPlace place;

	if (!callbacks_registered)
	{
		RegisterXactCallback(touched_xact_end, NULL);
		RegisterSubXactCallback(touched_subxact_end, NULL);
		callbacks_registered = true;
	}

	entry = touched_entry(org_id);
	if (entry != NULL)
		return entry;

	/* Most organizations are their tree's root, and locked first anyway. */
	entry = touch_one(org_id, true);
	if (entry != NULL)
		return entry;

	place = orgusers_place(org_id);
	if (place.unique_in_tree)
		(void) touch_one(&place.root_id, false);
	return touch_one(org_id, false);
}
