/*
 * invalidation.c
 *		Proxies: telling all backends that rights have changed, and noting
 *		what they told us.
 */
#include "access/invalidation.h"

#include "access/lookup.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "utils/inval.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(orgusers_rights_changed);

/* Proxies in the order of their arrays: users, organizations, shared. */
#define USER_PROXY(slot)	(slot)
#define ORG_PROXY(slot)		(ORGUSERS_SLOTS + (slot))
#define SHARED_PROXY		(2 * ORGUSERS_SLOTS)
#define PROXIES				(2 * ORGUSERS_SLOTS + 1)

static Oid	proxies[PROXIES];
static OrgusersStamp changed[PROXIES];	/* when it was invalidated last */
static OrgusersStamp moment = 1;
static bool proxies_known = false;	/* false again whenever one was told */
static bool callback_registered = false;

static void
note_all(void)
{
	moment++;
	for (int i = 0; i < PROXIES; i++)
		changed[i] = moment;
}

/*
 * note_invalidation
 *		Relcache callback.  It can come at any moment, so it looks at nothing
 *		but memory.  InvalidOid stands for all relations (messages were lost).
 */
static void
note_invalidation(Datum arg, Oid relid)
{
	(void) arg;
	orgusers_reading_forget(relid);
	if (relid == InvalidOid)
	{
		note_all();
		proxies_known = false;
		return;
	}
	for (int i = 0; i < PROXIES; i++)
	{
		if (proxies[i] == relid)
		{
			changed[i] = ++moment;
			proxies_known = false;
			return;
		}
	}
}

/* The relation of a proxy. */
static Oid
find_proxy(int index)
{
	char		name[NAMEDATALEN];

	if (index == SHARED_PROXY)
		return orgusers_relation("rights_shared");
	snprintf(name, sizeof(name), "rights_%s_%d",
			 index < ORGUSERS_SLOTS ? "user" : "org", index % ORGUSERS_SLOTS);
	return orgusers_relation(name);
}

/*
 * orgusers_invalidation_begin
 *		Takes in what other backends have told since, and makes sure that what
 *		they tell from now on is noted.
 *
 * To be called before rights are loaded or believed.  A dropped extension has
 * its proxies invalidated, so one look at one of them finds a new one.
 */
void
orgusers_invalidation_begin(void)
{
	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(note_invalidation, (Datum) 0);
		callback_registered = true;
	}
	AcceptInvalidationMessages();

	/* A look-up can take in messages itself: until one round was quiet. */
	while (!proxies_known)
	{
		Oid			shared = find_proxy(SHARED_PROXY);

		proxies_known = true;
		if (shared != proxies[SHARED_PROXY])
		{
			Oid			found[PROXIES];

			for (int i = 0; i < PROXIES; i++)
				found[i] = find_proxy(i);
			memcpy(proxies, found, sizeof(proxies));
			note_all();
			proxies_known = false;
		}
	}
}

/* The present moment. */
OrgusersStamp
orgusers_now(void)
{
	return moment;
}

/* The slot of a user or an organization. */
int
orgusers_slot(const pg_uuid_t *id)
{
	return hash_bytes(id->data, UUID_LEN) % ORGUSERS_SLOTS;
}

/* When rights of users of this slot changed last. */
OrgusersStamp
orgusers_user_slot_changed(int slot)
{
	return changed[USER_PROXY(slot)];
}

/* When rights within organizations of this slot changed last. */
OrgusersStamp
orgusers_org_slot_changed(int slot)
{
	return changed[ORG_PROXY(slot)];
}

/* When what all organizations share (roles' permissions) changed last. */
OrgusersStamp
orgusers_shared_changed(void)
{
	return changed[SHARED_PROXY];
}

/*
 * tell_row
 *		Tells everybody, at commit, that the slots of this row's columns
 *		changed: a user for user_id, organizations for others.
 */
static void
tell_row(Relation rel, HeapTuple row, const Trigger *trigger)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < trigger->tgnargs; i++)
	{
		const char *column = trigger->tgargs[i];
		bool		isnull;
		Datum		id = heap_getattr(row, SPI_fnumber(desc, column), desc,
									  &isnull);
		int			slot;

		if (isnull)
			continue;			/* no parent */
		slot = orgusers_slot(DatumGetUUIDP(id));
		CacheInvalidateRelcacheByRelid(proxies[strcmp(column, "user_id") == 0 ?
											   USER_PROXY(slot) : ORG_PROXY(slot)]);
	}
}

/*
 * orgusers_rights_changed
 *		Trigger on every table that rights are made of: tells all backends, at
 *		commit, whose rights may have changed.
 *
 * The arguments are the columns by which the rows concern rights: user_id (one
 * user's), any other (those within one organization), or none (everybody's).
 * TRUNCATE concerns everybody.  A transaction's own later commands notice at once, and
 * a rollback is noticed as well.
 */
Datum
orgusers_rights_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("not called as an AFTER trigger")));

	orgusers_invalidation_begin();
	if (trigger->tg_trigger->tgnargs == 0 ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		CacheInvalidateRelcacheByRelid(proxies[SHARED_PROXY]);
	else
	{
		tell_row(trigger->tg_relation, trigger->tg_trigtuple,
				 trigger->tg_trigger);
		if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
			tell_row(trigger->tg_relation, trigger->tg_newtuple,
					 trigger->tg_trigger);
	}
	return PointerGetDatum(NULL);
}
