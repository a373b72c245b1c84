# A dump keeps everything, and what is restored from it is as well guarded as before and sends nothing again.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $key = '2Dl7oW4h0VTqD8VdH6GC0Xe0gS0K3mDOUQm8o5mS0Eg=';
my @users = map { sprintf('00000000-0000-0000-0000-0000000000%02x', $_) } 0 .. 15;
my ($free, $paid, $tree, $branch) = map { "00000000-0000-0000-0000-00000000000$_" } 'a', 'b', 'e', 'd';

my $node = PostgreSQL::Test::Cluster->new('here');
$node->init;
$node->start;
my $other = PostgreSQL::Test::Cluster->new('there');
$other->init;
$other->start;
my $roles = 'CREATE ROLE app; CREATE ROLE app_server; CREATE ROLE mailer; CREATE ROLE owner_of_notes;';
$_->safe_psql('postgres', $roles) for $node, $other;

# Everything that an installation can have.  The organizations are updated in various orders, so that no two
# tables have them in the same one.
$node->safe_psql('postgres', 'CREATE DATABASE source');
my $token = $node->safe_psql(
	'source', qq{
SET client_min_messages = warning;
CREATE EXTENSION orgusers;
SELECT orgusers.install_plans_and_groups();
SELECT orgusers.add_mailer_key('$key');
SELECT orgusers.register_permission('docs.read', 'Read documents');
INSERT INTO orgusers.role_template_permissions VALUES ('plans_and_groups', 'user', 'docs.read');
INSERT INTO orgusers.role_templates (policy, id, name, all_spaces, most_spaces) VALUES ('plans_and_groups', 'visitor', 'VISITOR', false, 1);
INSERT INTO orgusers.role_template_grants VALUES ('plans_and_groups', 'admin', 'visitor');
UPDATE orgusers.mail_templates SET subject = 'Edited' WHERE kind = 'user_removed' AND locale = 'en';
SELECT orgusers.add_assertion_key('secret', 'HS256', 'not so secret, but 32 bytes long', 'app');
SELECT orgusers.add_assertion_key('public', 'EdDSA', decode(repeat('d7', 32), 'hex'), 'app');
SELECT orgusers.grant_to('app', 'application');
SELECT orgusers.grant_to('app_server', 'server');
SELECT orgusers.grant_to('mailer', 'mailer');
SELECT orgusers.register_user(('user' || n || '\@example.org')::orgusers.email, 'User ' || n, ('{@{[join ',', @users]}}'::uuid[])[n + 1], n % 2 = 0, 'de-AT')
	FROM generate_series(0, 15) n;

INSERT INTO orgusers.plans (id, title, paid, seat_price, currency, billing_period) VALUES ('billed', 'Billed', true, 12.50, 'EUR', 'month');
SELECT orgusers.act_as('$users[0]', true);
SELECT orgusers.create_organization('Free', 'plans_and_groups', '$free');
SELECT orgusers.create_organization('Paid', 'plans_and_groups', '$paid', 'Europe/Vienna');
SELECT orgusers.set_plan('$paid', 'paid', '$users[0]');
INSERT INTO orgusers.memberships (org_id, user_id, invited_by) SELECT '$paid', u, '$users[0]' FROM unnest('{@{[join ',', @users[1 .. 10]]}}'::uuid[]) u;
INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$free', '$users[1]'), ('$free', '$users[2]');
SELECT orgusers.set_user_roles('$paid', u, '{USER}') FROM unnest('{@{[join ',', @users[1 .. 10]]}}'::uuid[]) u;
SELECT orgusers.set_user_roles('$paid', '$users[5]', '{ADMIN,USER}');
SELECT orgusers.deactivate_user('$paid', '$users[10]');
SELECT orgusers.set_billing_admin('$paid', '$users[5]');
SELECT orgusers.set_billing_cc('$paid', '{books\@example.org,accounts\@example.org}');
SELECT orgusers.create_group('$paid', 'ops', '{USER}'), orgusers.create_group('$free', 'ops', '{}');
SELECT orgusers.set_user_groups('$paid', '$users[3]', '{ops}');
SELECT orgusers.switch_organization('$paid');
SELECT orgusers.create_space('$paid', 'room'), orgusers.set_user_spaces('$paid', '$users[4]', '{room}'), orgusers.set_group_spaces('$paid', 'ops', '{room}');
SELECT orgusers.create_space('$paid', 'further'), orgusers.set_user_spaces('$paid', '$users[3]', '{room}');
INSERT INTO orgusers.membership_roles (org_id, user_id, role_id) SELECT org_id, u, id FROM orgusers.roles, unnest('{$users[3],$users[4]}'::uuid[]) u WHERE org_id = '$paid' AND template = 'visitor';
SELECT orgusers.set_user_permissions('$paid', '$users[4]', '{users.view}');
UPDATE orgusers.subscriptions SET since = since - interval '3 days';
UPDATE orgusers.subscriptions SET plan = 'billed', since = since + interval '1 day' WHERE org_id = '$paid';
INSERT INTO orgusers.role_templates (policy, id, name, holds_seat) VALUES ('plans_and_groups', 'guest', 'GUEST', false);
INSERT INTO orgusers.role_template_grants VALUES ('plans_and_groups', 'admin', 'guest');
INSERT INTO orgusers.roles (org_id, policy, template, name) VALUES ('$paid', 'plans_and_groups', 'guest', 'GUEST'), ('$free', 'plans_and_groups', 'guest', 'GUEST');
SELECT orgusers.set_user_roles('$paid', '$users[7]', '{GUEST}');
SELECT orgusers.set_external_id('$paid', 'K-4711'), orgusers.record_activity('$paid'), orgusers.new_areas('$paid');
INSERT INTO orgusers.welcomed VALUES ('$users[0]', 'plans_and_groups');
INSERT INTO orgusers.base_permissions VALUES ('plans_and_groups', 'organization.view');
SELECT orgusers.remove_user('$paid', '$users[9]');
UPDATE orgusers.policies SET daily_invitations = 50;
INSERT INTO orgusers.policies SELECT (jsonb_populate_record(p, '{"id": "tree", "unique_in_tree": true}')).* FROM orgusers.policies p;
INSERT INTO orgusers.role_templates (policy, id, name, founder, least_holders, reaches_below) VALUES ('tree', 'admin', 'ADMIN', true, 1, true);
INSERT INTO orgusers.role_templates (policy, id, name, by_default, editable) VALUES ('tree', 'staff', 'STAFF', true, true);
INSERT INTO orgusers.role_template_permissions SELECT 'tree', 'admin', k FROM unnest('{organization.view,users.view,users.invite,roles.manage,roles.assign,subaccounts.manage,docs.read}'::text[]) k;
INSERT INTO orgusers.role_template_grants VALUES ('tree', 'admin', 'admin'), ('tree', 'admin', 'staff');
SELECT orgusers.create_organization('Tree', 'tree', '$tree');
INSERT INTO orgusers.organizations (id, parent_id, name, external_id, policy) VALUES ('$branch', '$tree', 'Branch', 'B-1', 'tree');
INSERT INTO orgusers.roles (org_id, policy, template, name, holds_seat) SELECT '$branch', policy, id, name, holds_seat FROM orgusers.role_templates WHERE policy = 'tree';
SELECT orgusers.create_sub_account('$branch', 'Twig'), orgusers.create_role('$branch', 'READER', '{docs.read}');
SELECT orgusers.edit_role('$branch', 'STAFF', permissions => '{docs.read,users.view}');
INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$branch', '$users[14]');
SELECT orgusers.set_user_roles('$branch', '$users[14]', '{READER,STAFF}');
SELECT orgusers.invite_user('$branch', 'leaf\@example.org', '{READER}', send => false);
UPDATE orgusers.invitations SET expires_at = now() - interval '1 day' WHERE org_id = '$branch';
SELECT orgusers.invite_user('$tree', 'leaf\@example.org', '{STAFF}', send => false);
SELECT orgusers.invite_user('$paid', 'user11\@example.org', '{USER}', '{ops}', 'Pen', 'Ding');
SELECT orgusers.set_invitation_spaces(org_id, id, '{room}') FROM orgusers.invitations WHERE org_id = '$paid';
SELECT orgusers.invite_user('$paid', 'accepted\@example.org'), orgusers.invite_user('$paid', 'user13\@example.org');
SELECT orgusers.invite_user('$paid', 'expired\@example.org'), orgusers.invite_user('$paid', 'user12\@example.org');
SELECT orgusers.cancel_invitation(org_id, id) FROM orgusers.invitations WHERE email = 'accepted\@example.org'::orgusers.email;
UPDATE orgusers.invitations SET expires_at = now() - interval '1 day' WHERE email = 'expired\@example.org'::orgusers.email;
CREATE TABLE notes (org_id uuid NOT NULL REFERENCES orgusers.organizations ON DELETE CASCADE, author orgusers.email, note text);
ALTER TABLE notes OWNER TO owner_of_notes;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY read ON notes USING (orgusers.can(org_id, 'docs.read'));
CREATE INDEX ON notes (author);
INSERT INTO notes VALUES ('$paid', 'User1\@Example.org', 'kept');
SELECT orgusers.act_as('$users[12]', true);
SELECT orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations();
SELECT orgusers.act_as('$users[13]', true);
SELECT orgusers.set_email_verified('$users[13]', 'user13\@example.org'::orgusers.email);
SELECT orgusers.decline_my_invitation(org_id, id) FROM orgusers.my_invitations();
SELECT orgusers.mail_sent(m.org_id, m.id, m.fence) FROM orgusers.claim_mail(1) m;
SELECT orgusers.mail_failed(m.org_id, m.id, m.fence, 'no such user', true) FROM orgusers.claim_mail(1) m;
SELECT count(*) FROM orgusers.claim_mail(1);
UPDATE orgusers.role_templates SET joinable = true WHERE id = 'user';
SELECT orgusers.act_as('$users[0]', true);
SELECT orgusers.verify_join_domain('$paid', 'corp.example', orgusers.claim_join_domain('$paid', 'corp.example')), orgusers.claim_join_domain('$free', 'corp.example');
SELECT 'join ' || substring(link FROM '#(.*)') FROM orgusers.create_join_link('$paid', most_uses => 2);
SELECT orgusers.revoke_join_link('$free', id) FROM orgusers.create_join_link('$free');
SELECT 'token ' || substring(orgusers.invitation_link(org_id, id) FROM '#(.*)') FROM orgusers.invitations WHERE email = 'user11\@example.org'::orgusers.email;
});
my ($join) = $token =~ /^join (oui_\S{71})$/m or BAIL_OUT('no join link');
($token) = $token =~ /^token (oui_\S{71})$/m or BAIL_OUT('no token');
is($node->safe_psql('source', 'SELECT DISTINCT status FROM orgusers.invitations ORDER BY 1'), "accepted\ncanceled\ndeclined\npending", 'invitations in every state');
is($node->safe_psql('source', 'SELECT DISTINCT status FROM orgusers.mail_outbox ORDER BY 1'), "dead\nleased\nqueued\nsent\nwithdrawn", 'mail in every state');

# Number and hash of the rows of every table of the extension.  The epoch is left out: it counts the takings of
# a lock, also by the restore.
my $contents = q{
	SELECT string_agg(c.relname || ' ' || (xpath('/row/rows/text()', query_to_xml(format(
			'SELECT count(*) || %L || coalesce(md5(string_agg(r::text, %L ORDER BY r::text)), %L) AS rows FROM (SELECT %s FROM orgusers.%I t %s) r', ' ', '|', '',
			CASE c.relname WHEN 'organizations' THEN 'id, parent_id, root_id, name, external_id, policy, time_zone, created_at' ELSE 't.*' END, c.relname,
			CASE c.relname WHEN 'assertion_keys' THEN 'WHERE algorithm <> ''HS256''' END), true, true, '')))[1]::text, E'\n' ORDER BY c.relname)
		FROM pg_class c WHERE c.relnamespace = 'orgusers'::regnamespace AND c.relkind = 'r' AND c.relname <> 'installation'};
# Who may do what with the extension's objects, and with the application's table.
my $acls = q{
	SELECT string_agg(x, E'\n' ORDER BY x) FROM (
		SELECT 'schema ' || nspacl::text FROM pg_namespace WHERE nspname = 'orgusers'
		UNION ALL SELECT p.oid::regprocedure || ' ' || a::text FROM pg_proc p, unnest(proacl) a WHERE pronamespace = 'orgusers'::regnamespace
		UNION ALL SELECT c.oid::regclass || ' ' || a::text FROM pg_class c, unnest(relacl) a WHERE relnamespace = 'orgusers'::regnamespace
		UNION ALL SELECT t.oid::regtype || ' ' || a::text FROM pg_type t, unnest(typacl) a WHERE typnamespace = 'orgusers'::regnamespace
	) acl(x)};
my %before = map { $_ => $node->safe_psql('source', $_) } $contents, $acls;
like($before{$contents}, qr/^users 16 [0-9a-f]{32}$/m, 'the contents are looked at');
is(join(' ', $before{$contents} =~ /^(\w+) 0 /mg), '', 'and no table is empty');
like($before{$acls}, qr/claim_mail\S* mailer=X/, 'so are the privileges');

my $dir = $node->backup_dir;
mkdir $dir;
my $source = $node->connstr('source');
command_ok([ 'pg_dump', '-Fp', '-f', "$dir/plain.sql", $source ], 'pg_dump, plain');
command_ok([ 'pg_dump', '-Fc', '-f', "$dir/custom", $source ], 'pg_dump, custom');
command_ok([ 'pg_dump', '-Fd', '-j', '4', '-f', "$dir/directory", $source ], 'pg_dump, directory');

my $dump = slurp_file("$dir/plain.sql");
unlike($dump, qr/not so secret/, 'no HS256 secret in the dump');
unlike($dump, qr/6e6f7420736f20736563726574/i, 'nor in hexadecimal');
unlike($dump, qr/\Q$token\E|\Q$join\E/, 'no token in the dump');

# Restores into a fresh database of a cluster and looks at it.
sub restored
{
	my ($how, $cluster, $database, @commands) = @_;
	$cluster->safe_psql('postgres', "CREATE DATABASE $database");
	my $to = $cluster->connstr($database);
	for my $command (@commands)
	{
		ok(run_log([ map { s/^DATABASE$/$to/r } @$command ]), "$how: restored without an error") or return;
	}

	is($cluster->safe_psql($database, $contents), $before{$contents}, "$how: every row of every table is the same");
	is($cluster->safe_psql($database, $acls), $before{$acls}, "$how: so are the privileges");
	is($cluster->safe_psql($database, "INSERT INTO orgusers.groups (org_id, name) VALUES ('$free', 'new');"
		  . " SELECT action, relation, db_login, after ->> 'name' FROM orgusers.audit_log ORDER BY at DESC LIMIT 1"),
		'insert|groups|' . getpwuid($<) . '|new', "$how: F3: the audit trail, restored without a word about the restore, goes on");
	is($cluster->safe_psql($database, q{SELECT author, note FROM notes WHERE author = 'USER1@example.org'}), 'User1@Example.org|kept', "$how: so is the application's table");
	isnt($cluster->safe_psql($database, 'SELECT id FROM orgusers.installation'), $node->safe_psql('source', 'SELECT id FROM orgusers.installation'), "$how: it is another installation");
	is($cluster->safe_psql($database, 'SELECT string_agg(kid, \',\') FROM orgusers.assertion_keys'), 'public', "$how: and has no HS256 key");

	# Nothing is sent again.
	is($cluster->safe_psql($database, 'SELECT count(*) FROM orgusers.claim_mail(1000)'), '0', "$how: no mail is given out");
	is($cluster->safe_psql($database, 'SELECT held > 0 AND queued = 0 AND leased = 0 FROM orgusers.mail_status()'), 't', "$how: it is held");

	# The rules hold.
	my ($ret, $stdout, $stderr);
	$ret = $cluster->psql($database, "\\set VERBOSITY sqlstate\nINSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$free', '$users[4]')", stderr => \$stderr);
	like($stderr, qr/OU301/, "$how: a fourth user of the free plan is refused");
	$ret = $cluster->psql($database, "\\set VERBOSITY sqlstate\nDELETE FROM orgusers.membership_roles WHERE org_id = '$free'", stderr => \$stderr);
	like($stderr, qr/OU303/, "$how: the last ADMIN stays");
	$ret = $cluster->psql($database, "\\set VERBOSITY sqlstate\nUPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE user_id = '$users[5]'", stderr => \$stderr);
	like($stderr, qr/OU302/, "$how: the billing admin stays active");
	$ret = $cluster->psql($database, "\\set VERBOSITY sqlstate\nUPDATE orgusers.memberships SET holds_seat = true WHERE user_id = '$users[7]'", stderr => \$stderr);
	like($stderr, qr/23503/, "$how: who holds a free role takes no seat");
	$ret = $cluster->psql($database, "\\set VERBOSITY sqlstate\nINSERT INTO orgusers.space_members SELECT org_id, id, '$users[3]' FROM orgusers.spaces WHERE name = 'further'", stderr => \$stderr);
	like($stderr, qr/OU306/, "$how: a visitor has one space");
	$ret = $cluster->psql($database, "\\set VERBOSITY sqlstate\nTRUNCATE orgusers.memberships CASCADE", stderr => \$stderr);
	like($stderr, qr/OU305/, "$how: no TRUNCATE under an organization");
	$ret = $cluster->psql($database, "\\set VERBOSITY sqlstate\nINSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$tree', '$users[14]')", stderr => \$stderr);
	like($stderr, qr/OU307/, "$how: an address is used once in a tree");
	is($cluster->safe_psql($database, "SET orgusers.user_id = '$users[14]'; SELECT orgusers.can('$branch', 'docs.read'), orgusers.can('$branch', 'organization.view')"), 't|f', "$how: an edited role permits what it did");
	is($cluster->safe_psql($database, "SET orgusers.user_id = '$users[0]'; SELECT string_agg(name || depth, ' ') FROM orgusers.list_sub_accounts('$tree')"), 'Branch1 Twig2', "$how: the tree is there");
	$ret = $cluster->psql($database, "\\set VERBOSITY sqlstate\nSET ROLE app; SELECT orgusers.act_as('$users[0]')", stderr => \$stderr);
	like($stderr, qr/42501/, "$how: the application may not say who acts");
	is($cluster->safe_psql($database, "SELECT count(*) FROM notes"), '1', "$how: the owner sees the notes");
	is($cluster->safe_psql($database, "GRANT SELECT ON notes TO app; SET ROLE app; SELECT count(*) FROM notes"), '0', "$how: an anonymous session sees none");
	is($cluster->safe_psql($database, "SET orgusers.user_id = '$users[3]'; SET ROLE app; SELECT count(*) FROM notes"), '1', "$how: a user sees the organization's");

	# What was open is open.
	is($cluster->safe_psql($database, "SELECT orgusers.set_email_verified('$users[11]', 'user11\@example.org'); SET ROLE app_server;"
		  . " SELECT orgusers.act_as('$users[11]', true); SELECT orgusers.accept_invitation('$token')") =~ s/\A\n+//r,
		$paid, "$how: a token from before opens its invitation");
	is($cluster->safe_psql($database, "SELECT r.name, g.name FROM orgusers.membership_roles mr JOIN orgusers.roles r ON r.id = mr.role_id,"
		  . " orgusers.group_members gm JOIN orgusers.groups g ON g.id = gm.group_id WHERE mr.user_id = '$users[11]' AND gm.user_id = '$users[11]'"),
		'USER|ops', "$how: with its role and group");

	is($cluster->safe_psql($database, "SELECT orgusers.set_email_verified('$users[15]', 'user15\@example.org'); SET ROLE app_server;"
		  . " SELECT orgusers.act_as('$users[15]', true); SELECT orgusers.join_organization('$join')") =~ s/\A\n+//r,
		$paid, "$how: a join link from before lets people join");

	# Until this installation replaces the other.
	my $unsent = $cluster->safe_psql($database, q{SELECT count(*) FROM orgusers.mail_outbox WHERE status IN ('queued', 'leased')});
	cmp_ok($unsent, '>', 0, "$how: there is unsent mail");
	is($cluster->safe_psql($database, 'SELECT orgusers.adopt_mail()'), $unsent, "$how: adopt_mail takes it over");
	is($cluster->safe_psql($database, 'SELECT count(*) FROM orgusers.claim_mail(1000)'), $unsent, "$how: then it is given out");
}

restored('plain', $node, 'plain', [ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', 'DATABASE', '-f', "$dir/plain.sql" ]);
restored('plain, other cluster', $other, 'plain', [ 'psql', '-qX1', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', 'DATABASE', '-f', "$dir/plain.sql" ]);
restored('custom', $node, 'custom', [ 'pg_restore', '-e', '-d', 'DATABASE', "$dir/custom" ]);
restored('custom, other cluster', $other, 'custom', [ 'pg_restore', '-e', '-1', '-d', 'DATABASE', "$dir/custom" ]);

# pg_restore does not keep to the order of foreign keys when it loads an extension's tables with several jobs.
# They come first, by one job; or a superuser loads them all with foreign keys and triggers switched off.
restored('directory, tables of the extension first', $other, 'sections',
	[ 'pg_restore', '-e', '--section=pre-data', '-d', 'DATABASE', "$dir/directory" ],
	[ 'pg_restore', '-e', '--section=data', '-n', 'orgusers', '-d', 'DATABASE', "$dir/directory" ],
	[ 'pg_restore', '-e', '--section=data', '-N', 'orgusers', '-j', '4', '-d', 'DATABASE', "$dir/directory" ],
	[ 'pg_restore', '-e', '--section=post-data', '-j', '4', '-d', 'DATABASE', "$dir/directory" ]);
restored('directory, four jobs', $node, 'directory',
	[ 'env', 'PGOPTIONS=-c session_replication_role=replica', 'pg_restore', '-e', '-j', '4', '-d', 'DATABASE', "$dir/directory" ]);

# Gone and back again in one session, whose library and plans are warm.
is( $node->safe_psql(
		'plain', qq{
SET client_min_messages = warning;
DO \$\$
BEGIN
	PERFORM orgusers.act_as('$users[0]');
	PERFORM orgusers.remove_user('$paid', '$users[3]');
END
\$\$;
DROP EXTENSION orgusers CASCADE;
CREATE EXTENSION orgusers;
SELECT orgusers.install_plans_and_groups();
SELECT orgusers.add_mailer_key('$key');
SELECT orgusers.register_user('ann\@example.org', id => '$users[0]', email_verified => true);
SELECT orgusers.register_user('ben\@example.org', id => '$users[1]', email_verified => true);
DO \$\$
BEGIN
	PERFORM orgusers.act_as('$users[0]');
	PERFORM orgusers.create_organization('Again', 'plans_and_groups', '$free');
	PERFORM orgusers.invite_user('$free', 'ben\@example.org', '{ADMIN}');
	PERFORM orgusers.act_as('$users[1]');
	PERFORM orgusers.accept_my_invitation(org_id, id) FROM orgusers.my_invitations();
	PERFORM orgusers.remove_user('$free', '$users[0]');
END
\$\$;
SELECT 'left: ' || string_agg(user_id::text, ',') FROM orgusers.memberships;
}) =~ s/.*^left: //smr, $users[1], 'DROP EXTENSION and CREATE EXTENSION in a warm session');

done_testing();
