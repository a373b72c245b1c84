/*
 * invitation.h
 *		The link of an invitation mail.
 */
#ifndef MAILER_INVITATION_H
#define MAILER_INVITATION_H

#include <stdbool.h>
#include <stddef.h>

#include "database.h"
#include "keys.h"

extern char *invitation_link(const outbox_mail *mail, const mailer_key *keys,
							 int key_count, char *error, size_t error_size,
							 bool *permanent);

#endif							/* MAILER_INVITATION_H */
