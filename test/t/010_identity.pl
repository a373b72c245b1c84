# Who acts: what a role without privileges tries to become another user, and how long an identity lasts.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $ann = '11111111-1111-4111-8111-111111111111';
my $ben = '22222222-2222-4222-8222-222222222222';
my $secret = 'not so secret, but 32 bytes long';
my $who = q{SELECT 'actor: ' || coalesce(orgusers.current_user_id()::text, 'nobody');};

# An assertion with these claims (JSON), signed with the HS256 key of that kid.
sub assertion
{
	my ($claims, $kid) = @_;
	my $text = encode_base64url(qq({"alg":"HS256","kid":"$kid"})) . '.' . encode_base64url($claims);
	return $text . '.' . encode_base64url(hmac_sha256($text, $secret));
}

my $node = PostgreSQL::Test::Cluster->new('identity');
$node->init;
$node->start;

$node->safe_psql(
	'postgres', qq{
CREATE ROLE hostile LOGIN;
CREATE ROLE app_server LOGIN;
CREATE ROLE app_pooler LOGIN;
CREATE ROLE another LOGIN;
CREATE DATABASE hostile OWNER hostile;
CREATE EXTENSION orgusers;
GRANT CREATE ON SCHEMA public TO hostile;
GRANT hostile TO app_pooler;
SELECT orgusers.grant_to('hostile', 'application');
SELECT orgusers.grant_to('another', 'application');
SELECT orgusers.grant_to('app_server', 'server');
SELECT orgusers.grant_to('app_pooler', 'application');
SELECT orgusers.register_user('ann\@example.com', id => '$ann');
SELECT orgusers.register_user('ben\@example.com', id => '$ben');
SELECT orgusers.add_assertion_key('k', 'HS256', '$secret', 'app');
SELECT orgusers.add_assertion_key('registrar', 'HS256', '$secret', 'app', registers_users => true);
});
$node->safe_psql('hostile', q{CREATE EXTENSION orgusers; SELECT orgusers.grant_to('hostile', 'application')});

# Runs the SQL as the role in a session of its own, past errors; returns what it printed and complained about.
sub session
{
	my ($role, $sql, %options) = @_;
	my ($stdout, $stderr);

	local $ENV{PGOPTIONS} = $options{pgoptions} if $options{pgoptions};
	$node->psql(
		$options{database} || 'postgres', $sql,
		stdout => \$stdout,
		stderr => \$stderr,
		on_error_stop => 0,
		extra_params => [ '-U', $role ]);
	return ($stdout, $stderr);
}

# Two tests: the session ends as the expected actor, and was told off.
sub ends_as
{
	my ($actor, $role, $sql, $complaint, $name, %options) = @_;
	my ($stdout, $stderr) = session($role, "$sql;\n$who", %options);

	is((split /\n/, $stdout)[-1], "actor: $actor", $name);
	like($stderr, $complaint, "$name: refused");
}

my $denied = qr/permission denied to set parameter "orgusers\.user_id"/i;
my $load = 'SELECT orgusers.current_user_id()';

# Everything that can be said before the library is loaded, and after.
my %forgeries = (
	'SET' => "SET orgusers.user_id = '$ann'",
	'SET SESSION in a transaction' => "BEGIN; SET SESSION orgusers.user_id = '$ann'",
	'SET LOCAL' => "BEGIN; SET LOCAL orgusers.user_id = '$ann'",
	'SET LOCAL over SET' => "SET orgusers.user_id = '$ben'; BEGIN; SET LOCAL orgusers.user_id = '$ann'",
	'SET in a savepoint' => "BEGIN; SAVEPOINT s; SET orgusers.user_id = '$ann'; RELEASE s",
	'set_config' => "SELECT set_config('orgusers.user_id', '$ann', false)",
	'set_config in capitals' => "SELECT set_config('ORGUSERS.USER_ID', '$ann', false)",
	'local set_config' => "BEGIN; SELECT set_config('orgusers.user_id', '$ann', true)",
	'DO' => "DO \$\$ BEGIN SET orgusers.user_id = '$ann'; END \$\$",
	'SET and DISCARD PLANS' => "SET orgusers.user_id = '$ann'; DISCARD PLANS");

foreach my $name (sort keys %forgeries)
{
	ends_as('nobody', 'hostile', $forgeries{$name}, $denied, "F5: $name before the library is loaded");
	ends_as('nobody', 'hostile', "$load; $forgeries{$name}; ROLLBACK", $denied, "F5: $name");
}
ends_as('nobody', 'hostile', "$load; UPDATE pg_settings SET setting = '$ann' WHERE name = 'orgusers.user_id'",
	$denied, 'F5: UPDATE pg_settings');
ends_as('nobody', 'hostile', "ALTER SYSTEM SET orgusers.user_id = '$ann'", $denied, 'F5: ALTER SYSTEM');

# A placeholder that is in force while the library is loaded by somebody's RESET, ROLLBACK or sign-in
ends_as('nobody', 'hostile', "SET orgusers.user_id = '$ann'; BEGIN; SET LOCAL orgusers.user_id = '$ben'; $load; ROLLBACK",
	$denied, 'F5: rollback to a value from before the library was loaded');
ends_as('nobody', 'hostile', "BEGIN; SET orgusers.user_id = '$ann'; SAVEPOINT s; $load; ROLLBACK TO s; COMMIT",
	$denied, 'F5: savepoint rollback to a value from before the library was loaded');
ends_as('nobody', 'hostile', "SET orgusers.user_id = '$ann'; SELECT orgusers.sign_out(); RESET ALL",
	$denied, 'F5: RESET ALL after a value from before the library was loaded');

# The startup packet, with the library loaded by the first call, by the session, and by the server
my %startup = (pgoptions => "-c orgusers.user_id=$ann");
ends_as('nobody', 'hostile', 'SELECT 1', $denied, 'F5: startup packet', %startup);
ends_as('nobody', 'hostile', "$load; RESET ALL", $denied, 'F5: RESET ALL to the startup packet', %startup);
ends_as('nobody', 'hostile', "$load; DISCARD ALL", $denied, 'F5: DISCARD ALL to the startup packet', %startup);
$node->safe_psql('postgres', q{ALTER ROLE hostile SET session_preload_libraries = 'orgusers'});
ends_as('nobody', 'hostile', 'SELECT 1', $denied, 'F5: startup packet, library loaded by the session', %startup);
$node->safe_psql('postgres', 'ALTER ROLE hostile RESET session_preload_libraries');

# Values kept in the catalogs
foreach my $setting ([ 'ALTER ROLE', 'ALTER ROLE hostile SET' ],
	[ 'ALTER ROLE CURRENT_USER', 'ALTER ROLE CURRENT_USER SET' ],
	[ 'ALTER ROLE IN DATABASE', 'ALTER ROLE hostile IN DATABASE hostile SET' ],
	[ 'ALTER DATABASE', 'ALTER DATABASE hostile SET' ])
{
	my ($name, $command) = @$setting;

	foreach my $before ('SELECT 1', "SET orgusers.user_id = '$ben'", $load)
	{
		ends_as('nobody', 'hostile', "$before; $command orgusers.user_id = '$ann'; $command orgusers.user_id FROM CURRENT",
			$denied, "F5: $name after $before", database => 'hostile');
	}
	my ($stdout) = session('hostile', $who, database => 'hostile');
	is($stdout, 'actor: nobody', "F5: $name does nothing to the next session");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_db_role_setting'), '0', 'F5: nothing is kept in the catalogs');

# Functions with a SET clause
foreach my $before ('SELECT 1', "SET orgusers.user_id = '$ann'", $load)
{
	foreach my $clause ("= '$ann'", 'FROM CURRENT')
	{
		my ($stdout) = session(
			'hostile', qq{$before;
CREATE FUNCTION public.forge() RETURNS uuid LANGUAGE plpgsql SET orgusers.user_id $clause
    AS 'BEGIN RETURN orgusers.current_user_id(); END';
SELECT 'forged: ' || public.forge();
DROP FUNCTION public.forge();
$who});
		unlike($stdout, qr/forged/, "F5: function with SET clause $clause after $before");
		like($stdout, qr/actor: nobody/, "F5: function with SET clause $clause after $before leaves nobody");
	}
}

# A user who is signed in becomes no other one, nor makes a longer stay of it.
my $sign_in = sprintf "SELECT orgusers.sign_in('%s')", assertion(qq({"sub":"$ann","aud":"app","exp":4102444800}), 'k');
ends_as($ann, 'hostile', "BEGIN; $sign_in; SAVEPOINT s; SET orgusers.user_id = '$ben'; ROLLBACK TO s", $denied,
	'F5: SET by somebody who is signed in');
ends_as('nobody', 'hostile', "BEGIN; $sign_in; SAVEPOINT s; SET SESSION orgusers.user_id = '$ann'; ROLLBACK TO s; COMMIT", $denied,
	'F5: SET to the own id does not prolong the identity');
ends_as($ann, 'hostile', "BEGIN; $sign_in; SAVEPOINT s; RESET orgusers.user_id; ROLLBACK TO s", $denied,
	'F5: RESET by somebody who is signed in');
ends_as('nobody', 'hostile', "SELECT orgusers.act_as('$ann')", qr/permission denied for function act_as/, 'F5: act_as');
# A trusted session that has handed itself over to an untrusted role
ends_as($ann, $node->safe_psql('postgres', 'SELECT current_user'), "BEGIN; SELECT orgusers.act_as('$ann'); SET ROLE hostile; SAVEPOINT s; SET orgusers.user_id = '$ben'; ROLLBACK TO s",
	$denied, 'F5: SET after SET ROLE');
# Clocks are the DBA's.
foreach my $before ('SELECT 1', $load)
{
	my ($stdout, $stderr) = session('hostile', "$before; SET orgusers.assertion_leeway = 300; $load; SHOW orgusers.assertion_leeway");
	like($stdout, qr/^0$/m, "F5: assertion_leeway after $before stays");
	like($stderr, qr/parameter "orgusers\.assertion_leeway" cannot be changed now/, "F5: assertion_leeway after $before: refused");
}

my ($stdout, $stderr);

# So is every other setting of the extension, of which there is none that this list lacks.
my %settings = ('orgusers.user_id' => $ann, 'orgusers.assertion_leeway' => 300, 'orgusers.cache_size' => '64kB', 'orgusers.mail_wake_up' => 'off');
is($node->safe_psql('postgres', "$load \\g /dev/null\nSELECT string_agg(name, ' ' ORDER BY name) FROM pg_settings WHERE name LIKE 'orgusers.%'"),
	join(' ', sort keys %settings), 'F5: the settings');
foreach my $name (sort keys %settings)
{
	my $show = "SELECT reset_val = setting AND source = 'default' FROM pg_settings WHERE name = '$name'";
	foreach my $before ('SELECT 1', $load)
	{
		my ($stdout, $stderr) = session('hostile', "$before; SET $name = '$settings{$name}'; SELECT set_config('$name', '$settings{$name}', false); $load; $show");
		like($stderr, qr/permission denied to set parameter "\Q$name\E"|parameter "\Q$name\E" cannot be changed now/, "F5: $name after $before: refused");
		like($stdout, qr/^t\z/m, "F5: $name after $before stays as it is");
	}
	my ($stdout, $stderr) = session('hostile', "$load; $show", pgoptions => "-c $name=$settings{$name}");
	like($stdout, qr/^t\z/m, "F5: $name in the startup packet changes nothing");
}
my (undef, $reserved) = session('hostile', "$load; SET orgusers.mine = 1");
like($reserved, qr/invalid configuration parameter name "orgusers\.mine"/, 'F5: and nobody makes a new one');
# Roles with more rights are no way either, nor is what a session is by SESSION AUTHORIZATION.
foreach my $role ('app_server', 'app_pooler', $node->safe_psql('postgres', 'SELECT current_user'))
{
	foreach my $command ('SET ROLE', 'SET LOCAL ROLE', 'SET SESSION AUTHORIZATION', 'SET LOCAL SESSION AUTHORIZATION')
	{
		ends_as('nobody', 'hostile', qq(BEGIN; SAVEPOINT s; $command "$role"; ROLLBACK TO s; SELECT orgusers.act_as('$ann'); ROLLBACK),
			qr/permission denied to set (role|session authorization).*permission denied for function act_as/s, "F5: $command $role");
	}
}
# What a session keeps, it keeps of what its user saw: rows of a cursor WITH HOLD, but no identity, and no right in a
# prepared statement. DISCARD ALL takes all of it.
my $rows = "SELECT 'row: ' || id FROM orgusers.users ORDER BY id";
($stdout, $stderr) = session('hostile', qq{SET plan_cache_mode = force_generic_plan;
PREPARE mine AS $rows;
BEGIN; $sign_in; EXECUTE mine; DECLARE held CURSOR WITH HOLD FOR $rows; COMMIT;
\\echo nobody
$who EXECUTE mine; FETCH ALL held; $who
\\echo discarded
DISCARD ALL; FETCH ALL held; EXECUTE mine;});
is($stdout, "$ann\nrow: $ann\nnobody\nactor: nobody\nrow: $ann\nactor: nobody\ndiscarded", 'F5: what is kept across identities');
like($stderr, qr/cursor "held" does not exist.*prepared statement "mine" does not exist/s, 'F5: until DISCARD ALL');

# How long an identity lasts
sub actors
{
	my ($sql) = @_;
	my ($stdout, $stderr) = session('app_server', $sql);

	is($stderr, '', 'no complaints');
	return join ' ', map { s/^actor: // ? $_ : () } split /\n/, $stdout;
}

my $act_as = "SELECT orgusers.act_as('$ann')";
is(actors("$act_as; $who"), 'nobody', 'outside a transaction block an identity ends with its statement');
is(actors("BEGIN; $act_as; $who COMMIT; $who BEGIN; $who COMMIT;"),
	"$ann nobody nobody", 'COMMIT ends an identity, and the next transaction of a pooled session has none');
is(actors("BEGIN; $act_as; ROLLBACK; $who"), 'nobody', 'ROLLBACK ends an identity');
is(actors("BEGIN; SAVEPOINT s; $act_as; $who ROLLBACK TO s; $who COMMIT;"), "$ann nobody", 'so does a rollback to a savepoint');
is(actors("BEGIN; SAVEPOINT s; $act_as; RELEASE s; $who COMMIT; $who"), "$ann nobody", 'the end of a savepoint does not');
is(actors("SELECT orgusers.act_as('$ann', true); $who BEGIN; $who ROLLBACK; $who DISCARD ALL; $who"),
	"$ann $ann $ann nobody", 'for a session, until DISCARD ALL');
is(actors("SELECT orgusers.act_as('$ann', true); RESET ALL; $who"), 'nobody', 'RESET ALL ends it too');
is(actors("SELECT orgusers.act_as('$ann', true); BEGIN; SELECT orgusers.sign_out(); $who ROLLBACK; $who SELECT orgusers.sign_out(); $who"),
	"nobody $ann nobody", 'sign_out is undone by a rollback and final otherwise');

# An account made on the way in does not leave its identity behind, in whatever way the session has its own.
my @tokens = split /\n/, $node->safe_psql(
	'postgres', qq{
SELECT orgusers.install_plans_and_groups() \\g /dev/null
SELECT orgusers.act_as('$ann', true) \\g /dev/null
SELECT orgusers.create_organization('Acme', 'plans_and_groups') AS org \\gset
SELECT orgusers.set_plan(:'org', 'paid', '$ann') \\g /dev/null
CREATE TABLE newcomers AS SELECT i, orgusers.new_invitation_token(:'org') AS token,
	orgusers.invite_user(:'org', ('new' || i || '\@example.com')::orgusers.email, send => false) AS invitation FROM generate_series(1, 4) i;
INSERT INTO orgusers.invitation_tokens (org_id, digest, invitation_id, kind) SELECT :'org', orgusers.token_digest(token), invitation, 'mail' FROM newcomers;
SELECT orgusers.token_text(token) FROM newcomers ORDER BY i});
my @accept = map { "SELECT user_id IS NOT NULL FROM orgusers.register_and_accept('$tokens[$_ - 1]', 'new$_\@example.com');" } 1 .. 4;
is(actors("$accept[0] $who BEGIN; $accept[1] $who COMMIT; $who"), 'nobody nobody nobody', 'E7: an anonymous session stays so');
is(actors("BEGIN; $act_as; $accept[2] $who COMMIT; $who"), "$ann nobody", 'E7: a transaction keeps its actor');
is(actors("SELECT orgusers.act_as('$ann', true); BEGIN; $accept[3] $who ROLLBACK; $who $accept[3] $who"), "$ann $ann $ann", 'E7: and so does a session');
is($node->safe_psql('postgres', q{SELECT count(*) FROM orgusers.memberships}), '5', 'E7: they have all become users');

# Parallel workers
$node->safe_psql('postgres', q{CREATE TABLE many AS SELECT generate_series(1, 10000) AS i; ANALYZE many});
my $parallel = $node->safe_psql(
	'postgres', qq{
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2; SET parallel_leader_participation = off;
BEGIN;
SELECT orgusers.act_as('$ann');
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT count(orgusers.current_user_id()) FROM many;
SELECT 'seen: ' || count(orgusers.current_user_id()) || ' ' || min(orgusers.current_user_id()::text) FROM many;
COMMIT;
SELECT 'seen: ' || count(orgusers.current_user_id()) FROM many;
});
like($parallel, qr/Workers Launched: [12]/, 'there are parallel workers');
like($parallel, qr/^seen: 10000 $ann$/m, 'which see the actor');
like($parallel, qr/^seen: 0$/m, 'and see nobody afterwards');

# The privilege to set the parameter can be handed out.
$node->safe_psql('postgres', 'GRANT SET ON PARAMETER orgusers.user_id TO app_pooler');
($stdout, $stderr) = session('app_pooler', "SET orgusers.user_id = '$ann'; $who");
is($stdout, "actor: $ann", 'a role with GRANT SET ON PARAMETER sets it, also before the library is loaded');
($stdout, $stderr) = session('app_pooler', "BEGIN; SELECT set_config('orgusers.user_id', '$ann', true); $who COMMIT; $who");
is($stdout, "$ann\nactor: $ann\nactor: nobody", 'for a transaction too');
($stdout, $stderr) = session('app_pooler', "$load; SET orgusers.user_id = 'ann'; $who");
like($stderr, qr/invalid value for parameter "orgusers\.user_id"/, 'but to a user id only');
ends_as($ann, 'app_pooler', "$load; BEGIN; SET LOCAL orgusers.user_id = '$ann'; SET ROLE hostile; SAVEPOINT s; SET orgusers.user_id = '$ben'; ROLLBACK TO s",
	$denied, 'F5: the role that it hands the session over to does not');
ends_as('nobody', 'app_pooler', "SET orgusers.user_id = '$ann'; SET ROLE hostile; SET orgusers.user_id = '$ben'",
	$denied, 'F5: nor does it before the library is loaded');
ends_as('nobody', 'another', "SET orgusers.user_id = '$ann'", $denied, 'F5: nor does any other role');

# Signed assertions: leeway, a retired key, encodings
my $late = sprintf "SELECT orgusers.sign_in('%s')", assertion(sprintf('{"sub":"%s","aud":"app","exp":%d}', $ann, time - 60), 'k');
($stdout, $stderr) = session('hostile', "BEGIN; $late; $who");
like($stderr, qr/assertion is expired or not valid yet/, 'F5: no leeway by default');
$node->append_conf('postgresql.conf', 'orgusers.assertion_leeway = 5min');
$node->reload;
($stdout, $stderr) = session('hostile', "BEGIN; $late; $who");
like($stdout, qr/actor: $ann/, 'orgusers.assertion_leeway puts up with late clocks');

my $connection = $node->connstr('postgres');
($stdout, $stderr) = session(
	'hostile', qq{BEGIN ISOLATION LEVEL REPEATABLE READ;
$sign_in;
$who
\\! psql -X -q -d "$connection" -c "SELECT orgusers.retire_assertion_key('k')" >&2
SAVEPOINT s;
SELECT orgusers.sign_out();
$sign_in;
ROLLBACK TO s;
COMMIT;});
like($stdout, qr/actor: $ann/, 'a key in use');
like($stderr, qr/assertion is not signed by a known key/, 'F5: and retired, in a transaction with an older snapshot');

$node->safe_psql('postgres', q{CREATE DATABASE latin1 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0});
$node->safe_psql('latin1', qq{CREATE EXTENSION orgusers; SELECT orgusers.grant_to('hostile', 'application');
SELECT orgusers.add_assertion_key('registrar', 'HS256', '$secret', 'app', registers_users => true)});
my $claims = qq({"sub":"%s","aud":"app","exp":4102444800,"email":"%s\@example.com","name":"%s"});
foreach my $case ([ $ann, 'ann', "\xc3\x84nn" ], [ $ben, 'ben', '\u00c4nn' ])
{
	session('hostile', sprintf("SELECT orgusers.sign_in('%s')", assertion(sprintf($claims, @$case), 'registrar')), database => 'latin1');
}
is($node->safe_psql('latin1', q{SELECT string_agg(encode(convert_to(display_name, 'UTF8'), 'hex'), ' ') FROM orgusers.users}),
	'c3846e6e c3846e6e', 'claims in a database of another encoding');
($stdout, $stderr) = session('hostile',
	sprintf("SELECT orgusers.sign_in('%s')", assertion(sprintf($claims, '33333333-3333-4333-8333-333333333333', 'c', "\xe2\x82\xac"), 'registrar')),
	database => 'latin1');
like($stderr, qr/has no equivalent in encoding "LATIN1"/, 'claims that the encoding cannot say');

# With the library in every backend from its start
$node->append_conf('postgresql.conf', q{shared_preload_libraries = 'orgusers'});
$node->restart;
($stdout, $stderr) = session('hostile', $who, %startup);
like($stderr, $denied, 'F5: startup packet, library loaded by the server: refused');
unlike($stdout, qr/actor: $ann/, 'F5: startup packet, library loaded by the server');
ends_as('nobody', 'hostile', "SET orgusers.user_id = '$ann'", $denied, 'F5: SET, library loaded by the server');

$node->stop;
done_testing();
