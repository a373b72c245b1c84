/*
 * email_syntax.h
 *		What is a valid e-mail address.
 */
#ifndef ORGUSERS_EMAIL_SYNTAX_H
#define ORGUSERS_EMAIL_SYNTAX_H

#include <stddef.h>

extern const char *orgusers_email_fault(const char *address, size_t len);

#endif							/* ORGUSERS_EMAIL_SYNTAX_H */
