# A dump keeps everything, and what is restored from it is as well guarded as before and sends nothing again.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Installation;

my @users = @Installation::users;
my ($free, $paid, $tree, $branch) = ($Installation::free, $Installation::paid, $Installation::tree, $Installation::branch);
my ($contents, $acls) = ($Installation::contents, $Installation::acls);

my $node = PostgreSQL::Test::Cluster->new('here');
$node->init;
$node->start;
my $other = PostgreSQL::Test::Cluster->new('there');
$other->init;
$other->start;
$_->safe_psql('postgres', $Installation::roles) for $node, $other;

# The databases are owned by somebody who is no superuser.
$node->safe_psql('postgres', 'CREATE DATABASE source OWNER owner_of_notes');
my ($token, $join) = Installation::make($node, 'source');
is($node->safe_psql('source', 'SELECT DISTINCT status FROM orgusers.invitations ORDER BY 1'), "accepted\ncanceled\ndeclined\npending", 'invitations in every state');
is($node->safe_psql('source', 'SELECT DISTINCT status FROM orgusers.mail_outbox ORDER BY 1'), "dead\nleased\nqueued\nsent\nwithdrawn", 'mail in every state');

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

# Who may read everything can write a dump.  Others get an error, never a dump of what they may see.
$node->safe_psql('postgres', 'CREATE ROLE dumper LOGIN BYPASSRLS IN ROLE pg_read_all_data; CREATE ROLE reader LOGIN IN ROLE pg_read_all_data');
command_ok([ 'pg_dump', '-U', 'dumper', '-Fp', '-f', "$dir/dumper.sql", $source ], 'pg_dump by a role with BYPASSRLS that reads everything');
my $unmarked = qr/^\\(un)?restrict .*\n/m;
ok(slurp_file("$dir/dumper.sql") =~ s/$unmarked//gr eq $dump =~ s/$unmarked//gr, 'is the same dump');
command_fails_like([ 'pg_dump', '-U', 'reader', '-f', "$dir/reader.sql", $source ], qr/row-level security/, 'pg_dump by one without BYPASSRLS fails');
command_fails_like([ 'pg_dump', '-U', 'owner_of_notes', '-f', "$dir/owner.sql", $source ], qr/permission denied/, 'so does the database\'s owner\'s');
$node->safe_psql('postgres', 'CREATE DATABASE owned OWNER owner_of_notes');
command_fails_like([ 'pg_restore', '-e', '-U', 'owner_of_notes', '-d', $node->connstr('owned'), "$dir/custom" ], qr/permission denied to create extension/,
	'and the owner restores nothing');

# Restores into a fresh database of a cluster and looks at it.
sub restored
{
	my ($how, $cluster, $database, @commands) = @_;
	$cluster->safe_psql('postgres', "CREATE DATABASE $database OWNER owner_of_notes");
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
SELECT orgusers.add_mailer_key('$Installation::key');
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
