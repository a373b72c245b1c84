/*
 * compose.c
 *		Renders a mail's templates and makes a MIME message of them.
 *
 * The rendered parts and the message hold an invitation's link: every buffer
 * of ours is zeroed before it is freed.
 */
#include "compose.h"

#include <gmime/gmime.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "mail/template.h"

/* Lengths in bytes; an encoded word takes 75 characters at most. */
#define LONGEST_WORD 60
#define BYTES_IN_WORD 45

/* What the placeholders of one mail stand for. */
typedef struct values
{
	const json_t *variables;
	const char *link;			/* NULL when the mail has none */
} values;

/*
 * compose_init
 *		Prepares GMime; call once.
 */
void
compose_init(void)
{
	g_mime_init();
}

/* Value callback for the templates of a mail; null is no text. */
static const char *
placeholder_value(void *context, const char *name, size_t name_length,
				  size_t *value_length)
{
	const values *v = context;
	char		key[ORGUSERS_TEMPLATE_NAME_MAX + 1];
	const json_t *value;

	if (name_length > ORGUSERS_TEMPLATE_NAME_MAX)
		return NULL;
	memcpy(key, name, name_length);
	key[name_length] = '\0';

	/* The link is the mailer's own, never a variable. */
	if (strcmp(key, "link") == 0)
	{
		*value_length = v->link != NULL ? strlen(v->link) : 0;
		return v->link;
	}

	value = json_object_get(v->variables, key);
	if (json_is_null(value))
	{
		*value_length = 0;
		return "";
	}
	if (!json_is_string(value))
		return NULL;
	*value_length = json_string_length(value);
	return json_string_value(value);
}

/*
 * Renders a template into sodium_malloc'ed memory, with LF line ends.  Returns
 * NULL with the reason in error.
 */
static char *
render(const char *template, const char *what, orgusers_template_mode mode,
	   values *v, char *error, size_t error_size)
{
	orgusers_template_error fault = {0};
	size_t		length;
	char	   *text = NULL;
	char	   *to;

	if (!orgusers_template_render(template, strlen(template), mode,
								  placeholder_value, v, NULL, 0, &length,
								  &fault))
	{
		snprintf(error, error_size, "%s template: %s at byte %zu", what,
				 fault.message, fault.position);
		return NULL;
	}
	text = sodium_malloc(length + 1);
	if (text == NULL)
	{
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	orgusers_template_render(template, strlen(template), mode,
							 placeholder_value, v, text, length + 1, &length,
							 &fault);
	if (!g_utf8_validate(text, (gssize) length, NULL))
	{
		snprintf(error, error_size, "%s is not valid UTF-8", what);
		sodium_free(text);
		return NULL;
	}

	/* A lone CR would reach the message as a line end of its own. */
	to = text;
	for (const char *from = text; *from != '\0'; from++)
	{
		if (*from != '\r')
			*to++ = *from;
	}
	*to = '\0';
	return text;
}

/* Value callback for make_header_text: the name itself. */
static const char *
itself(void *context, const char *name, size_t name_length,
	   size_t *value_length)
{
	(void) name;
	(void) name_length;
	*value_length = strlen(context);
	return context;
}

/*
 * Returns a name as it may stand in a header, for sodium_free, or NULL without
 * memory or UTF-8.
 */
static char *
make_header_text(const char *name)
{
	static const char template[] = "{{name}}";
	orgusers_template_error fault;
	size_t		length;
	char	   *text = NULL;

	if (g_utf8_validate(name, -1, NULL) &&
		orgusers_template_render(template, sizeof(template) - 1,
								 ORGUSERS_TEMPLATE_HEADER, itself,
								 (void *) name, NULL, 0, &length, &fault) &&
		(text = sodium_malloc(length + 1)) != NULL)
		orgusers_template_render(template, sizeof(template) - 1,
								 ORGUSERS_TEMPLATE_HEADER, itself,
								 (void *) name, text, length + 1, &length,
								 &fault);
	return text;
}

/* A part of the message, and the stream that its text was copied to. */
typedef struct part
{
	GMimePart  *mime;
	GMimeStream *stream;
} part;

/* Zeroes what a memory stream holds, and frees it. */
static void
free_stream(GMimeStream *stream)
{
	GByteArray *bytes;

	if (stream == NULL)
		return;
	bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream));
	if (bytes != NULL)
		sodium_memzero(bytes->data, bytes->len);
	g_object_unref(stream);
}

/* Makes a text part of a subtype; the text is UTF-8. */
static part
make_part(const char *subtype, const char *text)
{
	part		p;
	GMimeDataWrapper *content;
	GMimeContentEncoding encoding;

	p.mime = g_mime_part_new_with_type("text", subtype);
	p.stream = g_mime_stream_mem_new_with_buffer(text, strlen(text));
	g_mime_object_set_content_type_parameter(GMIME_OBJECT(p.mime), "charset",
											 "utf-8");
	content = g_mime_data_wrapper_new_with_stream(p.stream,
												  GMIME_CONTENT_ENCODING_DEFAULT);
	g_mime_part_set_content(p.mime, content);
	g_object_unref(content);

	/* Never bare text, whose long lines or dots a relay may touch. */
	encoding = g_mime_part_get_best_content_encoding(p.mime,
													 GMIME_ENCODING_CONSTRAINT_7BIT);
	if (encoding != GMIME_CONTENT_ENCODING_BASE64)
		encoding = GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE;
	g_mime_part_set_content_encoding(p.mime, encoding);
	return p;
}

/*
 * Says whether GMime can be trusted to write a header text as it is: short
 * words of printable ASCII, and nothing that a reader could take for an
 * encoded word, whose decoding can hold what was kept out of the text.
 */
static bool
is_plain(const char *text)
{
	size_t		word = 0;

	for (const char *c = text; *c != '\0'; c++)
	{
		if (*c < ' ' || *c > '~' || (c[0] == '=' && c[1] == '?'))
			return false;
		word = *c == ' ' ? 0 : word + 1;
		if (word > LONGEST_WORD)
			return false;
	}
	return true;
}

/*
 * Returns a UTF-8 header text as encoded words (RFC 2047), one for each line,
 * for g_free.
 */
static char *
encode_words(const char *text)
{
	GString    *words = g_string_new(NULL);

	while (*text != '\0')
	{
		const char *end = text;
		char	   *base64;

		/* A word holds whole characters. */
		while (*end != '\0' && g_utf8_next_char(end) - text <= BYTES_IN_WORD)
			end = g_utf8_next_char(end);
		base64 = g_base64_encode((const guchar *) text, (gsize) (end - text));
		g_string_append_printf(words, "%s=?UTF-8?B?%s?=",
							   words->len > 0 ? "\n " : "", base64);
		g_free(base64);
		text = end;
	}
	return g_string_free(words, FALSE);
}

/* Sets a header to a value that needs no more encoding, folded with LF. */
static void
set_raw_header(GMimeMessage *mime, const char *name, const char *value)
{
	GMimeHeaderList *headers = g_mime_object_get_header_list(GMIME_OBJECT(mime));
	char	   *raw = g_strdup_printf(" %s\n", value);

	g_mime_header_list_set(headers, name, "", NULL);
	g_mime_header_set_raw_value(g_mime_header_list_get_header(headers, name),
								raw);
	g_free(raw);
}

/* Sets the Subject. */
static void
set_subject(GMimeMessage *mime, const char *subject)
{
	if (is_plain(subject))
		g_mime_message_set_subject(mime, subject, NULL);
	else
	{
		char	   *encoded = encode_words(subject);

		set_raw_header(mime, "Subject", encoded);
		g_free(encoded);
	}
}

/* Sets From or To to one address with a name, which may be empty. */
static void
set_address(GMimeMessage *mime, const char *header, GMimeAddressType type,
			const char *name, const char *address)
{
	if (is_plain(name))
		g_mime_message_add_mailbox(mime, type, *name != '\0' ? name : NULL,
								   address);
	else
	{
		char	   *encoded = encode_words(name);
		char	   *value = g_strdup_printf("%s\n <%s>", encoded, address);

		set_raw_header(mime, header, value);
		g_free(value);
		g_free(encoded);
	}
}

/* Writes the message into sodium_malloc'ed memory; false without memory. */
static bool
write_message(GMimeMessage *mime, composed_message *message)
{
	GMimeFormatOptions *format = g_mime_format_options_new();
	GMimeStream *stream = g_mime_stream_mem_new();
	GByteArray *bytes;

	g_mime_format_options_set_newline_format(format,
											 GMIME_NEWLINE_FORMAT_DOS);
	g_mime_object_write_to_stream(GMIME_OBJECT(mime), format, stream);
	bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream));

	message->length = bytes->len;
	message->data = sodium_malloc(bytes->len);
	if (message->data != NULL)
		memcpy(message->data, bytes->data, bytes->len);

	free_stream(stream);
	g_mime_format_options_free(format);
	return message->data != NULL;
}

/*
 * compose_message
 *		Makes the message of a mail, for compose_free.
 *
 * link is NULL for a mail without one.  The Message-ID is the mail's id at
 * message_id_domain, or at the sender's domain when that is NULL: the same
 * however often the mail is sent.  Returns false with the reason in error.
 */
bool
compose_message(const outbox_mail *mail, const char *link,
				const char *message_id_domain, composed_message *message,
				char *error, size_t error_size)
{
	values		v = {.link = link};
	json_t	   *variables = NULL;
	json_error_t json_error;
	char	   *subject = NULL;
	char	   *text = NULL;
	char	   *html = NULL;
	char	   *to_name = NULL;
	char	   *from_name = NULL;
	bool		composed = false;

	message->data = NULL;
	message->length = 0;

	if (mail->subject == NULL || mail->mail_from == NULL)
	{
		snprintf(error, error_size, "policy or template is gone");
		return false;
	}
	variables = json_loads(mail->variables, 0, &json_error);
	if (!json_is_object(variables))
	{
		snprintf(error, error_size, "variables are not a JSON object");
		json_decref(variables);
		return false;
	}
	v.variables = variables;

	subject = render(mail->subject, "subject", ORGUSERS_TEMPLATE_HEADER, &v,
					 error, error_size);
	if (subject != NULL)
		text = render(mail->body_text, "text", ORGUSERS_TEMPLATE_TEXT, &v,
					  error, error_size);
	if (text != NULL)
		html = render(mail->body_html, "html", ORGUSERS_TEMPLATE_HTML, &v,
					  error, error_size);
	if (html != NULL)
	{
		to_name = make_header_text(mail->recipient_name ?
								   mail->recipient_name : "");
		from_name = make_header_text(mail->product_name);
		if (to_name == NULL || from_name == NULL)
			snprintf(error, error_size, "a name is not valid UTF-8");
	}

	if (to_name != NULL && from_name != NULL)
	{
		GMimeMessage *mime = g_mime_message_new(TRUE);
		GMimeMultipart *both = g_mime_multipart_new_with_subtype("alternative");
		part		parts[2] = {make_part("plain", text),
		make_part("html", html)};
		GDateTime  *now = g_date_time_new_now_local();
		const char *domain = message_id_domain != NULL ? message_id_domain
			: strrchr(mail->mail_from, '@') + 1;
		char	   *message_id = g_strdup_printf("%s@%s", mail->id, domain);

		set_address(mime, "From", GMIME_ADDRESS_TYPE_FROM, from_name,
					mail->mail_from);
		set_address(mime, "To", GMIME_ADDRESS_TYPE_TO, to_name, mail->recipient);
		set_subject(mime, subject);
		g_mime_message_set_date(mime, now);
		g_mime_message_set_message_id(mime, message_id);
		g_mime_object_set_header(GMIME_OBJECT(mime), "Auto-Submitted",
								 "auto-generated", "us-ascii");
		for (int i = 0; i < 2; i++)
			g_mime_multipart_add(both, GMIME_OBJECT(parts[i].mime));
		g_mime_message_set_mime_part(mime, GMIME_OBJECT(both));

		composed = write_message(mime, message);
		if (!composed)
			snprintf(error, error_size, "out of memory");

		for (int i = 0; i < 2; i++)
		{
			free_stream(parts[i].stream);
			g_object_unref(parts[i].mime);
		}
		g_object_unref(both);
		g_object_unref(mime);
		g_date_time_unref(now);
		g_free(message_id);
	}

	sodium_free(subject);
	sodium_free(text);
	sodium_free(html);
	sodium_free(to_name);
	sodium_free(from_name);
	json_decref(variables);
	return composed;
}

/*
 * compose_free
 *		Zeroes and frees a message.
 */
void
compose_free(composed_message *message)
{
	sodium_free(message->data);
	message->data = NULL;
	message->length = 0;
}
