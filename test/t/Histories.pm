# Histories: many sessions do whatever they like to the organizations of a small world, all at once, at every isolation
# level, by functions and as the owner.  Afterwards plain SQL over the tables, which asks none of the extension's
# functions and views, says whether all that must hold does.  test/t/046_histories.pl runs a few, test/campaign/parts/races many.
package Histories;

use strict;
use warnings;

use File::Basename;
use File::Spec;
use IPC::Open2;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Reference;
use Test::More ();

our $clients = 24;
our $transactions = 12;
# A step that the histories' themes are to have.
our $only = $ENV{ORGUSERS_THEME} || '';

sub any { return $_[ int(rand(@_)) ] }

# Roles by rule-book, and the plans that an organization comes to.
my %roles = (
	plans_and_groups => [qw(ADMIN USER GUEST)],
	spaces           => [ 'Organization Admin', 'Billing Admin', 'User Admin', 'Member' ],
	cases            => [ 'Account Administrator', 'Standard', 'Limited', 'Guest' ],
	customer_hub     => [qw(Admin User Helper)],
	subaccounts      => [ 'Account Admin', 'Team Admin', 'Accountant', 'Member' ]);
my @plans = qw(free team paid);

# What the sessions' statements need, and the reference.  Limits are such that a few people reach them.
my $setup = q{
CREATE EXTENSION orgusers;
SELECT orgusers.install_plans_and_groups(), orgusers.install_spaces(), orgusers.install_cases(), orgusers.install_customer_hub(), orgusers.install_subaccounts();
SELECT orgusers.add_mailer_key('2Dl7oW4h0VTqD8VdH6GC0Xe0gS0K3mDOUQm8o5mS0Eg=');
INSERT INTO orgusers.plans (id, title, paid, seats) VALUES ('team', 'Team', true, 4);
INSERT INTO orgusers.role_templates (policy, id, name, holds_seat, all_spaces, most_spaces) VALUES ('plans_and_groups', 'guest', 'GUEST', false, false, 1);
INSERT INTO orgusers.role_template_grants VALUES ('plans_and_groups', 'admin', 'guest');
INSERT INTO orgusers.role_template_permissions SELECT 'subaccounts', t, 'joining.manage' FROM unnest('{account_admin,team_admin}'::text[]) t;
INSERT INTO orgusers.role_template_permissions VALUES ('customer_hub', 'admin', 'joining.manage');
UPDATE orgusers.role_templates SET joinable = true WHERE (policy, id) IN (('subaccounts', 'member'), ('cases', 'limited'));
UPDATE orgusers.role_templates SET most_holders = 2 WHERE id IN ('user_admin', 'accountant');
UPDATE orgusers.policies SET daily_invitations = 5 WHERE id IN ('customer_hub', 'spaces');
} . Reference::views() . q{
CREATE VIEW may AS
	SELECT h.user_id, h.org_id, p.permission, p.in_all FROM held h JOIN permits p ON p.org_id = h.org_id AND p.role_id = h.role_id
	UNION ALL SELECT r.user_id, r.org_id, p.permission, true FROM reached r JOIN permits p ON p.org_id = r.account_id AND p.role_id = r.role_id WHERE p.in_all
	UNION ALL SELECT m.user_id, m.org_id, mp.permission, true FROM orgusers.memberships m JOIN orgusers.membership_permissions mp USING (org_id, user_id) WHERE m.status = 'active'
	UNION ALL SELECT m.user_id, m.org_id, b.permission, true FROM orgusers.memberships m JOIN orgusers.organizations o ON o.id = m.org_id
		JOIN orgusers.base_permissions b ON b.policy = o.policy WHERE m.status = 'active';
} . Reference::broken() . q{
-- What calls did, noted in their transactions.
CREATE UNLOGGED TABLE calls (transaction xid8 DEFAULT pg_current_xact_id(), call text, org_id uuid, subject uuid, user_id uuid DEFAULT orgusers.current_user_id());
CREATE UNLOGGED TABLE lacked (note text);
CREATE UNLOGGED TABLE tokens (org_id uuid, invitation_id uuid, digest bytea, token text);
CREATE UNLOGGED TABLE links (org_id uuid, id uuid, token text);

-- Somebody to act: an administrator of the organization or of the account above.
CREATE FUNCTION act(org uuid) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
	RETURN set_config('orgusers.user_id', coalesce((SELECT mr.user_id::text FROM orgusers.organizations o
		JOIN orgusers.membership_roles mr ON mr.org_id IN (o.id, o.root_id) JOIN orgusers.roles r ON r.org_id = mr.org_id AND r.id = mr.role_id
		WHERE o.id = org AND r.template LIKE '%admin%' ORDER BY random() LIMIT 1), ''), true);
END $$;
-- Something to act on: an invitation, and for who answers one, its person as the actor.
CREATE FUNCTION pick(org uuid, wanted text, answers boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE picked record; newest boolean := random() < 0.6;
BEGIN
	SELECT i.id, u.id AS person INTO picked FROM orgusers.invitations i LEFT JOIN orgusers.users u ON u.email = i.email
		WHERE i.org_id = org AND i.status ~ wanted AND (NOT answers OR u.id IS NOT NULL) ORDER BY CASE WHEN newest THEN i.id END DESC, random() LIMIT 1;
	IF answers THEN PERFORM set_config('orgusers.user_id', coalesce(picked.person::text, ''), true); END IF;
	RETURN set_config('test.id', coalesce(picked.id::text, ''), true);
END $$;
CREATE FUNCTION picked() RETURNS uuid LANGUAGE plpgsql AS $$ BEGIN RETURN nullif(current_setting('test.id', true), ''); END $$;
-- A token that was given out once, its person as the actor, or nobody who is registered.
CREATE FUNCTION pick_token(org uuid, registered boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE picked record; newest boolean := random() < 0.6;
BEGIN
	SELECT t.token, i.id, i.email, u.id AS person INTO picked FROM tokens t JOIN orgusers.invitations i ON i.org_id = t.org_id AND i.id = t.invitation_id
		LEFT JOIN orgusers.users u ON u.email = i.email WHERE t.org_id = org AND (u.id IS NOT NULL) = registered ORDER BY CASE WHEN newest THEN i.id END DESC, random() LIMIT 1;
	PERFORM set_config('orgusers.user_id', coalesce(picked.person::text, ''), true), set_config('test.id', coalesce(picked.id::text, ''), true), set_config('test.email', coalesce(picked.email::text, ''), true);
	RETURN set_config('test.token', coalesce(picked.token, ''), true);
END $$;
CREATE FUNCTION pick_link(org uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE picked record; newest boolean := random() < 0.6;
BEGIN
	SELECT l.id, l.token INTO picked FROM links l WHERE l.org_id = org ORDER BY CASE WHEN newest THEN l.id END DESC, random() LIMIT 1;
	PERFORM set_config('test.id', coalesce(picked.id::text, ''), true);
	RETURN set_config('test.token', coalesce(picked.token, ''), true);
END $$;
CREATE FUNCTION token() RETURNS orgusers.invitation_token LANGUAGE plpgsql AS $$ BEGIN RETURN nullif(current_setting('test.token', true), '')::orgusers.invitation_token; END $$;
-- A token as the mail of the invitation has it, which only the mailer could read: a further one.
CREATE FUNCTION keep_token(org uuid, invitation uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE made orgusers.invitation_token := orgusers.new_invitation_token(org);
BEGIN
	IF invitation IS NOT NULL THEN
		INSERT INTO orgusers.invitation_tokens (org_id, digest, invitation_id, kind) VALUES (org, orgusers.token_digest(made), invitation, 'mail');
		INSERT INTO tokens VALUES (org, invitation, orgusers.token_digest(made), orgusers.token_text(made));
	END IF;
END $$;
CREATE FUNCTION keep_link_token(org uuid, invitation uuid, link text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE made text := substring(link FROM '#(.*)$');
BEGIN
	INSERT INTO tokens VALUES (org, invitation, orgusers.token_digest(made::orgusers.invitation_token), made);
END $$;
-- Behind the organization's lock: by what the tables say, may this user do what a call has just done?
CREATE FUNCTION must(what text, org uuid, needed text, who uuid DEFAULT orgusers.current_user_id()) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
	IF NOT EXISTS (SELECT FROM may WHERE may.user_id = who AND may.org_id = org AND may.permission = needed AND may.in_all) THEN
		INSERT INTO lacked VALUES (format('%s in %s: %s lacked %s', what, org, who, needed));
	END IF;
END $$;
-- An invitation that has been accepted just now, by a token or not.
CREATE FUNCTION accepted(org uuid, by_token boolean) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
	IF EXISTS (SELECT FROM orgusers.audit_log a WHERE a.org_id = org AND a.transaction = pg_current_xact_id() AND a.relation = 'invitations' AND a.after ->> 'status' = 'accepted') THEN
		PERFORM must('accept', i.org_id, 'users.invite', i.invited_by) FROM orgusers.invitations i WHERE i.org_id = org AND i.id = picked();
		IF by_token AND NOT EXISTS (SELECT FROM orgusers.invitation_tokens t WHERE t.org_id = org AND t.digest = orgusers.token_digest(token())) THEN
			INSERT INTO lacked VALUES (format('accept in %s: by a token that had ended', org));
		END IF;
	END IF;
END $$;
CREATE FUNCTION joined(org uuid, how text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
	IF EXISTS (SELECT FROM orgusers.audit_log a WHERE a.org_id = org AND a.transaction = pg_current_xact_id() AND a.relation = 'memberships' AND a.action = 'insert') THEN
		INSERT INTO calls (call, org_id, subject) VALUES (how, org, picked());
		IF how = 'link' THEN
			PERFORM must('join', l.org_id, 'joining.manage', l.created_by) FROM orgusers.join_links l WHERE l.org_id = org AND l.id = picked();
		END IF;
	END IF;
END $$;
CREATE FUNCTION refused(sqlstate text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
	IF sqlstate !~ '^OU' THEN INSERT INTO lacked VALUES ('invite_users refused a row with ' || sqlstate); END IF;
END $$;
-- All that users may, as a session says, and as the tables do.
CREATE FUNCTION rights_said(users uuid[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE who uuid;
BEGIN
	FOREACH who IN ARRAY users LOOP
		PERFORM set_config('orgusers.user_id', who::text, true);
		RETURN QUERY SELECT concat_ws(' ', who, md5(string_agg(o.id || p.key, ',' ORDER BY o.id, p.key)),
				(SELECT md5(string_agg(s.id || k.key, ',' ORDER BY s.id, k.key)) FROM orgusers.spaces s, orgusers.permissions k WHERE k.scope = 'space' AND orgusers.can(s.org_id, s.id, k.key)))
			FROM orgusers.organizations o, orgusers.permissions p WHERE orgusers.can(o.id, p.key);
	END LOOP;
END $$;
CREATE FUNCTION rights_true(who uuid) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
	RETURN (WITH m AS MATERIALIZED (SELECT DISTINCT * FROM may WHERE user_id = who)
		SELECT concat_ws(' ', who, md5(string_agg(DISTINCT m.org_id || m.permission, ',' ORDER BY m.org_id || m.permission)),
			(SELECT md5(string_agg(s.id || k.key, ',' ORDER BY s.id, k.key)) FROM orgusers.spaces s, orgusers.permissions k WHERE k.scope = 'space' AND EXISTS (
				SELECT FROM m WHERE m.org_id = s.org_id AND m.permission = k.key
				  AND (m.in_all OR EXISTS (SELECT FROM assigned a WHERE a.org_id = s.org_id AND a.space_id = s.id AND a.user_id = who)))))
		FROM m WHERE m.in_all);
END $$;

-- The trail, told from its beginning, ends with the rows as they are.
CREATE FUNCTION replay_step(state jsonb, action text, became jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
	RETURN CASE action WHEN 'delete' THEN NULL WHEN 'insert' THEN became ELSE state || became END;
CREATE AGGREGATE replay(text, jsonb) (sfunc = replay_step, stype = jsonb);
CREATE FUNCTION trail_differs() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE told record;
BEGIN
	FOR told IN SELECT t.relation, t.untold, array_agg(a.attname::text) AS of_key FROM (VALUES
			('organizations', '{epoch}'::text[]), ('memberships', '{}'), ('roles', '{}'), ('role_permissions', '{}'), ('membership_roles', '{}'), ('membership_permissions', '{}'),
			('groups', '{}'), ('group_members', '{}'), ('group_roles', '{}'), ('spaces', '{}'), ('space_members', '{}'), ('space_groups', '{}'), ('subscriptions', '{}'),
			('invitations', '{}'), ('invitation_roles', '{}'), ('invitation_groups', '{}'), ('invitation_spaces', '{}'),
			('join_links', '{uses,digest}'), ('join_link_roles', '{}'), ('join_domains', '{challenge}'), ('join_domain_roles', '{}'), ('users', '{}')) t (relation, untold)
		JOIN pg_index x ON x.indrelid = ('orgusers.' || t.relation)::regclass AND x.indisprimary
		JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey[:x.indnkeyatts - 1]) GROUP BY 1, 2
	LOOP
		RETURN QUERY EXECUTE format($q$
			WITH rows AS (SELECT to_jsonb(r) - %L::text[] AS state FROM orgusers.%I r),
			 now_is AS (SELECT (SELECT jsonb_object_agg(k, state -> k) FROM unnest(%3$L::text[]) k) AS key, state FROM rows),
			 was AS (SELECT (SELECT jsonb_object_agg(k, coalesce(after, before) -> k) FROM unnest(%3$L::text[]) k) AS key, replay(action, after ORDER BY at, id) AS state
				FROM orgusers.audit_log WHERE relation = %2$L GROUP BY 1)
			SELECT format('%%s is %%s, told %%s', %2$L, now_is.state, was.state) FROM now_is FULL JOIN was USING (key) WHERE now_is.state IS DISTINCT FROM was.state$q$,
			told.untold, told.relation, told.of_key);
	END LOOP;
END $$;
};

# What must hold when all is over, besides the view broken: rows are what does not.
my @checks = (
	[ 'in every snapshot', 'TABLE broken' ],
	[ 'calls had the authority they need', 'TABLE lacked' ],
	[ 'nobody holds anything without being a user', q{
		SELECT org_id, user_id FROM (SELECT org_id, user_id FROM orgusers.membership_roles UNION SELECT org_id, user_id FROM orgusers.group_members
			UNION SELECT org_id, user_id FROM orgusers.space_members UNION SELECT org_id, user_id FROM orgusers.membership_permissions) h
		EXCEPT SELECT org_id, user_id FROM orgusers.memberships} ],
	[ 'free users hold free roles and nothing else', q{
		SELECT m.* FROM orgusers.memberships m JOIN held h USING (org_id, user_id) JOIN orgusers.roles r ON r.org_id = h.org_id AND r.id = h.role_id WHERE m.holds_seat <> r.holds_seat} ],
	[ 'an invitation is closed once', q{
		SELECT after ->> 'id' FROM orgusers.audit_log WHERE relation = 'invitations' AND action = 'update' AND after ? 'status' GROUP BY org_id, 1 HAVING count(*) > 1} ],
	[ 'who accepted became a user', q{
		SELECT a.* FROM orgusers.audit_log a WHERE a.relation = 'invitations' AND a.after ->> 'status' = 'accepted' AND a.action = 'update' AND NOT EXISTS (
			SELECT FROM orgusers.audit_log m WHERE m.org_id = a.org_id AND m.relation = 'memberships' AND m.action = 'insert' AND m.user_id = (a.after ->> 'answered_by')::uuid AND m.at < a.at)} ],
	[ 'every membership has a reason', q{
		SELECT m.* FROM orgusers.audit_log m WHERE m.relation = 'memberships' AND m.action = 'insert' AND NOT EXISTS (
			SELECT FROM orgusers.audit_log a WHERE a.transaction = m.transaction AND a.org_id = m.org_id
			  AND (a.relation = 'organizations' AND a.action = 'insert' OR a.relation = 'invitations' AND a.action = 'update' AND a.after ->> 'status' = 'accepted' AND a.after ->> 'answered_by' = m.user_id::text))
		AND NOT EXISTS (SELECT FROM calls c WHERE c.transaction = m.transaction AND (c.call = 'direct' OR c.org_id = m.org_id AND c.user_id = m.user_id))} ],
	[ 'a link is used as often as people came by it', q{
		SELECT l.* FROM orgusers.join_links l WHERE l.uses <> (SELECT count(*) FROM calls c WHERE c.call = 'link' AND c.org_id = l.org_id AND c.subject = l.id)} ],
	[ 'quotas count what was sent', q{
		WITH sent AS (SELECT a.org_id, a.actor_id, count(*) AS n FROM orgusers.audit_log a JOIN orgusers.organizations o ON o.id = a.org_id JOIN orgusers.policies p ON p.id = o.policy
			WHERE p.daily_invitations IS NOT NULL AND a.relation = 'invitations' AND (a.action = 'insert' AND a.after ->> 'first_name' IS DISTINCT FROM 'Owner' OR a.action = 'update' AND (a.after ->> 'expires_at')::timestamptz > a.at) GROUP BY 1, 2),
		counted AS (SELECT q.org_id, q.user_id AS actor_id, sum(q.used) AS n FROM orgusers.invitation_quota q GROUP BY 1, 2)
		SELECT org_id, actor_id, sent.n AS sent, counted.n AS counted FROM sent FULL JOIN counted USING (org_id, actor_id) WHERE sent.n IS DISTINCT FROM counted.n} ],
	[ 'one mail for each sending', q{
		WITH made AS (SELECT a.org_id, (a.after ->> 'id')::uuid AS id, count(*) FILTER (WHERE a.action = 'update' AND (a.after ->> 'expires_at')::timestamptz > a.at OR a.action = 'insert' AND coalesce(a.after ->> 'first_name', '') NOT IN ('Unsent', 'Owner')) AS n
			FROM orgusers.audit_log a WHERE a.relation = 'invitations' AND a.after IS NOT NULL GROUP BY 1, 2),
		mails AS (SELECT org_id, invitation_id AS id, count(*) AS n, count(sealed_token) AS sealed FROM orgusers.mail_outbox WHERE kind = 'invitation' GROUP BY 1, 2)
		SELECT made.*, mails.* FROM made FULL JOIN mails USING (org_id, id) LEFT JOIN orgusers.invitations i USING (org_id, id)
		WHERE coalesce(made.n, 0) <> coalesce(mails.n, 0) OR coalesce(mails.sealed, 0) <> CASE WHEN i.status = 'pending' AND made.n > 0 THEN 1 ELSE 0 END} ],
	[ 'only the tokens mailed last open an invitation', q{
		SELECT org_id, invitation_id FROM orgusers.invitation_tokens WHERE kind = 'mail' GROUP BY 1, 2 HAVING count(*) > 2} ],
	[ 'the trail ends with the rows as they are', 'SELECT * FROM trail_differs()' ],
	[ 'health_check()', 'SELECT * FROM orgusers.health_check(true)' ]);

# What one session does: name => [weight, kind, statements].  {words} are filled in.  Kinds: call, of a function; join, a
# call that must be alone in its transaction; direct, what the owner of the database may also do.
my $admin = q{SELECT act('{org}')};
my %steps = (
	invite     => [ 5, 'call', $admin, q{SELECT keep_token('{org}', orgusers.invite_user('{org}', '{address}', {roles}, {groups}, spaces => {none_or_spaces}))}, q{SELECT must('invite', '{org}', 'users.invite')} ],
	bulk       => [ 2, 'call', $admin, q{SELECT keep_token('{org}', i.invitation_id), refused(i.sqlstate) FROM orgusers.invite_users('{org}', '[{"email": "{address}"}, {"email": "{address}", "roles": ["{role}"]}, {"email": "{address}"}]') i}, q{SELECT must('bulk', '{org}', 'users.invite')} ],
	unsent     => [ 1, 'call', $admin, q{SELECT orgusers.invite_user('{org}', '{address}', {roles}, first_name => 'Unsent', send => false)}, q{SELECT must('unsent', '{org}', 'users.invite')} ],
	link       => [ 2, 'call', $admin, q{SELECT pick('{org}', 'pending')}, q{SELECT keep_link_token('{org}', picked(), orgusers.invitation_link('{org}', picked()))}, q{SELECT must('link', '{org}', 'users.invite')} ],
	resend     => [ 3, 'call', $admin, q{SELECT pick('{org}', 'pending')}, q{SELECT orgusers.resend_invitation('{org}', picked())}, q{SELECT keep_token('{org}', picked())}, q{SELECT must('resend', '{org}', 'users.invite')} ],
	cancel     => [ 2, 'call', $admin, q{SELECT pick('{org}', 'pending')}, q{SELECT orgusers.cancel_invitation('{org}', picked())} ],
	forget     => [ 1, 'call', $admin, q{SELECT pick('{org}', '.')}, q{SELECT orgusers.remove_invitation('{org}', picked())} ],
	inspaces   => [ 1, 'call', $admin, q{SELECT pick('{org}', 'pending')}, q{SELECT orgusers.set_invitation_spaces('{org}', picked(), {spaces})}, q{SELECT must('inspaces', '{org}', 'spaces.assign')} ],
	accept     => [ 5, 'call', q{SELECT pick('{org}', 'pending', true)}, q{SELECT orgusers.accept_my_invitation('{org}', picked())}, q{SELECT accepted('{org}', false)} ],
	again      => [ 1, 'call', q{SELECT pick('{org}', 'accepted', true)}, q{SELECT orgusers.accept_my_invitation('{org}', picked())}, q{SELECT accepted('{org}', false)} ],
	token      => [ 6, 'call', q{SELECT pick_token('{org}', true)}, q{SELECT orgusers.accept_invitation(token())}, q{SELECT accepted('{org}', true)} ],
	register   => [ 2, 'call', q{SELECT pick_token('{org}', false)}, q{SELECT * FROM orgusers.register_and_accept(token(), current_setting('test.email')::orgusers.email)}, q{SELECT accepted('{org}', true)} ],
	decline    => [ 1, 'call', q{SELECT pick('{org}', 'pending', true)}, q{SELECT orgusers.decline_my_invitation('{org}', picked())} ],
	remove     => [ 3, 'call', $admin, q{SELECT orgusers.remove_user('{org}', '{user}')} ],
	deactivate => [ 3, 'call', $admin, q{SELECT orgusers.deactivate_user('{org}', '{user}')} ],
	reactivate => [ 3, 'call', $admin, q{SELECT orgusers.reactivate_user('{org}', '{user}')} ],
	roles      => [ 5, 'call', $admin, q{SELECT orgusers.set_user_roles('{org}', '{user}', {roles})} ],
	demote     => [ 3, 'call', $admin, q{SELECT orgusers.set_user_roles('{org}', '{manager}', {roles})} ],
	promote    => [ 2, 'call', $admin, q{SELECT orgusers.set_user_roles('{org}', '{manager}', '{{first}}')} ],
	hand_over  => [ 2, 'call', $admin, q{SELECT orgusers.hand_over('{org}', '{user}', {flag})} ],
	leave      => [ 2, 'call', q{SET LOCAL orgusers.user_id = '{user}'}, q{SELECT orgusers.leave_organization('{org}', (SELECT confirmation FROM orgusers.preview_leaving('{org}')))} ],
	single     => [ 1, 'call', $admin, q{SELECT orgusers.set_user_permissions('{org}', '{user}', {permissions})} ],
	role       => [ 1, 'call', $admin, q{SELECT orgusers.create_role('{org}', 'Helper', {permissions})}, q{SELECT must('role', '{org}', 'roles.manage')} ],
	edit       => [ 2, 'call', $admin, q{SELECT orgusers.edit_role('{org}', '{role}', permissions => {permissions})} ],
	unrole     => [ 1, 'call', $admin, q{SELECT orgusers.delete_role('{org}', '{role}')} ],
	groups     => [ 2, 'call', $admin, q{SELECT orgusers.set_user_groups('{org}', '{user}', {groups})} ],
	ungroup    => [ 1, 'call', $admin, q{SELECT orgusers.delete_group('{org}', 'ops')} ],
	group      => [ 2, 'call', $admin, q{SELECT orgusers.create_group('{org}', 'ops', {roles})} ],
	carry      => [ 1, 'call', $admin, q{SELECT orgusers.set_group_roles('{org}', 'ops', {roles})} ],
	gspaces    => [ 1, 'call', $admin, q{SELECT orgusers.set_group_spaces('{org}', 'ops', {spaces})}, q{SELECT must('gspaces', '{org}', 'spaces.assign')} ],
	assign     => [ 2, 'call', $admin, q{SELECT orgusers.assign_spaces('{org}', '{user}', {spaces})}, q{SELECT must('assign', '{org}', 'spaces.assign')} ],
	spaces     => [ 2, 'call', $admin, q{SELECT orgusers.set_user_spaces('{org}', '{user}', {spaces})}, q{SELECT must('spaces', '{org}', 'spaces.assign')} ],
	space      => [ 1, 'call', $admin, q{SELECT orgusers.create_space('{org}', '{space}')} ],
	unspace    => [ 1, 'call', $admin, q{SELECT orgusers.delete_space('{org}', '{space}')}, q{SELECT must('unspace', '{org}', 'spaces.manage')} ],
	billing    => [ 3, 'call', $admin, q{SELECT orgusers.set_billing_admin('{org}', '{user}')} ],
	cc         => [ 1, 'call', $admin, q{SELECT orgusers.set_billing_cc('{org}', '{{address}}')}, q{SELECT must('cc', '{org}', 'billing.manage')} ],
	plan       => [ 4, 'call', $admin, q{SELECT orgusers.set_plan('{org}', {plan})} ],
	rename     => [ 1, 'call', $admin, q{SELECT orgusers.rename_organization('{org}', 'renamed')}, q{SELECT must('rename', '{org}', 'organization.rename')} ],
	found      => [ 2, 'call', q{SET LOCAL orgusers.user_id = '{user}'}, q{SELECT orgusers.create_organization('brief', '{policy}', '{brief}')} ],
	dissolve   => [ 1, 'call', q{SELECT act('{brief}')}, q{SELECT orgusers.delete_organization('{brief}')} ],
	delete     => [ 0.3, 'call', $admin, q{SELECT orgusers.delete_organization('{org}')} ],
	sub        => [ 2, 'call', q{SELECT act('{root}')}, q{SELECT orgusers.create_sub_account('{root}', 'extra', '{address}')} ],
	unsub      => [ 1, 'call', q{SELECT act('{root}')}, q{SELECT orgusers.delete_organization((SELECT id FROM orgusers.organizations WHERE parent_id = '{root}' AND name = 'extra' ORDER BY random() LIMIT 1))} ],
	joinlink   => [ 2, 'call', $admin, q{INSERT INTO links SELECT '{org}', l.id, substring(l.link FROM '#(.*)$') FROM orgusers.create_join_link('{org}', {joinable}, {few}) l}, q{SELECT must('joinlink', '{org}', 'joining.manage')} ],
	revoke     => [ 0.5, 'call', $admin, q{SELECT pick_link('{org}')}, q{SELECT orgusers.revoke_join_link('{org}', picked())}, q{SELECT must('revoke', '{org}', 'joining.manage')} ],
	join       => [ 5, 'join', q{SELECT pick_link('{org}')}, q{SET LOCAL orgusers.user_id = '{user}'}, q{SELECT orgusers.join_organization(token())}, q{SELECT joined('{org}', 'link')} ],
	claim      => [ 1, 'call', $admin, q{SELECT orgusers.verify_join_domain('{org}', 'example.org', orgusers.claim_join_domain('{org}', 'example.org', {joinable}))}, q{SELECT must('claim', '{org}', 'joining.manage')} ],
	unclaim    => [ 0.5, 'call', $admin, q{SELECT orgusers.drop_join_domain('{org}', 'example.org')} ],
	offer      => [ 3, 'join', q{SET LOCAL orgusers.user_id = '{user}'}, q{SELECT orgusers.join_by_domain('{org}')}, q{SELECT joined('{org}', 'domain')} ],
	active     => [ 1, 'call', q{SET LOCAL orgusers.user_id = '{user}'}, q{SELECT orgusers.record_activity('{org}'), orgusers.switch_organization('{org}')} ],
	list       => [ 1, 'call', $admin, q{SELECT count(*) FROM orgusers.list_users('{org}')}, q{SELECT count(*) FROM orgusers.list_audit('{org}')} ],
	address    => [ 1, 'call', q{SELECT orgusers.change_email('{user}', '{address}', true)} ],
	newcomer   => [ 1, 'call', q{SELECT orgusers.register_user('{address}', id => '{user}', email_verified => true)} ],
	d_insert   => [ 3, 'direct', q{INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('{org}', '{user}')} ],
	d_upsert   => [ 2, 'direct', q{INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('{org}', '{user}') ON CONFLICT (org_id, user_id) DO UPDATE SET status = 'active', deactivated_at = NULL} ],
	d_merge    => [ 1, 'direct', q{MERGE INTO orgusers.memberships m USING (SELECT '{org}'::uuid AS org_id, '{user}'::uuid AS user_id) n ON m.org_id = n.org_id AND m.user_id = n.user_id WHEN MATCHED THEN UPDATE SET status = 'active', deactivated_at = NULL WHEN NOT MATCHED THEN INSERT (org_id, user_id) VALUES (n.org_id, n.user_id)} ],
	d_sleep    => [ 2, 'direct', q{UPDATE orgusers.memberships SET status = 'deactivated', deactivated_at = now() WHERE org_id = '{org}' AND user_id = '{user}'} ],
	d_wake     => [ 2, 'direct', q{UPDATE orgusers.memberships SET status = 'active', deactivated_at = NULL WHERE org_id = '{org}'} ],
	d_roles    => [ 3, 'direct', q{DELETE FROM orgusers.membership_roles WHERE org_id = '{org}' AND user_id = '{user}'} ],
	d_give     => [ 3, 'direct', q{INSERT INTO orgusers.membership_roles SELECT m.org_id, m.user_id, r.id, m.holds_seat FROM orgusers.memberships m JOIN orgusers.roles r USING (org_id, holds_seat) WHERE m.org_id = '{org}' AND m.user_id = '{user}' AND r.name = '{role}' ON CONFLICT DO NOTHING} ],
	d_guest    => [ 1, 'direct', q{WITH gone AS (DELETE FROM orgusers.membership_roles WHERE org_id = '{org}' AND user_id = '{user}') UPDATE orgusers.memberships SET holds_seat = NOT holds_seat WHERE org_id = '{org}' AND user_id = '{user}'} ],
	d_delete   => [ 2, 'direct', q{DELETE FROM orgusers.memberships WHERE org_id = '{org}' AND user_id = '{user}'} ],
	d_space    => [ 2, 'direct', q{INSERT INTO orgusers.space_members (org_id, space_id, user_id) SELECT s.org_id, s.id, m.user_id FROM orgusers.spaces s JOIN orgusers.memberships m USING (org_id) WHERE s.org_id = '{org}' AND m.user_id = '{user}' ON CONFLICT DO NOTHING} ],
	d_bill     => [ 2, 'direct', q{UPDATE orgusers.subscriptions SET billing_admin_id = '{user}' WHERE org_id = '{org}' AND paid} ],
	d_plan     => [ 1, 'direct', q{UPDATE orgusers.subscriptions SET plan = 'free', paid = false, billing_admin_id = NULL WHERE org_id = '{org}'} ],
	d_seats    => [ 1, 'direct', q{UPDATE orgusers.plans SET seats = {few} + 2 WHERE id = '{capped}'} ],
	d_expire   => [ 2, 'direct', q{UPDATE orgusers.invitations SET expires_at = clock_timestamp() - interval '1 second' WHERE org_id = '{org}' AND status = 'pending' AND email = '{address}'} ],
	d_invite   => [ 1, 'direct', q{INSERT INTO orgusers.invitations (org_id, email, expires_at, first_name) VALUES ('{org}', '{address}', clock_timestamp() + interval '1 day', 'Owner')} ],
	d_forget   => [ 0.5, 'direct', q{DELETE FROM orgusers.invitations WHERE org_id = '{org}' AND email = '{address}'} ],
	d_dissolve => [ 0.5, 'direct', q{DELETE FROM orgusers.organizations WHERE id = '{brief}'} ],
	d_user     => [ 0.5, 'direct', q{DELETE FROM orgusers.users WHERE id = '{user}'} ]);

# What a history is mainly about: steps that get in each other's way, and where.
my @themes = (
	[ 'invite accept accept token token cancel cancel resend forget decline register link again d_expire d_invite' ],
	[ 'invite bulk unsent resend link cancel', qw(customer_hub spaces) ],
	[ 'roles promote demote remove deactivate reactivate hand_over leave d_roles d_give d_delete d_sleep' ],
	[ 'billing plan d_bill d_plan d_seats deactivate reactivate remove hand_over join', qw(plans_and_groups cases) ],
	[ 'joinlink join join join join offer claim revoke unclaim remove remove d_delete d_delete d_insert demote' ],
	[ 'sub unsub invite accept address offer join d_insert register d_expire resend', 'subaccounts' ],
	[ 'role edit edit unrole invite accept token roles demote single', 'customer_hub' ],
	[ 'group carry groups ungroup gspaces spaces assign space unspace invite accept inspaces', 'plans_and_groups' ],
	[ 'spaces assign roles space unspace inspaces invite accept d_space d_give d_guest', qw(cases plans_and_groups) ],
	[ 'found dissolve delete d_user newcomer leave d_dissolve invite accept token space' ],
	[ 'invite accept accept token token demote demote promote promote rename cc assign d_roles resend remove deactivate reactivate' ]);

# Starts a cluster with the rule-books, and the sessions.
sub new
{
	my ($class, %args) = @_;
	my $node = PostgreSQL::Test::Cluster->new('histories');
	my $self = bless { node => $node, number => 0, seed => $args{seed}, failed => {}, states => {}, done => {} }, $class;
	$node->init;
	# In some histories commits linger at the moment when they are visible and their invalidations are not sent.
	my $linger = File::Spec->rel2abs("$PostgreSQL::Test::Utils::tmp_check/slow_commit.so");
	chomp(my $include = $node->config_data('--includedir-server'));
	system_or_bail('cc', '-shared', '-fPIC', '-I', $include, '-o', $linger, dirname(__FILE__) . '/slow_commit.c');
	$node->append_conf('postgresql.conf', "session_preload_libraries = '$linger'");
	# Nothing here is about durability, and deadlocks are to be found, not waited for.
	$node->append_conf('postgresql.conf', "fsync = off\nsynchronous_commit = off\ndeadlock_timeout = 20ms\nmax_connections = 60\nlog_min_messages = error\nautovacuum_naptime = 5s");
	$node->start;
	$node->safe_psql('postgres', $setup);
	$self->connect;
	return $self;
}

sub connect
{
	my ($self) = @_;
	$_->{quit}->() for @{ $self->{sessions} || [] };
	$self->{sessions} = [ map {
		my $pid = open2(my $out, my $in, 'psql', '-qXAt', '-d', $self->{node}->connstr('postgres'));
		{ ask => sub { print $in @_; $in->flush }, out => $out, quit => sub { close $in; close $out; waitpid $pid, 0 } };
	} 1 .. $clients + 1 ];
	return;
}

# Sends scripts to sessions from the first on, all at once, and returns what each says.
sub ask
{
	my ($self, $first, @scripts) = @_;
	my @answers;
	local $SIG{ALRM} = sub { Test::More::BAIL_OUT('no answer') };
	alarm $PostgreSQL::Test::Utils::timeout_default;
	for my $n (0 .. $#scripts)
	{
		my $file = "$PostgreSQL::Test::Utils::tmp_check/history_$n.sql";
		my $session = $self->{sessions}[ $first + $n ];
		open my $script, '>', $file or die $!;
		print $script $scripts[$n];
		close $script;
		$session->{ask}->("\\i $file\n\\o\n\\echo that is all\n");
	}
	for my $n (0 .. $#scripts)
	{
		my $out = $self->{sessions}[ $first + $n ]{out};
		my @lines;
		while (defined(my $line = <$out>))
		{
			last if $line eq "that is all\n";
			chomp $line;
			push @lines, $line;
		}
		push @answers, \@lines;
	}
	alarm 0;
	return @answers;
}

# Statements of a session more, which must succeed, and what each returns.
sub query
{
	my ($self, @statements) = @_;
	my @answers = ('');
	for (@{ ($self->ask($clients, join '', map { "$_;\n\\echo state :SQLSTATE :LAST_ERROR_MESSAGE\n" } @statements))[0] })
	{
		if (/^state (\w{5}) ?(.*)/)
		{
			Test::More::BAIL_OUT("$statements[$#answers]: $2") if $1 ne '00000';
			push @answers, '';
		}
		else
		{
			$answers[-1] .= "$_\n";
		}
	}
	return @answers[ 0 .. $#statements ];
}

# A world: users, an organization of each rule-book, two sub-accounts.
sub found
{
	my ($self) = @_;
	my @users = map { sprintf('00000000-0000-4000-8000-0000%04x00%02x', $self->{number}, $_) } 1 .. 10;
	my %org;
	my $n = 0;
	$org{$_} = sprintf('00000000-0000-4000-9000-0000%04xa0%02x', $self->{number}, ++$n) for sort keys %roles;
	my ($root, @subs) = ($org{subaccounts}, map { sprintf('00000000-0000-4000-9000-0000%04xb0%02x', $self->{number}, $_) } 1, 2);
	my $sql = "SELECT orgusers.register_user(('u' || n || '\@example.org')::orgusers.email, id => id::uuid, email_verified => true) FROM unnest('{@{[join ',', @users]}}'::text[]) WITH ORDINALITY u (id, n);
UPDATE orgusers.plans SET seats = 4 WHERE id IN ('free', 'team');
BEGIN; SELECT orgusers.act_as('$users[0]');\n";
	$sql .= "SELECT orgusers.create_organization('$_', '$_', '$org{$_}');\n" for sort keys %org;
	$sql .= "INSERT INTO orgusers.organizations (id, parent_id, name, policy) VALUES ('$_', '$root', 'below', 'subaccounts');
INSERT INTO orgusers.roles (org_id, policy, template, name) SELECT '$_', policy, id, name FROM orgusers.role_templates WHERE policy = 'subaccounts';
INSERT INTO orgusers.subscriptions (org_id, plan, paid) VALUES ('$_', 'free', false);\n" for @subs;
	my $enlist = sub {
		my ($org, $user, $founds) = @_;
		return "INSERT INTO orgusers.memberships (org_id, user_id) VALUES ('$org', '$users[$user]');
INSERT INTO orgusers.membership_roles (org_id, user_id, role_id) SELECT r.org_id, '$users[$user]', r.id FROM orgusers.roles r JOIN orgusers.role_templates t ON t.policy = r.policy AND t.id = r.template
	WHERE r.org_id = '$org' AND " . ($founds ? 't.founder' : 't.by_default') . ";\n";
	};
	$sql .= $enlist->($org{$_}, 1, 1) . $enlist->($org{$_}, 2, 0) for sort keys %org;
	$sql .= $enlist->($subs[0], 3, 1) . $enlist->($subs[1], 4, 1);
	$sql .= "INSERT INTO orgusers.spaces (org_id, name) SELECT o, n FROM unnest('{@{[join ',', values %org, @subs]}}'::uuid[]) o, unnest('{one,two,three}'::text[]) n;
SELECT orgusers.create_group('$org{plans_and_groups}', 'ops', '{USER}');
SELECT orgusers.set_plan('$org{cases}', 'team', '$users[1]');
INSERT INTO calls (call) VALUES ('direct');
COMMIT";
	$self->query($sql);
	my @orgs = ((map { { id => $org{$_}, policy => $_ } } sort keys %org), (map { { id => $_, policy => 'subaccounts' } } @subs));
	return { users => \@users, orgs => \@orgs, root => $root, brief => sprintf('00000000-0000-4000-9000-0000%04xc001', $self->{number}), brief_policy => any(sort keys %roles) };
}

sub fill
{
	my ($world, $org, $text) = @_;
	my @names = @{ $roles{ $org->{policy} } };
	my %word = (
		org => $org->{id}, root => $world->{root}, brief => $world->{brief}, policy => $world->{brief_policy},
		user => sub { any(@{ $world->{users} }[ 0 .. 4 ], @{ $world->{users} }) },
		manager => sub { any(@{ $world->{users} }[ 0 .. 2 ]) },
		address => sub { 'u' . any(3 .. 10, 5 .. 13) . '@example.org' },
		first => $names[0],
		role => sub { any(@names) },
		roles => sub { any('NULL', "'{}'", map { "'{$_}'" } @names, any(@names) . ',' . any(@names)) },
		joinable => sub { any('NULL', "'{" . any(@names) . "}'") },
		groups => sub { $org->{policy} eq 'plans_and_groups' ? any("'{ops}'", "'{}'", 'NULL') : 'NULL' },
		space => sub { any(qw(one two three)) },
		spaces => sub { any("'{one}'", "'{two}'", "'{three}'", "'{}'", "'{one,two}'") },
		none_or_spaces => sub { any('NULL', 'NULL', "'{one}'", "'{two}'") },
		permissions => sub { any("'{}'", "'{spaces.view}'", "'{users.view,users.invite}'", "'{users.invite,spaces.assign}'", "'{roles.assign}'") },
		plan => sub { my $plan = any(@plans); "'$plan'" . ($plan eq 'free' || rand() < 0.3 ? '' : ", '" . any(@{ $world->{users} }[ 0 .. 4 ]) . "'") },
		capped => sub { any(qw(free team)) },
		few => sub { any(1 .. 3) },
		flag => sub { any(qw(true false)) });
	$text =~ s/\{(\w+)\}/exists $word{$1} ? ref $word{$1} ? $word{$1}->() : $word{$1} : "{$1}"/ge;
	return $text;
}

# The script of one session.
sub script
{
	my ($world, $steps, $orgs, $pause, $linger) = @_;
	my @level = ('READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE');
	my @calls = grep { $steps{$_}[1] ne 'direct' } @$steps;
	my @together = grep { $steps{$_}[1] eq 'call' } @$steps;
	my @direct = grep { $steps{$_}[1] eq 'direct' } @$steps;
	my $script = "\\o /dev/null\n";
	for (1 .. $transactions)
	{
		my $how = rand();
		my $kind = $how < 0.6 ? 'one' : $how < 0.75 ? 'several' : 'direct';
		my @now = $kind eq 'one' ? any(@calls) : $kind eq 'several' ? map { any(@together) } 1 .. 2 + int(rand(2)) : (any(@direct), rand() < 0.3 ? any(@direct, @together) : ());
		my $org = any(@$orgs);
		my $level = any(@level);
		$script .= "BEGIN ISOLATION LEVEL $level;\n";
		for my $name (@now)
		{
			my (undef, $of, @statements) = @{ $steps{$name} };
			push @statements, "INSERT INTO calls (call) VALUES ('direct')" if $of eq 'direct';
			for (@statements)
			{
				my $statement = fill($world, $org, $_);
				# What the server's log shows of a deadlock.
				$statement =~ s{^(\w+)}{$1 /* $kind $name */};
				$script .= "$statement;\n\\echo $kind $name :SQLSTATE :LAST_ERROR_MESSAGE\n";
			}
		}
		# Others get a chance to come in between.
		$script .= sprintf("SELECT pg_sleep(%.4f);\n", rand($pause)) if $pause && rand() < 0.4;
		$script .= sprintf("SET LOCAL slow_commit.pause = %d;\n", rand($linger)) if rand() < 0.5;
		my $names = join '+', @now;
		$script .= "COMMIT /* $kind $names */;\n\\echo $kind $names :SQLSTATE :LAST_ERROR_MESSAGE\n\\echo committed $level\n";
		$script .= "SELECT count(*) AS broken, min(rule) AS rule FROM broken \\gset\n\\echo looked :broken :rule\n" if rand() < 0.3;
	}
	return $script;
}

sub note
{
	my ($self, $what, $detail) = @_;
	$self->{failed}{$what}{ $self->{number} }++ or Test::More::diag("history $self->{number}, $what: " . substr($detail, 0, 1500));
	return;
}

# What each of the sessions still answers about everybody, against the tables.
sub compare_rights
{
	my ($self, $world) = @_;
	my $users = "'{@{[join ',', @{ $world->{users} }]}}'";
	my ($true) = $self->query("SELECT rights_true(u) FROM unnest($users\::uuid[]) u");
	my $session = 0;
	for my $answer ($self->ask(0, ("SELECT rights_said($users);\n") x $clients))
	{
		my @true = split /\n/, $true;
		for my $n (0 .. $#true)
		{
			my $said = $answer->[$n] || 'nothing';
			$self->{compared}++;
			$self->note('cached rights are those of the tables', "session $session: $said") if $said ne $true[$n];
		}
		$session++;
	}
	return;
}

# Runs one history and looks at what has become of the world.
sub run
{
	my ($self) = @_;
	$self->{number}++;
	srand($self->{seed} + $self->{number});
	# New sessions now and then: theirs are empty caches and plans.
	$self->connect if $self->{number} % 20 == 0;
	my $world = $self->found;
	my ($theme, @where) = @{ any(grep { $_->[0] =~ /\b$only\b/ } @themes) };
	my @steps = ((map { my $name = $_; ($name) x (2 * $steps{$name}[0] * any(0.5, 0.5, 1, 3)) } sort keys %steps), (split / /, $theme) x 30);
	my @hot = grep { my $org = $_; !@where || grep { $_ eq $org->{policy} } @where } @{ $world->{orgs} };
	my @orgs = (((any(@hot)) x 8, (any(@hot)) x 3) x 2, @{ $world->{orgs} });
	my $pause = any(0, 0.003, 0.006, 0.015);
	my $linger = any(0, 0, 3000, 12000);
	my $session = 0;
	for my $answer ($self->ask(0, map { script($world, \@steps, \@orgs, $pause, $linger) } 1 .. $clients))
	{
		for (@$answer)
		{
			if (/^looked (\d+) ?(.*)/)
			{
				$self->{looked}++;
				$self->note("at some moment: $2", "$1 organizations") if $1;
			}
			elsif (my ($kind, $name, $state, $message) = /^(one|several|direct) (\S+) (\w{5}) ?(.*)/)
			{
				# In a transaction that has failed, and no error of its own.
				next if $state eq '25P02';
				$self->{states}{ $state =~ /^OU/ ? 'OU...' : $state }++;
				$self->{done}{$name}++ if $state eq '00000' && $name !~ /\+/;
				my $allowed = $name =~ /d_/ ? qr/^(00000|OU\d\d\d|40001|40P01|23503|23505|23514)$/ : qr/^(00000|OU\d\d\d|40001|40P01)$/;
				$self->note("SQLSTATE $state", "$kind $name: $message") if $state !~ $allowed;
				$self->{serialization} = $state eq '40001' && $kind eq 'one' ? "$name: $message" : undef if $state ne '00000';
			}
			elsif (/^committed (.+)/)
			{
				$self->{transactions}++;
				$self->note('no serialization failure at READ COMMITTED', $self->{serialization}) if $1 eq 'READ COMMITTED' && $self->{serialization};
				$self->{serialization} = undef;
			}
		}
	}
	$self->compare_rights($world);
	my @rows = $self->query(map { $_->[1] } @checks);
	$rows[$_] ne '' and $self->note($checks[$_][0], $rows[$_]) for 0 .. $#checks;
	# All of it can be deleted, which takes no least holders and no billing admin into account.
	$self->query('DELETE FROM orgusers.organizations', 'DELETE FROM orgusers.users', 'TRUNCATE orgusers.audit_log, orgusers.mail_outbox, calls, lacked, tokens, links');
	return;
}

# Somebody loses a role by a commit that others see for a second before it has told them, and acts within that second, in
# a session that has answered about this person before.  Returns how the call ended.
sub while_a_commit_lingers
{
	my ($self) = @_;
	my $world = $self->found;
	my ($org, $user) = ($world->{orgs}[0]{id}, $world->{users}[1]);
	my $actor = "SET orgusers.user_id = '$user';\n";
	$self->ask(1, "\\o /dev/null\n${actor}SELECT orgusers.rename_organization('$org', 'before');\n");
	$self->{sessions}[0]{ask}->("BEGIN; SET LOCAL slow_commit.pause = 1000000; DELETE FROM orgusers.membership_roles WHERE org_id = '$org' AND user_id = '$user'; COMMIT;\n");
	1 while ($self->query("SELECT count(*) FROM orgusers.membership_roles WHERE org_id = '$org' AND user_id = '$user'"))[0] > 0;
	my ($answer) = $self->ask(1, "SELECT orgusers.rename_organization('$org', 'after');\n\\echo :SQLSTATE\nRESET orgusers.user_id;\n");
	return $answer->[-1];
}

# Deadlocks by the kinds of the two statements, from the server's log: kind, step.
sub deadlocks
{
	my ($self) = @_;
	my %count;
	open my $log, '<', $self->{node}->logfile or die $!;
	my @pair;
	while (<$log>)
	{
		if (/deadlock detected/) { @pair = () }
		elsif (m{^\s+Process \d+: .*?/\* (\w+) (\S+) \*/}) { push @pair, "$1 $2" }
		elsif (/^\s+Process \d+: (.*)/) { push @pair, "other $1" }
		elsif (@pair) { $count{ join ' | ', sort @pair }++; @pair = () }
	}
	return \%count;
}

# Deadlocks of transactions of one call.  Direct DML locks rows before the organization, and several calls in a transaction
# take their locks in the order of the caller.
sub unexplained
{
	my ($self) = @_;
	return grep { !/\b(several|direct) / } sort keys %{ $self->deadlocks };
}

# What failed, with the numbers of the histories.
sub failures
{
	my ($self) = @_;
	return join "\n", map { "$_: in histories " . join(' ', sort { $a <=> $b } keys %{ $self->{failed}{$_} }) } sort keys %{ $self->{failed} };
}

# Rows for a table: what was tried, how often, how often it failed.
sub results
{
	my ($self) = @_;
	my $failed = $self->{failed};
	my $times = sub { my ($what) = @_; my $sum = 0; $sum += $_ for map { values %{ $failed->{$_} } } grep { /$what/ } keys %$failed; return $sum };
	my %histories = map { $_ => 1 } map { keys %$_ } values %$failed;
	my $deadlocks = $self->deadlocks;
	my ($all, $bad) = (0, 0);
	$all += $_ for values %$deadlocks;
	$bad += $deadlocks->{$_} for $self->unexplained;
	return map { join "\t", @$_ } (
		[ "histories of $clients sessions", $self->{number}, scalar keys %histories ],
		[ 'transactions in them', $self->{transactions}, $times->('SQLSTATE|READ COMMITTED') ],
		[ 'looks, all along, at what must hold', $self->{looked}, $times->('at some moment') ],
		[ 'answers about rights, by sessions that went through it', $self->{compared}, $times->('cached rights') ],
		[ 'deadlocks, of which between transactions of one call', $all, $bad ]);
}

sub finish
{
	my ($self) = @_;
	$_->{quit}->() for @{ $self->{sessions} };
	$self->{node}->stop;
	return;
}

1;
