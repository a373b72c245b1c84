/*
 * template.h
 *		Mail templates: text with named placeholders, read and rendered.
 *
 * Shared by the extension and the mailer: C library only.
 *
 *	{{name}}	the value of that name: lower-case letters, digits, underscore,
 *				beginning with a letter, at most 63 characters
 *	{{{{		two literal opening braces
 *
 * Everything else stands for itself, single braces and closing ones too.
 */
#ifndef ORGUSERS_TEMPLATE_H
#define ORGUSERS_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#define ORGUSERS_TEMPLATE_NAME_MAX 63

/* What one rendered template may grow to, in bytes. */
#define ORGUSERS_TEMPLATE_OUTPUT_MAX ((size_t) 1024 * 1024)

/* How values (and, for a header, the text too) are made harmless. */
typedef enum orgusers_template_mode
{
	ORGUSERS_TEMPLATE_TEXT,		/* as they are */
	ORGUSERS_TEMPLATE_HTML,		/* & < > " ' become entities, in values */
	ORGUSERS_TEMPLATE_HEADER	/* what could break or disguise a line becomes
								 * a space */
} orgusers_template_mode;

typedef enum orgusers_template_piece_kind
{
	ORGUSERS_TEMPLATE_LITERAL,
	ORGUSERS_TEMPLATE_PLACEHOLDER
} orgusers_template_piece_kind;

/* A piece of a template: literal text, or the name in a placeholder. */
typedef struct orgusers_template_piece
{
	orgusers_template_piece_kind kind;
	const char *start;			/* points into the template */
	size_t		length;			/* bytes */
	size_t		position;		/* byte offset of the piece in the template */
} orgusers_template_piece;

/* Where and why a template is malformed; message is NULL while it is not. */
typedef struct orgusers_template_error
{
	const char *message;		/* static text, lower case, no period */
	size_t		position;		/* byte offset in the template */
} orgusers_template_error;

/* A template being read; zero-initialize, then set text and length. */
typedef struct orgusers_template_reader
{
	const char *text;
	size_t		length;			/* bytes */
	size_t		position;
	orgusers_template_error error;
} orgusers_template_reader;

/*
 * Returns the value of a name as UTF-8 and sets its length in bytes, or NULL
 * when there is no such name.  The name is not terminated.
 */
typedef const char *(*orgusers_template_value)(void *context,
											   const char *name,
											   size_t name_length,
											   size_t *value_length);

extern bool orgusers_template_next(orgusers_template_reader *reader,
								   orgusers_template_piece *piece);
extern bool orgusers_template_render(const char *text, size_t length,
									 orgusers_template_mode mode,
									 orgusers_template_value value,
									 void *context, char *out,
									 size_t out_size, size_t *out_length,
									 orgusers_template_error *error);

#endif							/* ORGUSERS_TEMPLATE_H */
