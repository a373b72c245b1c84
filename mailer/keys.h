/*
 * keys.h
 *		The mailer's key pairs, and the password for the SMTP server.
 */
#ifndef MAILER_KEYS_H
#define MAILER_KEYS_H

#include <stdbool.h>

#include "mail/envelope.h"

/* A key pair; the secret half is in sodium_malloc'ed memory. */
typedef struct mailer_key
{
	char		id[ORGUSERS_MAILER_KEY_ID_LEN + 1];
	unsigned char public_key[ORGUSERS_MAILER_KEY_LEN];
	unsigned char *secret_key;
} mailer_key;

extern int	keys_generate(const char *path);
extern bool keys_load(const char *path, mailer_key *key);
extern void keys_free(mailer_key *key);
extern char *keys_read_password(const char *path);

#endif							/* MAILER_KEYS_H */
