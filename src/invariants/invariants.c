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
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(orgusers_lock_organization);
PG_FUNCTION_INFO_V1(orgusers_seats_check);
PG_FUNCTION_INFO_V1(orgusers_holders_check);
PG_FUNCTION_INFO_V1(orgusers_billing_admin_check);
PG_FUNCTION_INFO_V1(orgusers_member_in_tree_check);
PG_FUNCTION_INFO_V1(orgusers_invitation_in_tree_check);
PG_FUNCTION_INFO_V1(orgusers_email_in_tree_check);
PG_FUNCTION_INFO_V1(orgusers_truncate_check);
PG_FUNCTION_INFO_V1(orgusers_check_now);

/* The organizations that a row event concerns: one, or two when it moved. */
typedef struct EventOrgs
{
	int			count;
	pg_uuid_t	id[2];
} EventOrgs;

typedef void (*OrgCheck) (TriggerData *trigger, OrgusersTouched *org);

/*
 * row_uuid
 *		The id in a column of a row.  A row without NOT NULL there does not
 *		exist.
 */
static pg_uuid_t
row_uuid(Relation rel, HeapTuple row, const char *column)
{
	TupleDesc	desc = RelationGetDescr(rel);
	bool		isnull;
	Datum		id = heap_getattr(row, SPI_fnumber(desc, column), desc, &isnull);

	Assert(!isnull);
	return *DatumGetUUIDP(id);
}

/* The row as it is after an event that leaves one. */
static HeapTuple
new_row(TriggerData *trigger)
{
	return TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
		trigger->tg_newtuple : trigger->tg_trigtuple;
}

static int
compare_uuids(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a, b, sizeof(*a));
}

/* Whether touched.h takes an organization after another. */
static bool
comes_after(const pg_uuid_t *a, const pg_uuid_t *b)
{
	pg_uuid_t	root_a = orgusers_place(a).root_id;
	pg_uuid_t	root_b = orgusers_place(b).root_id;
	int			cmp = compare_uuids(&root_a, &root_b);

	return cmp != 0 ? cmp > 0 : compare_uuids(a, b) > 0;
}

/*
 * event_orgs
 *		The old and the new organization of a row event, in the order of
 *		touched.h.
 */
static EventOrgs
event_orgs(TriggerData *trigger)
{
	EventOrgs	orgs = {.count = 1};

	orgs.id[0] = row_uuid(trigger->tg_relation, trigger->tg_trigtuple,
						  "org_id");
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		orgs.id[1] = row_uuid(trigger->tg_relation, trigger->tg_newtuple,
							  "org_id");
		if (compare_uuids(&orgs.id[0], &orgs.id[1]) != 0)
			orgs.count = 2;
	}
	if (orgs.count == 2 && comes_after(&orgs.id[0], &orgs.id[1]))
	{
		pg_uuid_t	first = orgs.id[1];

		orgs.id[1] = orgs.id[0];
		orgs.id[0] = first;
	}
	return orgs;
}

/* Raises when a function is not called as a trigger after a row's change. */
static void
require_after_row(FunctionCallInfo fcinfo)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_AFTER(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("not called as an AFTER ROW trigger")));
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
	EventOrgs	orgs;

	require_after_row(fcinfo);
	orgs = event_orgs(trigger);
	for (int i = 0; i < orgs.count; i++)
	{
		OrgusersTouched *org = orgusers_touch(&orgs.id[i]);

		if (org != NULL)
			check(trigger, org);
	}
	return PointerGetDatum(NULL);
}

/*
 * read_row_by
 *		Runs a query about an organization ($1) and something else ($2, of
 *		that type; InvalidOid for a query without it), such as one that
 *		returns a row only when a rule is broken there.
 *
 * Returns whether there is a row.  The caller is connected to SPI.
 */
static bool
read_row_by(SPIPlanPtr *plan, const char *query, Oid type, Datum *args)
{
	if (*plan == NULL)
	{
		Oid			argtypes[] = {UUIDOID, type};

		*plan = SPI_prepare(query, OidIsValid(type) ? 2 : 1, argtypes);
		if (*plan == NULL || SPI_keepplan(*plan) != 0)
			elog(ERROR, "could not prepare the check of an invariant");
	}
	if (SPI_execute_plan(*plan, args, NULL, false, 1) < 0)
		elog(ERROR, "could not check an invariant");
	return SPI_processed > 0;
}

/*
 * read_row
 *		The same about an organization alone.
 */
static bool
read_row(SPIPlanPtr *plan, const char *query, const pg_uuid_t *org_id)
{
	Datum		args[] = {UUIDPGetDatum(org_id)};

	return read_row_by(plan, query, InvalidOid, args);
}

/*
 * read_row_of
 *		The same about an organization and the id of something.
 */
static bool
read_row_of(SPIPlanPtr *plan, const char *query, const pg_uuid_t *org_id,
			const pg_uuid_t *id)
{
	Datum		args[] = {UUIDPGetDatum(org_id), UUIDPGetDatum(id)};

	return read_row_by(plan, query, UUIDOID, args);
}

/* The text in a column of the first row that SPI returned. */
static char *
violation_text(int column)
{
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
}

/*
 * orgusers_command_of
 *		The command of this transaction that caused the event, or none.
 *
 * An event fires when all rows of its command are written, so a command that
 * changes many rows of an organization is checked once.  Only the command's
 * own check tells: one that ran while the command was still writing has
 * missed rows.
 */
CommandId
orgusers_command_of(TriggerData *trigger)
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
	row = new_row(trigger)->t_data;
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
	CommandId	command = orgusers_command_of(trigger);

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
	static SPIPlanPtr cap_plan = NULL;
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

	/*
	 * Most plans have no cap, and to set the count up takes longer than to
	 * look.  The count stops at one more than the plan has.
	 */
	if (read_row(&cap_plan,
				 "SELECT FROM orgusers.subscriptions s"
				 " JOIN orgusers.plans p ON p.id = s.plan"
				 " WHERE s.org_id = $1 AND p.seats IS NOT NULL",
				 &org->org_id) &&
		read_row(&plan,
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

/*
 * What an event takes away holders of: the template of the role that a user
 * held, the templates of the roles of a user whose membership changed, and
 * the template that a role had.  An organization that never had as many
 * holders as a template asks for can change otherwise.
 */
#define TOO_FEW(taken) \
	"SELECT t.name, t.least_holders FROM orgusers.organizations o" \
	" JOIN orgusers.role_templates t ON t.policy = o.policy" \
	" WHERE o.id = $1 AND t.least_holders > 0 AND t.id IN (" taken ")" \
	" AND " COUNT_HOLDERS("t.least_holders") " < t.least_holders"

/*
 * too_few_left
 *		Whether an event that took something away has left a role with too
 *		few holders; the row that SPI returned names it.
 */
static bool
too_few_left(TriggerData *trigger, OrgusersTouched *org)
{
	static SPIPlanPtr by_role = NULL;
	static SPIPlanPtr by_member = NULL;
	static SPIPlanPtr by_template = NULL;
	Relation	rel = trigger->tg_relation;
	HeapTuple	row = trigger->tg_trigtuple;
	int			template = SPI_fnumber(RelationGetDescr(rel), "template");
	Datum		args[2] = {UUIDPGetDatum(&org->org_id)};
	pg_uuid_t	id;
	bool		isnull;

	if (template > 0)
	{
		/* A role itself: it is gone, or is like another template by now. */
		args[1] = heap_getattr(row, template, RelationGetDescr(rel), &isnull);
		return read_row_by(&by_template, TOO_FEW("$2"), TEXTOID, args);
	}
	if (SPI_fnumber(RelationGetDescr(rel), "role_id") > 0)
	{
		/* The last role that was checked is mostly the next one, too. */
		id = row_uuid(rel, row, "role_id");
		if (checked_already(trigger, &org->taken_checked) &&
			compare_uuids(&id, &org->taken_role) == 0)
			return false;
		org->taken_role = id;
		return read_row_of(&by_role,
						   TOO_FEW("SELECT r.template FROM orgusers.roles r"
								   " WHERE r.org_id = o.id AND r.id = $2"),
						   &org->org_id, &id);
	}
	id = row_uuid(rel, row, "user_id");
	return read_row_of(&by_member,
					   TOO_FEW("SELECT r.template"
							   " FROM orgusers.membership_roles mr"
							   " JOIN orgusers.roles r ON r.org_id = mr.org_id"
							   "  AND r.id = mr.role_id"
							   " WHERE mr.org_id = o.id AND mr.user_id = $2"),
					   &org->org_id, &id);
}

static void
check_holders(TriggerData *trigger, OrgusersTouched *org)
{
	static SPIPlanPtr too_many = NULL;
	static SPIPlanPtr most_plan = NULL;

	SPI_connect();
	if (!TRIGGER_FIRED_BY_INSERT(trigger->tg_event) &&
		too_few_left(trigger, org))
		ereport(ERROR,
				(errcode(ERRCODE_OU_TOO_FEW_HOLDERS),
				 errmsg("the role %s would be left with too few users",
						violation_text(1)),
				 errdetail("The least number of active users who hold it is %s.",
						   violation_text(2)),
				 errhint("Give the role to another user first."),
				 errtableconstraint(trigger->tg_relation,
									trigger->tg_trigger->tgname)));
	/* As with the seats: most policies have no such role. */
	if (!checked_already(trigger, &org->added_checked) &&
		read_row(&most_plan,
				 "SELECT FROM orgusers.organizations o"
				 " JOIN orgusers.role_templates t ON t.policy = o.policy"
				 " WHERE o.id = $1 AND t.most_holders IS NOT NULL",
				 &org->org_id) &&
		read_row(&too_many,
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
 * What of a tree uses an address elsewhere than in organization o: a
 * membership of the user who has it, or an invitation that is open by the
 * clock.  An expired one makes room.
 */
#define MEMBER_ELSEWHERE(user_id) \
	"EXISTS (SELECT FROM orgusers.memberships m" \
	"        JOIN orgusers.organizations t ON t.id = m.org_id" \
	"        WHERE m.user_id = " user_id \
	"        AND t.root_id = o.root_id AND t.id <> o.id)"
#define INVITED_ELSEWHERE(email) \
	"EXISTS (SELECT FROM orgusers.invitations i" \
	"        JOIN orgusers.organizations t ON t.id = i.org_id" \
	"        WHERE i.email = " email " AND i.status = 'pending'" \
	"        AND i.expires_at > clock_timestamp()" \
	"        AND t.root_id = o.root_id AND t.id <> o.id)"

/*
 * refuse_used_in_tree
 *		Says that an address is used elsewhere in the tree; not where.
 */
static void
refuse_used_in_tree(TriggerData *trigger)
{
	ereport(ERROR,
			(errcode(ERRCODE_OU_ADDRESS_IN_TREE),
			 errmsg("the address is used elsewhere in the account and its sub-accounts"),
			 errhint("It is a user's or in a pending invitation there; remove the user or withdraw the invitation first."),
			 errtableconstraint(trigger->tg_relation,
								trigger->tg_trigger->tgname)));
}

/*
 * check_user_in_tree
 *		Looks whether a user of an organization, whose tree is locked, is used
 *		elsewhere in the tree.
 */
static void
check_user_in_tree(TriggerData *trigger, const pg_uuid_t *org_id,
				   const pg_uuid_t *user_id)
{
	static SPIPlanPtr plan = NULL;

	SPI_connect();
	if (read_row_of(&plan,
					"SELECT FROM orgusers.memberships mine"
					" JOIN orgusers.organizations o ON o.id = mine.org_id"
					" JOIN orgusers.users u ON u.id = mine.user_id"
					" WHERE mine.org_id = $1 AND mine.user_id = $2"
					" AND (" MEMBER_ELSEWHERE("u.id")
					"      OR " INVITED_ELSEWHERE("u.email") ")",
					org_id, user_id))
		refuse_used_in_tree(trigger);
	SPI_finish();
}

static void
check_member_in_tree(TriggerData *trigger, OrgusersTouched *org)
{
	HeapTuple	row = new_row(trigger);
	pg_uuid_t	org_id = row_uuid(trigger->tg_relation, row, "org_id");
	pg_uuid_t	user_id;

	/* Nothing can be used twice where a row was taken away. */
	if (compare_uuids(&org_id, &org->org_id) != 0)
		return;

	/* Most policies have no such rule: they are asked once a command. */
	if (org->apart_checked != InvalidCommandId &&
		org->apart_checked == orgusers_command_of(trigger))
		return;
	if (!orgusers_place(&org_id).unique_in_tree)
	{
		org->apart_checked = orgusers_command_of(trigger);
		return;
	}
	user_id = row_uuid(trigger->tg_relation, row, "user_id");
	check_user_in_tree(trigger, &org_id, &user_id);
}

static void
check_invitation_in_tree(TriggerData *trigger, OrgusersTouched *org)
{
	static SPIPlanPtr plan = NULL;
	HeapTuple	row = new_row(trigger);
	pg_uuid_t	org_id = row_uuid(trigger->tg_relation, row, "org_id");
	pg_uuid_t	id = row_uuid(trigger->tg_relation, row, "id");

	if (compare_uuids(&org_id, &org->org_id) != 0)
		return;

	SPI_connect();
	if (read_row_of(&plan,
					"SELECT FROM orgusers.invitations mine"
					" JOIN orgusers.organizations o ON o.id = mine.org_id"
					" LEFT JOIN orgusers.users u ON u.email = mine.email"
					" WHERE mine.org_id = $1 AND mine.id = $2"
					" AND mine.status = 'pending'"
					" AND mine.expires_at > clock_timestamp()"
					" AND (" MEMBER_ELSEWHERE("u.id")
					"      OR " INVITED_ELSEWHERE("mine.email") ")",
					&org_id, &id))
		refuse_used_in_tree(trigger);
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
 * orgusers_member_in_tree_check
 *		Constraint trigger on memberships: where the policy says so, a user's
 *		address is used nowhere else in the tree of account and sub-accounts.
 *
 * Raises OU307.
 */
Datum
orgusers_member_in_tree_check(PG_FUNCTION_ARGS)
{
	return for_each_org(fcinfo, check_member_in_tree);
}

/*
 * orgusers_invitation_in_tree_check
 *		Constraint trigger on invitations: the same for an invited address.
 *
 * Without that rule an invitation takes no lock on its organization, so the
 * policy is asked first.  Raises OU307.
 */
Datum
orgusers_invitation_in_tree_check(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	pg_uuid_t	org_id;

	require_after_row(fcinfo);
	org_id = row_uuid(trigger->tg_relation, new_row(trigger), "org_id");
	if (!orgusers_place(&org_id).unique_in_tree)
		return PointerGetDatum(NULL);
	return for_each_org(fcinfo, check_invitation_in_tree);
}

/*
 * orgusers_email_in_tree_check
 *		Constraint trigger on users: an address that a user takes on is not
 *		invited elsewhere in a tree that the user is in.
 *
 * Which trees these are is asked of a snapshot of now: an old one would not
 * show a membership that was made since, and what is not looked for is not
 * locked either.  None is made behind it: its foreign key waits for the
 * update of the address.  Raises OU307.
 */
Datum
orgusers_email_in_tree_check(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Datum		args[1];
	Snapshot	now;
	pg_uuid_t	user_id;
	pg_uuid_t  *orgs;
	int			count;

	require_after_row(fcinfo);
	user_id = row_uuid(trigger->tg_relation, new_row(trigger), "id");

	SPI_connect();
	if (plan == NULL)
	{
		Oid			argtypes[] = {UUIDOID};

		plan = SPI_prepare("SELECT o.id FROM orgusers.memberships m"
						   " JOIN orgusers.organizations o ON o.id = m.org_id"
						   " JOIN orgusers.policies p ON p.id = o.policy"
						   " WHERE m.user_id = $1 AND p.unique_in_tree"
						   " ORDER BY o.root_id, o.id", 1, argtypes);
		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare the check of an address");
	}
	args[0] = UUIDPGetDatum(&user_id);
	now = RegisterSnapshot(GetLatestSnapshot());
	if (SPI_execute_snapshot(plan, args, NULL, now, InvalidSnapshot,
							 false, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for a user's organizations");
	UnregisterSnapshot(now);
	count = (int) SPI_processed;
	orgs = palloc(count * sizeof(pg_uuid_t));
	for (int i = 0; i < count; i++)
	{
		bool		isnull;

		orgs[i] = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[i],
											   SPI_tuptable->tupdesc, 1,
											   &isnull));
	}
	for (int i = 0; i < count; i++)
	{
		if (orgusers_touch(&orgs[i]) != NULL)
			check_user_in_tree(trigger, &orgs[i], &user_id);
		else if (IsolationUsesXactSnapshot())
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent update")));
	}
	SPI_finish();
	return PointerGetDatum(NULL);
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

/* Whether a trigger event of one of the extension's tables is still to fire. */
static bool
check_waits(const char *const *tables, int count)
{
	Oid			schema = get_namespace_oid(ORGUSERS_SCHEMA, false);

	for (int i = 0; i < count; i++)
	{
		Oid			table = get_relname_relid(tables[i], schema);

		if (OidIsValid(table) && AfterTriggerPendingOnRel(table))
			return true;
	}
	return false;
}

/* SET CONSTRAINTS: puts the extension's checks of these names off, or runs them. */
static void
set_constraints(const char *const *names, int count, bool deferred)
{
	ConstraintsSetStmt *statement = makeNode(ConstraintsSetStmt);

	for (int i = 0; i < count; i++)
		statement->constraints = lappend(statement->constraints,
										 makeRangeVar(ORGUSERS_SCHEMA,
													  pstrdup(names[i]), -1));
	statement->deferred = deferred;
	AfterTriggerSetState(statement);
}

/*
 * orgusers_check_now
 *		SQL: runs the checks that wait for the commit.  For the extension's own
 *		functions, with the rights of the owner.
 *
 * SET CONSTRAINTS looks up every constraint of every name; what waits is known
 * for nothing.
 */
Datum
orgusers_check_now(PG_FUNCTION_ARGS)
{
	static const char *const roles[] = {"membership_roles"};
	static const char *const tables[] = {
		"memberships", "membership_roles", "roles", "subscriptions",
		"invitations", "users", "space_members", "space_groups",
	"group_members", "group_roles"};
	static const char *const checks[] = {
		"holders", "billing_admin",	/* those that wait by default */
		"seats", "seats_update", "most_spaces", "address_in_tree",
	"address_in_tree_update"};

	(void) fcinfo;
	CommandCounterIncrement();

	/* All that waits when roles were given only, as to who accepts an invitation. */
	if (check_waits(roles, lengthof(roles)))
	{
		set_constraints(checks, 1, false);
		set_constraints(checks, 1, true);
	}
	/* The rest, and what the transaction itself has put off. */
	if (check_waits(tables, lengthof(tables)))
	{
		set_constraints(checks, lengthof(checks), false);
		set_constraints(checks, 2, true);
	}
	PG_RETURN_VOID();
}
