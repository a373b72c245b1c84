/*
 * invariants.c
 *		Constraint triggers: what always holds, whoever writes.
 *
 * Each trigger takes the organization's lock (touched.h), then reads with a
 * new command what the organization is like now.  They are declared SECURITY
 * DEFINER with a pinned search_path, so they see the whole tables whoever
 * writes.  They check data only: who may do something is decided in the call,
 * never here, where a deferred check may run under another identity.
 *
 * A restore loads table after table.  The seats are checked when users or a
 * plan arrive, the least holders only when something is taken away, so that
 * every step of a restore passes with all triggers in force.
 */
#include "invariants/touched.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(orgusers_lock_organization);
PG_FUNCTION_INFO_V1(orgusers_seats_check);
PG_FUNCTION_INFO_V1(orgusers_holders_check);
PG_FUNCTION_INFO_V1(orgusers_billing_admin_check);
PG_FUNCTION_INFO_V1(orgusers_truncate_check);

/* The organizations that a row event concerns: one, or two when it moved. */
typedef struct EventOrgs
{
	int			count;
	pg_uuid_t	id[2];			/* in the order of ids */
} EventOrgs;

typedef void (*OrgCheck) (TriggerData *trigger, OrgusersTouched *org);

/*
 * add_org
 *		Enters the org_id of a row.  A row of a table without NOT NULL there
 *		does not exist.
 */
static void
add_org(EventOrgs *orgs, Relation rel, HeapTuple row)
{
	TupleDesc	desc = RelationGetDescr(rel);
	bool		isnull;
	pg_uuid_t	id;
	int			cmp;

	id = *DatumGetUUIDP(heap_getattr(row, SPI_fnumber(desc, "org_id"), desc,
									 &isnull));
	Assert(!isnull);

	if (orgs->count == 0)
	{
		orgs->id[orgs->count++] = id;
		return;
	}
	cmp = memcmp(&id, &orgs->id[0], sizeof(id));
	if (cmp == 0)
		return;
	if (cmp < 0)
	{
		orgs->id[1] = orgs->id[0];
		orgs->id[0] = id;
	}
	else
		orgs->id[1] = id;
	orgs->count = 2;
}

/*
 * for_each_org
 *		Runs a check for the old and the new organization of a row event.
 *
 * An organization that is gone has nothing to keep.
 */
static Datum
for_each_org(FunctionCallInfo fcinfo, OrgCheck check)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	EventOrgs	orgs = {0};

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("not called as an AFTER ROW trigger")));

	add_org(&orgs, trigger->tg_relation, trigger->tg_trigtuple);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		add_org(&orgs, trigger->tg_relation, trigger->tg_newtuple);

	for (int i = 0; i < orgs.count; i++)
	{
		OrgusersTouched *org = orgusers_touch(&orgs.id[i]);

		if (org != NULL)
			check(trigger, org);
	}
	return PointerGetDatum(NULL);
}

/*
 * read_row
 *		Runs a query about an organization, such as one that returns a row
 *		only when a rule is broken there.
 *
 * Returns whether there is a row.  The caller is connected to SPI.
 */
static bool
read_row(SPIPlanPtr *plan, const char *query, const pg_uuid_t *org_id)
{
	Datum		args[1];

	if (*plan == NULL)
	{
		Oid			argtypes[] = {UUIDOID};

		*plan = SPI_prepare(query, 1, argtypes);
		if (*plan == NULL || SPI_keepplan(*plan) != 0)
			elog(ERROR, "could not prepare the check of an invariant");
	}
	args[0] = UUIDPGetDatum(org_id);
	if (SPI_execute_plan(*plan, args, NULL, false, 1) < 0)
		elog(ERROR, "could not check an invariant");
	return SPI_processed > 0;
}

/* The text in a column of the first row that SPI returned. */
static char *
violation_text(int column)
{
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
}

/*
 * command_of
 *		The command of this transaction that caused the event, or none.
 *
 * An event fires when all rows of its command are written, so a command that
 * changes many rows of an organization is checked once.  Only the command's
 * own check tells: one that ran while the command was still writing has
 * missed rows.
 */
static CommandId
command_of(TriggerData *trigger)
{
	HeapTupleHeader row;

	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		row = trigger->tg_trigtuple->t_data;
		if ((row->t_infomask & (HEAP_XMAX_INVALID | HEAP_XMAX_IS_MULTI)) == 0 &&
			!HEAP_XMAX_IS_LOCKED_ONLY(row->t_infomask) &&
			TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmax(row)))
			return HeapTupleHeaderGetCmax(row);
		return InvalidCommandId;
	}
	row = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
		trigger->tg_newtuple->t_data : trigger->tg_trigtuple->t_data;
	if (TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(row)))
		return HeapTupleHeaderGetCmin(row);
	return InvalidCommandId;
}

/*
 * checked_already
 *		Whether the check has been made for all rows of this command; notes
 *		that it is being made now.
 *
 * A check that fails ends at least the subtransaction, and the note with it.
 */
static bool
checked_already(TriggerData *trigger, CommandId *checked)
{
	CommandId	command = command_of(trigger);

	if (command != InvalidCommandId && command == *checked)
		return true;
	*checked = command;
	return false;
}

static void
check_seats(TriggerData *trigger, OrgusersTouched *org)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr lock_plan = NULL;
	bool		new_plan = SPI_fnumber(RelationGetDescr(trigger->tg_relation),
									   "plan") > 0;

	if (!new_plan && checked_already(trigger, &org->seats_checked))
		return;

	SPI_connect();

	/*
	 * Who lowers a plan's seats locks the organizations that have the plan;
	 * one that is only coming to it locks the plan.
	 */
	if (new_plan)
		(void) read_row(&lock_plan,
						"SELECT FROM orgusers.subscriptions s"
						" JOIN orgusers.plans p ON p.id = s.plan"
						" WHERE s.org_id = $1 FOR SHARE OF p",
						&org->org_id);

	/* The count stops at one more than the plan has. */
	if (read_row(&plan,
					   "SELECT p.title, p.seats"
					   " FROM orgusers.subscriptions s"
					   " JOIN orgusers.plans p ON p.id = s.plan"
					   " WHERE s.org_id = $1 AND p.seats IS NOT NULL"
					   " AND (SELECT count(*) FROM"
					   "      (SELECT FROM orgusers.memberships m"
					   "       WHERE m.org_id = s.org_id"
					   "       AND m.status = 'active' AND m.holds_seat"
					   "       LIMIT p.seats + 1) AS counted)"
					   "     > p.seats",
					   &org->org_id))
		ereport(ERROR,
				(errcode(ERRCODE_OU_SEATS_EXHAUSTED),
				 new_plan ?
				 errmsg("the organization has more users than the plan %s has seats",
						violation_text(1)) :
				 errmsg("the organization has no seat left on the plan %s",
						violation_text(1)),
				 errdetail("The plan has seats for %s active users.",
						   violation_text(2)),
				 errhint("Remove or deactivate a user, or change the plan."),
				 errtableconstraint(trigger->tg_relation,
									trigger->tg_trigger->tgname)));
	SPI_finish();
}

/*
 * The active users who hold a role of template t of organization o directly,
 * counted up to a limit.  The organization's templates are asked, not its
 * roles: a role that was deleted has no holder left.  The look-ups are
 * subqueries, so that the planner goes from the role to its holders.
 */
#define COUNT_HOLDERS(limit) \
	"(SELECT count(*) FROM" \
	" (SELECT FROM orgusers.membership_roles mr" \
	"  WHERE mr.org_id = o.id" \
	"  AND mr.role_id = ANY (ARRAY(SELECT r.id FROM orgusers.roles r" \
	"                              WHERE r.org_id = o.id AND r.template = t.id))" \
	"  AND (SELECT m.status = 'active' FROM orgusers.memberships m" \
	"       WHERE m.org_id = mr.org_id AND m.user_id = mr.user_id)" \
	"  LIMIT " limit ") AS counted)"

static void
check_holders(TriggerData *trigger, OrgusersTouched *org)
{
	static SPIPlanPtr too_few = NULL;
	static SPIPlanPtr too_many = NULL;
	bool		adds_only = TRIGGER_FIRED_BY_INSERT(trigger->tg_event);

	if (checked_already(trigger, adds_only ? &org->added_checked :
						&org->taken_checked))
		return;

	SPI_connect();
	if (!adds_only &&
		read_row(&too_few,
				 "SELECT t.name, t.least_holders FROM orgusers.organizations o"
				 " JOIN orgusers.role_templates t ON t.policy = o.policy"
				 " WHERE o.id = $1 AND t.least_holders > 0 AND "
				 COUNT_HOLDERS("t.least_holders") " < t.least_holders",
				 &org->org_id))
		ereport(ERROR,
				(errcode(ERRCODE_OU_TOO_FEW_HOLDERS),
				 errmsg("the role %s would be left with too few users",
						violation_text(1)),
				 errdetail("The least number of active users who hold it is %s.",
						   violation_text(2)),
				 errhint("Give the role to another user first."),
				 errtableconstraint(trigger->tg_relation,
									trigger->tg_trigger->tgname)));
	if (read_row(&too_many,
				 "SELECT t.name, t.most_holders FROM orgusers.organizations o"
				 " JOIN orgusers.role_templates t ON t.policy = o.policy"
				 " WHERE o.id = $1 AND t.most_holders IS NOT NULL AND "
				 COUNT_HOLDERS("t.most_holders + 1") " > t.most_holders",
				 &org->org_id))
		ereport(ERROR,
				(errcode(ERRCODE_OU_TOO_MANY_HOLDERS),
				 errmsg("the role %s would have too many users",
						violation_text(1)),
				 errdetail("The greatest number of active users who can hold it is %s.",
						   violation_text(2)),
				 errhint("Take the role from another user first."),
				 errtableconstraint(trigger->tg_relation,
									trigger->tg_trigger->tgname)));
	SPI_finish();
}

static void
check_billing_admin(TriggerData *trigger, OrgusersTouched *org)
{
	static SPIPlanPtr plan = NULL;

	if (checked_already(trigger, &org->admin_checked))
		return;

	/* That there is one on a paid plan only, the table's own CHECK says. */
	SPI_connect();
	if (read_row(&plan,
					   "SELECT FROM orgusers.subscriptions s"
					   " JOIN orgusers.memberships m ON m.org_id = s.org_id"
					   "  AND m.user_id = s.billing_admin_id"
					   " WHERE s.org_id = $1"
					   "  AND m.status <> 'active'",
					   &org->org_id))
		ereport(ERROR,
				(errcode(ERRCODE_OU_BILLING_ADMIN),
				 errmsg("the billing admin must be an active user of the organization"),
				 errhint("Choose another billing admin first."),
				 errtableconstraint(trigger->tg_relation,
									trigger->tg_trigger->tgname)));
	SPI_finish();
}

/*
 * orgusers_seats_check
 *		Constraint trigger: no more users take a seat than the plan has.
 *
 * On memberships and subscriptions, for what can raise the count or lower the
 * cap.  Raises OU301.
 */
Datum
orgusers_seats_check(PG_FUNCTION_ARGS)
{
	return for_each_org(fcinfo, check_seats);
}

/*
 * orgusers_holders_check
 *		Constraint trigger: least and most holders of the policy's roles.
 *
 * Raises OU303, OU304.
 */
Datum
orgusers_holders_check(PG_FUNCTION_ARGS)
{
	return for_each_org(fcinfo, check_holders);
}

/*
 * orgusers_billing_admin_check
 *		Constraint trigger: the billing admin is an active user.
 *
 * Raises OU302.
 */
Datum
orgusers_billing_admin_check(PG_FUNCTION_ARGS)
{
	return for_each_org(fcinfo, check_billing_admin);
}

/*
 * orgusers_truncate_check
 *		TRUNCATE trigger: the tables that the invariants are about can only be
 *		emptied together with the organizations.
 *
 * Raises OU305.
 */
Datum
orgusers_truncate_check(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("not called as an AFTER TRUNCATE trigger")));

	SPI_connect();
	if (SPI_execute("SELECT FROM orgusers.organizations", false, 1) < 0)
		elog(ERROR, "could not look for organizations");
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OU_TRUNCATE),
				 errmsg("table %s cannot be truncated while there are organizations",
						RelationGetRelationName(trigger->tg_relation)),
				 errhint("DELETE the rows, or TRUNCATE orgusers.organizations CASCADE.")));
	SPI_finish();
	return PointerGetDatum(NULL);
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
