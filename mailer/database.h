/*
 * database.h
 *		The outbox, as the mailer sees it.
 */
#ifndef MAILER_DATABASE_H
#define MAILER_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A leased mail.  Texts are UTF-8 and belong to the batch; NULL is NULL. */
typedef struct outbox_mail
{
	const char *org_id;
	const char *id;
	const char *fence;
	const char *attempts;
	const char *kind;
	const char *recipient;
	const char *recipient_name;
	const char *mail_from;
	const char *product_name;
	const char *accept_url;
	const char *subject;
	const char *body_text;
	const char *body_html;
	const char *variables;		/* JSON object */
	const char *invitation_id;
	const char *expires_at_us;	/* decimal, microseconds since 1970 */
	const char *mailer_key_id;
	unsigned char *sealed_token;
	size_t		sealed_token_length;
} outbox_mail;

typedef struct outbox_batch
{
	outbox_mail *mails;
	int			count;
	void	   *result;			/* what the mails' texts lie in */
} outbox_batch;

typedef enum database_status
{
	DATABASE_OK,
	DATABASE_LOST,				/* the connection is gone: connect again */
	DATABASE_REFUSED_NOW,		/* the statement failed for a passing reason */
	DATABASE_REFUSED			/* the statement failed; both are logged */
} database_status;

typedef struct database database;

extern bool database_check_conninfo(const char *conninfo);
extern database *database_new(const char *conninfo);
extern void database_free(database *db);
extern bool database_connect(database *db);
extern bool database_is_connected(const database *db);
extern int	database_socket(const database *db);
extern database_status database_read_wake_ups(database *db, bool *woken);

extern database_status database_claim(database *db, int most, int lease_seconds,
									  outbox_batch *batch);
extern void database_free_batch(outbox_batch *batch);
extern database_status database_sent(database *db, const outbox_mail *mail);
extern database_status database_failed(database *db, const outbox_mail *mail,
									   const char *error, bool permanent);
extern database_status database_release(database *db, const outbox_mail *mail);

#endif							/* MAILER_DATABASE_H */
