/*
 * envelope.h
 *		What is sealed for the mailer, and the key that it is sealed with.
 *
 * Without PostgreSQL: the mailer is built from the same source.
 */
#ifndef ORGUSERS_ENVELOPE_H
#define ORGUSERS_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "invitations/token_codec.h"

#define ORGUSERS_MAILER_KEY_LEN			32	/* X25519, public and secret */
#define ORGUSERS_MAILER_KEY_ID_LEN		16	/* hexadecimal digits, without NUL */
#define ORGUSERS_ENVELOPE_ADDRESS_MAX	254
#define ORGUSERS_ENVELOPE_SEALED_MAX	397 /* the longest sealed envelope */

/*
 * A sealed box does not say who sealed it, and rows can be swapped: the mailer
 * compares everything here with the mail it is about to send.
 */
typedef struct OrgusersEnvelope
{
	unsigned char organization[16];
	unsigned char invitation[16];
	int64_t		expires_at;		/* microseconds since 1970-01-01 UTC */
	OrgusersToken token;
	char		address[ORGUSERS_ENVELOPE_ADDRESS_MAX + 1];
} OrgusersEnvelope;

extern bool orgusers_mailer_key_usable(const unsigned char public_key[ORGUSERS_MAILER_KEY_LEN]);
extern void orgusers_mailer_key_id(const unsigned char public_key[ORGUSERS_MAILER_KEY_LEN],
								   char id[ORGUSERS_MAILER_KEY_ID_LEN + 1]);
extern bool orgusers_envelope_seal(const OrgusersEnvelope *envelope,
								   const unsigned char public_key[ORGUSERS_MAILER_KEY_LEN],
								   unsigned char sealed[ORGUSERS_ENVELOPE_SEALED_MAX],
								   size_t *sealed_len);
extern bool orgusers_envelope_open(const unsigned char *sealed, size_t sealed_len,
								   const unsigned char public_key[ORGUSERS_MAILER_KEY_LEN],
								   const unsigned char secret_key[ORGUSERS_MAILER_KEY_LEN],
								   OrgusersEnvelope *envelope);

#endif							/* ORGUSERS_ENVELOPE_H */
