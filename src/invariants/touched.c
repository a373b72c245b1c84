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

#include "access/genam.h"
#include "access/invalidation.h"
#include "access/lookup.h"
#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(orgusers_lock_organization);

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

/* A column of an organization. */
static Datum
column_of(TupleTableSlot *row, const char *name, bool *isnull)
{
	int			column = SPI_fnumber(row->tts_tupleDescriptor, name);

	if (column <= 0)
		elog(ERROR, "table organizations has no column %s", name);
	return slot_getattr(row, column, isnull);
}

/*
 * wait_for_writer
 *		Waits until the transaction that wrote a row has told everybody of what
 *		it changed.
 *
 * A transaction is over for those who look at its rows a moment before it has
 * sent its invalidations, and gives up its own lock only after that.  So who
 * waits for that lock, and then takes in what was sent, has a cache of rights
 * that knows of every change made under this row's lock.
 */
static void
wait_for_writer(TupleTableSlot *row)
{
	bool		isnull;
	TransactionId writer =
		DatumGetTransactionId(slot_getsysattr(row,
											  MinTransactionIdAttributeNumber,
											  &isnull));

	if (TransactionIdIsNormal(writer) &&
		!TransactionIdIsCurrentTransactionId(writer))
		XactLockTableWait(writer, NULL, NULL, XLTW_None);
}

/* Gives the indexes a new version of a row that they do not lead to. */
static void
insert_into_indexes(Relation table, TupleTableSlot *row,
					ORGUSERS_UPDATED_INDEXES updated)
{
	EState	   *estate = CreateExecutorState();
	MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
	ResultRelInfo *target = makeNode(ResultRelInfo);

	InitResultRelInfo(target, table, 0, NULL, 0);
	ExecOpenIndices(target, false);
	ORGUSERS_UPDATE_INDEXES(target, row, estate, updated);
	ExecCloseIndices(target);
	MemoryContextSwitchTo(caller);
	FreeExecutorState(estate);
}

/*
 * update_epoch
 *		Writes an organization's row with the next epoch.  When somebody else
 *		has written it meanwhile, *row becomes the latest version, which is then
 *		locked, or is cleared when there is none.
 *
 * What an UPDATE does, by isolation level; there is nothing to check or to
 * tell in a row of which only the epoch changes.
 */
static TM_Result
update_epoch(Relation table, TupleTableSlot *row)
{
	TupleTableSlot *next = table_slot_create(table, NULL);
	int			natts = RelationGetDescr(table)->natts;
	CommandId	command = GetCurrentCommandId(true);
	ItemPointerData tid = row->tts_tid;
	ORGUSERS_UPDATED_INDEXES updated;
	TM_FailureData failure;
	LockTupleMode mode;
	TM_Result	result;
	bool		isnull;
	int64		epoch = DatumGetInt64(column_of(row, "epoch", &isnull));

	slot_getallattrs(row);
	ExecClearTuple(next);
	memcpy(next->tts_values, row->tts_values, natts * sizeof(Datum));
	memcpy(next->tts_isnull, row->tts_isnull, natts * sizeof(bool));
	next->tts_values[SPI_fnumber(RelationGetDescr(table), "epoch") - 1] =
		Int64GetDatum(epoch + 1);
	ExecStoreVirtualTuple(next);
	result = table_tuple_update(table, &tid, next, command,
								GetActiveSnapshot(), InvalidSnapshot, true,
								&failure, &mode, &updated);
	if (result == TM_Ok && updated)
		insert_into_indexes(table, next, updated);
	ExecDropSingleTupleTableSlot(next);

	if ((result == TM_Updated || result == TM_Deleted) &&
		IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update")));
	if (result == TM_Updated)
	{
		TM_Result	locked = table_tuple_lock(table, &tid, GetActiveSnapshot(),
											  row, command, mode, LockWaitBlock,
											  TUPLE_LOCK_FLAG_FIND_LAST_VERSION,
											  &failure);

		if (locked != TM_Ok)
			result = locked;
	}
	if (result == TM_Deleted)
		ExecClearTuple(row);
	else if (result != TM_Ok && result != TM_Updated)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("the organization was already changed by an operation triggered by the current command")));
	return result;
}

/* Whether a row is the one to touch: that organization's, perhaps a root. */
static bool
is_wanted(TupleTableSlot *row, const pg_uuid_t *org_id, bool root_only)
{
	bool		isnull;
	Datum		id;

	if (TTS_EMPTY(row))
		return false;
	id = column_of(row, "id", &isnull);
	if (memcmp(DatumGetUUIDP(id), org_id, UUID_LEN) != 0)
		return false;
	(void) column_of(row, "parent_id", &isnull);
	return isnull || !root_only;
}

/*
 * touch_row
 *		UPDATE orgusers.organizations SET epoch = epoch + 1 WHERE id = ...,
 *		perhaps of a root only.  Returns whether there is such an organization.
 *
 * As a command of its own, like a query's.  Without the executor, which reads
 * all of the table's checks and trigger conditions for it.
 */
static bool
touch_row(const pg_uuid_t *org_id, bool root_only)
{
	Relation	table;
	Relation	index;
	IndexScanDesc scan;
	ScanKeyData key;
	TupleTableSlot *row;
	bool		exists;

	PreventCommandIfReadOnly("UPDATE");
	PreventCommandIfParallelMode("UPDATE");
	table = table_open(orgusers_relation("organizations"), RowExclusiveLock);
	index = index_open(orgusers_relation("organizations_pkey"),
					   RowExclusiveLock);
	PushActiveSnapshot(GetTransactionSnapshot());
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();

	row = table_slot_create(table, NULL);
	scan = ORGUSERS_INDEX_BEGINSCAN(table, index, GetActiveSnapshot(), 1);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(org_id));
	index_rescan(scan, &key, 1, NULL, 0);
	(void) index_getnext_slot(scan, ForwardScanDirection, row);
	for (;;)
	{
		exists = is_wanted(row, org_id, root_only);
		if (!exists)
			break;
		wait_for_writer(row);
		if (update_epoch(table, row) == TM_Ok)
			break;
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(row);
	index_close(index, NoLock);
	table_close(table, NoLock);
	PopActiveSnapshot();
	CommandCounterIncrement();
	return exists;
}

/*
 * orgusers_place
 *		Returns the root of an organization's tree, and whether an address is
 *		used only once there, as of now.  Locks nothing.
 */
OrgusersPlace
orgusers_place(const pg_uuid_t *org_id)
{
	OrgusersPlace place = {*org_id, false};
	OrgusersReading *reading;

	/* With what the running command has written. */
	CommandCounterIncrement();
	orgusers_invalidation_begin();
	reading = orgusers_reading_begin();
	orgusers_read(reading, ORGUSERS_PLACE, org_id, NULL);
	if (orgusers_read_next(reading, ORGUSERS_PLACE))
	{
		place.root_id = orgusers_read_uuid(reading, ORGUSERS_PLACE, 0);
		orgusers_read_texts(reading, ORGUSERS_POLICY,
							orgusers_read_text(reading, ORGUSERS_PLACE, 1),
							NULL, NULL);
		place.unique_in_tree = orgusers_read_next(reading, ORGUSERS_POLICY) &&
			orgusers_read_bool(reading, ORGUSERS_POLICY, 0);
	}
	orgusers_reading_end(reading);
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
 * no such organization (any more).  The caller reads with a new command
 * afterwards.
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

/*
 * orgusers_lock_organization
 *		SQL: takes the lock of touched.h on an organization; returns whether
 *		there is one.  For the extension's own functions.
 */
Datum
orgusers_lock_organization(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(orgusers_touch(PG_GETARG_UUID_P(0)) != NULL);
}
