# Whatever happens to rights, in whatever order and by whomever: what sessions answer out of what they keep is what
# plain joins over the tables say, at the same moment.
#
# The history follows from the seed: ORGUSERS_SEED=n repeats it.  ORGUSERS_CASES=n sets the number of answers to compare.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use WarmSession;

my $seed = $ENV{ORGUSERS_SEED} || int(time);
my $wanted = $ENV{ORGUSERS_CASES} || 50_000;
srand($seed);
diag("seed $seed");

sub any { return $_[ int(rand(@_)) ] }

my @users = map { sprintf('00000000-0000-0000-0000-0000000000%02x', $_) } 1 .. 8;
my @orgs = map { sprintf('00000000-0000-0000-0000-00000000a%03x', $_) } 1 .. 6;
my $root = '00000000-0000-0000-0000-0000000000ff';
my @permissions = qw(docs.read docs.write docs.share users.invite never.registered);

my $node = PostgreSQL::Test::Cluster->new('oracle');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_prepared_transactions = 5\nautovacuum = off\nmax_connections = 30\nlog_statement = none\njit = off");
$node->start;
$node->safe_psql(
	'postgres', qq{
CREATE EXTENSION orgusers;
SELECT orgusers.install_plans_and_groups();
INSERT INTO orgusers.permissions SELECT p, 'A permission.' FROM unnest('{docs.read,docs.write,docs.share}'::text[]) p;
INSERT INTO orgusers.role_templates (policy, id, name) VALUES ('plans_and_groups', 'writer', 'WRITER'), ('plans_and_groups', 'reader', 'READER');
INSERT INTO orgusers.role_template_permissions VALUES ('plans_and_groups', 'writer', 'docs.write'), ('plans_and_groups', 'reader', 'docs.read'), ('plans_and_groups', 'user', 'docs.read');
UPDATE orgusers.role_templates SET least_holders = 0;
INSERT INTO orgusers.role_template_grants SELECT 'plans_and_groups', 'admin', t FROM unnest('{writer,reader}'::text[]) t ON CONFLICT DO NOTHING;
SELECT orgusers.register_user((id || '\@example.org')::orgusers.email, id => id::uuid) FROM unnest('{@{[join ',', $root, @users]}}'::text[]) id;
CREATE PROCEDURE found(org uuid) LANGUAGE plpgsql AS \$\$ BEGIN
	PERFORM orgusers.act_as('$root');
	PERFORM orgusers.create_organization('org', 'plans_and_groups', org);
	PERFORM orgusers.create_group(org, 'one', '{READER}'), orgusers.create_group(org, 'two', '{WRITER}');
END \$\$;
@{[map { "CALL found('$_');" } @orgs]}
UPDATE orgusers.plans SET seats = NULL;
INSERT INTO orgusers.memberships (org_id, user_id) SELECT o.id, u.id FROM orgusers.organizations o, orgusers.users u WHERE u.id <> '$root';
INSERT INTO orgusers.membership_roles SELECT m.org_id, m.user_id, r.id FROM orgusers.memberships m JOIN orgusers.roles r USING (org_id) WHERE r.name = 'USER' ON CONFLICT DO NOTHING;
CREATE TABLE docs AS SELECT g AS id, o::uuid AS org_id FROM unnest('{@{[join ',', @orgs]}}'::text[]) o, generate_series(1, 20) g;
CREATE INDEX ON docs (org_id);
ANALYZE docs;

-- The reference: nothing of the extension but its tables.
CREATE VIEW held AS
	SELECT ms.user_id, ms.org_id, r.name, r.policy, r.template FROM orgusers.memberships ms, orgusers.membership_roles mr, orgusers.roles r
	WHERE ms.status = 'active' AND mr.user_id = ms.user_id AND mr.org_id = ms.org_id AND r.id = mr.role_id AND r.org_id = mr.org_id
	UNION
	SELECT ms.user_id, ms.org_id, r.name, r.policy, r.template FROM orgusers.memberships ms, orgusers.group_members gm, orgusers.group_roles gr, orgusers.roles r
	WHERE ms.status = 'active' AND gm.user_id = ms.user_id AND gm.org_id = ms.org_id AND gr.group_id = gm.group_id AND gr.org_id = gm.org_id
	  AND r.id = gr.role_id AND r.org_id = gr.org_id;
CREATE VIEW allowed AS
	SELECT DISTINCT h.user_id, h.org_id, t.permission FROM held h, orgusers.role_template_permissions t
	WHERE t.policy = h.policy AND t.template = h.template;
});

my $org_array = "'{" . join(',', @orgs) . "}'::uuid[]";
my $permission_array = "'{" . join(',', @permissions) . "}'::text[]";

# What a user may, one line for each question; the first as the extension says, the second as the reference.
my $asks = "SELECT string_agg(orgusers.can(o, p)::int::text, '' ORDER BY o, p) FROM unnest($org_array) o, unnest($permission_array) p;
SELECT string_agg(orgusers.is_member(o)::int::text, '' ORDER BY o) FROM unnest($org_array) o;
SELECT string_agg(coalesce(array_length(orgusers.orgs_with(p), 1), 0) || array_to_string(orgusers.orgs_with(p), ','), ';' ORDER BY p) FROM unnest($permission_array) p";
my $roles = "SELECT string_agg(orgusers.has_role(o, r)::int::text, '' ORDER BY o, r) FROM unnest($org_array) o, unnest('{ADMIN,USER,READER,WRITER}'::text[]) r";
my @rows = map { my ($set, $reset) = @$_; "$set; SELECT count(*), sum(id), count(DISTINCT org_id) FROM docs WHERE orgusers.can(org_id, 'docs.read'); $reset" } (
	[ 'SET enable_seqscan = off; SET enable_bitmapscan = off', 'RESET enable_seqscan; RESET enable_bitmapscan' ],
	[ 'SET enable_seqscan = off; SET enable_indexscan = off; SET enable_indexonlyscan = off', 'RESET enable_seqscan; RESET enable_indexscan; RESET enable_indexonlyscan' ],
	[ 'SET enable_bitmapscan = off; SET enable_indexscan = off; SET enable_indexonlyscan = off', 'RESET enable_bitmapscan; RESET enable_indexscan; RESET enable_indexonlyscan' ],
	[ 'SET enable_bitmapscan = off; SET enable_indexscan = off; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0',
		'RESET enable_bitmapscan; RESET enable_indexscan; RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size' ]);

sub reference
{
	my ($user) = @_;
	return "SELECT string_agg((EXISTS (SELECT FROM allowed a WHERE (a.user_id, a.org_id, a.permission) = ('$user', o, p)))::int::text, '' ORDER BY o, p) FROM unnest($org_array) o, unnest($permission_array) p;
SELECT string_agg((EXISTS (SELECT FROM orgusers.memberships m WHERE (m.user_id, m.org_id, m.status) = ('$user', o, 'active')))::int::text, '' ORDER BY o) FROM unnest($org_array) o;
SELECT string_agg((SELECT count(*) || coalesce(string_agg(a.org_id::text, ',' ORDER BY a.org_id), '') FROM allowed a WHERE (a.user_id, a.permission) = ('$user', p) AND a.org_id = ANY ($org_array)), ';' ORDER BY p) FROM unnest($permission_array) p";
}

sub reference_roles
{
	my ($user) = @_;
	return "SELECT string_agg((EXISTS (SELECT FROM held h WHERE (h.user_id, h.org_id, h.name) = ('$user', o, r)))::int::text, '' ORDER BY o, r) FROM unnest($org_array) o, unnest('{ADMIN,USER,READER,WRITER}'::text[]) r";
}

sub reference_rows
{
	my ($user) = @_;
	return "SELECT count(*), sum(id), count(DISTINCT org_id) FROM docs WHERE EXISTS (SELECT FROM allowed a WHERE (a.user_id, a.org_id, a.permission) = ('$user', docs.org_id, 'docs.read'))";
}

# Changes, each of some organization, another, some user, and a role.
my @changes = (
	sub { "INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$_[0]', '$_[2]') ON CONFLICT DO NOTHING" },
	sub { "INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$_[0]', '$_[2]') ON CONFLICT (org_id, user_id) DO UPDATE SET status = 'active', deactivated_at = NULL" },
	sub { "INSERT INTO orgusers.membership_roles SELECT m.org_id, m.user_id, r.id FROM orgusers.memberships m JOIN orgusers.roles r USING (org_id) WHERE m.user_id = '$_[2]' AND r.name = '$_[3]' ON CONFLICT DO NOTHING" },
	sub { "INSERT INTO orgusers.membership_roles SELECT m.org_id, m.user_id, r.id FROM orgusers.memberships m JOIN orgusers.roles r USING (org_id) WHERE m.org_id = '$_[0]' AND r.name = '$_[3]' ON CONFLICT DO NOTHING" },
	sub { "INSERT INTO orgusers.group_members SELECT m.org_id, g.id, m.user_id FROM orgusers.memberships m JOIN orgusers.groups g USING (org_id) WHERE m.org_id = '$_[0]' AND m.user_id = '$_[2]' ON CONFLICT DO NOTHING" },
	sub { "INSERT INTO orgusers.group_roles SELECT g.org_id, g.id, r.id FROM orgusers.groups g JOIN orgusers.roles r USING (org_id) WHERE g.org_id = '$_[0]' AND r.name = '$_[3]' ON CONFLICT DO NOTHING" },
	sub { "DELETE FROM orgusers.memberships WHERE org_id = '$_[0]' AND user_id = '$_[2]'" },
	sub { "UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE org_id = '$_[0]' AND user_id = '$_[2]'" },
	sub { "UPDATE orgusers.memberships SET status = 'active', deactivated_at = NULL WHERE user_id = '$_[2]'" },
	sub { "DELETE FROM orgusers.membership_roles WHERE org_id = '$_[0]' AND user_id = '$_[2]'" },
	sub { "DELETE FROM orgusers.membership_roles WHERE user_id = '$_[2]'" },
	sub { "SET LOCAL session_replication_role = replica; DELETE FROM orgusers.membership_roles WHERE org_id = '$_[0]' AND user_id = '$_[2]'; SET LOCAL session_replication_role = origin" },
	sub { "DELETE FROM orgusers.membership_roles USING orgusers.roles r WHERE r.id = role_id AND r.org_id = membership_roles.org_id AND r.org_id = '$_[0]' AND r.name = '$_[3]' AND user_id <> '$root'" },
	sub { "DELETE FROM orgusers.group_members WHERE org_id = '$_[0]' AND user_id = '$_[2]'" },
	sub { "DELETE FROM orgusers.group_roles USING orgusers.roles r WHERE r.id = role_id AND r.org_id = group_roles.org_id AND r.org_id = '$_[0]' AND r.name = '$_[3]'" },
	sub { "DELETE FROM orgusers.memberships WHERE org_id = '$_[1]' AND user_id = '$_[2]'; DELETE FROM orgusers.membership_roles WHERE org_id = '$_[0]' AND user_id = '$_[2]'; DELETE FROM orgusers.group_members WHERE org_id = '$_[0]' AND user_id = '$_[2]'; UPDATE orgusers.memberships SET org_id = '$_[1]' WHERE org_id = '$_[0]' AND user_id = '$_[2]'" },
	sub { "UPDATE orgusers.roles SET template = '@{[any(qw(user reader writer))]}' WHERE org_id = '$_[0]' AND name = 'READER'" },
	sub { "INSERT INTO orgusers.role_template_permissions VALUES ('plans_and_groups', '@{[any(qw(user reader writer))]}', '@{[any(qw(docs.read docs.write docs.share))]}') ON CONFLICT DO NOTHING" },
	sub { "DELETE FROM orgusers.role_template_permissions WHERE template = '@{[any(qw(user reader writer))]}' AND permission = '@{[any(qw(docs.read docs.write docs.share))]}'" },
	sub { "DELETE FROM orgusers.permissions WHERE key = 'docs.share'" },
	sub { "INSERT INTO orgusers.permissions VALUES ('docs.share', 'Again.') ON CONFLICT DO NOTHING" },
	sub { "DELETE FROM orgusers.organizations WHERE id = '$_[0]'; CALL found('$_[0]')" },
	sub { "DELETE FROM orgusers.users WHERE id = '$_[2]'; INSERT INTO orgusers.users (id, email) VALUES ('$_[2]', '$_[2]\@example.org')" },
	sub { "SET LOCAL orgusers.user_id = '$root'; SELECT orgusers.set_user_roles('$_[0]', '$_[2]', '{USER,$_[3]}')" },
	sub { "SET LOCAL orgusers.user_id = '$root'; SELECT orgusers.deactivate_user('$_[0]', '$_[2]')" },
	sub { "SET LOCAL orgusers.user_id = '$root'; SELECT orgusers.reactivate_user('$_[0]', '$_[2]')" },
	sub { "SET LOCAL orgusers.user_id = '$root'; SELECT orgusers.set_user_groups('$_[0]', '$_[2]', '{one}')" },
	sub { "SET LOCAL orgusers.user_id = '$root'; SELECT orgusers.set_group_roles('$_[0]', 'one', '{$_[3]}')" });

# The first six give; as often as all others take.
push @changes, (@changes[ 0 .. 5 ]) x 3;

my @readers = map { { psql => WarmSession->new($node), level => undef } } 1 .. 4;
my $writer = WarmSession->new($node);
my $oracle = WarmSession->new($node);

my (%count, @wrong);
my $cases = 0;

# Compares a session's answers for a user with the reference of the one who looks, who sees what the session is to see.
sub compare
{
	my ($where, $session, $looker, $user, $own) = @_;
	my $fresh = !defined $session->{level} || $session->{level} eq 'READ COMMITTED';
	my $choice = any(0 .. 3);
	# Rows of an old snapshot are the same here: nobody changes them.
	my $got = $session->{psql}->must(($own ? 'SET LOCAL' : 'SET') . " orgusers.user_id = '$user'; $asks; $rows[$choice]" . ($fresh ? "; $roles" : ''));
	my $expected = $looker->must(reference($user) . '; ' . reference_rows($user) . ($fresh ? '; ' . reference_roles($user) : ''));
	$cases += @orgs * @permissions + @orgs + @permissions + 1 + ($fresh ? @orgs * 4 : 0);
	$count{looks}++;
	$count{true} += () = (split /\n/, $expected)[0] =~ /1/g;
	push @wrong, "$where, user $user, rows by way $choice:\n$got\ninstead of\n$expected" if $got ne $expected;
	return;
}

my $started = time;
my $pending = '';
while ($cases < $wanted && @wrong < 3)
{
	$count{transactions}++;
	# Readers are at any level, in transactions that last for several changes.
	for my $reader (@readers)
	{
		next if rand() > 0.15;
		$reader->{psql}->must('COMMIT') if $reader->{level};
		$reader->{level} = any(undef, 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE');
		$reader->{psql}->must("BEGIN ISOLATION LEVEL $reader->{level}; SELECT count(*) FROM docs") if $reader->{level};
	}

	my ($level, $how) = (any('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'), any(qw(COMMIT COMMIT COMMIT ROLLBACK PREPARE)));
	my @now = map { any(@changes)->(any(@orgs), any(@orgs), any(@users), any(qw(USER READER WRITER))) } 1 .. 1 + int(rand(4));
	$writer->must("RESET orgusers.user_id; BEGIN ISOLATION LEVEL $level");
	my $failed = 0;
	for (@now)
	{
		# What is refused is undone, and with it what the session keeps.
		my $savepoint = rand() < 0.3;
		$writer->must('SAVEPOINT s');
		my $answer = $writer->ask($_);
		if ($answer =~ /ERROR/ || $savepoint && rand() < 0.5)
		{
			$count{ $answer =~ /ERROR (\S+)/ ? "refused $1" : 'undone' }++;
			$writer->must('ROLLBACK TO s');
		}
		else
		{
			$count{changes}++;
		}
		# The session itself sees its own, at READ COMMITTED also through the reference.
		compare("own changes, $level, after $_", { psql => $writer, level => $level }, $writer, any(@users), 1) if rand() < 0.3;
	}
	# Others see nothing of it yet.
	my $reader = any(@readers);
	compare('before the end of [' . join('; ', @now) . ']', $reader, $oracle, any(@users)) if rand() < 0.5;
	if ($how eq 'PREPARE')
	{
		$writer->must("PREPARE TRANSACTION 'p'");
		$reader = any(@readers);
		compare('prepared [' . join('; ', @now) . ']', $reader, $oracle, any(@users));
		$how = any('COMMIT PREPARED', 'ROLLBACK PREPARED');
		$writer->must("$how 'p'");
	}
	else
	{
		$writer->must($how);
	}
	$count{$how}++;
	for my $session (@readers, { psql => $writer })
	{
		compare("after $how of [" . join('; ', @now) . '], session at ' . ($session->{level} || 'none'), $session, $oracle, any(@users));
	}
}
diag(sprintf('%d answers compared in %.0f s: %s', $cases, time - $started, join(', ', map { "$count{$_} $_" } sort keys %count)));
is(join("\n\n", @wrong), '', 'sessions answer as the reference does');
cmp_ok($count{true}, '>', $count{looks}, 'many answers were yes');
cmp_ok($count{changes}, '>', $count{transactions} / 2, 'most changes were made');
$_->quit for $writer, $oracle, map { $_->{psql} } @readers;
done_testing();
