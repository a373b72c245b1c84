-- The main job, step by step, as "make demo" shows it.
\set ON_ERROR_STOP off
\set SHOW_CONTEXT never
\pset footer off
\pset linestyle unicode
\pset null '-'

\! ./say "1. The database's owner installs the extension and a rule-book, and says who may do what."
CREATE EXTENSION orgusers;
SELECT orgusers.install_plans_and_groups(product_name => 'Acme Docs', accept_url => 'https://docs.example/invitation#{{token}}',
                                         mail_from => 'no-reply@docs.example') \g /dev/null
CREATE ROLE app_server;    -- trusted: registers users, sells plans
CREATE ROLE app;           -- not trusted: knows who acts by a signed assertion only
CREATE ROLE mailer LOGIN;  -- delivers mail, nothing else
SELECT orgusers.grant_to('app_server', 'server') \g /dev/null
SELECT orgusers.grant_to('app', 'application') \g /dev/null
SELECT orgusers.grant_to('mailer', 'mailer') \g /dev/null

\! ./say "   The mailer's public key seals tokens; the identity provider's public key verifies sign-ins."
\set mailer_key `cat mailer.pub`
\set provider_key `cat provider.pub`
SELECT orgusers.add_mailer_key(:'mailer_key') \g /dev/null
SELECT orgusers.add_assertion_key('provider-1', 'EdDSA', decode(:'provider_key', 'hex'), audience => 'docs.example', registers_users => true) \g /dev/null

\! ./start-mailer
\! ./say "2. Ann registers and founds an organization. It is on the Free plan: three seats."
SET ROLE app_server;
SELECT orgusers.register_user('ann@acme.example', 'Ann Müller', email_verified => true) AS ann \gset
SELECT orgusers.act_as(:'ann', for_session => true) \g /dev/null
SELECT orgusers.create_organization('Acme', 'plans_and_groups', time_zone => 'Europe/Berlin') AS acme \gset
SELECT plan, paid FROM orgusers.billing_contact(:'acme');

\! ./say "3. She makes a group and invites Bob, Carla and Dan."
SELECT orgusers.create_group(:'acme', 'Field team') IS NOT NULL AS made;
SELECT orgusers.invite_user(:'acme', 'bob@acme.example', groups => '{Field team}', first_name => 'Bob', last_name => 'Иванов') AS bobs_invitation \gset
SELECT orgusers.invite_user(:'acme', 'carla@acme.example', roles => '{USER}', first_name => 'Carla', last_name => '李') AS carlas_invitation \gset
SELECT orgusers.invite_user(:'acme', 'dan@acme.example') AS dans_invitation \gset
SELECT email, first_name, last_name, roles, groups, status, date_trunc('minute', expires_at) AS expires_at FROM orgusers.list_invitations(:'acme');

\! ./say "   Their mails arrive. This is Bob's, as the SMTP server got it:"
\! ./mail bob@acme.example
\! ./say "   The database keeps no token, only a digest of it:"
RESET ROLE;
SELECT kind, left(encode(digest, 'hex'), 16) || '...' AS digest FROM orgusers.invitation_tokens LIMIT 1;

\! ./say "4. Bob registers and accepts with the token out of the mail, which proves his address."
\set token `./token bob@acme.example`
SET ROLE app_server;
SELECT orgusers.register_user('bob@acme.example', 'Bob Иванов') AS bob \gset
SELECT orgusers.act_as(:'bob', for_session => true) \g /dev/null
SELECT organization, invited_by, roles, status FROM orgusers.preview_invitation(:'token');
SELECT orgusers.accept_invitation(:'token') = :'acme' AS joined_acme;
SELECT name, roles, is_current FROM orgusers.my_organizations();

\! ./say "5. Carla signs in with an assertion of the identity provider, which says that her address is verified."
\! ./say "   She sees the invitation and accepts it without the mail."
RESET ROLE;
\set assertion `./assertion 0190a6de-0000-7000-8000-00000000ca71 carla@acme.example "Carla 李"`
SET ROLE app;
SELECT orgusers.sign_in(:'assertion', for_session => true) AS carla \gset
SELECT organization, invited_by, roles FROM orgusers.my_invitations();
SELECT orgusers.accept_my_invitation(:'acme', :'carlas_invitation') = :'acme' AS joined_acme;

\! ./say "6. Dan is the fourth user: refused, by the function and by direct INSERT of the database's owner."
RESET ROLE;
SET ROLE app_server;
SELECT orgusers.register_user('dan@acme.example', 'Dan', email_verified => true) AS dan \gset
SELECT orgusers.act_as(:'dan', for_session => true) \g /dev/null
SELECT orgusers.accept_my_invitation(:'acme', :'dans_invitation');
RESET ROLE;
INSERT INTO orgusers.memberships (org_id, user_id) VALUES (:'acme', :'dan');

\! ./say "7. A table of the application, protected: everybody sees the rows of their own organizations."
SELECT orgusers.register_permission('docs.read', 'Read documents') \g /dev/null
INSERT INTO orgusers.role_template_permissions VALUES ('plans_and_groups', 'admin', 'docs.read'), ('plans_and_groups', 'user', 'docs.read');
CREATE TABLE docs (id int PRIMARY KEY, org_id uuid NOT NULL REFERENCES orgusers.organizations, title text NOT NULL);
CREATE INDEX ON docs (org_id);
SELECT orgusers.protect_table('docs', read => 'docs.read') \g /dev/null
GRANT SELECT ON docs TO app, app_server;
SELECT orgusers.register_user('zoe@zoo.example', 'Zoe', email_verified => true) AS zoe \gset
SELECT orgusers.act_as(:'zoe', for_session => true) \g /dev/null
SELECT orgusers.create_organization('Zoo', 'plans_and_groups') AS zoo \gset
INSERT INTO docs VALUES (1, :'acme', 'Acme: plans for Mars'), (2, :'acme', 'Acme: lunch'), (3, :'zoo', 'Zoo: feeding times');
SET ROLE app_server;
SELECT current_user AS role, 'Zoe' AS actor, id, title FROM docs;
SELECT orgusers.act_as(:'bob', for_session => true) \g /dev/null
SELECT current_user AS role, 'Bob' AS actor, id, title FROM docs;
SELECT orgusers.sign_out() \g /dev/null
SELECT count(*) AS rows_for_nobody FROM docs;
RESET ROLE;
SELECT allowed, reason, role FROM orgusers.explain_access(:'bob', :'acme', 'docs.read');
SET ROLE app_server;

\! ./say "8. The plan is changed: Dan can join now. The billing admin is Ann, then Bob, who gets mail."
SELECT orgusers.set_plan(:'acme', 'paid', billing_admin_id => :'ann') \g /dev/null
SELECT orgusers.act_as(:'dan', for_session => true) \g /dev/null
SELECT orgusers.accept_my_invitation(:'acme', :'dans_invitation') = :'acme' AS joined_acme;
SELECT orgusers.act_as(:'ann', for_session => true) \g /dev/null
SELECT orgusers.set_billing_admin(:'acme', :'bob') \g /dev/null
SELECT email, display_name, roles, groups, is_billing_admin FROM orgusers.list_users(:'acme');
SELECT orgusers.remove_user(:'acme', :'bob');
\! ./mail bob@acme.example "billing admin"

\! ./say "9. Eve is invited and the invitation withdrawn. The mail about it arrives, and her link is dead."
SELECT orgusers.invite_user(:'acme', 'eve@example.org', first_name => 'Eve') AS eves_invitation \gset
\set token `./token eve@example.org`
SELECT orgusers.cancel_invitation(:'acme', :'eves_invitation') \g /dev/null
\! ./mail eve@example.org "canceled"
SELECT organization, status FROM orgusers.preview_invitation(:'token');
SELECT orgusers.register_user('eve@example.org', 'Eve') AS eve \gset
SELECT orgusers.act_as(:'eve', for_session => true) \g /dev/null
SELECT orgusers.accept_invitation(:'token');

\! ./say "10. Another product, another rule-book: the same functions, other rules. Bob is a User Admin there, who adds Members and nobody else."
RESET ROLE;
SELECT orgusers.install_spaces(product_name => 'Acme Rooms', accept_url => 'https://rooms.example/invitation#{{token}}') \g /dev/null
SET ROLE app_server;
SELECT orgusers.act_as(:'ann', for_session => true) \g /dev/null
SELECT orgusers.create_organization('Studio', 'spaces') AS studio \gset
SELECT orgusers.invite_user(:'studio', 'bob@acme.example', '{User Admin}', send => false) AS bobs_invitation \gset
SELECT orgusers.act_as(:'bob', for_session => true) \g /dev/null
SELECT orgusers.accept_my_invitation(:'studio', :'bobs_invitation') = :'studio' AS joined_studio;
SELECT orgusers.invite_user(:'studio', 'carla@acme.example', '{Billing Admin}', send => false);
SELECT orgusers.invite_user(:'studio', 'carla@acme.example', '{Member}', send => false) IS NOT NULL AS invited;

\! ./say "That was the main job. Every mail went out once:"
RESET ROLE;
SELECT kind, status, count(*) FROM orgusers.mail_outbox GROUP BY 1, 2 ORDER BY 1;
