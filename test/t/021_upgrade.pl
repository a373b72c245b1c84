# ALTER EXTENSION ... UPDATE leaves what a fresh CREATE EXTENSION makes, from each version that was released and to a
# trial version after this one, under sessions that are warm.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WarmSession;

# A private copy of PostgreSQL's programs finds its extensions beside itself: there the trial version is installed.
my %dir;
for (qw(bindir sharedir pkglibdir))
{
	chomp($dir{$_} = qx(pg_config --$_));
}
my $prefix = PostgreSQL::Test::Utils::tempdir_short;
my $extensions = "$prefix$dir{sharedir}/extension";
system_or_bail('mkdir', '-p', "$prefix$dir{bindir}", $extensions, "$prefix$dir{pkglibdir}");
system_or_bail('cp', '-R', glob("$dir{bindir}/*"), "$prefix$dir{bindir}");
system_or_bail('cp', '-R', glob("$dir{sharedir}/extension/{plpgsql,orgusers}*"), $extensions);
system_or_bail('ln', '-s', glob("$dir{pkglibdir}/*"), "$prefix$dir{pkglibdir}");
system_or_bail('ln', '-s', (grep { !/\/extension$/ } glob("$dir{sharedir}/*")), "$prefix$dir{sharedir}");
$ENV{PATH} = "$prefix$dir{bindir}:$ENV{PATH}";

my ($version) = slurp_file("$extensions/orgusers.control") =~ /^default_version = '(.*)'/m or BAIL_OUT('no version');
my $script = slurp_file("$extensions/orgusers--$version.sql");

# Replaces a text that has to be there once.
sub edit
{
	my ($old, $new) = @_;
	my $found = () = $script =~ /\Q$old\E/g;
	$found == 1 or BAIL_OUT("$found times: $old");
	$script =~ s/\Q$old\E/$new/;
	return;
}

# What the trial version has anew, in the fresh script and, the same or said for what is there, in the upgrade script.
my @new = (
	q{CREATE FUNCTION orgusers.set_group_purpose(org_id uuid, name text, purpose text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.authorize_change(set_group_purpose.org_id, 'groups.describe');
    UPDATE orgusers.groups g SET purpose = set_group_purpose.purpose WHERE g.org_id = set_group_purpose.org_id AND g.name = set_group_purpose.name;
END $$;},
	q{COMMENT ON FUNCTION orgusers.set_group_purpose(uuid, text, text) IS 'Says what a group is for.';},
	q{CREATE TABLE orgusers.group_links (
    org_id   uuid NOT NULL,
    group_id uuid NOT NULL,
    link     text NOT NULL CHECK (link <> ''),
    PRIMARY KEY (org_id, group_id, link),
    FOREIGN KEY (org_id, group_id) REFERENCES orgusers.groups ON DELETE CASCADE
);},
	q{COMMENT ON TABLE orgusers.group_links IS 'Pages about a group.';},
	q{SELECT pg_extension_config_dump('orgusers.group_links', '');});
my @last = (
	q{ALTER TABLE orgusers.group_links ENABLE ROW LEVEL SECURITY;},
	q{CREATE POLICY seen ON orgusers.group_links FOR SELECT USING (orgusers.can(org_id, 'organization.view'));});
my $column = q{purpose text CHECK (orgusers.is_name(purpose))};
my @beside_groups = (
	q{COMMENT ON COLUMN orgusers.groups.purpose IS 'What the group is for.';},
	q{CREATE INDEX groups_org_id_purpose_idx ON orgusers.groups (org_id, purpose);});

edit("-- orgusers $version, built", '-- A trial version, built');
edit("    name   text NOT NULL CHECK (orgusers.is_name(name)),\n    PRIMARY KEY (org_id, id),\n    UNIQUE (org_id, name)\n);\nCOMMENT ON TABLE orgusers.groups ",
	"    name   text NOT NULL CHECK (orgusers.is_name(name)),\n    $column,\n    PRIMARY KEY (org_id, id),\n    UNIQUE (org_id, name)\n);\n@beside_groups\nCOMMENT ON TABLE orgusers.groups ");
edit("-- src/grants.sql\n", join("\n", @new) . "\n-- src/grants.sql\n");
edit("'create_group', 'rename_group',", "'create_group', 'set_group_purpose', 'rename_group',");
edit("        ('roles.manage',        'Make,", "        ('groups.describe', 'Say what groups are for'),\n        ('roles.manage',        'Make,");
edit("'roles.assign,roles.manage,permissions.assign,groups.manage,joining", "'roles.assign,roles.manage,permissions.assign,groups.manage,groups.describe,joining");
edit("AS in_force\n    FROM pg_policy p JOIN", "AS in_force, c.relowner::regrole AS owner\n    FROM pg_policy p JOIN");
edit("-- src/health/guards.sql\n", join("\n", @last) . "\n-- src/health/guards.sql\n");

# The statement that makes something in the fresh script, for what is there already.
sub replaced
{
	my ($what, $name) = @_;
	$script =~ /^CREATE( $what \Q$name\E\b.*?;)\nCOMMENT ON $what \Q$name\E/ms or BAIL_OUT("no $name");
	return "CREATE OR REPLACE$1";
}

my @upgrade = (
	'SET LOCAL search_path = pg_catalog, pg_temp;',
	"ALTER TABLE orgusers.groups ADD COLUMN $column;",
	@beside_groups,
	@new,
	(map { replaced('FUNCTION', "orgusers.$_") } qw(audience_functions install_permissions install_plans_and_groups)),
	replaced('VIEW', 'orgusers.protected_tables'),
	# For rule-books that are there.
	"INSERT INTO orgusers.permissions (key, description) SELECT 'groups.describe', 'Say what groups are for' WHERE EXISTS (SELECT FROM orgusers.permissions WHERE key = 'groups.manage');",
	"INSERT INTO orgusers.role_template_permissions SELECT policy, id, 'groups.describe' FROM orgusers.role_templates WHERE (policy, id) = ('plans_and_groups', 'admin');",
	# What grants.sql does for everything in the fresh script.
	'REVOKE ALL ON FUNCTION orgusers.set_group_purpose(uuid, text, text) FROM PUBLIC;',
	'REVOKE ALL ON TABLE orgusers.group_links FROM PUBLIC;',
	@last,
	'DELETE FROM orgusers.guards;',
	$script =~ /^(INSERT INTO orgusers.guards .*;)$/m);

# Writes a file of the trial version.
sub install
{
	my ($name, @lines) = @_;
	unlink "$extensions/$name";
	append_to_file("$extensions/$name", join "\n", @lines);
	return;
}
install('orgusers.control', slurp_file("$extensions/orgusers.control") =~ s/^default_version = .*/default_version = 'trial'/mr);
install('orgusers--trial.sql', $script);
install("orgusers--$version--trial.sql", @upgrade);

my $node = PostgreSQL::Test::Cluster->new('upgrade');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off");
$node->start;
chomp(my $server = qx(pg_config --version));
note "$server, programs in $prefix$dir{bindir}";

# The lines of the catalog of a database, after these statements if any, which are rolled back.
sub catalog
{
	my ($database, @statements) = @_;
	my ($out, $err);
	IPC::Run::run([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), (map { ('-c', $_) } 'BEGIN', @statements), '-f', 'test/tools/catalog.sql' ],
		'>', \$out, '2>', \$err) or return $err;
	return $out;
}

# Compares two catalogs, and shows the lines that only one of them has.
sub same
{
	my ($one, $other, $what) = @_;
	my %lines;
	$lines{$_}++ for split /\n/, $one;
	$lines{$_}-- for split /\n/, $other;
	my @differing = map { ($lines{$_} > 0 ? '+ ' : '- ') . substr($_, 0, 300) } grep { $lines{$_} } sort keys %lines;
	is(join("\n", @differing), '', $what);
	return;
}

# Everything that a session keeps, before the update.
my ($ann, $bob, $org) = map { "00000000-0000-0000-0000-00000000000$_" } qw(a b 1);
my $book = 'SELECT orgusers.install_plans_and_groups();';
$node->safe_psql('postgres', qq{
CREATE EXTENSION orgusers VERSION '$version';
$book
CREATE ROLE app;
SELECT orgusers.grant_to('app', 'application');
SELECT orgusers.register_user((n || '\@example.org')::orgusers.email, id => i::uuid) FROM (VALUES ('ann', '$ann'), ('bob', '$bob')) u (n, i);
CREATE TABLE docs (org_id uuid);
INSERT INTO docs VALUES ('$org');
SELECT orgusers.protect_table('docs', read => 'users.view');
GRANT SELECT ON docs TO app;
DO \$\$ BEGIN
	PERFORM orgusers.act_as('$ann');
	PERFORM orgusers.create_organization('Org', 'plans_and_groups', '$org');
	PERFORM orgusers.create_group('$org', 'ops', '{USER}');
END \$\$;
INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$org', '$bob');
});
my $ask = "EXECUTE ask; SELECT count(*) FROM docs; SELECT string_agg(name, ',' ORDER BY name) FROM orgusers.groups; SELECT count(*) FROM orgusers.list_users('$org')";
my %session = map { $_ => WarmSession->new($node) } $ann, $bob;
for my $who ($ann, $bob)
{
	$session{$who}->must("SET orgusers.user_id = '$who'; SET ROLE app; PREPARE ask AS SELECT orgusers.can('$org', 'users.view'), orgusers.orgs_with('users.view')");
}
my $change = "SELECT orgusers.create_group('$org', 'made', '{}'); SELECT orgusers.delete_group('$org', 'made')";
is($session{$ann}->must($ask) , "t|{$org}\n1\nops\n2", 'a warm session, before');
is($session{$ann}->ask("$change; SELECT 'changed'") =~ s/.*\n//sr, 'changed', 'it changes something');
like($session{$bob}->ask($ask), qr/^f\|\{\}\n0\n\nERROR OU002$/, 'another, who may not');
my $open = WarmSession->new($node);
$open->must("BEGIN; SELECT 1");

$node->safe_psql('postgres', 'ALTER EXTENSION orgusers UPDATE TO trial');

is($session{$ann}->must($ask), "t|{$org}\n1\nops\n2", 'the warm session, after the update');
is($session{$ann}->ask("$change; SELECT 'changed'") =~ s/.*\n//sr, 'changed', 'it changes something');
like($session{$bob}->ask($ask), qr/^f\|\{\}\n0\n\nERROR OU002$/, 'another, who still may not');
is($open->must("SET orgusers.user_id = '$ann'; SELECT orgusers.can('$org', 'users.view'); COMMIT"), 't', 'a transaction from before the update');
my $purpose = "SELECT orgusers.set_group_purpose('$org', 'ops', 'Operations')";
is($session{$ann}->ask($purpose), 'ERROR 42501', 'a new function is nobody\'s');
$node->safe_psql('postgres', "SELECT orgusers.grant_to('app', 'application')");
is($session{$ann}->ask("$purpose; SELECT purpose FROM orgusers.groups"), "\nOperations", 'until grant_to is called again; a new permission is there');
is($session{$bob}->ask($purpose), 'ERROR OU002', 'which others do not have');
is($node->safe_psql('postgres', q{SELECT after ->> 'purpose' FROM orgusers.audit_log WHERE relation = 'groups' AND action = 'update'}), 'Operations', 'the audit trail knows the new column');
is($node->safe_psql('postgres', "SET orgusers.user_id = '$ann'; SELECT orgusers.deactivate_user('$org', '$bob'); SELECT status FROM orgusers.memberships WHERE user_id = '$bob'") =~ s/^\n//r,
	'deactivated', 'flows go on');
is($node->safe_psql('postgres', q{SELECT detail FROM orgusers.health_check() WHERE finding ~ 'versions'}), "The library is $version, the extension trial.", 'health_check tells that the library is the old one');

# The same catalog, whichever way.
$node->safe_psql('postgres', 'CREATE DATABASE empty');
my $fresh = catalog('empty', 'CREATE EXTENSION orgusers', $book);
cmp_ok(scalar split(/\n/, $fresh), '>', 1000, 'a catalog is told');
my $update = 'ALTER EXTENSION orgusers UPDATE TO trial';
my @earlier = split /\n/, $node->safe_psql('postgres', "SELECT version FROM pg_available_extension_versions WHERE name = 'orgusers' AND version <> 'trial'");
ok((grep { $_ eq $version } @earlier), 'the version before is there');
for (@earlier)
{
	same(catalog('empty', "CREATE EXTENSION orgusers VERSION '$_'", $book, $update), $fresh, "an update from $_ leaves what a fresh installation makes");
}

# Whatever the upgrade script forgets is told.
$node->safe_psql('empty', "CREATE EXTENSION orgusers VERSION '$version'; $book");
for my $left_out (@upgrade[ 1 .. $#upgrade ])
{
	install("orgusers--$version--trial.sql", grep { $_ ne $left_out } @upgrade);
	isnt(catalog('empty', $update), $fresh, 'an upgrade script without: ' . substr($left_out, 0, 60));
}
install("orgusers--$version--trial.sql", @upgrade);

# A dump of what was updated; and a dump of the version before, restored into that version and then updated.
sub dumped_and_restored
{
	my ($from, $to, $before, $after) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $to");
	$node->safe_psql($to, $before) if $before;
	my $dir = PostgreSQL::Test::Utils::tempdir;
	command_ok([ 'pg_dump', '-f', "$dir/dump", $node->connstr($from) ], "a dump of $from");
	command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $node->connstr($to), '-f', "$dir/dump" ], "restored as $to");
	same(catalog($to, $after // 'SELECT'), catalog($from, $after // 'SELECT'), 'has the same catalog and the same rows');
	return;
}
dumped_and_restored('postgres', 'updated');
$node->safe_psql('postgres', 'CREATE DATABASE before');
$node->safe_psql('before', "CREATE EXTENSION orgusers VERSION '$version'; $book SELECT orgusers.grant_to('app', 'application'); SELECT orgusers.register_user('ann\@example.org', id => '$ann'); SET orgusers.user_id = '$ann'; SELECT orgusers.create_organization('Org', 'plans_and_groups', '$org'); SELECT orgusers.create_group('$org', 'ops', '{USER}')");
dumped_and_restored('before', 'restored', "CREATE EXTENSION orgusers VERSION '$version'", $update);

$_->quit for values %session, $open;
$node->stop;
done_testing();
