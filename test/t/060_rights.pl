# What a session keeps of rights is never old: whatever takes a right away, in whatever way it is asked for.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WarmSession;

my ($ann, $bob, $cyd) = map { "00000000-0000-0000-0000-00000000000$_" } qw(a b c);
my ($org, $org2, $other_org) = map { "00000000-0000-0000-0000-0000000001$_" } qw(01 02 20);
my @levels = ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE');

my $node = PostgreSQL::Test::Cluster->new('rights');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', "fsync = off\nmax_prepared_transactions = 5\nautovacuum = off\njit = off\nmax_connections = 30");
$node->start;

# ann is USER in 5 of 20 organizations of bob, cyd by a group; each way of asking is a statement of its own.
my $fixture = qq{
CREATE EXTENSION orgusers;
SELECT orgusers.install_plans_and_groups();
SELECT orgusers.register_permission('docs.read', 'Read.');
INSERT INTO orgusers.role_templates (policy, id, name) VALUES ('plans_and_groups', 'powerless', 'POWERLESS');
INSERT INTO orgusers.role_template_permissions SELECT 'plans_and_groups', t, 'docs.read' FROM unnest('{admin,user}'::text[]) t;
SELECT orgusers.register_user((name || '\@example.org')::orgusers.email, id => id::uuid)
	FROM (VALUES ('ann', '$ann'), ('bob', '$bob'), ('cyd', '$cyd')) v (name, id);
CREATE FUNCTION org(n integer) RETURNS uuid IMMUTABLE RETURN ('00000000-0000-0000-0000-0000000001' || lpad(n::text, 2, '0'))::uuid;
DO \$\$ BEGIN
	PERFORM orgusers.act_as('$bob');
	FOR i IN 1 .. 20 LOOP PERFORM orgusers.create_organization('org', 'plans_and_groups', org(i)); END LOOP;
	PERFORM orgusers.create_group('$org', 'readers', '{USER}');
END \$\$;
INSERT INTO orgusers.memberships (org_id, user_id) SELECT org(i), '$ann' FROM generate_series(1, 5) i;
INSERT INTO orgusers.membership_roles SELECT org_id, '$ann', id FROM orgusers.roles JOIN orgusers.memberships USING (org_id)
	WHERE user_id = '$ann' AND template = 'user';
INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$org', '$cyd');
INSERT INTO orgusers.group_members SELECT org_id, id, '$cyd' FROM orgusers.groups;
};
my $asking = qq{
CREATE TABLE docs AS SELECT i AS id, org(i % 20 + 1) AS org_id FROM generate_series(1, 400) i;
CREATE TABLE scanned AS TABLE docs;
CREATE INDEX ON docs (org_id);
ANALYZE docs, scanned;
CREATE FUNCTION by_expression(org uuid, permission text) RETURNS boolean LANGUAGE plpgsql AS \$\$ BEGIN RETURN orgusers.can(org, permission); END \$\$;
CREATE FUNCTION by_query(org uuid, permission text) RETURNS boolean LANGUAGE plpgsql AS
	\$\$ DECLARE found boolean; BEGIN SELECT count(*) > 0 INTO found FROM docs WHERE orgusers.can(org_id, permission) AND org_id = org; RETURN found; END \$\$;
CREATE FUNCTION by_sql(org uuid, permission text) RETURNS boolean LANGUAGE sql SECURITY DEFINER AS \$\$ SELECT orgusers.can(org, permission) \$\$;
CREATE FUNCTION slowly(g integer) RETURNS boolean LANGUAGE plpgsql AS
	\$\$ BEGIN PERFORM pg_advisory_lock_shared(7), pg_advisory_unlock_shared(7) FROM (SELECT) s WHERE g = 2; RETURN true; END \$\$;
};
$node->safe_psql('postgres', $fixture . $asking);

my $open = qq{
SET orgusers.user_id = '$ann';
SET enable_seqscan = off; SET enable_bitmapscan = off;
SET plan_cache_mode = force_generic_plan;
PREPARE generic(uuid, text) AS SELECT orgusers.can(\$1, \$2);
PREPARE listed(uuid, text) AS SELECT count(*) > 0 FROM docs WHERE orgusers.can(org_id, \$2) AND org_id = \$1;
PREPARE custom(uuid) AS SELECT orgusers.can(\$1, 'docs.read')};
my @ways = (
	"SELECT orgusers.can('$org', 'docs.read')",
	"SELECT '$org' = ANY (orgusers.orgs_with('docs.read'))",
	"EXECUTE generic('$org', 'docs.read')",
	"EXECUTE listed('$org', 'docs.read')",
	"SET plan_cache_mode = force_custom_plan; EXECUTE custom('$org'); SET plan_cache_mode = force_generic_plan",
	"SELECT by_expression('$org', 'docs.read')",
	"SELECT by_query('$org', 'docs.read')",
	"SELECT by_sql('$org', 'docs.read')",
	"SELECT count(*) > 0 FROM docs WHERE orgusers.can(org_id, 'docs.read') AND org_id = '$org'",
	"SELECT count(*) > 0 FROM scanned WHERE orgusers.can(org_id, 'docs.read') AND org_id = '$org'");
my $every_way = join '; ', @ways;
sub all_ways { return join "\n", map { $_[0] } @ways }

my $writer = WarmSession->new($node);
my %session;
for my $level (@levels, 'none')
{
	$session{$level} = WarmSession->new($node);
	$session{$level}->must($open);
}

# Changes that take ann's right in the organization away, and give it back.
my $give_role = "INSERT INTO orgusers.membership_roles SELECT org_id, '$ann', id FROM orgusers.roles WHERE org_id = '$org' AND template = 'user'";
my $deactivate = "UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE (org_id, user_id) = ('$org', '$ann')";
my $activate = "UPDATE orgusers.memberships SET status = 'active', deactivated_at = NULL WHERE (org_id, user_id) = ('$org', '$ann')";
my $template = "INSERT INTO orgusers.role_template_permissions VALUES ('plans_and_groups', 'user', 'docs.read')";
my $all_templates = "INSERT INTO orgusers.role_template_permissions SELECT 'plans_and_groups', t, 'docs.read' FROM unnest('{admin,user}'::text[]) t";
my $take_role = "DELETE FROM orgusers.membership_roles WHERE (org_id, user_id) = ('$org', '$ann')";
my @changes = (
	[ 'a deactivation', $deactivate, $activate ],
	[ 'a role taken', $take_role, $give_role ],
	[ 'set_user_roles()', "SET orgusers.user_id = '$bob'; SELECT orgusers.set_user_roles('$org', '$ann', '{}')",
		"SELECT orgusers.set_user_roles('$org', '$ann', '{USER}')" ],
	[ 'MERGE', "MERGE INTO orgusers.membership_roles r USING (SELECT) s ON (org_id, user_id) = ('$org', '$ann') WHEN MATCHED THEN DELETE",
		$give_role . ' ON CONFLICT DO NOTHING' ],
	[ 'INSERT ON CONFLICT', "INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$org', '$ann') ON CONFLICT (org_id, user_id) DO UPDATE SET status = 'deactivated', deactivated_at = now()", $activate ],
	[ 'a membership deleted', "DELETE FROM orgusers.memberships WHERE (org_id, user_id) = ('$org', '$ann')",
		"INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$org', '$ann'); $give_role" ],
	[ 'a membership moved to another organization', "$take_role; UPDATE orgusers.memberships SET org_id = '$other_org' WHERE (org_id, user_id) = ('$org', '$ann')",
		"UPDATE orgusers.memberships SET org_id = '$org' WHERE (org_id, user_id) = ('$other_org', '$ann'); $give_role" ],
	[ 'a membership moved to another user', "$take_role; DELETE FROM orgusers.memberships WHERE (org_id, user_id) = ('$org', '$cyd'); UPDATE orgusers.memberships SET user_id = '$cyd' WHERE (org_id, user_id) = ('$org', '$ann')",
		"UPDATE orgusers.memberships SET user_id = '$ann' WHERE (org_id, user_id) = ('$org', '$cyd'); $give_role; INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$org', '$cyd'); INSERT INTO orgusers.group_members SELECT org_id, id, '$cyd' FROM orgusers.groups" ],
	[ 'TRUNCATE', "CREATE TEMP TABLE kept AS TABLE orgusers.role_template_permissions; TRUNCATE orgusers.role_template_permissions",
		"INSERT INTO orgusers.role_template_permissions TABLE kept; DROP TABLE kept", 1 ],
	[ 'session_replication_role = replica', "SET LOCAL session_replication_role = replica; $take_role", "SET LOCAL session_replication_role = replica; $give_role" ],
	[ 'a template changed', "DELETE FROM orgusers.role_template_permissions WHERE template = 'user' AND permission = 'docs.read'", $template ],
	[ 'a template\'s permission replaced', "INSERT INTO orgusers.permissions VALUES ('docs.other', 'Other.'); UPDATE orgusers.role_template_permissions SET permission = 'docs.other' WHERE template = 'user' AND permission = 'docs.read'",
		"DELETE FROM orgusers.permissions WHERE key = 'docs.other'; $template" ],
	[ 'a permission deleted', "DELETE FROM orgusers.permissions WHERE key = 'docs.read'", "INSERT INTO orgusers.permissions VALUES ('docs.read', 'Read.'); $all_templates" ],
	[ 'a role that becomes another template\'s', "UPDATE orgusers.roles SET template = 'powerless' WHERE org_id = '$org' AND template = 'user'",
		"UPDATE orgusers.roles SET template = 'user' WHERE org_id = '$org' AND name = 'USER'" ],
	[ 'a role deleted', "DELETE FROM orgusers.roles WHERE org_id = '$org' AND name = 'USER'",
		"INSERT INTO orgusers.roles (org_id, policy, template, name) VALUES ('$org', 'plans_and_groups', 'user', 'USER'); $give_role; INSERT INTO orgusers.group_roles SELECT g.org_id, g.id, r.id FROM orgusers.groups g, orgusers.roles r WHERE r.org_id = '$org' AND r.name = 'USER'" ]);

# Asks in sessions with a transaction open at each level and in one without, before and after a change and its undoing.
sub never_old
{
	my ($what, $take, $give, $locks) = @_;
	for my $level (@levels)
	{
		# TRUNCATE waits for who has read the table.
		$session{$level}->must("BEGIN ISOLATION LEVEL $level; SELECT count(*) FROM docs");
		$session{$level}->must('COMMIT; BEGIN; SELECT 1') if $locks;
	}
	my %answers;
	my $ask = sub {
		for my $level (@levels, 'none')
		{
			$answers{$level} .= $session{$level}->must($every_way) . "\n";
			# The loads have locked what they read.
			$session{$level}->must('COMMIT; BEGIN') if $locks && $level ne 'none';
		}
	};
	$ask->();
	$writer->must("BEGIN; $take");
	$writer->must('COMMIT');
	$ask->();
	$writer->must("BEGIN; $give");
	$writer->must('COMMIT');
	$ask->();
	my $expected = all_ways('t') . "\n" . all_ways('f') . "\n" . all_ways('t') . "\n";
	is($answers{$_}, $expected, "$what: $_") for @levels, 'none';
	# Nothing old was kept for later.
	for my $level (@levels)
	{
		$session{$level}->must('COMMIT');
		is($session{$level}->must($every_way), all_ways('t'), "$what: $level, after the transaction");
	}
	return;
}
never_old(@$_) for @changes;

# What else rights come from, and where they hold: with nothing beside it that would permit the same.
my $user_template = "UPDATE orgusers.role_templates SET all_spaces = %s WHERE id = 'user'";
my $read_scope = "UPDATE orgusers.permissions SET scope = '%s' WHERE key = 'docs.read'";
$writer->must(sprintf $user_template, 'false');
never_old('a permission becomes one of spaces', map { sprintf $read_scope, $_ } 'space', 'organization');
$writer->must(sprintf($user_template, 'true') . '; ' . sprintf($read_scope, 'space'));
never_old('a template no longer reaches all spaces', map { sprintf $user_template, $_ } 'false', 'true');
$writer->must("DELETE FROM orgusers.role_template_permissions WHERE template = 'user' AND permission = 'docs.read'");
for (
	[ 'a base permission', 'orgusers.base_permissions', "'plans_and_groups'" ],
	[ 'a single permission', 'orgusers.membership_permissions', "'$org', '$ann'" ])
{
	my ($what, $table, $whose) = @$_;
	$writer->must("INSERT INTO $table VALUES ($whose, 'docs.read')");
	never_old("$what is taken", "DELETE FROM $table", "INSERT INTO $table VALUES ($whose, 'docs.read')");
	never_old("$what is replaced", "UPDATE $table SET permission = 'organization.view'", "UPDATE $table SET permission = 'docs.read'");
	$writer->must("DELETE FROM $table");
}
$writer->must($template);
# The same where something else permits it: each with what sets it up, the question, changes that take and give, and what undoes it.
my ($space, $other_space) = map { "00000000-0000-0000-0000-00000000020$_" } 1, 2;
my ($account, $below) = map { "00000000-0000-0000-0000-00000000013$_" } 0, 1;
my $no_template = "DELETE FROM orgusers.role_template_permissions WHERE template = 'user' AND permission = 'docs.read'";
my $edit = "UPDATE orgusers.roles SET edited = %s WHERE org_id = '%s' AND template = 'user'";
my $new_below = "INSERT INTO orgusers.organizations (id, parent_id, name, policy) VALUES ('$below', '$account', 'below', 'plans_and_groups');
	INSERT INTO orgusers.subscriptions (org_id, plan, paid) VALUES ('$below', 'free', false) ON CONFLICT DO NOTHING";
my $in_account = "INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$account', '$ann');
	INSERT INTO orgusers.membership_roles SELECT org_id, '$ann', id FROM orgusers.roles WHERE org_id = '$account'";
my $by_group = "INSERT INTO orgusers.space_groups SELECT org_id, '$space', id FROM orgusers.groups WHERE name = 'assigned'";
my @further = (
	[ 'a single permission', "$no_template; INSERT INTO orgusers.membership_permissions VALUES ('$org', '$ann', 'docs.read')", $ways[0], [
			[ 'DELETE FROM orgusers.membership_permissions', "INSERT INTO orgusers.membership_permissions VALUES ('$org', '$ann', 'docs.read')" ],
			[ "UPDATE orgusers.membership_permissions SET permission = 'organization.view'", "UPDATE orgusers.membership_permissions SET permission = 'docs.read'" ] ],
		"DELETE FROM orgusers.membership_permissions; $template" ],
	[ 'a base permission', "$no_template; INSERT INTO orgusers.base_permissions VALUES ('plans_and_groups', 'docs.read')", $ways[0], [
			[ 'DELETE FROM orgusers.base_permissions', "INSERT INTO orgusers.base_permissions VALUES ('plans_and_groups', 'docs.read')" ],
			[ "UPDATE orgusers.base_permissions SET permission = 'organization.view'", "UPDATE orgusers.base_permissions SET permission = 'docs.read'" ] ],
		"DELETE FROM orgusers.base_permissions; $template" ],
	[ 'a role with permissions of its own', "INSERT INTO orgusers.role_permissions SELECT org_id, id, 'docs.read' FROM orgusers.roles WHERE org_id = '$org' AND template = 'user';
			UPDATE orgusers.role_templates SET editable = true WHERE id = 'user'; " . sprintf($edit, 'true', $org) . "; $no_template", $ways[0], [
			[ 'DELETE FROM orgusers.role_permissions', "INSERT INTO orgusers.role_permissions SELECT org_id, id, 'docs.read' FROM orgusers.roles WHERE org_id = '$org' AND template = 'user'" ],
			[ "UPDATE orgusers.role_permissions SET permission = 'organization.view'", "UPDATE orgusers.role_permissions SET permission = 'docs.read'" ],
			[ sprintf($edit, 'false', $org), sprintf($edit, 'true', $org) ] ],
		"DELETE FROM orgusers.role_permissions; " . sprintf($edit, 'false', $org) . "; UPDATE orgusers.role_templates SET editable = false; $template" ],
	[ 'a role in an account above', "INSERT INTO orgusers.organizations (id, name, policy) VALUES ('$account', 'account', 'plans_and_groups');
			INSERT INTO orgusers.subscriptions (org_id, plan, paid) VALUES ('$account', 'free', false) ON CONFLICT DO NOTHING;
			INSERT INTO orgusers.roles (org_id, policy, template, name) VALUES ('$account', 'plans_and_groups', 'user', 'USER');
			$new_below; $in_account; UPDATE orgusers.role_templates SET reaches_below = true WHERE id = 'user'; UPDATE orgusers.role_templates SET least_holders = 0", "SELECT orgusers.can('$below', 'docs.read')", [
			[ "DELETE FROM orgusers.memberships WHERE org_id = '$account'", $in_account ],
			[ "UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE org_id = '$account'", "UPDATE orgusers.memberships SET status = 'active', deactivated_at = NULL WHERE org_id = '$account'" ],
			[ "UPDATE orgusers.role_templates SET reaches_below = false WHERE id = 'user'", "UPDATE orgusers.role_templates SET reaches_below = true WHERE id = 'user'" ],
			[ "DELETE FROM orgusers.organizations WHERE id = '$below'", $new_below ] ],
		"UPDATE orgusers.role_templates SET least_holders = 1 WHERE id = 'admin'; UPDATE orgusers.role_templates SET reaches_below = false WHERE id = 'user'; DELETE FROM orgusers.organizations WHERE id = '$below'; DELETE FROM orgusers.organizations WHERE id = '$account'" ],
	[ 'a space', sprintf($user_template, 'false') . '; ' . sprintf($read_scope, 'space') . "; INSERT INTO orgusers.spaces VALUES ('$org', '$space', 'space'), ('$org', '$other_space', 'other');
			INSERT INTO orgusers.space_members VALUES ('$org', '$space', '$ann')", "SELECT orgusers.can('$org', '$space', 'docs.read')", [
			[ 'DELETE FROM orgusers.space_members', "INSERT INTO orgusers.space_members VALUES ('$org', '$space', '$ann')" ],
			[ "UPDATE orgusers.space_members SET space_id = '$other_space'", "UPDATE orgusers.space_members SET space_id = '$space'" ],
			[ "DELETE FROM orgusers.spaces WHERE id = '$space'", "INSERT INTO orgusers.spaces VALUES ('$org', '$space', 'space'); INSERT INTO orgusers.space_members VALUES ('$org', '$space', '$ann')" ] ],
		'DELETE FROM orgusers.spaces; ' . sprintf($user_template, 'true') . '; ' . sprintf($read_scope, 'organization') ],
	[ 'a space of a group', sprintf($user_template, 'false') . '; ' . sprintf($read_scope, 'space') . "; INSERT INTO orgusers.spaces VALUES ('$org', '$space', 'space'), ('$org', '$other_space', 'other');
			INSERT INTO orgusers.groups (org_id, name) VALUES ('$org', 'assigned'); INSERT INTO orgusers.group_members SELECT org_id, id, '$ann' FROM orgusers.groups WHERE name = 'assigned'; $by_group", "SELECT orgusers.can('$org', '$space', 'docs.read')", [
			[ 'DELETE FROM orgusers.space_groups', $by_group ],
			[ "UPDATE orgusers.space_groups SET space_id = '$other_space'", "UPDATE orgusers.space_groups SET space_id = '$space'" ],
			[ "DELETE FROM orgusers.spaces WHERE id = '$space'", "INSERT INTO orgusers.spaces VALUES ('$org', '$space', 'space'); $by_group" ] ],
		"DELETE FROM orgusers.groups WHERE name = 'assigned'; DELETE FROM orgusers.spaces; " . sprintf($user_template, 'true') . '; ' . sprintf($read_scope, 'organization') ]);

# Asks in sessions, one of them in a transaction all the while, after each change has come to their server.
sub further
{
	my ($where, $comes, @readers) = @_;
	my ($open, $none) = @readers;
	for (@further)
	{
		my ($what, $setup, $question, $changes, $undo) = @$_;
		$writer->must($setup);
		$comes->();
		for (@$changes)
		{
			my ($take, $give) = @$_;
			my $answers = $open->must("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM docs WHERE id < 0; $question") . ' ' . $none->must($question);
			for my $change ($take, $give)
			{
				$writer->must("BEGIN; $change");
				$writer->must('COMMIT');
				$comes->();
				$answers .= ' ' . $open->must($question) . ' ' . $none->must($question);
			}
			$answers .= ' ' . $open->must("COMMIT; $question");
			is($answers, "0\nt t f f t t t", "$where: $what: $take");
		}
		$writer->must($undo);
		$comes->();
	}
	return;
}
further('the same server', sub { }, $session{SERIALIZABLE}, $session{none});

# The same again, committed by what was prepared before; a rollback changes nothing.
$session{none}->must($every_way);
$writer->must("BEGIN; $take_role; PREPARE TRANSACTION 'taken'");
is($session{none}->must($every_way), all_ways('t'), 'PREPARE TRANSACTION changes nothing');
is($writer->must("SET orgusers.user_id = '$ann'; $ways[0]"), 't', 'nor in the session that prepared');
$session{'REPEATABLE READ'}->must("BEGIN ISOLATION LEVEL REPEATABLE READ; $every_way");
$writer->must("COMMIT PREPARED 'taken'");
is($session{$_}->must($every_way), all_ways('f'), "COMMIT PREPARED: $_") for 'none', 'REPEATABLE READ';
is($writer->must($ways[0]), 'f', 'COMMIT PREPARED: the session itself');
$session{'REPEATABLE READ'}->must('COMMIT');
$writer->must("BEGIN; $give_role; PREPARE TRANSACTION 'given'");
$writer->must("ROLLBACK PREPARED 'given'");
is($session{none}->must($every_way), all_ways('f'), 'ROLLBACK PREPARED');
$writer->must($give_role);

# A group's roles, and who is in it.
my $group = WarmSession->new($node);
$group->must($open . "; SET orgusers.user_id = '$cyd'");
for (
	[ 'a user leaves a group', "DELETE FROM orgusers.group_members WHERE user_id = '$cyd'", "INSERT INTO orgusers.group_members SELECT org_id, id, '$cyd' FROM orgusers.groups" ],
	[ 'a group loses a role', 'DELETE FROM orgusers.group_roles', "INSERT INTO orgusers.group_roles SELECT g.org_id, g.id, r.id FROM orgusers.groups g, orgusers.roles r WHERE r.org_id = '$org' AND r.name = 'USER'" ],
	[ 'a group is deleted', 'DELETE FROM orgusers.groups', "INSERT INTO orgusers.groups (org_id, name) VALUES ('$org', 'readers'); INSERT INTO orgusers.group_members SELECT org_id, id, '$cyd' FROM orgusers.groups; INSERT INTO orgusers.group_roles SELECT g.org_id, g.id, r.id FROM orgusers.groups g, orgusers.roles r WHERE r.org_id = '$org' AND r.name = 'USER'" ])
{
	my ($what, $take, $give) = @$_;
	my $answers = $group->must("BEGIN ISOLATION LEVEL REPEATABLE READ; $ways[0]");
	$writer->must($take);
	$answers .= $group->must($ways[0]);
	$writer->must($give);
	$answers .= $group->must("$ways[0]; COMMIT");
	is($answers, 'tft', $what);
}
$writer->must("UPDATE orgusers.roles SET name = 'RENAMED' WHERE org_id = '$org' AND template = 'user'");
is($group->must($every_way), all_ways('t'), 'a renamed role permits what it did');
$writer->must("UPDATE orgusers.roles SET name = 'USER' WHERE org_id = '$org' AND template = 'user'");

# A session's own changes: at once, and gone with the savepoint or the transaction.
my $own = WarmSession->new($node);
$own->must("$open; $every_way");
is($own->must("BEGIN; $take_role; $every_way"), all_ways('f'), 'an own change is there at once');
is($own->must("ROLLBACK; $every_way"), all_ways('t'), 'and gone with the transaction');
is($own->must("BEGIN; SAVEPOINT s; $take_role; $every_way; ROLLBACK TO s; $every_way; $take_role; RELEASE s; $every_way; COMMIT; $every_way"),
	join("\n", all_ways('f'), all_ways('t'), all_ways('f'), all_ways('f')), 'savepoints');
is($own->must("BEGIN; SAVEPOINT s; $give_role; $every_way; ROLLBACK TO s; $every_way; COMMIT; $every_way"),
	join("\n", all_ways('t'), all_ways('f'), all_ways('f')), 'a right that was given and rolled back');
$own->must($give_role);
is($own->must("DO \$\$ BEGIN
	DELETE FROM orgusers.membership_roles WHERE (org_id, user_id) = ('$org', '$ann');
	ASSERT NOT orgusers.can('$org', 'docs.read');
	RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
	ASSERT orgusers.can('$org', 'docs.read');
END \$\$; SELECT 'asserted'"), 'asserted', 'an exception in PL/pgSQL');

# Expressions of PL/pgSQL live longer than one value of a variable, and than one call.
is($own->must("DO \$\$
DECLARE permission text; seen text := '';
BEGIN
	FOREACH permission IN ARRAY '{docs.read,unknown.key,users.invite,docs.read,organization.view,docs.read}'::text[] LOOP
		seen := seen || orgusers.can('$org', permission)::int || orgusers.can('$other_org', permission)::int || cardinality(orgusers.orgs_with(permission));
	END LOOP;
	PERFORM set_config('test.seen', seen, false);
END \$\$; SHOW test.seen"), '105' . '000' . '000' . '105' . '105' . '105', 'a loop over permissions');
is($own->must(join '; ', map { "SELECT by_expression('$org', '$_')" } qw(docs.read unknown.key docs.read users.invite)), "t\nf\nt\nf", 'calls with one permission after another');
is($own->must("SELECT string_agg(by_expression('$org', p)::text, ' ') FROM unnest('{docs.read,users.invite,docs.read}'::text[]) p"), 'true false true', 'calls within one statement');

# The identity within a transaction, and between FETCHes.
my $switch = WarmSession->new($node);
$switch->must('SET enable_seqscan = off; SET enable_bitmapscan = off');
is($switch->must("BEGIN; SELECT orgusers.act_as('$ann'); SELECT orgusers.can('$org', 'users.invite'); SELECT orgusers.act_as('$bob');
	SELECT orgusers.can('$org', 'users.invite'); SELECT orgusers.sign_out(); SELECT orgusers.can('$org', 'users.invite');
	SELECT orgusers.act_as('$ann'); COMMIT; SELECT orgusers.can('$org', 'docs.read')"), "\nf\n\nt\n\nf\n\nf", 'who acts changes within a transaction');
my %cursors = (
	index => "SET LOCAL enable_seqscan = off; DECLARE c CURSOR FOR SELECT true FROM docs WHERE orgusers.can(org_id, 'docs.read')",
	filter => "SET LOCAL enable_indexscan = off; DECLARE c CURSOR FOR SELECT true FROM docs WHERE orgusers.can(org_id, 'docs.read')",
	sort => "SET LOCAL enable_indexscan = off; DECLARE c CURSOR FOR SELECT true FROM docs WHERE orgusers.can(org_id, 'docs.read') ORDER BY id",
	member => "DECLARE c CURSOR FOR SELECT true FROM docs WHERE orgusers.is_member(org_id) ORDER BY id");
for my $path (sort keys %cursors)
{
	for my $level (@levels)
	{
		my $begin = "BEGIN ISOLATION LEVEL $level; SET LOCAL orgusers.user_id = '$ann'; $cursors{$path}; FETCH c";
		is($switch->must($begin), 't', "cursor, $path, $level: opens");
		$writer->must("INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$org2', '$cyd')");
		$writer->must("DELETE FROM orgusers.memberships WHERE (org_id, user_id) = ('$org2', '$cyd')");
		is($switch->must('FETCH c'), 't', "cursor, $path, $level: goes on when others change");
		$writer->must("INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$other_org', '$ann'); INSERT INTO orgusers.membership_roles SELECT org_id, '$ann', id FROM orgusers.roles WHERE org_id = '$other_org' AND template = 'user'");
		is($switch->must('FETCH c'), 't', "cursor, $path, $level: goes on when rights grow");
		$switch->must('ROLLBACK');
		$writer->must("DELETE FROM orgusers.memberships WHERE org_id = '$other_org' AND user_id = '$ann'");
		$switch->must($begin);
		$writer->must($deactivate);
		is($switch->ask('FETCH c'), 'ERROR OU010', "cursor, $path, $level: ends when a right is lost");
		$writer->must($activate);
		$switch->must('ROLLBACK');
		is($switch->ask("$begin; SELECT orgusers.act_as('$bob'); FETCH c"), "t\n\nERROR OU010", "cursor, $path, $level: ends when somebody else acts");
		is($switch->ask("ROLLBACK; $begin; SELECT orgusers.sign_out(); FETCH c"), "t\n\nERROR OU010", "cursor, $path, $level: ends when nobody acts");
		is($switch->must("ROLLBACK; $begin; SELECT orgusers.sign_out(); CLOSE c; COMMIT"), "t\n", "cursor, $path, $level: can be closed");
	}
}

# One statement, one state: the right goes while the statement waits at its second row.
my $gate = WarmSession->new($node);
sub meanwhile
{
	my ($what, $sql, $expected, $after) = @_;
	my $reader = WarmSession->new($node);
	$reader->must("SET orgusers.user_id = '$ann'; SELECT orgusers.can('$org', 'docs.read')");
	$gate->must('SELECT pg_advisory_lock(7)');
	$reader->send($sql);
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'advisory'") or BAIL_OUT('the reader does not wait');
	$writer->must($deactivate);
	$gate->must('SELECT pg_advisory_unlock(7)');
	is($reader->answer, $expected, "one statement, one state: $what");
	is($reader->must("$ways[0]; SELECT orgusers.is_member('$org')"), "f\nf", "$what: the next has another");
	$writer->must($activate);
	$reader->quit;
	return;
}
meanwhile('can()', "SELECT orgusers.can('$org', 'docs.read') FROM generate_series(1, 3) g WHERE slowly(g)", "t\nt\nt");
meanwhile('is_member()', "SELECT orgusers.is_member('$org') FROM generate_series(1, 3) g WHERE slowly(g)", "t\nt\nt");
meanwhile('orgs_with()', "SELECT cardinality(orgusers.orgs_with('docs.read')) FROM generate_series(1, 3) g WHERE slowly(g)", "5\n5\n5");
meanwhile('several questions', "SELECT CASE WHEN g < 3 THEN orgusers.can('$org', 'docs.read') ELSE orgusers.is_member('$org') AND '$org' = ANY (orgusers.orgs_with('docs.read')) END FROM generate_series(1, 3) g WHERE slowly(g)", "t\nt\nt");
meanwhile('an UPDATE in WITH that nobody reads', "WITH u AS (UPDATE docs SET id = id WHERE org_id = '$org' AND slowly(2) AND orgusers.can(org_id, 'docs.read') AND slowly(1) RETURNING id) SELECT orgusers.can('$org', 'docs.read')", 't');
$node->safe_psql('postgres', 'CREATE TABLE notes AS SELECT g, NULL::boolean AS allowed FROM generate_series(1, 3) g');
meanwhile('what ExecutorFinish does', "WITH u AS (UPDATE notes SET allowed = orgusers.can('$org', 'docs.read') WHERE slowly(g) RETURNING g) SELECT 1; SELECT allowed FROM notes ORDER BY g", "1\nt\nt\nt");

# A row that somebody else has changed is looked at again, with the statement's rights.
{
	my $reader = WarmSession->new($node);
	$reader->must("SET orgusers.user_id = '$ann'");
	$gate->must("BEGIN; UPDATE notes SET allowed = NULL; UPDATE notes SET g = g WHERE g = 3");
	$reader->send("UPDATE notes SET allowed = true WHERE orgusers.can(CASE WHEN g > 0 THEN '$org'::uuid END, 'docs.read') RETURNING g");
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'") or BAIL_OUT('the reader does not wait');
	$writer->must($deactivate);
	$gate->must('COMMIT');
	is($reader->answer, "1\n2\n3", 'one statement, one state: rows looked at again');
	is($reader->must('UPDATE notes SET allowed = true WHERE orgusers.can(CASE WHEN g > 0 THEN ' . "'$org'::uuid END, 'docs.read') RETURNING g"), '', 'rows looked at again: the next has another state');
	$writer->must($activate);
	$reader->quit;
}

# Parallel workers load rights for themselves: none older than the statement's.
{
	my $reader = WarmSession->new($node);
	my $parallel = 'SELECT count(*) FROM scanned WHERE ' . "orgusers.can(org_id, 'docs.read') AND org_id = '$org'";
	$reader->must("SET orgusers.user_id = '$ann'; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
		SET max_parallel_workers_per_gather = 2; SET parallel_leader_participation = off");
	like($reader->must("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) $parallel"), qr/Workers Launched: [12]/, 'parallel workers ask');
	my $answers = '';
	for (1 .. 10)
	{
		$writer->must($take_role);
		$answers .= $reader->must($parallel) . ' ';
		$writer->must($give_role);
		$answers .= $reader->must($parallel) . ' ';
	}
	is($answers, '0 20 ' x 10, 'parallel workers have the rights of now');
	# while rights come and go
	$writer->send("DO \$\$ BEGIN FOR i IN 1 .. 300 LOOP $take_role; COMMIT; PERFORM pg_sleep(0.001); $give_role; COMMIT; END LOOP; END \$\$");
	my %seen;
	$seen{ $reader->must($parallel) }++ for 1 .. 60;
	$writer->answer;
	cmp_ok((grep { $_ >= 0 && $_ <= 20 } keys %seen), '==', keys %seen, 'and no error while they change');
	is($reader->must($parallel), 20, 'nor an old state after that');
	$reader->quit;
}

# Loads that are broken off, anywhere on the way, leave nothing: no rights in part, no memory, no lock.
{
	my $many = '00000000-0000-0000-0000-00000000000d';
	my $orgs = 30000;
	$node->safe_psql('postgres', "SET session_replication_role = replica;
		INSERT INTO orgusers.users (id, email) VALUES ('$many', 'dee\@example.org');
		CREATE FUNCTION many(n integer) RETURNS uuid IMMUTABLE RETURN ('00000000-0000-0000-0001-' || lpad(n::text, 12, '0'))::uuid;
		INSERT INTO orgusers.organizations (id, root_id, name, policy) SELECT many(i), many(i), 'many', 'plans_and_groups' FROM generate_series(1, $orgs) i;
		INSERT INTO orgusers.roles (org_id, id, policy, template, name, holds_seat) SELECT many(i), many(i), 'plans_and_groups', 'user', 'USER', true FROM generate_series(1, $orgs) i;
		INSERT INTO orgusers.memberships (org_id, user_id) SELECT many(i), '$many' FROM generate_series(1, $orgs) i;
		INSERT INTO orgusers.membership_roles SELECT many(i), '$many', many(i) FROM generate_series(1, $orgs) i; ANALYZE orgusers.memberships");
	my $reader = WarmSession->new($node);
	my $question = "SELECT orgusers.can(many($orgs), 'docs.read')";
	my $memory = "SELECT sum(used_bytes), count(*) FROM pg_backend_memory_contexts WHERE name LIKE 'orgusers%'";
	my $clean = sub {
		my ($what) = @_;
		my ($bytes, $contexts) = split /\|/, $reader->must($memory);
		is($reader->must("SELECT entries FROM orgusers.cache_stats(); SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation::regclass::text LIKE 'orgusers.%';
			SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'orgusers reading'"), "1\n0\n0", "$what: nothing is left of a load");
		return $bytes;
	};
	$reader->must("SET orgusers.cache_size = '64MB'; SET orgusers.user_id = '$ann'; $ways[0]; SET orgusers.user_id = '$many'");
	my $before = $clean->('before');
	my $canceled = 0;
	for my $ms (1 .. 12)
	{
		my $answer = $reader->ask("SET statement_timeout = $ms; $question");
		$reader->must('RESET statement_timeout');
		if ($answer eq 't')
		{
			# Loaded: away with it.
			$reader->must("SET orgusers.cache_size = '64kB'; SET orgusers.user_id = '$ann'; $ways[0]; SET orgusers.cache_size = '64MB'; SET orgusers.user_id = '$many'");
			next;
		}
		$canceled++ if $answer eq 'ERROR 57014';
		cmp_ok($clean->("after $ms ms"), '<=', $before + 4096, "after $ms ms: and its memory is free");
	}
	cmp_ok($canceled, '>', 0, 'loads were canceled');
	is($reader->must("$question; SELECT cardinality(orgusers.orgs_with('docs.read'))"), "t\n$orgs", 'a load that is not canceled is whole');

	# Memory that the system denies.
	SKIP:
	{
		skip 'prlimit, of util-linux, is not installed', 1 if system('prlimit --version >/dev/null 2>&1') != 0;
		skip 'a sanitizer ends the process when memory is denied', 1 if ($ENV{COPT} // '') =~ /-fsanitize/;
		$reader->quit;
		my %denied;
		# From anywhere on the way to the very last piece of memory that a load needs.
		my ($too_little, $enough) = (0, 32768);
		for my $room (0, 512, 1024, 2048, 4096, $enough, map { undef } 1 .. 10)
		{
			$room //= int(($too_little + $enough) / 2);
			$reader = WarmSession->new($node);
			$reader->must("SET orgusers.cache_size = '64MB'; SET orgusers.user_id = '$ann'; $ways[0]; SET orgusers.user_id = '$many'; PREPARE q AS $question; SELECT many(1)");
			$before = $clean->("$room kB");
			my $pid = $reader->must('SELECT pg_backend_pid()');
			my ($size) = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/status") =~ /^VmSize:\s+(\d+) kB/m;
			system('prlimit', '--pid', $pid, '--as=' . ($size + $room) * 1024 . ':unlimited') == 0 or BAIL_OUT('prlimit fails');
			my $answer = $reader->ask('EXECUTE q');
			system('prlimit', '--pid', $pid, '--as=unlimited:unlimited') == 0 or BAIL_OUT('prlimit fails');
			$denied{$answer}++;
			$too_little = $room if $answer eq 'ERROR 53200';
			$enough = $room if $answer eq 't';
			cmp_ok($clean->("$room kB"), '<=', $before + 4096, "$room kB: and its memory is free") if $answer eq 'ERROR 53200';
			is($reader->must("EXECUTE q; SELECT cardinality(orgusers.orgs_with('docs.read'))"), "t\n$orgs", "$room kB: a load with more memory is whole");
			$reader->quit;
		}
		cmp_ok($denied{$_} // 0, '>', 1, "loads with little memory: $_") for 'ERROR 53200', 't';
		is(join(' ', grep { $_ ne 't' && $_ ne 'ERROR 53200' } keys %denied), '', 'and failed in no other way');
	}
}

# Tables and indexes that are made anew under sessions that know them.
{
	my ($reader, $by_role) = (WarmSession->new($node), WarmSession->new($node));
	my $holds = "SELECT orgusers.has_role('$org', 'USER')";
	$_->must("SET orgusers.user_id = '$ann'; $holds") for $reader, $by_role;
	for my $ddl (
		'REINDEX INDEX CONCURRENTLY orgusers.memberships_user_id_org_id_idx',
		'REINDEX TABLE orgusers.membership_roles',
		'REINDEX TABLE CONCURRENTLY orgusers.membership_roles',
		'DROP INDEX orgusers.group_members_user_id_org_id_idx; CREATE INDEX group_members_user_id_org_id_idx ON orgusers.group_members (user_id, org_id, group_id)',
		'VACUUM FULL orgusers.roles',
		'ALTER TABLE orgusers.memberships ADD COLUMN extra text',
		'ALTER TABLE orgusers.memberships DROP COLUMN extra')
	{
		my $answers = $reader->must("BEGIN; $ways[0]; COMMIT");
		$writer->must($ddl);
		$writer->must($take_role);
		$answers .= $reader->must($ways[0]) . $by_role->must($holds);
		$writer->must($give_role);
		$answers .= $reader->must($ways[0]) . $by_role->must($holds);
		is($answers, 'tfftt', $ddl);
	}
	$writer->must('DROP INDEX orgusers.membership_roles_user_id_org_id_idx');
	is($by_role->ask($holds), 'ERROR 42P01', 'without its index, a question fails');
	$writer->must('CREATE INDEX membership_roles_user_id_org_id_idx ON orgusers.membership_roles (user_id, org_id, role_id)');
	is($by_role->must($holds), 't', 'and with it, is answered');
	$_->quit for $reader, $by_role;
}

# Messages that a sleeping session has missed stand for a change of everything.
$session{none}->must($every_way);
$session{'REPEATABLE READ'}->must("BEGIN ISOLATION LEVEL REPEATABLE READ; $every_way");
$writer->must($take_role);
$writer->must('DO $$ BEGIN FOR i IN 1 .. 1500 LOOP CREATE TEMP TABLE churn (x integer); DROP TABLE churn; COMMIT; END LOOP; END $$');
is($session{$_}->must($every_way), all_ways('f'), "after more messages than are kept: $_") for 'none', 'REPEATABLE READ';
$session{'REPEATABLE READ'}->must('COMMIT');
$writer->must($give_role);

# Standby: rights go when the commit is replayed, in a session that was there before.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
# Replay is not to wait for the reader.
$standby->append_conf('postgresql.conf', 'hot_standby_feedback = on');
$standby->start;
{
	my $reader = WarmSession->new($standby);
	my $in_transaction = WarmSession->new($standby);
	$_->must("$open; $every_way") for $reader, $in_transaction;
	for my $change (@changes)
	{
		my ($what, $take, $give, $locks) = @$change;
		next if $locks;	# would wait for the open transaction
		$node->wait_for_catchup($standby, 'replay', $node->lsn('write'));
		is($in_transaction->must("BEGIN ISOLATION LEVEL REPEATABLE READ; $every_way"), all_ways('t'), "standby: before $what");
		$writer->must("BEGIN; $take");
		$writer->must('COMMIT');
		$node->wait_for_catchup($standby, 'replay', $node->lsn('write'));
		my $answers = $reader->must($every_way) . "\n" . $in_transaction->must($every_way);
		is($answers, all_ways('f') . "\n" . all_ways('f'), "standby: $what");
		is($in_transaction->must("COMMIT; $every_way"), all_ways('f'), "standby: $what, after the transaction");
		$writer->must("BEGIN; $give");
		$writer->must('COMMIT');
	}
	$writer->must("BEGIN; $take_role; PREPARE TRANSACTION 'taken'");
	$writer->must("COMMIT PREPARED 'taken'");
	$node->wait_for_catchup($standby, 'replay', $node->lsn('write'));
	is($reader->must($every_way), all_ways('f'), 'standby: COMMIT PREPARED');
	$writer->must($give_role);
	further('standby', sub { $node->wait_for_catchup($standby, 'replay', $node->lsn('write')) }, $in_transaction, $reader);
	$_->quit for $reader, $in_transaction;
	$standby->stop;
}

# Logical replication: what a subscriber applies reaches the sessions there.
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init(allows_streaming => 'logical');
$subscriber->append_conf('postgresql.conf', "fsync = off");
$subscriber->start;
{
	my @tables = map { "orgusers.$_" } qw(users plans permissions policies role_templates role_template_permissions role_template_grants
		base_permissions organizations memberships roles role_permissions membership_roles membership_permissions groups group_members group_roles
		spaces space_members space_groups);
	$subscriber->safe_psql('postgres', 'CREATE EXTENSION orgusers;
		CREATE FUNCTION org(n integer) RETURNS uuid IMMUTABLE RETURN (\'00000000-0000-0000-0000-0000000001\' || lpad(n::text, 2, \'0\'))::uuid;' . $asking);
	$node->safe_psql('postgres', 'CREATE PUBLICATION p FOR TABLE ' . join ', ', @tables);
	$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION s CONNECTION '" . $node->connstr . " dbname=postgres' PUBLICATION p");
	$subscriber->wait_for_subscription_sync($node, 's');
	my $reader = WarmSession->new($subscriber);
	$reader->must($open);
	$reader->must("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
	is($reader->must($every_way), all_ways('t'), 'subscriber: as on the publisher');
	for my $change (@changes)
	{
		my ($what, $take, $give, $locks) = @$change;
		next if $locks;
		$writer->must("BEGIN; $take");
		$writer->must('COMMIT');
		$node->wait_for_catchup('s');
		is($reader->must($every_way), all_ways('f'), "subscriber: $what");
		$writer->must("BEGIN; $give");
		$writer->must('COMMIT');
		$node->wait_for_catchup('s');
		is($reader->must($every_way), all_ways('t'), "subscriber: undone: $what");
	}
	$reader->must('COMMIT');
	$reader->must($every_way);
	$writer->must("CREATE TEMP TABLE kept AS TABLE orgusers.role_template_permissions; TRUNCATE orgusers.role_template_permissions");
	$node->wait_for_catchup('s');
	is($reader->must($every_way), all_ways('f'), 'subscriber: TRUNCATE');
	$writer->must('INSERT INTO orgusers.role_template_permissions TABLE kept; DROP TABLE kept');
	my $in_transaction = WarmSession->new($subscriber);
	$in_transaction->must($open);
	further('subscriber', sub { $node->wait_for_catchup('s') }, $in_transaction, $reader);
	$_->quit for $reader, $in_transaction;
	$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION s');
	$subscriber->stop;
}
$node->safe_psql('postgres', 'DROP PUBLICATION p');

# Organizations and users deleted.
is($session{none}->must($every_way), all_ways('t'), 'before deletions');
$session{SERIALIZABLE}->must("BEGIN ISOLATION LEVEL SERIALIZABLE; $every_way");
$writer->must("DELETE FROM orgusers.organizations WHERE id = '$org'");
is($session{$_}->must($every_way), all_ways('f'), "an organization is deleted: $_") for 'none', 'SERIALIZABLE';
is($session{none}->must("SELECT orgusers.can('$org2', 'docs.read')"), 't', 'the other organizations stay');
$writer->must("DELETE FROM orgusers.users WHERE id = '$ann'");
is($session{$_}->must("SELECT orgusers.can('$org2', 'docs.read'), cardinality(orgusers.orgs_with('docs.read'))"), 'f|0', "a user is deleted: $_") for 'none', 'SERIALIZABLE';
$session{SERIALIZABLE}->must('COMMIT');

# The extension itself dropped and created again, in sessions that know its old relations.
my $survivor = WarmSession->new($node);
$survivor->must("SET orgusers.user_id = '$cyd'; SELECT orgusers.can('$org2', 'docs.read')");
$node->safe_psql('postgres', 'DROP EXTENSION orgusers CASCADE; DROP TABLE docs, scanned; DROP FUNCTION org, by_expression, by_query, by_sql, slowly; ' . $fixture . $asking);
is($survivor->must("SELECT orgusers.can('$org', 'docs.read')"), 't', 'a new extension is found');
$writer->must("DELETE FROM orgusers.group_roles");
is($survivor->must("SELECT orgusers.can('$org', 'docs.read')"), 'f', 'and its changes noticed');
is($survivor->must("BEGIN; DROP EXTENSION orgusers CASCADE; ROLLBACK; SELECT orgusers.can('$org', 'docs.read')"), 'f', 'after a drop that is rolled back');

$_->quit for values %session, $writer, $group, $own, $switch, $gate, $survivor;
done_testing();
