/*
 * most_spaces.c
 *		Constraint trigger: no holder of a role with a most of spaces has more
 *		spaces assigned.
 *
 * Counted are the different spaces that a user has, directly and by groups;
 * roles count directly and by groups, too, and whatever else a user holds.  So
 * the rule only ever says "at most": what takes away never breaks it, and a
 * restore passes at every step.  Deactivated users are no exception, or
 * bringing one back could break it.
 */
#include "invariants/constraint.h"

#include "access/xact.h"
#include "executor/spi.h"

PG_FUNCTION_INFO_V1(orgusers_spaces_check);

/*
 * A role with too many spaces, and its most, among some users of organization
 * $1, by a query for their ids.
 */
#define TOO_MANY_SPACES(users) \
	"SELECT r.name, t.most_spaces FROM (" users ") AS u" \
	" JOIN orgusers.held_roles h" \
	"  ON h.org_id = $1 AND h.user_id = u.user_id" \
	" JOIN orgusers.roles r ON r.org_id = $1 AND r.id = h.role_id" \
	" JOIN orgusers.role_templates t" \
	"  ON t.policy = r.policy AND t.id = r.template" \
	" WHERE t.most_spaces < (SELECT count(DISTINCT a.space_id)" \
	"                        FROM orgusers.assigned_spaces a" \
	"                        WHERE a.org_id = $1 AND a.user_id = u.user_id)" \
	" ORDER BY t.most_spaces LIMIT 1"

/* Whom a row is about, by the column that the trigger's argument names. */
static struct
{
	const char *column;
	const char *query;
	SPIPlanPtr	plan;
}			subjects[] =
{
	{"user_id", TOO_MANY_SPACES("SELECT $2 AS user_id"), NULL},
	{"group_id", TOO_MANY_SPACES("SELECT m.user_id"
								 " FROM orgusers.group_members m"
								 " WHERE m.org_id = $1 AND m.group_id = $2"), NULL},
	/* a role that is another template's now */
	{"id", TOO_MANY_SPACES("SELECT s.user_id"
						   " FROM orgusers.held_roles s"
						   " WHERE s.org_id = $1 AND s.role_id = $2"), NULL},
};

/*
 * policy_limits_spaces
 *		Whether a role of the organization's policy has a most of spaces.
 *
 * Asked without the lock, so that nobody waits where there is nothing to keep,
 * and once for rows of a command and organization that follow each other.  An
 * organization changes its policy only while it has no roles.
 */
static bool
policy_limits_spaces(const pg_uuid_t *org_id, CommandId command)
{
	static SPIPlanPtr plan = NULL;
	static FullTransactionId known_xid;
	static CommandId known_command = InvalidCommandId;
	static pg_uuid_t known_org;
	static bool known;
	FullTransactionId xid = GetTopFullTransactionIdIfAny();

	if (command == InvalidCommandId || command != known_command ||
		!FullTransactionIdEquals(xid, known_xid) ||
		memcmp(org_id, &known_org, sizeof(known_org)) != 0)
	{
		known_command = InvalidCommandId;
		known = orgusers_find_row(&plan,
								  "SELECT FROM orgusers.organizations o"
								  " JOIN orgusers.role_templates t"
								  "  ON t.policy = o.policy"
								  " WHERE o.id = $1"
								  " AND t.most_spaces IS NOT NULL",
								  org_id);
		known_xid = xid;
		known_command = command;
		known_org = *org_id;
	}
	return known;
}

/*
 * check_spaces
 *		Looks at the users whom a row is about, under the organization's lock;
 *		once for rows of a command about the same that follow each other.
 */
static void
check_spaces(TriggerData *trigger, OrgusersTouched *org, CommandId command)
{
	const char *column = trigger->tg_trigger->tgargs[0];
	pg_uuid_t	subject = orgusers_row_uuid(trigger, orgusers_new_row(trigger),
											column);

	if (command != InvalidCommandId && command == org->spaces_checked &&
		memcmp(&subject, &org->spaces_subject, sizeof(subject)) == 0)
		return;
	org->spaces_checked = command;
	org->spaces_subject = subject;

	for (size_t i = 0; i < lengthof(subjects); i++)
	{
		if (strcmp(subjects[i].column, column) == 0 &&
			orgusers_find_row_of(&subjects[i].plan, subjects[i].query,
								 &org->org_id, &subject))
			ereport(ERROR,
					(errcode(ERRCODE_OU_TOO_MANY_SPACES),
					 errmsg("a user with the role %s would have too many spaces",
							orgusers_found_text(1)),
					 errdetail("The most spaces that can be assigned to such a user, directly and by groups, is %s.",
							   orgusers_found_text(2)),
					 errhint("Take another space from the user first, or give another role."),
					 errtableconstraint(trigger->tg_relation,
										trigger->tg_trigger->tgname)));
	}
}

/*
 * orgusers_spaces_check
 *		SQL: the constraint trigger, for rows that are inserted or updated; its
 *		argument is the column that says whom the row is about.
 *
 * Takes the organization's lock where the policy limits spaces.  Raises OU306.
 */
Datum
orgusers_spaces_check(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	pg_uuid_t	org_id;
	CommandId	command;

	orgusers_require_after_row(fcinfo);
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ||
		trigger->tg_trigger->tgnargs != 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("not called for what is written, with the name of a column")));

	org_id = orgusers_row_uuid(trigger, orgusers_new_row(trigger), "org_id");
	command = orgusers_command_of(trigger);
	SPI_connect();
	if (policy_limits_spaces(&org_id, command))
	{
		OrgusersTouched *org = orgusers_touch(&org_id);

		if (org != NULL)
			check_spaces(trigger, org, command);
	}
	SPI_finish();
	return PointerGetDatum(NULL);
}
