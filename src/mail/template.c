/*
 * template.c
 *		Reads and renders mail templates.
 *
 * No server headers: the extension checks templates with this file, and the
 * mailer renders them with it.
 */
#include "mail/template.h"

#include <stdint.h>
#include <string.h>

/* Bounded output; with data NULL it only counts. */
typedef struct output
{
	char	   *data;
	size_t		size;
	size_t		length;
	bool		overflow;
} output;

/* Says whether c may begin a placeholder's name. */
static bool
is_name_start(char c)
{
	return c >= 'a' && c <= 'z';
}

/* Says whether c may stand in a placeholder's name. */
static bool
is_name_char(char c)
{
	return is_name_start(c) || (c >= '0' && c <= '9') || c == '_';
}

/* Records the reader's error and ends the reading; returns false. */
static bool
fail(orgusers_template_reader *reader, const char *message, size_t position)
{
	reader->error.message = message;
	reader->error.position = position;
	reader->position = reader->length;
	return false;
}

/*
 * orgusers_template_next
 *		Reads the next piece of a template.
 *
 * Returns false at the end of the template, and at an error, which is then in
 * reader->error.
 */
bool
orgusers_template_next(orgusers_template_reader *reader,
					   orgusers_template_piece *piece)
{
	const char *text = reader->text;
	size_t		length = reader->length;
	size_t		start = reader->position;
	size_t		i = start;

	if (start >= length)
		return false;

	piece->position = start;

	if (length - start < 2 || text[start] != '{' || text[start + 1] != '{')
	{
		/* Literal text up to the next two opening braces. */
		while (i < length &&
			   !(length - i >= 2 && text[i] == '{' && text[i + 1] == '{'))
			i++;
		piece->kind = ORGUSERS_TEMPLATE_LITERAL;
		piece->start = text + start;
		piece->length = i - start;
		reader->position = i;
		return true;
	}

	i += 2;
	if (length - i >= 2 && text[i] == '{' && text[i + 1] == '{')
	{
		/* Four braces stand for two. */
		piece->kind = ORGUSERS_TEMPLATE_LITERAL;
		piece->start = text + i;
		piece->length = 2;
		reader->position = i + 2;
		return true;
	}

	if (i >= length || !is_name_start(text[i]))
		return fail(reader, "no placeholder name after \"{{\"", start);
	while (i < length && is_name_char(text[i]))
		i++;
	if (i - (start + 2) > ORGUSERS_TEMPLATE_NAME_MAX)
		return fail(reader, "placeholder name is too long", start);
	if (length - i < 2 || text[i] != '}' || text[i + 1] != '}')
		return fail(reader, "placeholder does not end with \"}}\"", start);

	piece->kind = ORGUSERS_TEMPLATE_PLACEHOLDER;
	piece->start = text + start + 2;
	piece->length = i - (start + 2);
	reader->position = i + 2;
	return true;
}

/* Appends bytes to the output, or notes that they do not fit. */
static void
append(output *out, const char *bytes, size_t length)
{
	if (out->overflow || length > out->size - out->length)
	{
		out->overflow = true;
		return;
	}
	if (out->data != NULL && length > 0)
		memcpy(out->data + out->length, bytes, length);
	out->length += length;
}

/* Appends bytes as the text of an HTML element or attribute. */
static void
append_html(output *out, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length && !out->overflow; i++)
	{
		switch (bytes[i])
		{
			case '&':
				append(out, "&amp;", 5);
				break;
			case '<':
				append(out, "&lt;", 4);
				break;
			case '>':
				append(out, "&gt;", 4);
				break;
			case '"':
				append(out, "&quot;", 6);
				break;
			case '\'':
				append(out, "&#39;", 5);
				break;
			default:
				append(out, bytes + i, 1);
		}
	}
}

/*
 * Returns the length in bytes of the UTF-8 character at bytes that must not
 * stand in a header, or 0 when it may: C0 and C1 controls and DEL, the line
 * and paragraph separators, and the characters that embed, override or isolate
 * the direction of writing, which can make one name look like another.
 */
static size_t
unfit_for_header(const char *bytes, size_t length)
{
	const uint8_t *b = (const uint8_t *) bytes;

	if (b[0] < 0x20 || b[0] == 0x7f)
		return 1;
	if (length >= 2 && b[0] == 0xc2 && b[1] >= 0x80 && b[1] <= 0x9f)
		return 2;
	if (length >= 3 && b[0] == 0xe2 &&
		((b[1] == 0x80 && b[2] >= 0xa8 && b[2] <= 0xae) ||	/* U+2028-202E */
		 (b[1] == 0x81 && b[2] >= 0xa6 && b[2] <= 0xa9)))	/* U+2066-2069 */
		return 3;
	return 0;
}

/* Appends bytes as part of a single header line. */
static void
append_header(output *out, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length && !out->overflow;)
	{
		size_t		unfit = unfit_for_header(bytes + i, length - i);

		if (unfit > 0)
		{
			append(out, " ", 1);
			i += unfit;
		}
		else
			append(out, bytes + i++, 1);
	}
}

/*
 * orgusers_template_render
 *		Renders a template into out, with a terminating zero.
 *
 * With out NULL nothing is written: the call counts, and out_size is not used.
 * *out_length becomes the length in bytes without the zero.  Returns false,
 * with the reason in *error, for a malformed template, a name without a value,
 * and an output that does not fit out_size or ORGUSERS_TEMPLATE_OUTPUT_MAX.
 */
bool
orgusers_template_render(const char *text, size_t length,
						 orgusers_template_mode mode,
						 orgusers_template_value value, void *context,
						 char *out, size_t out_size, size_t *out_length,
						 orgusers_template_error *error)
{
	orgusers_template_reader reader = {.text = text,.length = length};
	orgusers_template_piece piece;
	output		o = {.data = out,.size = ORGUSERS_TEMPLATE_OUTPUT_MAX};

	error->message = NULL;
	error->position = 0;
	*out_length = 0;

	if (out != NULL)
	{
		/* One byte is the terminating zero's. */
		if (out_size == 0)
		{
			error->message = "rendered template is too long";
			return false;
		}
		if (out_size - 1 < o.size)
			o.size = out_size - 1;
	}

	while (orgusers_template_next(&reader, &piece))
	{
		const char *bytes = piece.start;
		size_t		bytes_length = piece.length;

		if (piece.kind == ORGUSERS_TEMPLATE_PLACEHOLDER)
		{
			bytes = value(context, piece.start, piece.length, &bytes_length);
			if (bytes == NULL)
			{
				error->message = "no value for this placeholder";
				error->position = piece.position;
				return false;
			}
		}

		if (mode == ORGUSERS_TEMPLATE_HEADER)
			append_header(&o, bytes, bytes_length);
		else if (mode == ORGUSERS_TEMPLATE_HTML &&
				 piece.kind == ORGUSERS_TEMPLATE_PLACEHOLDER)
			append_html(&o, bytes, bytes_length);
		else
			append(&o, bytes, bytes_length);

		if (o.overflow)
		{
			error->message = "rendered template is too long";
			error->position = piece.position;
			return false;
		}
	}

	if (reader.error.message != NULL)
	{
		*error = reader.error;
		return false;
	}

	if (out != NULL)
		out[o.length] = '\0';
	*out_length = o.length;
	return true;
}
