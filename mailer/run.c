/*
 * run.c
 *		Claims due mails, sends them, and answers, until told to stop.
 *
 * A mail is answered for under the lease it was claimed with.  None is begun
 * that might not be over before its lease is: then another mailer could have
 * it too.
 */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include <sodium.h>

#include "database.h"
#include "invitation.h"
#include "log.h"

/* On clock_seconds' clock: never. */
#define FOREVER 1e18

/* Longest pause between attempts to connect to the database, in seconds. */
#define MAX_PAUSE 30

/*
 * After a sign of life the outbox is looked at again this often, a second
 * apart: of mails that commit together only one wakes the mailer.
 */
#define FOLLOW_UPS 3

/*
 * Least time from one look at the outbox to the next when it was empty, in
 * seconds: any role may notify, as often as it likes.
 */
#define LEAST_PAUSE 0.1

static volatile sig_atomic_t stopping = 0;
static int	stop_pipe[2] = {-1, -1};

/* Notes the wish to stop, and wakes whoever waits. */
static void
handle_stop(int signal_number)
{
	int			saved = errno;
	ssize_t		ignored;

	(void) signal_number;
	stopping = 1;
	ignored = write(stop_pipe[1], "", 1);
	(void) ignored;				/* a full pipe wakes as well */
	errno = saved;
}

/* Sets up the signals; returns false with errno otherwise. */
static bool
catch_signals(void)
{
	struct sigaction stop = {.sa_handler = handle_stop,.sa_flags = SA_RESTART};
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	return pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) == 0 &&
		sigaction(SIGTERM, &stop, NULL) == 0 &&
		sigaction(SIGINT, &stop, NULL) == 0 &&
		sigaction(SIGPIPE, &ignore, NULL) == 0;
}

/* Returns seconds on a clock that goes on while the machine sleeps. */
static double
clock_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

/* Waits at most that long, for the descriptor (or -1) or the wish to stop. */
static void
wait_for(int descriptor, double seconds)
{
	struct pollfd fds[2] = {
		{.fd = stop_pipe[0],.events = POLLIN},
		{.fd = descriptor,.events = POLLIN}
	};

	if (!stopping && seconds > 0)
		poll(fds, 2, (int) (seconds * 1000) + 1);
}

/*
 * Makes a pause, which grows, before the next attempt; returns false when it
 * would not be over at the time on clock_seconds' clock, or with the wish to
 * stop.
 */
static bool
pause_until(double *pause, double end)
{
	if (stopping || clock_seconds() + *pause >= end)
		return false;
	wait_for(-1, *pause);
	*pause = *pause * 2 < MAX_PAUSE ? *pause * 2 : MAX_PAUSE;
	return !stopping;
}

/*
 * Connects, with growing pauses between attempts, until the time on
 * clock_seconds' clock or the wish to stop.  It tries once in any case.
 */
static bool
connect_until(database *db, double end)
{
	double		pause = 1;

	while (!database_connect(db))
	{
		if (!pause_until(&pause, end))
			return false;
	}
	return true;
}

/* What is to be told to the outbox about a mail. */
typedef struct answer
{
	enum
	{
		ANSWER_SENT, ANSWER_FAILED, ANSWER_RELEASED
	}			kind;
	const char *error;
	bool		permanent;
} answer;

/* Tells the outbox about a mail, once. */
static database_status
tell(database *db, const outbox_mail *mail, const answer *a)
{
	switch (a->kind)
	{
		case ANSWER_SENT:
			return database_sent(db, mail);
		case ANSWER_FAILED:
			return database_failed(db, mail, a->error, a->permanent);
		default:
			return database_release(db, mail);
	}
}

/*
 * Tells the outbox about a mail, over a new connection when the old one is
 * lost, and again when it is refused for now, as long as the lease holds: a
 * mail whose delivery is not acknowledged is delivered again.
 */
static void
give_answer(database *db, const outbox_mail *mail, const answer *a,
			double lease_end)
{
	double		pause = 1;
	database_status status;

	for (int repeated = 0; (status = tell(db, mail, a)) == DATABASE_LOST ||
		 status == DATABASE_REFUSED_NOW; repeated++)
	{
		/* Mails not begun go back by themselves. */
		if (a->kind == ANSWER_RELEASED ||
			(repeated > 0 && !pause_until(&pause, lease_end)) ||
			(status == DATABASE_LOST && !connect_until(db, lease_end)))
			break;
	}
	if (status != DATABASE_OK && a->kind != ANSWER_RELEASED)
		log_line("mail %s: could not tell the outbox that it %s", mail->id,
				 a->kind == ANSWER_SENT ? "was sent" : "failed");
}

/* Sends one mail and answers for it; returns whether it was delivered. */
static bool
handle_mail(database *db, smtp_session *session, const outbox_mail *mail,
			const mailer_options *options, double lease_end)
{
	composed_message message = {0};
	char		error[512] = "";
	char	   *link = NULL;
	answer		a = {.kind = ANSWER_FAILED,.error = error,.permanent = true};
	delivery_outcome outcome;

	if (mail->sealed_token != NULL)
	{
		link = invitation_link(mail, options->keys, options->key_count, error,
							   sizeof(error), &a.permanent);
		if (link == NULL)
			goto answer;
	}
	if (!compose_message(mail, link, options->message_id_domain, &message,
						 error, sizeof(error)))
		goto answer;

	outcome = deliver_message(session, mail->mail_from, mail->recipient,
							  &message, error, sizeof(error));
	if (outcome == DELIVERY_DONE)
		a.kind = ANSWER_SENT;
	a.permanent = outcome == DELIVERY_PERMANENT;

answer:
	compose_free(&message);
	sodium_free(link);
	if (a.kind == ANSWER_SENT)
		log_line("mail %s (%s): sent, attempt %s", mail->id, mail->kind,
				 mail->attempts);
	else
		log_line("mail %s (%s): %s, attempt %s: %s", mail->id, mail->kind,
				 a.permanent ? "failed for good" : "failed", mail->attempts,
				 error);
	give_answer(db, mail, &a, lease_end);
	return a.kind == ANSWER_SENT;
}

/* What became of a batch. */
typedef struct batch_result
{
	int			claimed;
	int			undelivered;
} batch_result;

/* Claims a batch and handles it. */
static database_status
handle_batch(database *db, const mailer_options *options, batch_result *result)
{
	static const answer released = {.kind = ANSWER_RELEASED};
	outbox_batch batch;
	double		lease_end = clock_seconds() + options->lease;
	smtp_session *session = NULL;
	database_status status;

	memset(result, 0, sizeof(*result));
	status = database_claim(db, options->batch, options->lease, &batch);
	if (status == DATABASE_OK)
		result->claimed = batch.count;
	if (status == DATABASE_OK && batch.count > 0)
	{
		session = deliver_open(&options->smtp);
		if (session == NULL)
		{
			log_line("could not set up the SMTP client");
			status = DATABASE_REFUSED;
		}
	}

	for (int i = 0; i < batch.count; i++)
	{
		const outbox_mail *mail = &batch.mails[i];

		if (session != NULL && !stopping &&
			clock_seconds() + options->smtp.timeout + LEASE_MARGIN <= lease_end)
		{
			if (!handle_mail(db, session, mail, options, lease_end))
				result->undelivered++;
		}
		else
			give_answer(db, mail, &released, lease_end);
	}

	deliver_close(session);
	database_free_batch(&batch);
	return status;
}

/*
 * run_mailer
 *		Sends mail until SIGTERM or SIGINT, or with options->once until nothing
 *		is due.  Returns the exit code.
 */
int
run_mailer(const mailer_options *options)
{
	database   *db = database_new(options->conninfo);
	int			exit_code = EX_OK;
	int			follow_ups = 0;
	double		pause = 1;

	if (db == NULL || !catch_signals())
	{
		log_line("could not start: %s", strerror(errno));
		database_free(db);
		return EX_OSERR;
	}

	while (!stopping)
	{
		batch_result result;
		database_status status;
		bool		woken = false;
		double		looked;
		double		wait_end;

		if (!database_is_connected(db))
		{
			if (options->once ? !database_connect(db)
				: !connect_until(db, FOREVER))
			{
				if (!stopping)
					exit_code = EX_UNAVAILABLE;
				break;
			}
			log_line("connected to the database");
		}

		looked = clock_seconds();
		status = handle_batch(db, options, &result);
		if (result.undelivered > 0 && options->once)
			exit_code = EX_TEMPFAIL;
		if (status != DATABASE_OK)
		{
			if (options->once)
			{
				exit_code = EX_UNAVAILABLE;
				break;
			}
			(void) pause_until(&pause, FOREVER);
			continue;
		}
		pause = 1;
		if (result.claimed > 0)
		{
			follow_ups = FOLLOW_UPS;
			continue;			/* there may be more */
		}
		if (options->once)
			break;

		wait_end = clock_seconds() + (follow_ups > 0 ? 1 : options->poll);
		if (follow_ups > 0)
			follow_ups--;
		while (!stopping && !woken && clock_seconds() < wait_end &&
			   database_is_connected(db))
		{
			wait_for(database_socket(db), wait_end - clock_seconds());
			if (!stopping &&
				database_read_wake_ups(db, &woken) == DATABASE_OK && woken)
				follow_ups = FOLLOW_UPS;
		}
		wait_for(-1, looked + LEAST_PAUSE - clock_seconds());
	}

	if (stopping)
		log_line("stopped");
	database_free(db);
	return exit_code;
}
