/*
 * states.c
 *		SQL functions for CHECK constraints: what states a row can be in.
 *
 * Each statement prepares the constraints of its table anew, which takes much
 * less time for a call than for a list of constants.
 */
#include "orgusers.h"

#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(orgusers_is_invitation_state);
PG_FUNCTION_INFO_V1(orgusers_is_mail_state);

/*
 * orgusers_is_invitation_state
 *		is_invitation_state(status text, closed_at timestamptz): pending, or
 *		closed in one of the other ways at a time.
 */
Datum
orgusers_is_invitation_state(PG_FUNCTION_ARGS)
{
	char	   *status;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	status = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (strcmp(status, "pending") == 0)
		PG_RETURN_BOOL(PG_ARGISNULL(1));
	PG_RETURN_BOOL(!PG_ARGISNULL(1) &&
				   (strcmp(status, "accepted") == 0 ||
					strcmp(status, "declined") == 0 ||
					strcmp(status, "canceled") == 0));
}

/*
 * orgusers_is_mail_state
 *		is_mail_state(status text, fence uuid, sealed_token bytea): one of the
 *		statuses; a leased mail has a fence, and one that is sent or withdrawn
 *		no token.
 */
Datum
orgusers_is_mail_state(PG_FUNCTION_ARGS)
{
	char	   *status;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	status = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (strcmp(status, "leased") == 0)
		PG_RETURN_BOOL(!PG_ARGISNULL(1));
	if (strcmp(status, "sent") == 0 || strcmp(status, "withdrawn") == 0)
		PG_RETURN_BOOL(PG_ARGISNULL(2));
	PG_RETURN_BOOL(strcmp(status, "queued") == 0 || strcmp(status, "dead") == 0);
}
