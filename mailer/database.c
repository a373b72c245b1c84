/*
 * database.c
 *		Claims mails from the outbox and answers about them, by libpq.
 */
#include "database.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

struct database
{
	char	   *conninfo;
	PGconn	   *connection;
};

/* The columns that database_claim asks for, in this order. */
enum claim_column
{
	COLUMN_ORG_ID, COLUMN_ID, COLUMN_FENCE, COLUMN_ATTEMPTS, COLUMN_KIND,
	COLUMN_RECIPIENT, COLUMN_RECIPIENT_NAME, COLUMN_MAIL_FROM,
	COLUMN_PRODUCT_NAME, COLUMN_ACCEPT_URL, COLUMN_SUBJECT, COLUMN_BODY_TEXT,
	COLUMN_BODY_HTML, COLUMN_VARIABLES, COLUMN_INVITATION_ID,
	COLUMN_EXPIRES_AT_US, COLUMN_MAILER_KEY_ID, COLUMN_SEALED_TOKEN
};

#define CLAIM \
	"SELECT org_id, id, fence, attempts, kind, recipient, recipient_name," \
	" mail_from, product_name, accept_url, subject, body_text, body_html," \
	" variables, invitation_id, expires_at_us, mailer_key_id, sealed_token" \
	" FROM orgusers.claim_mail($1::pg_catalog.int4," \
	" pg_catalog.make_interval(secs => $2::pg_catalog.float8))"

/*
 * database_check_conninfo
 *		Says whether libpq can read the connection string, and logs why not.
 */
bool
database_check_conninfo(const char *conninfo)
{
	char	   *message = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &message);

	if (options == NULL)
	{
		/* libpq's message quotes the string, which can hold a password. */
		log_line("--database is not a valid connection string");
		PQfreemem(message);
		return false;
	}
	PQconninfoFree(options);
	return true;
}

/*
 * database_new
 *		Returns an unconnected database, or NULL without memory.
 */
database *
database_new(const char *conninfo)
{
	database   *db = calloc(1, sizeof(*db));

	if (db != NULL && (db->conninfo = strdup(conninfo)) == NULL)
	{
		free(db);
		db = NULL;
	}
	return db;
}

/* Closes the connection, if there is one. */
static void
disconnect(database *db)
{
	PQfinish(db->connection);
	db->connection = NULL;
}

/*
 * database_free
 *		Disconnects and frees.
 */
void
database_free(database *db)
{
	if (db == NULL)
		return;
	disconnect(db);
	free(db->conninfo);
	free(db);
}

/* Notices are no events. */
static void
ignore_notice(void *arg, const PGresult *result)
{
	(void) arg;
	(void) result;
}

/*
 * database_connect
 *		Connects once and listens for wake-ups; returns false after logging why
 *		not.  Gives up after 10 seconds for each host unless the connection
 *		string says otherwise.
 */
bool
database_connect(database *db)
{
	/* What comes after dbname is fixed, what comes before is a default. */
	const char *keywords[] = {
		"connect_timeout", "tcp_user_timeout", "keepalives_idle",
		"fallback_application_name", "dbname", "client_encoding", NULL
	};
	const char *values[] = {
		"10", "30000", "30", "orgusers-mailer", db->conninfo, "UTF8", NULL
	};
	static const char *const set_up[] = {
		"SELECT pg_catalog.set_config('search_path', '', false)",
		"LISTEN orgusers_mail"
	};

	disconnect(db);
	db->connection = PQconnectdbParams(keywords, values, 1);
	if (PQstatus(db->connection) != CONNECTION_OK)
	{
		log_line("could not connect to the database: %s",
				 PQerrorMessage(db->connection));
		disconnect(db);
		return false;
	}
	PQsetNoticeReceiver(db->connection, ignore_notice, NULL);

	for (size_t i = 0; i < sizeof(set_up) / sizeof(set_up[0]); i++)
	{
		PGresult   *result = PQexec(db->connection, set_up[i]);
		ExecStatusType status = PQresultStatus(result);

		PQclear(result);
		if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		{
			log_line("could not prepare the database connection: %s",
					 PQerrorMessage(db->connection));
			disconnect(db);
			return false;
		}
	}
	return true;
}

/*
 * database_is_connected
 *		Says whether there is a connection that is not known to be lost.
 */
bool
database_is_connected(const database *db)
{
	return db->connection != NULL;
}

/*
 * database_socket
 *		Returns the descriptor to wait on, -1 without a connection.
 */
int
database_socket(const database *db)
{
	return db->connection != NULL ? PQsocket(db->connection) : -1;
}

/*
 * database_read_wake_ups
 *		Reads what has arrived; *woken says whether a notification was in it.
 */
database_status
database_read_wake_ups(database *db, bool *woken)
{
	PGnotify   *notification;

	*woken = false;
	if (!PQconsumeInput(db->connection))
	{
		log_line("lost the database connection: %s",
				 PQerrorMessage(db->connection));
		disconnect(db);
		return DATABASE_LOST;
	}
	while ((notification = PQnotifies(db->connection)) != NULL)
	{
		*woken = true;
		PQfreemem(notification);
	}
	return DATABASE_OK;
}

/*
 * Says whether what failed with that SQLSTATE can succeed when it is repeated:
 * it met with another transaction, or the server lacked something, was told to
 * stop it, or could not use a file.
 */
static bool
may_pass(const char *sqlstate)
{
	static const char *const passing[] = {"40", "53", "55P03", "57", "58"};

	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
	{
		if (strncmp(sqlstate, passing[i], strlen(passing[i])) == 0)
			return true;
	}
	return false;
}

/*
 * Runs a statement; *result becomes its result, for PQclear, when the status
 * is DATABASE_OK.
 */
static database_status
execute(database *db, const char *statement, int count,
		const char *const *values, PGresult **result)
{
	PGresult   *r;
	const char *sqlstate;
	database_status status;

	*result = NULL;
	if (db->connection == NULL)
		return DATABASE_LOST;

	r = PQexecParams(db->connection, statement, count, NULL, values, NULL,
					 NULL, 0);
	if (PQresultStatus(r) == PGRES_TUPLES_OK)
	{
		*result = r;
		return DATABASE_OK;
	}

	/* An error without an SQLSTATE is libpq's, about the connection. */
	sqlstate = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	if (PQstatus(db->connection) != CONNECTION_OK || sqlstate == NULL)
	{
		log_line("lost the database connection: %s",
				 PQerrorMessage(db->connection));
		PQclear(r);
		disconnect(db);
		return DATABASE_LOST;
	}
	log_line("the database refuses: %s (%s)",
			 PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY), sqlstate);
	status = may_pass(sqlstate) ? DATABASE_REFUSED_NOW : DATABASE_REFUSED;
	PQclear(r);
	return status;
}

/* Returns a field's text, NULL for NULL. */
static const char *
field(const PGresult *result, int row, int column)
{
	return PQgetisnull(result, row, column) ? NULL
		: PQgetvalue(result, row, column);
}

/*
 * database_claim
 *		Leases at most that many due mails for that many seconds.
 *
 * The batch is for database_free_batch, whatever the status.
 */
database_status
database_claim(database *db, int most, int lease_seconds, outbox_batch *batch)
{
	char		most_text[16];
	char		lease_text[16];
	const char *values[] = {most_text, lease_text};
	PGresult   *result;
	database_status status;

	memset(batch, 0, sizeof(*batch));
	snprintf(most_text, sizeof(most_text), "%d", most);
	snprintf(lease_text, sizeof(lease_text), "%d", lease_seconds);
	status = execute(db, CLAIM, 2, values, &result);
	if (status != DATABASE_OK)
		return status;

	batch->result = result;
	if (PQntuples(result) == 0)
		return DATABASE_OK;
	batch->mails = calloc((size_t) PQntuples(result), sizeof(outbox_mail));
	if (batch->mails == NULL)
	{
		log_line("out of memory");
		return DATABASE_REFUSED;	/* the leases run out */
	}

	for (int row = 0; row < PQntuples(result); row++)
	{
		outbox_mail *mail = &batch->mails[row];
		const char *sealed = field(result, row, COLUMN_SEALED_TOKEN);

		mail->org_id = field(result, row, COLUMN_ORG_ID);
		mail->id = field(result, row, COLUMN_ID);
		mail->fence = field(result, row, COLUMN_FENCE);
		mail->attempts = field(result, row, COLUMN_ATTEMPTS);
		mail->kind = field(result, row, COLUMN_KIND);
		mail->recipient = field(result, row, COLUMN_RECIPIENT);
		mail->recipient_name = field(result, row, COLUMN_RECIPIENT_NAME);
		mail->mail_from = field(result, row, COLUMN_MAIL_FROM);
		mail->product_name = field(result, row, COLUMN_PRODUCT_NAME);
		mail->accept_url = field(result, row, COLUMN_ACCEPT_URL);
		mail->subject = field(result, row, COLUMN_SUBJECT);
		mail->body_text = field(result, row, COLUMN_BODY_TEXT);
		mail->body_html = field(result, row, COLUMN_BODY_HTML);
		mail->variables = field(result, row, COLUMN_VARIABLES);
		mail->invitation_id = field(result, row, COLUMN_INVITATION_ID);
		mail->expires_at_us = field(result, row, COLUMN_EXPIRES_AT_US);
		mail->mailer_key_id = field(result, row, COLUMN_MAILER_KEY_ID);
		batch->count++;

		if (sealed != NULL)
		{
			mail->sealed_token = PQunescapeBytea((const unsigned char *) sealed,
												 &mail->sealed_token_length);
			if (mail->sealed_token == NULL)
			{
				log_line("out of memory");
				return DATABASE_REFUSED;
			}
		}
	}
	return DATABASE_OK;
}

/*
 * database_free_batch
 *		Frees what database_claim filled.
 */
void
database_free_batch(outbox_batch *batch)
{
	for (int i = 0; i < batch->count; i++)
		PQfreemem(batch->mails[i].sealed_token);
	free(batch->mails);
	PQclear(batch->result);
	memset(batch, 0, sizeof(*batch));
}

/*
 * database_sent
 *		Acknowledges a mail as delivered.
 */
database_status
database_sent(database *db, const outbox_mail *mail)
{
	const char *values[] = {mail->org_id, mail->id, mail->fence};
	PGresult   *result;
	database_status status;

	status = execute(db, "SELECT orgusers.mail_sent($1::pg_catalog.uuid,"
					 " $2::pg_catalog.uuid, $3::pg_catalog.uuid)",
					 3, values, &result);
	PQclear(result);
	return status;
}

/*
 * database_failed
 *		Gives a mail back with the reason why it was not delivered.
 */
database_status
database_failed(database *db, const outbox_mail *mail, const char *error,
				bool permanent)
{
	const char *values[] = {mail->org_id, mail->id, mail->fence, error,
	permanent ? "t" : "f"};
	PGresult   *result;
	database_status status;

	status = execute(db, "SELECT orgusers.mail_failed($1::pg_catalog.uuid,"
					 " $2::pg_catalog.uuid, $3::pg_catalog.uuid,"
					 " $4::pg_catalog.text, $5::pg_catalog.bool)",
					 5, values, &result);
	PQclear(result);
	return status;
}

/*
 * database_release
 *		Gives a mail back that was not tried.
 */
database_status
database_release(database *db, const outbox_mail *mail)
{
	const char *values[] = {mail->org_id, mail->id, mail->fence};
	PGresult   *result;
	database_status status;

	status = execute(db, "SELECT orgusers.release_mail($1::pg_catalog.uuid,"
					 " $2::pg_catalog.uuid, $3::pg_catalog.uuid)",
					 3, values, &result);
	PQclear(result);
	return status;
}
