/*
 * identity.c
 *		The session's user: a setting that its role cannot change by SQL.
 *
 * Everything about its lifetime is the GUC machinery's: it follows
 * transactions and savepoints, ends with DISCARD ALL, and reaches parallel
 * workers.  The copy below is made by the assign hook alone; never set it
 * otherwise, or an identity outlives its transaction.
 */
#include "identity.h"

#include "utils/builtins.h"
#include "utils/guc.h"

#include "access/invalidation.h"
#include "access/lookup.h"
#include "assertion.h"

#define USER_ID_SETTING "orgusers.user_id"

int			orgusers_assertion_leeway = 0;

static char *user_id_setting = NULL;

/* How often the actor was set, so that others can tell that nothing changed. */
uint64		orgusers_actor_changes = 0;

/* What user_id_setting says. */
static bool signed_in = false;
static pg_uuid_t signed_in_user;

PG_FUNCTION_INFO_V1(orgusers_current_user_id);
PG_FUNCTION_INFO_V1(orgusers_act_as);
PG_FUNCTION_INFO_V1(orgusers_sign_out);

/*
 * check_user_id
 *		Check hook: accepts the empty string (anonymous) and uuids.
 */
static bool
check_user_id(char **newval, void **extra, GucSource source)
{
	pg_uuid_t	ignored;

	(void) extra;
	(void) source;

	if (**newval == '\0' || orgusers_parse_uuid(*newval, &ignored))
		return true;
	GUC_check_errdetail("The value is a user's id, or empty for nobody.");
	return false;
}

/*
 * assign_user_id
 *		Assign hook: keeps the user's id parsed.  Must not fail, and cannot
 *		since check_user_id has parsed the same text.
 */
static void
assign_user_id(const char *newval, void *extra)
{
	(void) extra;

	orgusers_actor_changes++;
	signed_in = orgusers_parse_uuid(newval, &signed_in_user);
}

/*
 * orgusers_identity_init
 *		Defines the settings of this room; called once, by _PG_init.
 *
 * A value that a role without the privilege gave to the name before the
 * library was loaded is refused here by the GUC machinery, with a warning.
 */
void
orgusers_identity_init(void)
{
	DefineCustomStringVariable(USER_ID_SETTING,
							   "User on whose behalf the session acts.",
							   "Empty for nobody. Set by act_as and sign_in.",
							   &user_id_setting,
							   "",
							   PGC_SUSET,
							   GUC_NOT_IN_SAMPLE,
							   check_user_id, assign_user_id, NULL);
	DefineCustomIntVariable("orgusers.assertion_leeway",
							"Difference between clocks that sign_in puts up with.",
							NULL,
							&orgusers_assertion_leeway,
							0, 0, 300,
							PGC_SIGHUP,
							GUC_UNIT_S,
							NULL, NULL, NULL);
}

/*
 * orgusers_current_user
 *		Copies the actor's id and returns true, or returns false if the
 *		session is anonymous.
 */
bool
orgusers_current_user(pg_uuid_t *user_id)
{
	if (signed_in)
		*user_id = signed_in_user;
	return signed_in;
}

/*
 * orgusers_set_current_user
 *		Makes the user, or nobody if NULL, the actor: until the end of the
 *		transaction, or of the session.
 *
 * Whether the caller may do that is the caller's to know.
 */
void
orgusers_set_current_user(const pg_uuid_t *user_id, bool for_session)
{
	char	   *value = "";

	if (user_id != NULL)
		value = DatumGetCString(DirectFunctionCall1(uuid_out,
													UUIDPGetDatum(user_id)));
	(void) set_config_option(USER_ID_SETTING, value,
							 PGC_SUSET, PGC_S_SESSION,
							 for_session ? GUC_ACTION_SET : GUC_ACTION_LOCAL,
							 true, 0, false);
}

/*
 * orgusers_find_user
 *		Returns whether the user is in the directory at this moment, at any
 *		isolation level; *verified is then whether the address is proven.
 */
bool
orgusers_find_user(const pg_uuid_t *user_id, bool *verified)
{
	OrgusersReading *reading;
	bool		found;

	orgusers_invalidation_begin();
	reading = orgusers_reading_begin();
	orgusers_read(reading, ORGUSERS_USER, user_id, NULL);
	found = orgusers_read_next(reading, ORGUSERS_USER);
	if (found)
		*verified = !orgusers_read_is_null(reading, ORGUSERS_USER, 0);
	orgusers_reading_end(reading);
	return found;
}

/*
 * orgusers_current_user_id
 *		SQL: returns the actor's id, or NULL.
 */
Datum
orgusers_current_user_id(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *result;

	if (!signed_in)
		PG_RETURN_NULL();
	result = palloc(sizeof(pg_uuid_t));
	*result = signed_in_user;
	PG_RETURN_UUID_P(result);
}

/*
 * orgusers_act_as
 *		SQL: makes the user (uuid, or NULL for nobody) the actor, for the
 *		session if the second argument is true.
 *
 * Who may call it is decided by EXECUTE alone.
 */
Datum
orgusers_act_as(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *user_id = PG_ARGISNULL(0) ? NULL : PG_GETARG_UUID_P(0);
	bool		for_session = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	bool		verified;

	if (user_id != NULL && !orgusers_find_user(user_id, &verified))
		ereport(ERROR,
				(errcode(ERRCODE_OU_UNKNOWN_USER),
				 errmsg("there is no such user")));
	orgusers_set_current_user(user_id, for_session);
	PG_RETURN_VOID();
}

/*
 * orgusers_sign_out
 *		SQL: ends the identity of the transaction and of the session.
 */
Datum
orgusers_sign_out(PG_FUNCTION_ARGS)
{
	(void) fcinfo;

	/* At session level this also overrides a value set for the transaction. */
	orgusers_set_current_user(NULL, true);
	PG_RETURN_VOID();
}
