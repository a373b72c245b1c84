# orgusers: build, install, demo and tests.
#
#   make demo      install what is missing, build, and show the main job
#   make test      the same set-up, then every test
#   make requirements   the tests that each requirement has
#   make campaign  the long tests, for hours; make test-versions is the part about versions of PostgreSQL
#   make           build only          make install   build and install

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)

EXTENSION = orgusers
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" orgusers.control)

MODULE_big = orgusers
OBJS = \
	src/orgusers.o \
	src/common.o \
	src/identity/identity.o \
	src/identity/assertion.o \
	src/identity/sign_in.o \
	src/access/invalidation.o \
	src/access/lookup.o \
	src/access/numbering.o \
	src/access/load.o \
	src/access/rights.o \
	src/access/statement.o \
	src/access/checks.o \
	src/access/grants.o \
	src/access/support.o \
	src/audit/audit.o \
	src/directory/new_id.o \
	src/invariants/address_in_tree.o \
	src/invariants/billing_admin.o \
	src/invariants/check_now.o \
	src/invariants/constraint.o \
	src/invariants/holders.o \
	src/invariants/most_spaces.o \
	src/invariants/seats.o \
	src/invariants/states.o \
	src/invariants/touched.o \
	src/invariants/truncate.o \
	src/policy/names.o \
	src/invitations/email.o \
	src/invitations/email_syntax.o \
	src/invitations/token.o \
	src/invitations/token_codec.o \
	src/mail/envelope.o \
	src/mail/kinds.o \
	src/mail/seal.o \
	src/mail/template.o \
	src/mail/template_check.o \
	src/mail/wake_up.o

SQL_MODULES := $(addprefix src/,$(shell sed 's/\#.*//' src/install.list))
DATA_built = orgusers--$(EXTVERSION).sql
# What was released before, and the way from there.
DATA = $(wildcard src/releases/*.sql)
EXTRA_CLEAN = src/*/*.d src/*.d

# Server headers are system headers: our warnings are about our code.
PG_CPPFLAGS = -Isrc -DORGUSERS_VERSION='"$(EXTVERSION)"' -MMD -MP \
	$(if $(PGXS),-isystem $(shell $(PG_CONFIG) --includedir-server))
PG_CFLAGS = -Wall -Wextra -Wno-declaration-after-statement $(if $(WERROR),-Werror)
SHLIB_LINK = -lsodium -Wl,--version-script=src/orgusers.map
# No bitcode: it needs the very clang that built the server, and inlines nothing here.
override with_llvm = no

MAILER = mailer/orgusers-mailer
MAILER_BINDIR ?= /usr/local/bin

.DEFAULT_GOAL := all
.PHONY: deps demo test bench fuzz campaign test-versions strict mailer install-mailer uninstall-mailer clean-mailer

ifneq ($(PGXS),)
include $(PGXS)
else
all install:
	@echo "No $(PG_CONFIG) found. 'make deps' installs what the build needs." >&2; exit 1
endif

-include $(OBJS:.o=.d)

# The install script: a guard, then the modules in the order of install.list.
orgusers--$(EXTVERSION).sql: Makefile src/install.list orgusers.control $(SQL_MODULES)
	@{ printf '%s\n' '-- orgusers $(EXTVERSION), built from src/install.list; do not edit' \
	     '\echo Use "CREATE EXTENSION orgusers" to load this file. \quit'; \
	   for module in $(SQL_MODULES); do \
	     printf '\n-- %s\n' "$$module"; cat "$$module" || exit 1; \
	   done; } > $@.tmp && mv $@.tmp $@

all: mailer
install: install-mailer
uninstall: uninstall-mailer
clean: clean-mailer

mailer:
	$(MAKE) -C mailer PG_CONFIG=$(PG_CONFIG) EXTVERSION=$(EXTVERSION) WERROR=$(WERROR)
install-mailer: mailer
	install -d '$(DESTDIR)$(MAILER_BINDIR)'
	install -m 755 $(MAILER) '$(DESTDIR)$(MAILER_BINDIR)/orgusers-mailer'
uninstall-mailer:
	rm -f '$(DESTDIR)$(MAILER_BINDIR)/orgusers-mailer'
clean-mailer:
	$(MAKE) -C mailer clean

# What a fresh Debian or Ubuntu lacks.
deps:
	@test/tools/install-deps

demo: deps
	@examples/demo/run

test: deps
	@test/run

bench: deps
	@bench/run
	@bench/writes/run

# Ten million inputs for each parser, under sanitizers.
fuzz: deps
	@test/fuzz/run

# The long tests: hours.  Writes doc/campaign.md.
campaign: deps
	@test/campaign/run

# The tests on every supported PostgreSQL, each in a chroot.
test-versions:
	@test/campaign/run versions

# How many tests each requirement has; fails when one has none.
requirements:
	@test/tools/requirements

# Every warning is an error, with both compilers.
strict:
	@test/tools/strict-build
