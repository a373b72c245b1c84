# Whatever happens to rights, in whatever order and by whomever: what sessions answer out of what they keep is what
# plain joins over the tables say, at the same moment.
#
# The history follows from the seed: ORGUSERS_SEED=n repeats it.  ORGUSERS_CASES=n sets the number of answers to compare.
# With ORGUSERS_FLUSHED=1 the sessions that answer lose every cache of the server whenever they could, which only a server
# with assertions can do to them.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reference;
use Test::More;
use Time::HiRes qw(time);
use WarmSession;

my $seed = $ENV{ORGUSERS_SEED} || int(time);
my $wanted = $ENV{ORGUSERS_CASES} || 120_000;
srand($seed);
diag("seed $seed");

sub any { return $_[ int(rand(@_)) ] }

my @users = map { sprintf('00000000-0000-0000-0000-0000000000%02x', $_) } 1 .. 5;
my @orgs = map { sprintf('00000000-0000-0000-0000-00000000a%03x', $_) } 1 .. 5;
my $root = '00000000-0000-0000-0000-0000000000ff';
my @permissions = qw(docs.read docs.write docs.share users.invite never.registered);
my @names = qw(ADMIN USER READER EDITOR WRITER);
# Ids of spaces are an organization's own: the first two are in each, the others in every second one; the last is nowhere.
my %space = map { ('space' . $_ => sprintf('00000000-0000-0000-0000-00000000b%03x', $_)) } 1 .. 5;
my @spaces = map { $space{"space$_"} } 1 .. 5;
sub spaces_of { my ($org) = @_; return (qw(space1 space2), hex(substr($org, -1)) % 2 ? 'space3' : 'space4') }
sub space_of { my ($org) = @_; return any(spaces_of($org)) }

my $node = PostgreSQL::Test::Cluster->new('oracle');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_prepared_transactions = 5\nautovacuum = off\nmax_connections = 30\nlog_statement = none\njit = off");
$node->start;
$node->safe_psql(
	'postgres', qq{
CREATE EXTENSION orgusers;
SELECT orgusers.install_plans_and_groups();
INSERT INTO orgusers.permissions SELECT p, 'A permission.' FROM unnest('{docs.read,docs.write,docs.share}'::text[]) p;
UPDATE orgusers.permissions SET scope = 'space' WHERE key IN ('docs.read', 'docs.write');
INSERT INTO orgusers.role_templates (policy, id, name, all_spaces) VALUES ('plans_and_groups', 'writer', 'WRITER', false), ('plans_and_groups', 'reader', 'READER', false);
INSERT INTO orgusers.role_template_permissions VALUES ('plans_and_groups', 'writer', 'docs.write'), ('plans_and_groups', 'reader', 'docs.read'), ('plans_and_groups', 'user', 'docs.share');
INSERT INTO orgusers.role_template_permissions SELECT 'plans_and_groups', 'admin', key FROM orgusers.permissions ON CONFLICT DO NOTHING;
UPDATE orgusers.role_templates SET least_holders = 0;
UPDATE orgusers.role_templates SET editable = true WHERE id = 'reader';
UPDATE orgusers.role_templates SET reaches_below = true WHERE id = 'writer';
INSERT INTO orgusers.policies (id, title, default_plan, product_name, accept_url, mail_from, invitation_lifetime)
	SELECT 'other', 'Other', default_plan, product_name, accept_url, mail_from, invitation_lifetime FROM orgusers.policies;
INSERT INTO orgusers.base_permissions VALUES ('other', 'docs.write');
INSERT INTO orgusers.role_template_grants SELECT 'plans_and_groups', 'admin', t FROM unnest('{writer,reader}'::text[]) t ON CONFLICT DO NOTHING;
SELECT orgusers.register_user((id || '\@example.org')::orgusers.email, id => id::uuid) FROM unnest('{@{[join ',', $root, @users]}}'::text[]) id;
-- Organizations of one policy become trees.
CREATE FUNCTION below_another() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
	SELECT o.id, o.root_id INTO NEW.parent_id, NEW.root_id FROM orgusers.organizations o
		WHERE o.id = nullif(current_setting('test.parent', true), '')::uuid AND o.policy = NEW.policy;
	RETURN NEW;
END \$\$;
CREATE TRIGGER a_parent BEFORE INSERT ON orgusers.organizations FOR EACH ROW EXECUTE FUNCTION below_another();
CREATE PROCEDURE found(org uuid, parent uuid) LANGUAGE plpgsql AS \$\$ BEGIN
	PERFORM set_config('test.parent', parent::text, true);
	PERFORM orgusers.act_as('$root');
	PERFORM orgusers.create_organization('org', 'plans_and_groups', org);
	PERFORM orgusers.create_group(org, 'one', '{READER}'), orgusers.create_group(org, 'two', '{WRITER}');
	INSERT INTO orgusers.spaces (org_id, id, name) SELECT org, i::uuid, n FROM jsonb_each_text(CASE right(org::text, 1)
		@{[map { my $o = $_; "WHEN '" . substr($o, -1) . "' THEN jsonb '{" . join(', ', map { "\"$_\": \"$space{$_}\"" } spaces_of($o)) . "}'" } @orgs]} END) s (n, i);
	INSERT INTO orgusers.space_groups SELECT org, '$space{space2}', id FROM orgusers.groups WHERE org_id = org AND name = 'two';
END \$\$;
@{[map { "CALL found('$orgs[$_]', " . ($_ ? "'$orgs[($_ - 1) / 2]'" : 'NULL') . ");" } 0 .. $#orgs]}
UPDATE orgusers.plans SET seats = NULL;
INSERT INTO orgusers.memberships (org_id, user_id) SELECT o.id, u.id FROM orgusers.organizations o, orgusers.users u
	WHERE u.id <> '$root' AND o.id IN ('$orgs[0]', '$orgs[1]', '$orgs[4]');
INSERT INTO orgusers.membership_roles SELECT m.org_id, m.user_id, r.id FROM orgusers.memberships m JOIN orgusers.roles r USING (org_id) WHERE r.name IN ('USER', 'READER') ON CONFLICT DO NOTHING;
INSERT INTO orgusers.group_members SELECT m.org_id, g.id, m.user_id FROM orgusers.memberships m JOIN orgusers.groups g USING (org_id) WHERE g.name = 'two';
INSERT INTO orgusers.space_members SELECT org_id, '$space{space1}', user_id FROM orgusers.memberships;
CREATE TABLE docs AS SELECT row_number() OVER () AS id, o::uuid AS org_id, s::uuid AS space_id
	FROM unnest('{@{[join ',', @orgs]}}'::text[]) o, unnest('{@{[join ',', @spaces, 'NULL']}}'::text[]) s, generate_series(1, 3);
CREATE INDEX ON docs (org_id);
ANALYZE docs;
CREATE ROLE app;
SELECT orgusers.grant_to('app', 'application');
GRANT SELECT ON docs TO app;
SELECT orgusers.protect_table('docs', space_column => 'space_id', read => 'docs.read');

@{[Reference::views()]}
});

my $org_array = "'{" . join(',', @orgs) . "}'::uuid[]";
my $space_array = "'{" . join(',', @spaces, 'NULL') . "}'::uuid[]";
my $permission_array = "'{" . join(',', @permissions) . "}'::text[]";
my $name_array = "'{" . join(',', @names) . "}'::text[]";

# What a user may, a line for each question: as the extension says, and as the reference.
my $asks = "SELECT string_agg(orgusers.can(o, p)::int::text, '' ORDER BY o, p) FROM unnest($org_array) o, unnest($permission_array) p;
SELECT string_agg(orgusers.can(o, s, p)::int::text, '' ORDER BY o, s, p) FROM unnest($org_array) o, unnest($space_array) s, unnest($permission_array) p;
SELECT string_agg(orgusers.is_member(o)::int::text, '' ORDER BY o) FROM unnest($org_array) o;
SELECT string_agg(orgusers.reaches(o)::int::text, '' ORDER BY o) FROM unnest($org_array) o;
SELECT string_agg(orgusers.has_role(o, r)::int::text, '' ORDER BY o, r) FROM unnest($org_array) o, unnest($name_array) r;
SELECT string_agg(array_to_string(orgusers.orgs_with(p), ','), ';' ORDER BY p) FROM unnest($permission_array) p;
SELECT string_agg(array_to_string(orgusers.orgs_reached(p), ','), ';' ORDER BY p) FROM unnest($permission_array) p;
SELECT string_agg(array_to_string(orgusers.spaces_with(p), ','), ';' ORDER BY p) FROM unnest($permission_array) p";
my $answers = @orgs * @permissions * (1 + 1 + @spaces) + 2 * @orgs + @orgs * @names + 3 * @permissions + 2;

# The rows, along each kind of plan: by an own condition, and through the table's protection.
my $unprotected = "SELECT coalesce(string_agg(id::text, ',' ORDER BY id), '') FROM docs WHERE orgusers.can(org_id, 'docs.read')";
my $protected = "SELECT coalesce(string_agg(id::text, ',' ORDER BY id), '') FROM docs";
my @ways = (
	[ 'Index Scan', 'SET enable_seqscan = off; SET enable_bitmapscan = off', 'RESET enable_seqscan; RESET enable_bitmapscan' ],
	[ 'Bitmap Heap Scan', 'SET enable_seqscan = off; SET enable_indexscan = off; SET enable_indexonlyscan = off', 'RESET enable_seqscan; RESET enable_indexscan; RESET enable_indexonlyscan' ],
	[ 'Seq Scan', 'SET enable_bitmapscan = off; SET enable_indexscan = off; SET enable_indexonlyscan = off', 'RESET enable_bitmapscan; RESET enable_indexscan; RESET enable_indexonlyscan' ],
	[ 'Parallel Seq Scan', 'SET enable_bitmapscan = off; SET enable_indexscan = off; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0',
		'RESET enable_bitmapscan; RESET enable_indexscan; RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size' ]);
my @rows = map { "$_->[1]; $unprotected; SET ROLE app; $protected; RESET ROLE; $_->[2]" } @ways;

# The spaces whose rows a session sees, for those that may be of an old snapshot.
my $visible = "SELECT coalesce(string_agg(format('(%L::uuid, %L::uuid)', org_id, id), ', ' ORDER BY org_id, id), '(NULL::uuid, NULL::uuid)') FROM orgusers.spaces";

sub reference
{
	my ($user, $visible_spaces) = @_;
	my $reaches = "(a.in_all OR a.where_assigned AND EXISTS (SELECT FROM s WHERE s.org_id = a.org_id";
	# a: what the user may, by one source or another, in all of the organization (in_all) or where the user is assigned
	return "WITH h AS MATERIALIZED (SELECT * FROM held WHERE user_id = '$user'),
	s AS MATERIALIZED (SELECT * FROM assigned WHERE user_id = '$user'),
	b AS MATERIALIZED (SELECT * FROM reached WHERE user_id = '$user'),
	m AS MATERIALIZED (SELECT org_id FROM orgusers.memberships WHERE user_id = '$user' AND status = 'active'),
	a AS MATERIALIZED (SELECT o.id AS org_id, k.key AS permission,
			EXISTS (SELECT FROM m, orgusers.membership_permissions mp WHERE m.org_id = o.id AND mp.org_id = o.id AND mp.user_id = '$user' AND mp.permission = k.key)
			OR EXISTS (SELECT FROM m, orgusers.base_permissions bp WHERE m.org_id = o.id AND bp.policy = o.policy AND bp.permission = k.key)
			OR EXISTS (SELECT FROM h, permits p WHERE h.org_id = o.id AND p.org_id = o.id AND p.role_id = h.role_id AND p.permission = k.key AND p.in_all)
			OR EXISTS (SELECT FROM b, permits p WHERE b.org_id = o.id AND p.org_id = b.account_id AND p.role_id = b.role_id AND p.permission = k.key AND p.in_all) AS in_all,
			EXISTS (SELECT FROM h, permits p WHERE h.org_id = o.id AND p.org_id = o.id AND p.role_id = h.role_id AND p.permission = k.key) AS where_assigned
		FROM orgusers.organizations o, orgusers.permissions k
		WHERE k.key = ANY ($permission_array)),
	v (org_id, id) AS ($visible_spaces)
SELECT concat_ws(E'\\n',
	(SELECT string_agg((EXISTS (SELECT FROM a WHERE (a.org_id, a.permission) = (o, p) AND a.in_all))::int::text, '' ORDER BY o, p) FROM unnest($org_array) o, unnest($permission_array) p),
	(SELECT string_agg((EXISTS (SELECT FROM a WHERE (a.org_id, a.permission) = (o, p) AND $reaches AND s.space_id = sp))))::int::text, '' ORDER BY o, sp, p)
		FROM unnest($org_array) o, unnest($space_array) sp, unnest($permission_array) p),
	(SELECT string_agg((EXISTS (SELECT FROM m WHERE m.org_id = o))::int::text, '' ORDER BY o) FROM unnest($org_array) o),
	(SELECT string_agg((EXISTS (SELECT FROM m WHERE m.org_id = o) OR EXISTS (SELECT FROM b WHERE b.org_id = o))::int::text, '' ORDER BY o) FROM unnest($org_array) o),
	(SELECT string_agg((EXISTS (SELECT FROM h WHERE (h.org_id, h.name) = (o, r)))::int::text, '' ORDER BY o, r) FROM unnest($org_array) o, unnest($name_array) r),
	(SELECT string_agg(coalesce((SELECT string_agg(a.org_id::text, ',' ORDER BY a.org_id) FROM a WHERE a.permission = p AND a.in_all), ''), ';' ORDER BY p) FROM unnest($permission_array) p),
	(SELECT string_agg(coalesce((SELECT string_agg(a.org_id::text, ',' ORDER BY a.org_id) FROM a WHERE a.permission = p AND $reaches))), ''), ';' ORDER BY p) FROM unnest($permission_array) p),
	(SELECT string_agg(coalesce((SELECT string_agg(DISTINCT x.id::text, ',' ORDER BY x.id::text) FROM (
			SELECT v.id FROM v, a WHERE v.org_id = a.org_id AND a.permission = p AND a.in_all
			UNION ALL SELECT s.space_id FROM s, a WHERE s.org_id = a.org_id AND a.permission = p AND a.where_assigned) x), ''), ';' ORDER BY p) FROM unnest($permission_array) p),
	(SELECT coalesce(string_agg(id::text, ',' ORDER BY id), '') FROM docs d WHERE EXISTS (SELECT FROM a WHERE (a.org_id, a.permission) = (d.org_id, 'docs.read') AND a.in_all)),
	(SELECT coalesce(string_agg(id::text, ',' ORDER BY id), '') FROM docs d WHERE EXISTS (SELECT FROM a WHERE (a.org_id, a.permission) = (d.org_id, 'docs.read') AND $reaches AND s.space_id = d.space_id)))))";
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
	sub { "DELETE FROM orgusers.memberships WHERE org_id = '$_[1]' AND user_id = '$_[2]'; DELETE FROM orgusers.membership_roles WHERE org_id = '$_[0]' AND user_id = '$_[2]'; DELETE FROM orgusers.group_members WHERE org_id = '$_[0]' AND user_id = '$_[2]'; DELETE FROM orgusers.space_members WHERE org_id = '$_[0]' AND user_id = '$_[2]'; DELETE FROM orgusers.membership_permissions WHERE org_id = '$_[0]' AND user_id = '$_[2]'; UPDATE orgusers.memberships SET org_id = '$_[1]' WHERE org_id = '$_[0]' AND user_id = '$_[2]'" },
	sub { "UPDATE orgusers.roles SET template = '@{[any(qw(user reader writer))]}' WHERE org_id = '$_[0]' AND name = 'READER'" },
	sub { "INSERT INTO orgusers.role_template_permissions VALUES ('plans_and_groups', '@{[any(qw(user reader writer))]}', '@{[any(qw(docs.read docs.write docs.share))]}') ON CONFLICT DO NOTHING" },
	sub { "DELETE FROM orgusers.role_template_permissions WHERE template = '@{[any(qw(user reader writer))]}' AND permission = '@{[any(qw(docs.read docs.write docs.share))]}'" },
	sub { "DELETE FROM orgusers.permissions WHERE key = 'docs.share'" },
	sub { "INSERT INTO orgusers.permissions VALUES ('docs.share', 'Again.') ON CONFLICT DO NOTHING" },
	(sub { "DELETE FROM orgusers.organizations WHERE id = '$_[0]'; CALL found('$_[0]', " . any('NULL', "'$_[1]'", "'$_[1]'") . ')' }) x 4,
	sub { "DELETE FROM orgusers.users WHERE id = '$_[2]'; INSERT INTO orgusers.users (id, email) VALUES ('$_[2]', '$_[2]\@example.org')" },
	sub { "SET LOCAL orgusers.user_id = '$root'; SELECT orgusers.set_user_roles('$_[0]', '$_[2]', '{USER,$_[3]}')" },
	sub { "SET LOCAL orgusers.user_id = '$root'; SELECT orgusers.deactivate_user('$_[0]', '$_[2]')" },
	sub { "SET LOCAL orgusers.user_id = '$root'; SELECT orgusers.reactivate_user('$_[0]', '$_[2]')" },
	sub { "SET LOCAL orgusers.user_id = '$root'; SELECT orgusers.set_user_groups('$_[0]', '$_[2]', '{one}')" },
	sub { "SET LOCAL orgusers.user_id = '$root'; SELECT orgusers.set_group_roles('$_[0]', 'one', '{$_[3]}')" });

my $old = @changes;

# Spaces, single permissions and base permissions, and what is about spaces at all.
push @changes, (
	sub { my $s = $space{ space_of($_[0]) }; "INSERT INTO orgusers.space_members SELECT m.org_id, '$s', m.user_id FROM orgusers.memberships m WHERE m.org_id = '$_[0]' AND m.user_id = '$_[2]' ON CONFLICT DO NOTHING" },
	sub { "INSERT INTO orgusers.space_members SELECT m.org_id, s.id, m.user_id FROM orgusers.memberships m JOIN orgusers.spaces s USING (org_id) WHERE m.user_id = '$_[2]' AND s.name = '@{[any(qw(space1 space2 space3))]}' ON CONFLICT DO NOTHING" },
	sub { "INSERT INTO orgusers.space_groups SELECT s.org_id, s.id, g.id FROM orgusers.groups g JOIN orgusers.spaces s USING (org_id) WHERE s.org_id = '$_[0]' AND g.name = '@{[any(qw(one two))]}' AND s.name = '@{[space_of($_[0])]}' ON CONFLICT DO NOTHING" },
	sub { "INSERT INTO orgusers.membership_permissions SELECT org_id, user_id, '@{[any(qw(docs.read docs.write docs.share users.invite))]}' FROM orgusers.memberships WHERE org_id = '$_[0]' AND user_id = '$_[2]' ON CONFLICT DO NOTHING" },
	sub { "INSERT INTO orgusers.base_permissions VALUES ('@{[any(qw(plans_and_groups other))]}', '@{[any(qw(docs.write docs.share users.invite))]}') ON CONFLICT DO NOTHING" },
	sub { "INSERT INTO orgusers.spaces (org_id, id, name) VALUES " . join(', ', map { "('$_[0]', '$space{$_}', '$_')" } spaces_of($_[0])) . ' ON CONFLICT DO NOTHING' },
	sub { "DELETE FROM orgusers.space_members WHERE org_id = '$_[0]' AND user_id = '$_[2]'" },
	sub { "DELETE FROM orgusers.space_members WHERE org_id = '$_[0]' AND space_id = '$space{ space_of($_[0]) }'" },
	sub { "DELETE FROM orgusers.space_members WHERE user_id = '$_[2]'" },
	(sub { "UPDATE orgusers.space_members SET space_id = '$space{space1}' WHERE org_id = '$_[0]' AND user_id = '$_[2]' AND space_id = '$space{space2}'" }) x 2,
	sub { "UPDATE orgusers.space_members SET user_id = '@{[any(@users)]}' WHERE org_id = '$_[0]' AND user_id = '$_[2]' AND space_id = '$space{space1}'" },
	sub { "DELETE FROM orgusers.space_groups WHERE org_id = '$_[0]'" },
	sub { "DELETE FROM orgusers.space_groups USING orgusers.groups g WHERE g.org_id = space_groups.org_id AND g.id = group_id AND g.name = '@{[any(qw(one two))]}' AND g.org_id IN ('$_[0]', '$_[1]')" },
	sub { "UPDATE orgusers.space_groups SET space_id = '$space{space1}' WHERE org_id = '$_[0]' AND space_id = '$space{space2}'" },
	sub { "UPDATE orgusers.space_groups SET group_id = (SELECT id FROM orgusers.groups WHERE org_id = '$_[0]' AND name = '@{[any(qw(one two))]}') WHERE org_id = '$_[0]' AND space_id = '$space{ space_of($_[0]) }'" },
	sub { "SET LOCAL session_replication_role = replica; DELETE FROM orgusers.space_groups WHERE org_id = '$_[0]'; DELETE FROM orgusers.space_members WHERE org_id = '$_[0]' AND user_id = '$_[2]'; SET LOCAL session_replication_role = origin" },
	sub { "DELETE FROM orgusers.spaces WHERE org_id = '$_[0]' AND id = '$space{ space_of($_[0]) }'" },
	sub { "DELETE FROM orgusers.membership_permissions WHERE org_id = '$_[0]' AND user_id = '$_[2]'" },
	sub { "DELETE FROM orgusers.membership_permissions WHERE permission = '@{[any(qw(docs.read docs.write docs.share users.invite))]}'" },
	sub { "UPDATE orgusers.membership_permissions SET permission = 'docs.write' WHERE org_id = '$_[0]' AND permission = 'docs.read'" },
	sub { "UPDATE orgusers.membership_permissions SET user_id = '@{[any(@users)]}' WHERE org_id = '$_[0]' AND user_id = '$_[2]'" },
	(sub { "DELETE FROM orgusers.base_permissions WHERE permission = '@{[any(qw(docs.read docs.write docs.share users.invite))]}'" }) x 3,
	sub { "UPDATE orgusers.base_permissions SET permission = '@{[any(qw(docs.read docs.write))]}' WHERE policy = 'plans_and_groups' AND permission = 'docs.share'" },
	(sub { "UPDATE orgusers.role_templates SET all_spaces = @{[any(qw(true false))]} WHERE policy = 'plans_and_groups' AND id = '@{[any(qw(user reader reader writer))]}'" }) x 6,
	(sub { "UPDATE orgusers.permissions SET scope = '@{[any(qw(organization space))]}' WHERE key = '@{[any(qw(docs.read docs.read docs.write docs.share))]}'" }) x 6,
	sub { "SELECT orgusers.register_permission('docs.share', 'Share.', '@{[any(qw(organization space))]}')" },
	sub { "UPDATE orgusers.roles SET name = CASE name WHEN 'READER' THEN 'EDITOR' ELSE 'READER' END WHERE org_id = '$_[0]' AND template = 'reader'" },
	sub { "DELETE FROM orgusers.roles WHERE org_id = '$_[0]'; UPDATE orgusers.organizations SET policy = 'other' WHERE id = '$_[0]'" },
	(sub { "UPDATE orgusers.organizations SET policy = CASE policy WHEN 'other' THEN 'plans_and_groups' ELSE 'other' END WHERE id = '$_[0]' AND NOT EXISTS (SELECT FROM orgusers.roles r WHERE r.org_id = organizations.id)" }) x 3,
	sub { "SET LOCAL orgusers.user_id = '$root'; SELECT orgusers.set_user_spaces('$_[0]', '$_[2]', '{@{[join ',', grep { rand() < 0.5 } spaces_of($_[0])]}}')" },
	sub { "SET LOCAL orgusers.user_id = '$root'; SELECT orgusers.set_group_spaces('$_[0]', '@{[any(qw(one two))]}', '{@{[join ',', grep { rand() < 0.5 } spaces_of($_[0])]}}')" },
	sub { "SET LOCAL orgusers.user_id = '$root'; SELECT orgusers.set_user_permissions('$_[0]', '$_[2]', '{@{[join ',', grep { rand() < 0.3 } qw(docs.read docs.write docs.share users.invite)]}}')" },
	sub { my $name = space_of($_[0]); "SET LOCAL orgusers.user_id = '$root'; SELECT orgusers.delete_space('$_[0]', '$name')" },
	# The new space gets the id that it has in every history.
	(sub { my $name = space_of($_[0]); "SET LOCAL orgusers.user_id = '$root'; SELECT orgusers.create_space('$_[0]', '$name'); UPDATE orgusers.spaces SET id = '$space{$name}' WHERE org_id = '$_[0]' AND name = '$name'" }) x 2);

my $older = @changes;

# Edited roles and roles that reach below.
my @some = qw(docs.read docs.read docs.write docs.share users.invite);
push @changes, (
	sub { "INSERT INTO orgusers.role_permissions SELECT org_id, id, '@{[any(@some)]}' FROM orgusers.roles WHERE org_id = '$_[0]' AND name = '$_[3]' ON CONFLICT DO NOTHING" },
	sub { "INSERT INTO orgusers.role_permissions SELECT org_id, id, '@{[any(@some)]}' FROM orgusers.roles WHERE template = 'reader' ON CONFLICT DO NOTHING" },
	sub { "UPDATE orgusers.role_templates SET reaches_below = true WHERE id = '@{[any(qw(user writer))]}'" },
	(sub { "UPDATE orgusers.roles SET edited = NOT edited WHERE org_id = '$_[0]' AND template = 'reader'" }) x 6,
	(sub { "UPDATE orgusers.role_templates SET reaches_below = false WHERE id = '@{[any(qw(user writer))]}'" }) x 2,
	(sub { "DELETE FROM orgusers.role_permissions WHERE org_id = '$_[0]' AND permission = '@{[any(@some)]}'" }) x 2,
	(sub { "DELETE FROM orgusers.role_permissions USING orgusers.roles r WHERE r.org_id = role_permissions.org_id AND r.id = role_id AND r.name = '$_[3]'" }) x 2,
	(sub { "UPDATE orgusers.role_permissions SET permission = '@{[any(@some)]}' WHERE org_id = '$_[0]' AND permission = '@{[any(@some)]}'" }) x 2);

# The first six of either list give, and three of the last; about as often as all others take.
push @changes, (@changes[ 0 .. 5, $old .. $old + 5, $older .. $older + 2 ]) x 3;

my @readers = map { { psql => WarmSession->new($node), level => undef } } 1 .. 4;
if ($ENV{ORGUSERS_FLUSHED})
{
	$_->{psql}->must('SET debug_discard_caches = 1') for @readers;
}
my $writer = WarmSession->new($node);
my $oracle = WarmSession->new($node);

for (@ways)
{
	my ($plan, $set, $reset) = @$_;
	like($oracle->must("$set; EXPLAIN (COSTS OFF) $unprotected; $reset"), qr/\b$plan/, "$plan: by a condition");
	like($oracle->must("$set; SET ROLE app; EXPLAIN (COSTS OFF) $protected; RESET ROLE; $reset"), qr/\b$plan/, "$plan: through protection");
}

my (%count, @wrong);
my $cases = 0;

# Compares a session's answers for a user with the reference of the one who looks, who sees what the session is to see.
sub compare
{
	my ($where, $session, $looker, $user, $own) = @_;
	my $choice = any(0 .. $#ways, 0 .. $#ways - 1);	# the last starts workers, and takes its time
	# Rights are those of now at any level, rows those of the snapshot: the documents are the same in all, the spaces are not.
	my $got = $session->{psql}->must(($own ? 'SET LOCAL' : 'SET') . " orgusers.user_id = '$user'; $asks; $rows[$choice]; $visible");
	my ($spaces_seen) = $got =~ /\n([^\n]*)\z/;
	$got =~ s/\n[^\n]*\z//;
	my $old = ($session->{level} || '') =~ /REPEATABLE|SERIALIZABLE/ && !$own;
	my $expected = $looker->must(reference($user, $old ? "VALUES $spaces_seen" : 'SELECT org_id, id FROM orgusers.spaces'));
	$cases += $answers;
	$count{looks}++;
	my ($in_all, $in_spaces, $member, $reached) = split /\n/, $expected;
	# The view that authorize_change() and others read says the same as the loader.
	my $by_view = $looker->must("SELECT string_agg((EXISTS (SELECT FROM orgusers.rights r WHERE (r.user_id, r.org_id, r.permission) = ('$user', o, p) AND r.everywhere))::int::text, '' ORDER BY o, p) FROM unnest($org_array) o, unnest($permission_array) p");
	push @wrong, "$where, user $user, by the view rights:\n$by_view\ninstead of\n$in_all" if $by_view ne $in_all;
	$count{reached} += (() = $reached =~ /1/g) - (() = $member =~ /1/g);
	$count{true} += () = $in_all =~ /1/g;
	# of all permissions in all spaces, those of somebody who has them in some only
	$count{'in some spaces'} += () = $in_spaces =~ /1/g;
	$count{'in some spaces'} -= (1 + @spaces) * (() = $in_all =~ /1/g);
	push @wrong, "$where, user $user, rows by $ways[$choice][0]:\n$got\ninstead of\n$expected" if $got ne $expected;
	return;
}

# At the beginning there is every kind of right, whatever the seed.
compare('at the beginning', { psql => $writer }, $oracle, $_) for @users;
cmp_ok($count{$_}, '>', 0, "at the beginning: $_") for 'true', 'in some spaces', 'reached';

$cases = 0;
my $started = time;
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
	# Few changes at a time, of few users, who are asked for before and after: one change is not to hide that another went unnoticed.
	my @people = (any(@users), any(@users));
	my @now = map { any(@changes)->(any(@orgs), any(@orgs), any(@people), any(qw(USER READER WRITER))) } 1 .. any(1, 1, 1, 2, 4);
	$writer->must("RESET orgusers.user_id; BEGIN ISOLATION LEVEL $level");
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
	compare('before the end of [' . join('; ', @now) . ']', $reader, $oracle, any(@people)) if rand() < 0.8;
	if ($how eq 'PREPARE')
	{
		$writer->must("PREPARE TRANSACTION 'p'");
		$reader = any(@readers);
		compare('prepared [' . join('; ', @now) . ']', $reader, $oracle, any(@people));
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
		compare("after $how of [" . join('; ', @now) . '], session at ' . ($session->{level} || 'none'), $session, $oracle, any(@people, any(@users)));
	}
}
diag(sprintf('%d answers compared in %.0f s: %s', $cases, time - $started, join(', ', map { "$count{$_} $_" } sort keys %count)));
is(join("\n\n", @wrong), '', 'sessions answer as the reference does');
cmp_ok($count{changes}, '>', $count{transactions} / 2, 'most changes were made');
$_->quit for $writer, $oracle, map { $_->{psql} } @readers;
done_testing();
