# A pooler in transaction mode: hundreds of clients share a few server sessions and change who they act for, and
# none ever acts as, or has a right of, somebody else.

use strict;
use warnings;

use File::Temp qw(tempdir);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $clients = 200;
my $seconds = $ENV{ORGUSERS_POOLER_SECONDS} || 5;

my $node = PostgreSQL::Test::Cluster->new('pooled');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nsynchronous_commit = off\nmax_connections = 30");
$node->start;

# User n is in organization n, and in nobody else's.
$node->safe_psql('postgres', qq{
CREATE EXTENSION orgusers;
SELECT orgusers.install_plans_and_groups();
CREATE ROLE pooled_server LOGIN;
SELECT orgusers.grant_to('pooled_server', 'server');
CREATE FUNCTION u(n int) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid;
CREATE FUNCTION o(n int) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN ('00000000-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid;
INSERT INTO orgusers.users (id, email, email_verified_at) SELECT u(n), ('user' || n || '\@example.org')::orgusers.email, now() FROM generate_series(0, $clients) n;
INSERT INTO orgusers.organizations (id, name, policy) SELECT o(n), 'Organization ' || n, 'plans_and_groups' FROM generate_series(0, $clients) n;
INSERT INTO orgusers.roles (org_id, policy, template, name) SELECT o.id, o.policy, t.id, t.name FROM orgusers.organizations o JOIN orgusers.role_templates t USING (policy);
INSERT INTO orgusers.memberships (org_id, user_id) SELECT o(n), u(n) FROM generate_series(0, $clients) n;
INSERT INTO orgusers.membership_roles (org_id, user_id, role_id)
    SELECT m.org_id, m.user_id, r.id FROM orgusers.memberships m JOIN orgusers.roles r USING (org_id) WHERE r.template = 'admin';
-- A client says what it expects; anything else is an error.
CREATE FUNCTION expect(what text, answer anyelement, expected anyelement) RETURNS void LANGUAGE plpgsql AS
\$\$ BEGIN IF answer IS DISTINCT FROM expected THEN RAISE EXCEPTION 'expected %: %, found %', what, expected, answer; END IF; END \$\$;
-- A right that comes and goes, by direct DML.
CREATE FUNCTION set_help(n int, wanted boolean) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS \$\$
    DELETE FROM orgusers.membership_permissions WHERE org_id = o(n) AND user_id = u(n) AND NOT wanted;
    INSERT INTO orgusers.membership_permissions (org_id, user_id, permission) SELECT o(n), u(n), 'help.read' WHERE wanted ON CONFLICT DO NOTHING; \$\$;
SELECT orgusers.register_permission('help.read', 'Read the help');
});

my $dir = tempdir('orgusers_pooler_XXXX', TMPDIR => 1, CLEANUP => 1);
my $port = PostgreSQL::Test::Cluster::get_free_port();
append_to_file("$dir/users.txt", qq{"pooled_server" ""\n});
append_to_file("$dir/pgbouncer.ini", <<"INI");
[databases]
postgres = host=@{[$node->host]} port=@{[$node->port]} dbname=postgres
[pgbouncer]
listen_addr =
unix_socket_dir = $dir
listen_port = $port
auth_type = trust
auth_file = $dir/users.txt
pool_mode = transaction
default_pool_size = 5
max_client_conn = 500
logfile = $dir/log
pidfile = $dir/pid
ignore_startup_parameters = extra_float_digits
INI
my $pooler = '/usr/sbin/pgbouncer';
system_or_bail($pooler, '-q', '-d', "$dir/pgbouncer.ini");
# It listens a moment after it has gone to the background.
foreach (1 .. 100)
{
	last if system('psql', '-qX', '-o', '/dev/null', '-h', $dir, '-p', $port, '-U', 'pooled_server', '-d', 'postgres', '-c', 'SELECT 1') == 0;
	select undef, undef, undef, 0.1;
}
END { kill 'TERM', slurp_file("$dir/pid") if defined $dir && -s "$dir/pid"; }

sub pgbench
{
	my ($what, %script) = @_;
	my @files;
	foreach my $name (sort keys %script)
	{
		append_to_file("$dir/$name", $script{$name}) unless -e "$dir/$name";
		push @files, '-f', "$dir/$name";
	}
	my ($out, $err) = run_command([ 'pgbench', '-n', '-M', 'simple', '-c', $clients, '-j', '2', '-T', $seconds, '-h', $dir, '-p', $port, '-U', 'pooled_server', @files, 'postgres' ]);
	unlike($err, qr/ERROR|aborted/, "$what: every answer is as expected");
	my ($count) = $out =~ /transactions actually processed: (\d+)/;
	cmp_ok($count || 0, '>', $clients, "$what: " . ($count || 0) . ' scripts of ' . $clients . ' clients');
	return;
}

# Nobody acts before act_as(), nor after the transaction; within it the right one does, who is not in others' organizations.
my $identity = <<'SQL';
\set me random(1, 200)
\set other (:me + random(1, 199) - 1) % 200 + 1
SELECT expect('nobody', orgusers.current_user_id(), NULL::uuid);
SELECT expect('no right of nobody', orgusers.can(o(:me), 'users.invite'), false);
BEGIN;
SELECT orgusers.act_as(u(:me));
SELECT expect('the actor', orgusers.current_user_id(), u(:me));
SELECT expect('my organization', orgusers.can(o(:me), 'users.invite'), true);
SELECT expect('not the other', orgusers.can(o(:other), 'users.invite'), false);
SELECT expect('my rows', count(*), 1::bigint) FROM orgusers.organizations;
SELECT expect('my memberships', count(*) FILTER (WHERE user_id <> u(:me)), 0::bigint) FROM orgusers.memberships;
COMMIT;
SELECT expect('nobody again', orgusers.current_user_id(), NULL::uuid);
SELECT expect('no rows', count(*), 0::bigint) FROM orgusers.organizations;
SQL
# The same with a transaction that fails or rolls back.
my $broken = <<'SQL';
\set me random(1, 200)
BEGIN;
SELECT orgusers.act_as(u(:me));
SELECT expect('the actor', orgusers.current_user_id(), u(:me));
ROLLBACK;
SELECT expect('nobody after a rollback', orgusers.current_user_id(), NULL::uuid);
SQL
# A right that a client has just been given or has lost, whatever server session comes next.
my $rights = <<'SQL';
\set me :client_id + 1
SELECT set_help(:me, true);
BEGIN;
SELECT orgusers.act_as(u(:me));
SELECT expect('a right given', orgusers.can(o(:me), 'help.read'), true);
COMMIT;
SELECT set_help(:me, false);
BEGIN;
SELECT orgusers.act_as(u(:me));
SELECT expect('a right taken', orgusers.can(o(:me), 'help.read'), false);
COMMIT;
SQL
pgbench('identities', identity => $identity, broken => $broken);
pgbench('rights', rights => $rights);
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'pooled_server'}), '<=', 5, 'a few server sessions serve them all');

done_testing();
