/*
 * deliver.c
 *		Hands messages to the SMTP server, by libcurl.
 */
#include "deliver.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "log.h"

/* How far the conversation about one mail has come. */
typedef enum smtp_stage
{
	STAGE_HELLO,				/* greeting, EHLO, STARTTLS, AUTH */
	STAGE_SENDER,				/* MAIL */
	STAGE_MAIL					/* RCPT, DATA and the message */
} smtp_stage;

struct smtp_session
{
	CURL	   *curl;
	char	   *url;
	smtp_stage	stage;
	bool		quitting;		/* replies no longer tell of the mail */
	bool		deaf;			/* the connection is of no use any more */
	char		reply[256];		/* the server's last line about it */
	const composed_message *message;
	size_t		sent;			/* bytes of the message that curl has taken */
};

/*
 * deliver_init
 *		Prepares libcurl; call once.  Returns false when that fails.
 */
bool
deliver_init(void)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

/*
 * deliver_check_url
 *		Says whether the URL names an SMTP server and nothing else, and logs
 *		why not.  A password in it would be seen in the list of processes.
 */
bool
deliver_check_url(const char *url)
{
	static const CURLUPart unwanted[] = {
		CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT
	};
	CURLU	   *parsed = curl_url();
	char	   *text = NULL;
	bool		valid;

	if (parsed == NULL)
		return false;
	valid = curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
		curl_url_get(parsed, CURLUPART_SCHEME, &text, 0) == CURLUE_OK &&
		(strcmp(text, "smtp") == 0 || strcmp(text, "smtps") == 0);
	curl_free(text);
	text = NULL;
	if (valid)
	{
		valid = curl_url_get(parsed, CURLUPART_PATH, &text, 0) == CURLUE_OK &&
			(text[0] == '\0' || strcmp(text, "/") == 0);
		curl_free(text);
	}
	for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++)
	{
		text = NULL;
		if (valid && curl_url_get(parsed, unwanted[i], &text, 0) == CURLUE_OK)
			valid = false;
		curl_free(text);
	}
	curl_url_cleanup(parsed);
	if (!valid)
		log_line("--smtp must be smtp://HOST[:PORT] or smtps://HOST[:PORT]");
	return valid;
}

/* Says whether the line begins with that word. */
static bool
begins(const char *line, size_t length, const char *word)
{
	size_t		n = strlen(word);

	return length >= n && strncmp(line, word, n) == 0;
}

/*
 * libcurl's debug callback: follows the conversation.  It is shown the
 * password and the message too, and looks at neither.
 */
static int
follow(CURL *curl, curl_infotype type, char *data, size_t length, void *context)
{
	smtp_session *session = context;

	if (type == CURLINFO_HEADER_OUT)
	{
		if (begins(data, length, "MAIL FROM:"))
			session->stage = STAGE_SENDER;
		else if (begins(data, length, "RCPT TO:"))
			session->stage = STAGE_MAIL;
		else if (begins(data, length, "QUIT"))
		{
			session->quitting = true;
			/* The answer does not matter, and the lease goes on. */
			curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, 1L);
		}
	}
	else if (type == CURLINFO_HEADER_IN && !session->quitting)
		copy_clean(session->reply, sizeof(session->reply), data, length);
	return 0;
}

/* libcurl's read callback: the next bytes of the message. */
static size_t
read_message(char *buffer, size_t size, size_t count, void *context)
{
	smtp_session *session = context;
	size_t		length = session->message->length - session->sent;

	if (length > size * count)
		length = size * count;
	memcpy(buffer, session->message->data + session->sent, length);
	session->sent += length;
	return length;
}

/*
 * deliver_open
 *		Returns a session for deliver_close, or NULL when libcurl refuses an
 *		option or memory is short.  It connects with the first message and keeps
 *		the connection for the next ones.
 */
smtp_session *
deliver_open(const smtp_options *options)
{
	smtp_session *session = calloc(1, sizeof(*session));
	CURL	   *curl;
	bool		set;
	size_t		size;

	if (session == NULL)
		return NULL;
	session->curl = curl = curl_easy_init();

	/* libcurl takes the name for EHLO from the URL's path. */
	size = strlen(options->url) + strlen(options->helo ? options->helo : "") + 2;
	session->url = malloc(size);
	if (curl == NULL || session->url == NULL)
	{
		deliver_close(session);
		return NULL;
	}
	snprintf(session->url, size, "%s%s%s", options->url,
			 options->helo && options->url[strlen(options->url) - 1] != '/' ? "/" : "",
			 options->helo ? options->helo : "");

	set = curl_easy_setopt(curl, CURLOPT_URL, session->url) == CURLE_OK &&
#if LIBCURL_VERSION_NUM >= 0x075500
		curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps") == CURLE_OK &&
#else
		curl_easy_setopt(curl, CURLOPT_PROTOCOLS,
						 (long) (CURLPROTO_SMTP | CURLPROTO_SMTPS)) == CURLE_OK &&
#endif
		curl_easy_setopt(curl, CURLOPT_USE_SSL,
						 (long) (options->require_tls ? CURLUSESSL_ALL
								 : CURLUSESSL_TRY)) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_SSLVERSION,
						 (long) CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_MAXCONNECTS, 1L) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT,
						 (long) options->timeout) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_TIMEOUT,
						 (long) options->timeout) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_message) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_READDATA, session) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, follow) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_DEBUGDATA, session) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L) == CURLE_OK;
	if (set && options->ca_file != NULL)
		set = curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca_file) == CURLE_OK &&
			curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) == CURLE_OK;
	if (set && options->user != NULL)
		set = curl_easy_setopt(curl, CURLOPT_USERNAME, options->user) == CURLE_OK &&
			curl_easy_setopt(curl, CURLOPT_PASSWORD, options->password) == CURLE_OK;
	if (!set)
	{
		deliver_close(session);
		return NULL;
	}
	return session;
}

/*
 * Says whether the last reply means that this mail can never be delivered: a
 * refusal of the recipient or of the message.  Not so refusals before them,
 * which are about this mailer, 530 and 552 among them (TLS or AUTH is wanted,
 * a mailbox is full).
 */
static bool
refused_for_good(const smtp_session *session)
{
	return session->stage == STAGE_MAIL && session->reply[0] == '5' &&
		strncmp(session->reply, "530", 3) != 0 &&
		strncmp(session->reply, "552", 3) != 0;
}

/*
 * Stops listening to the server: libcurl would wait two minutes for the answer
 * to its QUIT, and count that against the next mail.
 */
static void
stop_listening(smtp_session *session)
{
	curl_socket_t socket;

	if (curl_easy_getinfo(session->curl, CURLINFO_ACTIVESOCKET, &socket) == CURLE_OK &&
		socket != CURL_SOCKET_BAD)
		shutdown(socket, SHUT_RD);
	session->deaf = true;
}

/*
 * deliver_message
 *		Hands a message to the SMTP server.
 *
 * from and to are bare ASCII addresses.  On any other outcome than
 * DELIVERY_DONE, error says why: libcurl's words and the server's last line.
 */
delivery_outcome
deliver_message(smtp_session *session, const char *from, const char *to,
				const composed_message *message, char *error,
				size_t error_size)
{
	char		sender[320];
	char		recipient[320];
	struct curl_slist *recipients;
	CURLcode	code;

	snprintf(sender, sizeof(sender), "<%s>", from);
	snprintf(recipient, sizeof(recipient), "<%s>", to);
	recipients = curl_slist_append(NULL, recipient);
	if (recipients == NULL)
	{
		snprintf(error, error_size, "out of memory");
		return DELIVERY_TEMPORARY;
	}

	/*
	 * libcurl 8 takes it for the next mail all the same, and keeps it beside
	 * the new one where there is room for two.
	 */
	curl_easy_setopt(session->curl, CURLOPT_FRESH_CONNECT, (long) session->deaf);
	session->deaf = false;
	session->stage = STAGE_HELLO;
	session->quitting = false;
	curl_easy_setopt(session->curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, 0L);
	session->reply[0] = '\0';
	session->message = message;
	session->sent = 0;
	curl_easy_setopt(session->curl, CURLOPT_MAIL_FROM, sender);
	curl_easy_setopt(session->curl, CURLOPT_MAIL_RCPT, recipients);
	curl_easy_setopt(session->curl, CURLOPT_INFILESIZE_LARGE,
					 (curl_off_t) message->length);
	code = curl_easy_perform(session->curl);
	curl_easy_setopt(session->curl, CURLOPT_MAIL_RCPT, NULL);
	curl_slist_free_all(recipients);
	session->message = NULL;

	if (code == CURLE_OK)
		return DELIVERY_DONE;
	if (code == CURLE_OPERATION_TIMEDOUT)
		stop_listening(session);
	snprintf(error, error_size, "%s%s%s", curl_easy_strerror(code),
			 session->reply[0] != '\0' ? "; last reply: " : "", session->reply);
	return refused_for_good(session) ? DELIVERY_PERMANENT : DELIVERY_TEMPORARY;
}

/*
 * deliver_close
 *		Ends the session and its connection.
 */
void
deliver_close(smtp_session *session)
{
	if (session == NULL)
		return;
	stop_listening(session);
	curl_easy_cleanup(session->curl);
	free(session->url);
	free(session);
}
