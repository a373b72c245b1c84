/*
 * token_codec.h
 *		The bytes and the text of an invitation token.
 *
 * Without PostgreSQL: the mailer is built from the same source.
 */
#ifndef ORGUSERS_TOKEN_CODEC_H
#define ORGUSERS_TOKEN_CODEC_H

#include <stddef.h>

#define ORGUSERS_TOKEN_VERSION		1
#define ORGUSERS_TOKEN_PREFIX		"oui_"
#define ORGUSERS_TOKEN_TEXT_LEN		75	/* prefix and base64url, without NUL */
#define ORGUSERS_TOKEN_DIGEST_LEN	32

/* A token's bytes, in this order everywhere: memory, binary protocol, base64. */
typedef struct OrgusersToken
{
	unsigned char version;
	unsigned char organization[16]; /* the organization's id */
	unsigned char secret[32];
	unsigned char checksum[4];	/* BLAKE2b of what precedes, its first bytes */
} OrgusersToken;

/* Why something is no token. */
typedef enum OrgusersTokenFault
{
	ORGUSERS_TOKEN_OK = 0,
	ORGUSERS_TOKEN_TOO_SHORT,
	ORGUSERS_TOKEN_TOO_LONG,
	ORGUSERS_TOKEN_WHITE_SPACE,
	ORGUSERS_TOKEN_BAD_PREFIX,
	ORGUSERS_TOKEN_BAD_CHARACTER,
	ORGUSERS_TOKEN_BAD_CHECKSUM,
	ORGUSERS_TOKEN_BAD_VERSION
} OrgusersTokenFault;

extern void orgusers_token_make(OrgusersToken *token,
								const unsigned char organization[16]);
extern OrgusersTokenFault orgusers_token_check(const OrgusersToken *token);
extern OrgusersTokenFault orgusers_token_parse(const char *text, size_t len,
											   OrgusersToken *token);
extern void orgusers_token_format(const OrgusersToken *token,
								  char text[ORGUSERS_TOKEN_TEXT_LEN + 1]);
extern void orgusers_token_digest(const OrgusersToken *token,
								  unsigned char digest[ORGUSERS_TOKEN_DIGEST_LEN]);
extern const char *orgusers_token_fault_sentence(OrgusersTokenFault fault);

#endif							/* ORGUSERS_TOKEN_CODEC_H */
