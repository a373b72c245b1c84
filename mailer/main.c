/*
 * main.c
 *		orgusers-mailer: reads the arguments and starts the work.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "compose.h"
#include "database.h"
#include "deliver.h"
#include "keys.h"
#include "log.h"
#include "run.h"

static const char help[] =
"orgusers-mailer delivers the mail that the orgusers extension enqueues.\n"
"\n"
"  orgusers-mailer keygen --out FILE\n"
"      make a key pair: the secret key goes to the new FILE, the public key and\n"
"      the SQL that registers it to standard output\n"
"\n"
"  orgusers-mailer run --database CONNINFO --smtp URL [OPTION]...\n"
"      send mail until SIGTERM or SIGINT\n"
"\n"
"  --database CONNINFO       libpq connection string or URI\n"
"  --smtp URL                smtp://HOST[:PORT] or smtps://HOST[:PORT]\n"
"  --key FILE                secret key from keygen; repeat it for several\n"
"  --require-tls             refuse to send without TLS\n"
"  --ca-file FILE            authorities to trust instead of the system's\n"
"  --user NAME               authenticate to the SMTP server; requires TLS\n"
"  --password-file FILE      file with the password, mode 600\n"
"  --helo NAME               name to greet the SMTP server with\n"
"  --message-id-domain NAME  domain of Message-IDs; default is the sender's\n"
"  --timeout SECONDS         longest delivery of one mail (60)\n"
"  --batch N                 mails claimed at a time, 1 to 1000 (10)\n"
"  --lease SECONDS           how long claimed mails are this mailer's (300)\n"
"  --poll SECONDS            pause between looks at the outbox (30)\n"
"  --once                    send what is due, then exit\n"
"  --help, --version\n"
"\n"
"Exit codes: 0 done or stopped by a signal; 64 usage; 69 the database cannot be\n"
"used (--once); 71 system error; 73 the key file cannot be created; 74 output\n"
"error; 75 some mail was not delivered (--once); 78 a file named by an option\n"
"cannot be used.\n";

/* Keeps secrets out of core files and away from other processes' debuggers. */
static bool
protect_memory(void)
{
	struct rlimit none = {0, 0};

	return setrlimit(RLIMIT_CORE, &none) == 0 &&
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

/* Points to --help; returns the exit code for wrong usage. */
static int
usage_error(void)
{
	fputs("Try \"orgusers-mailer --help\".\n", stderr);
	return EX_USAGE;
}

/* Reads a whole number from least to most; returns false after logging. */
static bool
read_number(const char *option, const char *text, int least, int most,
			int *number)
{
	char	   *end;
	long		value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value < least ||
		value > most)
	{
		log_line("--%s must be a number from %d to %d", option, least, most);
		return false;
	}
	*number = (int) value;
	return true;
}

/* Says whether a text can be a host's name, and logs when it cannot. */
static bool
check_host_name(const char *option, const char *text)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";

	if (*text == '\0' || strlen(text) > 253 ||
		strspn(text, allowed) != strlen(text))
	{
		log_line("--%s must be a host name", option);
		return false;
	}
	return true;
}

/* The keygen command; returns the exit code. */
static int
main_keygen(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"out", required_argument, NULL, 'o'},
		{NULL, 0, NULL, 0}
	};
	const char *out = NULL;
	int			option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
	{
		if (option != 'o')
			return usage_error();
		out = optarg;
	}
	if (out == NULL || optind != argc)
		return usage_error();
	return keys_generate(out);
}

/* The run command; returns the exit code. */
static int
main_run(int argc, char **argv)
{
	enum
	{
		DATABASE = 1, SMTP, KEY, REQUIRE_TLS, CA_FILE, USER, PASSWORD_FILE,
		HELO, MESSAGE_ID_DOMAIN, TIMEOUT, BATCH, LEASE, POLL, ONCE
	};
	static const struct option long_options[] = {
		{"database", required_argument, NULL, DATABASE},
		{"smtp", required_argument, NULL, SMTP},
		{"key", required_argument, NULL, KEY},
		{"require-tls", no_argument, NULL, REQUIRE_TLS},
		{"ca-file", required_argument, NULL, CA_FILE},
		{"user", required_argument, NULL, USER},
		{"password-file", required_argument, NULL, PASSWORD_FILE},
		{"helo", required_argument, NULL, HELO},
		{"message-id-domain", required_argument, NULL, MESSAGE_ID_DOMAIN},
		{"timeout", required_argument, NULL, TIMEOUT},
		{"batch", required_argument, NULL, BATCH},
		{"lease", required_argument, NULL, LEASE},
		{"poll", required_argument, NULL, POLL},
		{"once", no_argument, NULL, ONCE},
		{NULL, 0, NULL, 0}
	};
	mailer_options options = {
		.batch = 10,.poll = 30,.lease = 300,.smtp = {.timeout = 60}
	};
	const char *key_files[MAX_KEYS];
	const char *password_file = NULL;
	char	   *password = NULL;
	int			key_files_count = 0;
	int			option;
	int			exit_code = EX_CONFIG;
	bool		valid = true;

	while (valid &&
		   (option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
	{
		switch (option)
		{
			case DATABASE:
				options.conninfo = optarg;
				valid = database_check_conninfo(optarg);
				break;
			case SMTP:
				options.smtp.url = optarg;
				valid = deliver_check_url(optarg);
				break;
			case KEY:
				valid = key_files_count < MAX_KEYS;
				if (valid)
					key_files[key_files_count++] = optarg;
				else
					log_line("at most %d keys", MAX_KEYS);
				break;
			case REQUIRE_TLS:
				options.smtp.require_tls = true;
				break;
			case CA_FILE:
				options.smtp.ca_file = optarg;
				break;
			case USER:
				/* A password never crosses a network in the clear. */
				options.smtp.user = optarg;
				options.smtp.require_tls = true;
				break;
			case PASSWORD_FILE:
				password_file = optarg;
				break;
			case HELO:
				options.smtp.helo = optarg;
				valid = check_host_name("helo", optarg);
				break;
			case MESSAGE_ID_DOMAIN:
				options.message_id_domain = optarg;
				valid = check_host_name("message-id-domain", optarg);
				break;
			case TIMEOUT:
				valid = read_number("timeout", optarg, 1, 3600,
									&options.smtp.timeout);
				break;
			case BATCH:
				valid = read_number("batch", optarg, 1, 1000, &options.batch);
				break;
			case LEASE:
				valid = read_number("lease", optarg, 1, 86400, &options.lease);
				break;
			case POLL:
				valid = read_number("poll", optarg, 1, 86400, &options.poll);
				break;
			case ONCE:
				options.once = true;
				break;
			default:
				valid = false;
		}
	}
	if (!valid || optind != argc)
		return usage_error();
	if (options.conninfo == NULL || options.smtp.url == NULL)
	{
		log_line("--database and --smtp are needed");
		return usage_error();
	}
	if ((options.smtp.user == NULL) != (password_file == NULL))
	{
		log_line("--user and --password-file go together");
		return usage_error();
	}
	if (options.lease < options.smtp.timeout + 2 * LEASE_MARGIN)
	{
		log_line("--lease must exceed --timeout by at least %d seconds",
				 2 * LEASE_MARGIN);
		return usage_error();
	}

	if (options.smtp.ca_file != NULL && access(options.smtp.ca_file, R_OK) != 0)
	{
		log_line("could not read \"%s\": %s", options.smtp.ca_file,
				 strerror(errno));
		return EX_CONFIG;
	}
	if (password_file != NULL)
	{
		password = keys_read_password(password_file);
		if (password == NULL)
			return EX_CONFIG;
		options.smtp.password = password;
	}
	while (options.key_count < key_files_count &&
		   keys_load(key_files[options.key_count],
					 &options.keys[options.key_count]))
		options.key_count++;
	if (options.key_count == key_files_count)
		exit_code = run_mailer(&options);

	while (options.key_count > 0)
		keys_free(&options.keys[--options.key_count]);
	sodium_free(password);
	return exit_code;
}

/*
 * main
 *		Finds the command and runs it.
 */
int
main(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "--help") == 0)
	{
		fputs(help, stdout);
		return EX_OK;
	}
	if (argc >= 2 && strcmp(argv[1], "--version") == 0)
	{
		puts("orgusers-mailer " ORGUSERS_VERSION);
		return EX_OK;
	}

	if (!protect_memory() || sodium_init() < 0 || !deliver_init())
	{
		log_line("could not start: %s", strerror(errno));
		return EX_OSERR;
	}
	compose_init();

	if (argc >= 2 && strcmp(argv[1], "keygen") == 0)
		return main_keygen(argc - 1, argv + 1);
	if (argc >= 2 && strcmp(argv[1], "run") == 0)
		return main_run(argc - 1, argv + 1);
	return usage_error();
}
