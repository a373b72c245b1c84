/*
 * errors.h
 *		Every SQLSTATE that orgusers raises itself, class OU.
 *
 * The third character names the room: 0 identity and access, 1 directory and
 * policy, 2 invitations, 3 invariants, 4 mail.  SQL code names the same codes
 * literally (ERRCODE = 'OU001'); doc/errors.md lists them for callers, and a
 * test holds the three together.
 */
#ifndef ORGUSERS_ERRORS_H
#define ORGUSERS_ERRORS_H

#include "utils/elog.h"

#define OU_SQLSTATE(a, b, c) MAKE_SQLSTATE('O', 'U', a, b, c)

/* identity and access */
#define ERRCODE_OU_NOT_SIGNED_IN			OU_SQLSTATE('0', '0', '1')	/* nobody is signed in */
#define ERRCODE_OU_PERMISSION_DENIED		OU_SQLSTATE('0', '0', '2')	/* the actor lacks the permission */
#define ERRCODE_OU_ASSERTION_MALFORMED		OU_SQLSTATE('0', '0', '3')	/* not a compact JWT with the claims needed */
#define ERRCODE_OU_ASSERTION_REJECTED		OU_SQLSTATE('0', '0', '4')	/* unknown key, other algorithm, or bad signature */
#define ERRCODE_OU_ASSERTION_NOT_CURRENT	OU_SQLSTATE('0', '0', '5')	/* expired, or not valid yet */
#define ERRCODE_OU_ASSERTION_MISDIRECTED	OU_SQLSTATE('0', '0', '6')	/* other audience or issuer */
#define ERRCODE_OU_UNKNOWN_USER				OU_SQLSTATE('0', '0', '7')	/* no such user in the directory */
#define ERRCODE_OU_BAD_ASSERTION_KEY		OU_SQLSTATE('0', '0', '8')	/* a verification key that cannot be used */
#define ERRCODE_OU_BAD_SETTING				OU_SQLSTATE('0', '0', '9')	/* a DBA's call with an argument that makes no sense */
#define ERRCODE_OU_CURSOR_OUTDATED			OU_SQLSTATE('0', '1', '0')	/* the cursor shows what the actor no longer may see */

/* directory and policy */
#define ERRCODE_OU_UNKNOWN_ORGANIZATION		OU_SQLSTATE('1', '0', '1')	/* no such organization, for this actor */
#define ERRCODE_OU_UNKNOWN_MEMBER			OU_SQLSTATE('1', '0', '2')	/* not a user of the organization */
#define ERRCODE_OU_UNKNOWN_ROLE				OU_SQLSTATE('1', '0', '3')	/* no such role in the organization */
#define ERRCODE_OU_UNKNOWN_GROUP			OU_SQLSTATE('1', '0', '4')	/* no such group in the organization */
#define ERRCODE_OU_UNKNOWN_POLICY			OU_SQLSTATE('1', '0', '5')	/* no such policy, plan or permission */
#define ERRCODE_OU_BAD_NAME					OU_SQLSTATE('1', '0', '6')	/* empty, too long, or with control characters */
#define ERRCODE_OU_DUPLICATE				OU_SQLSTATE('1', '0', '7')	/* name, id or address is in use */
#define ERRCODE_OU_ROLE_NOT_GRANTABLE		OU_SQLSTATE('1', '0', '8')	/* the actor may not give or take that role */
#define ERRCODE_OU_SELF_FORBIDDEN			OU_SQLSTATE('1', '0', '9')	/* the policy forbids doing that to oneself */
#define ERRCODE_OU_MEMBER_STATE				OU_SQLSTATE('1', '1', '0')	/* the membership's status does not allow it */
#define ERRCODE_OU_UNKNOWN_SPACE			OU_SQLSTATE('1', '1', '1')	/* no such space in the organization */
#define ERRCODE_OU_ROLE_FIXED				OU_SQLSTATE('1', '1', '2')	/* the policy does not let organizations change the role */
#define ERRCODE_OU_ROLE_KINDS				OU_SQLSTATE('1', '1', '3')	/* free roles beside what takes a seat */
#define ERRCODE_OU_HAS_SUB_ACCOUNTS			OU_SQLSTATE('1', '1', '4')	/* the organization has sub-accounts */
#define ERRCODE_OU_TREE_FIXED				OU_SQLSTATE('1', '1', '5')	/* an organization stays where it is in its tree */
#define ERRCODE_OU_CONFIRMATION_OUTDATED	OU_SQLSTATE('1', '1', '6')	/* confirms something else than what would be done now */
#define ERRCODE_OU_TOO_MANY_AT_ONCE			OU_SQLSTATE('1', '1', '8')	/* more spaces than one call assigns */

/* invitations */
#define ERRCODE_OU_BAD_EMAIL				OU_SQLSTATE('2', '0', '1')	/* not a valid e-mail address */
#define ERRCODE_OU_BAD_TOKEN				OU_SQLSTATE('2', '0', '2')	/* not the text of an invitation token */
#define ERRCODE_OU_INVALID_TOKEN			OU_SQLSTATE('2', '0', '3')	/* well formed, but opens nothing */
#define ERRCODE_OU_INVITATION_EXPIRED		OU_SQLSTATE('2', '0', '4')	/* past its expiry */
#define ERRCODE_OU_INVITATION_CLOSED		OU_SQLSTATE('2', '0', '5')	/* status does not allow it */
#define ERRCODE_OU_INVITATION_OTHER_ADDRESS OU_SQLSTATE('2', '0', '6')	/* meant for another address */
#define ERRCODE_OU_ADDRESS_NOT_VERIFIED		OU_SQLSTATE('2', '0', '7')	/* the actor's address is not proven */
#define ERRCODE_OU_ALREADY_INVITED			OU_SQLSTATE('2', '0', '8')	/* a pending or blocking invitation exists */
#define ERRCODE_OU_ALREADY_MEMBER			OU_SQLSTATE('2', '0', '9')	/* the address is a user's of the organization */
#define ERRCODE_OU_INVITER_LAPSED			OU_SQLSTATE('2', '1', '0')	/* the inviter may not invite so any more */
#define ERRCODE_OU_UNKNOWN_INVITATION		OU_SQLSTATE('2', '1', '1')	/* no such invitation, for this actor */
#define ERRCODE_OU_QUOTA_EXHAUSTED			OU_SQLSTATE('2', '1', '2')	/* the day's invitations are used up */
#define ERRCODE_OU_ROLE_NOT_JOINABLE		OU_SQLSTATE('2', '1', '3')	/* the policy does not let people join with that role */
#define ERRCODE_OU_JOIN_LINK_OVER			OU_SQLSTATE('2', '1', '4')	/* revoked, used up or expired */
#define ERRCODE_OU_UNKNOWN_JOINING			OU_SQLSTATE('2', '1', '5')	/* no such join link or domain, for this actor */

/* invariants */
#define ERRCODE_OU_SEATS_EXHAUSTED			OU_SQLSTATE('3', '0', '1')	/* more users than the plan has seats */
#define ERRCODE_OU_BILLING_ADMIN			OU_SQLSTATE('3', '0', '2')	/* billing admin missing, superfluous or not active */
#define ERRCODE_OU_TOO_FEW_HOLDERS			OU_SQLSTATE('3', '0', '3')	/* the role would have too few holders */
#define ERRCODE_OU_TOO_MANY_HOLDERS			OU_SQLSTATE('3', '0', '4')	/* the role would have too many holders */
#define ERRCODE_OU_TRUNCATE					OU_SQLSTATE('3', '0', '5')	/* TRUNCATE would break an invariant */
#define ERRCODE_OU_TOO_MANY_SPACES			OU_SQLSTATE('3', '0', '6')	/* more spaces than the role can have */
#define ERRCODE_OU_ADDRESS_IN_TREE			OU_SQLSTATE('3', '0', '7')	/* used elsewhere in account and sub-accounts */
#define ERRCODE_OU_BILLING_TIME				OU_SQLSTATE('3', '0', '8')	/* a time that nothing can be billed for */

/* mail */
#define ERRCODE_OU_NO_MAILER_KEY			OU_SQLSTATE('4', '0', '1')	/* no key to seal a token with */
#define ERRCODE_OU_BAD_MAILER_KEY			OU_SQLSTATE('4', '0', '2')	/* not a usable public key */
#define ERRCODE_OU_LEASE_LOST				OU_SQLSTATE('4', '0', '3')	/* the mail is not leased under that fence */
#define ERRCODE_OU_NO_TEMPLATE				OU_SQLSTATE('4', '0', '4')	/* the policy has no template of that kind */
#define ERRCODE_OU_UNKNOWN_MAIL				OU_SQLSTATE('4', '0', '5')	/* no such mail, or not in that state */
#define ERRCODE_OU_BAD_TEMPLATE				OU_SQLSTATE('4', '0', '6')	/* a template that cannot be rendered */

#endif							/* ORGUSERS_ERRORS_H */
