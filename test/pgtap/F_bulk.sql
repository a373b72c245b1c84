-- Inviting many in one call.
BEGIN;
\ir setup.psql
SELECT no_plan();

SELECT act('ann');
SELECT orgusers.create_organization('Acme', 'plans_and_groups') AS acme \gset
SELECT orgusers.set_plan(:'acme', 'paid', person('ann'));
SELECT enlist('Acme', 'bob');
SELECT orgusers.create_group(:'acme', 'ops', '{USER}') AS ops \gset
SELECT orgusers.create_group(:'acme', 'chiefs', '{ADMIN}') AS chiefs \gset
SELECT orgusers.create_space(:'acme', 'room') AS room \gset
SELECT orgusers.invite_user(:'acme', 'pending@example.org') AS pending \gset
SELECT orgusers.invite_user(:'acme', 'expired@example.org') AS expired \gset
SELECT orgusers.invite_user(:'acme', 'declined@example.org') AS declined \gset
UPDATE orgusers.invitations SET expires_at = now() - interval '1 day' WHERE id = :'expired';
UPDATE orgusers.invitations SET status = 'declined', closed_at = now() WHERE id = :'declined';
SELECT and_commit('');
DELETE FROM orgusers.mail_outbox;

CREATE TEMP TABLE answer (place int, email text, invitation_id uuid, sqlstate text, message text, hint text);
GRANT ALL ON answer TO PUBLIC;
-- Calls once and keeps the answer.
CREATE FUNCTION bulk(invitations jsonb, send boolean DEFAULT true) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM answer;
    INSERT INTO answer SELECT * FROM orgusers.invite_users(org('Acme'), invitations, send);
END $$;
CREATE FUNCTION answers() RETURNS text LANGUAGE sql AS $$ SELECT string_agg(coalesce(sqlstate, 'sent'), ' ' ORDER BY place) FROM answer $$;

SET LOCAL ROLE regress_ou_app;
SELECT act('ann');
SELECT bulk('[{"email": "Dan@Example.ORG", "roles": ["USER", "ADMIN"], "groups": ["ops"], "spaces": ["room"], "first_name": "Dan", "last_name": "Dörr", "locale": "de-AT"},
              {"email": "min@example.org"},
              {"email": "nulls@example.org", "roles": null, "groups": null, "spaces": null, "first_name": null, "last_name": null, "locale": null},
              {"email": "empty@example.org", "roles": [], "groups": []},
              {"email": "expired@example.org", "roles": ["ADMIN"]}]');
SELECT is(answers(), 'sent sent sent sent sent', 'F6: each row is an invitation');
SELECT results_eq('SELECT place, email FROM answer ORDER BY place', $$VALUES (1, 'Dan@Example.ORG'), (2, 'min@example.org'), (3, 'nulls@example.org'), (4, 'empty@example.org'), (5, 'expired@example.org')$$,
    'F6: the answers are in the order of the rows');
SELECT results_eq($$SELECT email::text, first_name, last_name, roles, groups, status FROM orgusers.list_invitations(org('Acme'), 'pending') WHERE id IN (SELECT invitation_id FROM answer)$$,
    $$VALUES ('expired@example.org', NULL, NULL, '{ADMIN}'::text[], '{}'::text[], 'pending'), ('empty@example.org', NULL, NULL, '{USER}', '{}', 'pending'),
             ('nulls@example.org', NULL, NULL, '{USER}', '{}', 'pending'), ('min@example.org', NULL, NULL, '{USER}', '{}', 'pending'),
             ('Dan@Example.ORG', 'Dan', 'Dörr', '{ADMIN,USER}', '{ops}', 'pending')$$, 'F6: with what each row says, newest first');
SELECT is((SELECT count(*)::int FROM orgusers.invitation_spaces s JOIN answer a USING (invitation_id) WHERE a.place = 1), 1, 'F6: spaces, too');
SELECT is((SELECT status FROM orgusers.invitations WHERE id = :'expired'), 'canceled', 'F6: an expired one makes room');
RESET ROLE;
SELECT is((SELECT count(*)::int FROM orgusers.mail_outbox m JOIN answer a USING (invitation_id) WHERE m.kind = 'invitation' AND m.status = 'queued' AND m.sealed_token IS NOT NULL
           AND m.recipient = a.email::orgusers.email AND m.variables ->> 'inviter' = 'Ann'), 5, 'F6: each has its mail with a sealed token');
SELECT results_eq($$SELECT recipient_name, locale, variables ->> 'recipient' FROM orgusers.mail_outbox WHERE recipient = 'dan@example.org'$$, $$VALUES ('Dan Dörr', 'de-AT', 'Dan Dörr')$$, 'F6: by name and in the language');
SELECT is((SELECT count(DISTINCT t.digest)::int FROM orgusers.invitation_tokens t JOIN answer a USING (invitation_id) WHERE t.kind = 'mail'), 5, 'F6: and a token of its own');
SELECT is((SELECT count(*)::int FROM answer a JOIN orgusers.mail_outbox m USING (invitation_id) WHERE m.expires_at = (SELECT expires_at FROM orgusers.invitations i WHERE i.id = a.invitation_id)), 5, 'F6: sealed with its expiry');

-- Refusals: each row its own, as invite_user() says it.
SET LOCAL ROLE regress_ou_app;
CREATE TEMP TABLE rows (place int, wanted jsonb, code text);
INSERT INTO rows SELECT row_number() OVER (), w::jsonb, c FROM (VALUES
    ('{"email": "good1@example.org"}', NULL),
    ('{"email": "no address"}', 'OU201'), ('{}', 'OU201'), ('{"email": null}', 'OU201'), ('{"email": ""}', 'OU201'), (format('{"email": "%s"}', repeat('x', 100000)), 'OU201'),
    ('{"email": "x1@example.org", "roles": ["BOSS"]}', 'OU103'), ('{"email": "x2@example.org", "roles": ["USER", null]}', 'OU103'),
    ('{"email": "x3@example.org", "groups": ["nobody"]}', 'OU104'), ('{"email": "x4@example.org", "spaces": ["nowhere"]}', 'OU111'),
    ('{"email": "x5@example.org", "first_name": ""}', 'OU106'), ('{"email": "x6@example.org", "last_name": "O\r\nBcc: y@example.org"}', 'OU106'), ('{"email": "x7@example.org", "locale": "?"}', 'OU106'),
    ('{"email": "PENDING@example.org"}', 'OU208'), ('{"email": "BOB@example.org"}', 'OU209'), ('{"email": "ann@example.org"}', 'OU209'),
    ('{"email": "declined@example.org"}', NULL),
    ('{"email": "Good1@Example.org"}', 'OU208'), ('{"email": "x1@example.org"}', 'OU208'),
    ('{"email": "x8@example.org", "role": ["USER"]}', 'OU009'), ('{"email": "x9@example.org", "roles": "USER"}', 'OU009'), ('{"email": ["x10@example.org"]}', 'OU009'),
    ('{"email": 5}', 'OU009'), ('{"email": "x11@example.org", "first_name": {}}', 'OU009'), ('"x12@example.org"', 'OU009'), ('5', 'OU009'), ('null', 'OU009'), ('[]', 'OU009'), ('[{"email": "x13@example.org"}]', 'OU009'),
    ('{"email": "good2@example.org", "groups": ["ops"]}', NULL)) v (w, c);
SELECT bulk((SELECT jsonb_agg(wanted ORDER BY place) FROM rows));
SELECT is(a.sqlstate, r.code, 'F6: ' || coalesce(r.code, 'sent') || ': ' || left(r.wanted::text, 80)) FROM rows r JOIN answer a USING (place) ORDER BY place;
SELECT is_empty('SELECT * FROM answer WHERE (invitation_id IS NULL) <> (sqlstate IS NOT NULL) OR (sqlstate IS NULL) <> (message IS NULL) OR (sqlstate IS NULL) <> (hint IS NULL)',
    'F6: a row has an invitation, or an SQLSTATE with a message and a hint');
SELECT is((SELECT count(*)::int FROM orgusers.invitations WHERE email::text ~ '^(x\d+|good\d)@'), 2, 'F6: a refused row leaves nothing, and holds up none');
-- One by one, invite_user() says the same.
CREATE FUNCTION pg_temp.alone(wanted jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM orgusers.invite_user(org('Acme'), (wanted ->> 'email')::orgusers.email,
        CASE WHEN jsonb_typeof(wanted -> 'roles') = 'array' THEN ARRAY(SELECT jsonb_array_elements_text(wanted -> 'roles')) END,
        CASE WHEN jsonb_typeof(wanted -> 'groups') = 'array' THEN ARRAY(SELECT jsonb_array_elements_text(wanted -> 'groups')) END,
        wanted ->> 'first_name', wanted ->> 'last_name', coalesce(wanted ->> 'locale', 'en'),
        spaces => CASE WHEN jsonb_typeof(wanted -> 'spaces') = 'array' THEN ARRAY(SELECT jsonb_array_elements_text(wanted -> 'spaces')) END);
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT is(pg_temp.alone(wanted), code, 'F6: as alone: ' || left(wanted::text, 80)) FROM rows
    WHERE code IN ('OU201', 'OU103', 'OU104', 'OU111', 'OU106', 'OU209') OR wanted ->> 'email' = 'PENDING@example.org' ORDER BY place;

-- For the whole call
SELECT throws_ok(format('SELECT * FROM orgusers.invite_users(%L, %L)', :'acme', j), 'OU009', NULL, 'F6: no array: ' || coalesce(j, 'NULL')) FROM unnest(ARRAY['{}', '"x"', '5', 'null', NULL]) j;
SELECT is_empty(format('SELECT * FROM orgusers.invite_users(%L, ''[]'')', :'acme'), 'F6: nobody to invite');
SELECT act('bob');
SELECT throws_ok(format('SELECT * FROM orgusers.invite_users(%L, ''[]'')', :'acme'), 'OU002', NULL, 'F6: users.invite is needed');
SELECT act('eve');
SELECT throws_ok(format('SELECT * FROM orgusers.invite_users(%L, ''[{"email": "x@example.org"}]'')', :'acme'), 'OU101', NULL, 'F6: in the organization');
SELECT act(NULL);
SELECT throws_ok(format('SELECT * FROM orgusers.invite_users(%L, ''[{"email": "x@example.org"}]'')', :'acme'), 'OU001', NULL, 'F6: by somebody');
SELECT act('ann');
SELECT as_owner('UPDATE orgusers.mailer_keys SET retired_at = now()');
SELECT throws_ok(format('SELECT * FROM orgusers.invite_users(%L, ''[{"email": "x@example.org"}]'')', :'acme'), 'OU401', NULL, 'F6: no mail without a mailer key');
SELECT bulk('[{"email": "unsent@example.org"}]', false);
SELECT is(answers(), 'sent', 'F6: but invitations without mail');
SELECT as_owner('UPDATE orgusers.mailer_keys SET retired_at = NULL');
SELECT as_owner($$DELETE FROM orgusers.mail_outbox$$);
SELECT bulk('[{"email": "unsent2@example.org"}]', false);
RESET ROLE;
SELECT is((SELECT count(*)::int FROM orgusers.mail_outbox) + (SELECT count(*)::int FROM orgusers.invitation_tokens JOIN answer USING (invitation_id)), 0, 'F6: send => false sends nothing');
SET LOCAL ROLE regress_ou_app;
SELECT bulk('[{"email": "sent2@example.org"}]', NULL);
SELECT is((SELECT count(*)::int FROM answer WHERE invitation_id IS NOT NULL), 1, 'F6: send left open sends');

-- What an actor may give: by role, by group, by space
SELECT as_owner($$INSERT INTO orgusers.role_templates (policy, id, name) VALUES ('plans_and_groups', 'helper', 'HELPER')$$);
SELECT as_owner($$INSERT INTO orgusers.role_template_permissions VALUES ('plans_and_groups', 'helper', 'users.invite')$$);
SELECT as_owner($$INSERT INTO orgusers.role_template_grants VALUES ('plans_and_groups', 'helper', 'user')$$);
SELECT as_owner($$INSERT INTO orgusers.roles (org_id, policy, template, name) VALUES (org('Acme'), 'plans_and_groups', 'helper', 'HELPER')$$);
SELECT enlist('Acme', 'gus', 'HELPER');
SELECT act('gus');
SELECT bulk('[{"email": "h1@example.org"}, {"email": "h2@example.org", "roles": ["ADMIN"]}, {"email": "h3@example.org", "groups": ["chiefs"]}, {"email": "h4@example.org", "spaces": ["room"]}, {"email": "h5@example.org", "groups": ["ops"]}]');
SELECT is(answers(), 'sent OU108 OU108 OU002 sent', 'F6: nobody gives more than they have, row by row');

-- Declined ones that block; a limit a day; seats
SELECT act('ann');
SELECT as_owner(format($$DELETE FROM orgusers.invitations WHERE email = 'declined@example.org' AND status = 'pending'$$));
SELECT as_owner($$UPDATE orgusers.policies SET declined_blocks = true$$);
SELECT bulk('[{"email": "declined@example.org"}, {"email": "d2@example.org"}]');
SELECT is(answers(), 'OU208 sent', 'F6: a declined invitation blocks if the policy says so');
SELECT as_owner($$UPDATE orgusers.policies SET daily_invitations = 3$$);
SELECT bulk('[{"email": "q1@example.org"}, {"email": "bad"}, {"email": "q2@example.org"}, {"email": "q3@example.org"}, {"email": "q4@example.org"}, {"email": "bad"}]');
SELECT is(answers(), 'sent OU201 sent sent OU212 OU201', 'F6: the day''s rest is given in order, bad rows take none of it');
SELECT is(orgusers.invitations_left(:'acme'), 0, 'F6: and taken');
SELECT bulk('[{"email": "q5@example.org"}]');
SELECT is(answers(), 'OU212', 'F6: then nothing is left');
SELECT as_owner($$UPDATE orgusers.policies SET daily_invitations = NULL, pending_holds_seat = true$$);
SELECT as_owner(format($$UPDATE orgusers.plans SET seats = %s WHERE id = 'paid'$$,
    (SELECT count(*) FROM orgusers.memberships) + (SELECT count(*) FROM orgusers.invitations WHERE status = 'pending' AND expires_at > clock_timestamp()) + 2));
SELECT bulk('[{"email": "s1@example.org"}, {"email": "bad"}, {"email": "s2@example.org"}, {"email": "s3@example.org"}]');
SELECT is(answers(), 'sent OU201 sent OU301', 'F6: seats that pending invitations hold are given in order');
SELECT as_owner($$UPDATE orgusers.policies SET pending_holds_seat = false$$);
SELECT bulk('[{"email": "s4@example.org"}, {"email": "s5@example.org"}, {"email": "s6@example.org"}]');
SELECT is(answers(), 'sent sent sent', 'F6: where they hold none, one free seat is enough to invite');
SELECT as_owner($$UPDATE orgusers.plans SET seats = NULL WHERE id = 'paid'$$);

-- What a trigger has against a row is the row's, too.
RESET ROLE;
CREATE FUNCTION pg_temp.picky() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.email = 'no@example.org' THEN
        RAISE EXCEPTION USING ERRCODE = 'OU304', MESSAGE = 'not this one', HINT = 'Another.';
    ELSIF NEW.email = 'never@example.org' THEN
        RAISE EXCEPTION USING ERRCODE = '22012';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER picky AFTER INSERT ON orgusers.invitations FOR EACH ROW EXECUTE FUNCTION pg_temp.picky();
SELECT orgusers.invite_user(:'acme', 'no2@example.org', send => false) AS no2 \gset
UPDATE orgusers.invitations SET expires_at = now() - interval '1 day' WHERE id = :'no2';
UPDATE orgusers.policies SET daily_invitations = 100;
SELECT orgusers.invitations_left(:'acme') AS left_before \gset
SET LOCAL ROLE regress_ou_app;
SELECT bulk('[{"email": "t1@example.org"}, {"email": "no@example.org"}, {"email": "no2@example.org"}, {"email": "bad"}]');
SELECT is(answers(), 'sent OU304 sent OU201', 'F6: a row that an invariant refuses does not hold up the others');
SELECT is(:left_before - orgusers.invitations_left(:'acme'), 2, 'F6: nor counts');
SELECT is((SELECT count(*)::int FROM orgusers.invitations WHERE email = 'no2@example.org' AND status = 'canceled'), 1, 'F6: an expired one is replaced there, too');
SELECT throws_ok(format('SELECT orgusers.invite_user(%L, ''no@example.org'')', :'acme'), 'OU304', 'not this one', 'F6: as alone');
SELECT throws_ok(format('SELECT * FROM orgusers.invite_users(%L, ''[{"email": "t2@example.org"}, {"email": "never@example.org"}]'')', :'acme'), '22012', NULL, 'F6: any other error is the call''s');
SELECT as_owner('DROP TRIGGER picky ON orgusers.invitations; UPDATE orgusers.policies SET daily_invitations = NULL');

-- An address that is used elsewhere in the tree
RESET ROLE;
WITH below AS (INSERT INTO orgusers.organizations (parent_id, name, policy) VALUES (:'acme', 'Below', 'plans_and_groups') RETURNING id)
    INSERT INTO orgusers.subscriptions (org_id, plan, paid) SELECT id, 'free', false FROM below;
INSERT INTO orgusers.memberships (org_id, user_id) VALUES (org('Below'), person('fay'));
UPDATE orgusers.policies SET unique_in_tree = true;
SET LOCAL ROLE regress_ou_app;
SELECT bulk('[{"email": "u1@example.org"}, {"email": "FAY@example.org"}, {"email": "u2@example.org"}]');
SELECT is(answers(), 'sent OU307 sent', 'F6: an address that is used elsewhere in the tree does not hold up the others');
SELECT as_owner('UPDATE orgusers.policies SET unique_in_tree = false');

-- What was sent opens.
RESET ROLE;
SELECT mail_token('Acme', 'dan') AS token \gset
SET LOCAL ROLE regress_ou_app;
SELECT act('dan');
SELECT is(orgusers.accept_invitation(:'token'), :'acme'::uuid, 'F6: an invitation of many is accepted like any other');
SELECT is(roles_of('Acme', 'dan'), 'ADMIN USER', 'F6: with its roles');

-- The recipe for COPY: rows of a file, staged in a temporary table.
SELECT act('ann');
CREATE TEMP TABLE staged (line int GENERATED ALWAYS AS IDENTITY, email text, first_name text, last_name text, roles text);
COPY staged (email, first_name, last_name, roles) FROM STDIN (FORMAT csv, HEADER);
email,first_name,last_name,roles
kim@corp.example,Kim,"O'Neil, Jr.",USER
lea@corp.example,,,USER|ADMIN
lea@corp.example,,,
not an address,Max,,USER
\.
SELECT results_eq(format($$
    SELECT s.line, r.sqlstate
    FROM orgusers.invite_users(%L, (SELECT jsonb_agg(jsonb_build_object('email', email, 'first_name', first_name, 'last_name', last_name,
                                                                        'roles', string_to_array(roles, '|')) ORDER BY line) FROM staged)) r
    JOIN (SELECT *, row_number() OVER (ORDER BY line) AS place FROM staged) s USING (place) ORDER BY line$$, :'acme'),
    $$VALUES (1, NULL), (2, NULL), (3, 'OU208'), (4, 'OU201')$$, 'F6: a file is staged with COPY, and each of its lines gets an answer');
SELECT results_eq($$SELECT email::text, last_name, roles FROM orgusers.list_invitations(org('Acme'), 'pending') WHERE email::text LIKE '%@corp.example'$$,
    $$VALUES ('lea@corp.example', NULL, '{ADMIN,USER}'::text[]), ('kim@corp.example', 'O''Neil, Jr.', '{USER}')$$, 'F6: with what the line says');

-- Many
SELECT bulk((SELECT jsonb_agg(jsonb_build_object('email', 'm' || n || '@many.example', 'roles', CASE n % 3 WHEN 0 THEN '{ADMIN}' ELSE '{USER}' END::text[])) FROM generate_series(1, 1000) n));
SELECT is((SELECT count(DISTINCT invitation_id)::int FROM answer), 1000, 'F6: a thousand in one call');
RESET ROLE;
SELECT is((SELECT count(DISTINCT sealed_token)::int FROM orgusers.mail_outbox WHERE recipient::text LIKE '%@many.example'), 1000, 'F6: each with a sealed token of its own');
SELECT is((SELECT count(*)::int FROM orgusers.invitation_roles ir JOIN orgusers.roles r ON r.id = ir.role_id JOIN answer USING (invitation_id) WHERE r.name = 'ADMIN'), 333, 'F6: and its roles');

SELECT * FROM finish();
ROLLBACK;
