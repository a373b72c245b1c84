/*
 * template.c
 *		Fuzzes mail templates: the input is a template and the values of its
 *		placeholders.  A template that reads to its end renders, within its
 *		room, and a value breaks neither a header nor HTML.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "mail/template.h"

typedef struct Values
{
	const char *text;
	size_t		length;
	bool		asked;
} Values;

static const char *
value(void *context, const char *name, size_t name_length, size_t *value_length)
{
	Values	   *values = context;

	MUST(name_length > 0 && name_length <= ORGUSERS_TEMPLATE_NAME_MAX && name != NULL);
	values->asked = true;
	*value_length = values->length;
	return values->text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t		split = size > 0 ? data[0] % size : 0;
	const char *text = (const char *) data + (size > 0);
	size_t		length = size > 0 ? size - 1 - (size - 1 < split ? 0 : split) : 0;
	Values		values = {.text = text + length, .length = size > 0 ? size - 1 - length : 0};
	orgusers_template_reader reader = {.text = text, .length = length};
	orgusers_template_piece piece;
	size_t		read = 0;
	bool		placeholders = false;

	while (orgusers_template_next(&reader, &piece))
	{
		MUST(piece.start >= text && piece.start + piece.length <= text + length);
		MUST(piece.position <= length);
		placeholders |= piece.kind == ORGUSERS_TEMPLATE_PLACEHOLDER;
		MUST(++read <= length + 1);
	}
	MUST(reader.error.message == NULL || reader.error.position <= length);

	for (int mode = ORGUSERS_TEMPLATE_TEXT; mode <= ORGUSERS_TEMPLATE_HEADER; mode++)
	{
		static const size_t rooms[] = {0, 1, 16, 4096, 65536};

		for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
		{
			char	   *out = malloc(rooms[i] + 1);
			size_t		out_length = 0;
			orgusers_template_error error = {0};
			bool		rendered;

			out[rooms[i]] = '\x7f';
			values.asked = false;
			rendered = orgusers_template_render(text, length, (orgusers_template_mode) mode, value,
												&values, out, rooms[i], &out_length, &error);
			MUST(out[rooms[i]] == '\x7f');
			MUST(!rendered || reader.error.message == NULL);
			if (rendered)
			{
				MUST(out_length <= rooms[i]);
				MUST(values.asked == placeholders);
				if (mode == ORGUSERS_TEMPLATE_HEADER)
					for (size_t c = 0; c < out_length; c++)
						MUST(out[c] != '\n' && out[c] != '\r' && out[c] != '\0');
			}
			free(out);
		}
	}
	return 0;
}
