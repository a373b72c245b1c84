# An installation with everything that one can have, and what is compared of it: for tests of what a dump, an upgrade
# or a replica keeps.
package Installation;

use strict;
use warnings;

our $key = '2Dl7oW4h0VTqD8VdH6GC0Xe0gS0K3mDOUQm8o5mS0Eg=';
our @users = map { sprintf('00000000-0000-0000-0000-0000000000%02x', $_) } 0 .. 15;
our ($free, $paid, $tree, $branch) = map { "00000000-0000-0000-0000-00000000000$_" } 'a', 'b', 'e', 'd';
our $roles = 'CREATE ROLE app; CREATE ROLE app_server; CREATE ROLE mailer LOGIN; CREATE ROLE owner_of_notes LOGIN;';

# Makes it in an empty database; returns an invitation token and a join link that work.  The organizations are updated
# in various orders, so that no two tables have them in the same one.
sub make
{
	my ($node, $database, $mailer_key) = @_;
	$mailer_key ||= $key;
	my $links = $node->safe_psql(
		$database, qq{
SET client_min_messages = warning;
CREATE EXTENSION orgusers;
SELECT orgusers.install_plans_and_groups();
SELECT orgusers.add_mailer_key('$mailer_key');
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
	my ($token) = $links =~ /^token (oui_\S{71})$/m or die 'no token';
	my ($join) = $links =~ /^join (oui_\S{71})$/m or die 'no join link';
	return ($token, $join);
}

# Number and hash of the rows of every table of the extension that are dumped.  The epoch is left out: it counts the takings of
# a lock, also by the restore.
our $contents = q{
	SELECT string_agg(c.relname || ' ' || (xpath('/row/rows/text()', query_to_xml(format(
			'SELECT count(*) || %L || coalesce(md5(string_agg(r::text, %L ORDER BY r::text)), %L) AS rows FROM (SELECT %s FROM orgusers.%I t %s) r', ' ', '|', '',
			CASE c.relname WHEN 'organizations' THEN 'id, parent_id, root_id, name, external_id, policy, time_zone, created_at' ELSE 't.*' END, c.relname,
			CASE c.relname WHEN 'assertion_keys' THEN 'WHERE algorithm <> ''HS256''' END), true, true, '')))[1]::text, E'\n' ORDER BY c.relname)
		FROM pg_class c WHERE c.relnamespace = 'orgusers'::regnamespace AND c.relkind = 'r' AND c.relname NOT IN ('installation', 'guards')};
# Who may do what with the extension's objects, and with the application's table.
our $acls = q{
	SELECT string_agg(x, E'\n' ORDER BY x) FROM (
		SELECT 'schema ' || nspacl::text FROM pg_namespace WHERE nspname = 'orgusers'
		UNION ALL SELECT p.oid::regprocedure || ' ' || a::text FROM pg_proc p, unnest(coalesce(proacl, acldefault('f', proowner))) a WHERE pronamespace = 'orgusers'::regnamespace
		UNION ALL SELECT c.oid::regclass || ' ' || a::text FROM pg_class c, unnest(coalesce(relacl, acldefault('r', relowner))) a WHERE relnamespace = 'orgusers'::regnamespace
		UNION ALL SELECT t.oid::regtype || ' ' || a::text FROM pg_type t, unnest(coalesce(typacl, acldefault('T', typowner))) a WHERE typnamespace = 'orgusers'::regnamespace
	) acl(x)};
1;
