-- F3: the audit trail.
BEGIN;
\ir setup.psql
SELECT no_plan();
SELECT session_user AS login \gset

-- What is written from here on, as one line each: who, what, and what of it.
CREATE FUNCTION shared() RETURNS uuid LANGUAGE sql AS $$ SELECT '00000000-0000-0000-0000-000000000000'::uuid $$;
CREATE TEMP TABLE marks (id serial, at timestamptz);
CREATE FUNCTION mark() RETURNS void LANGUAGE sql SECURITY DEFINER AS $$ INSERT INTO marks (at) VALUES (clock_timestamp()) $$;
CREATE FUNCTION since() RETURNS SETOF orgusers.audit_log LANGUAGE sql SECURITY DEFINER AS
    $$ SELECT * FROM orgusers.audit_log WHERE at >= (SELECT max(at) FROM marks) ORDER BY id $$;
CREATE FUNCTION told() RETURNS SETOF text LANGUAGE sql AS $$ SELECT action || ' ' || relation FROM since() $$;

-- F3: all tables
CREATE TEMP TABLE not_audited (relation text PRIMARY KEY, reason text);
INSERT INTO not_audited VALUES
    ('audit_log',             'the trail itself; a purge of it is told of'),
    ('current_organizations', 'which organization a user looks at: no right depends on it, and it is nobody else''s business'),
    ('installation',          'one row, made with the extension'),
    ('guards',                'made with the extension, and changed by updates of it only'),
    ('invitation_quota',      'counts the day''s invitations, which are in the trail'),
    ('last_activity',         'when somebody was there: no right depends on it'),
    ('seen_areas',            'what has been shown to somebody: no right depends on it'),
    ('welcomed',              'who has got a mail'),
    ('seat_ledger',           'a record of what the trail has as changes of memberships'),
    ('plan_ledger',           'a record of what the trail has as changes of subscriptions'),
    ('invitation_tokens',     'digests; that a link was shown is told of'),
    ('mail_outbox',           'keeps what became of each mail itself, and holds sealed tokens');
SELECT set_eq($$SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'orgusers'::regnamespace AND c.relkind IN ('r', 'p') AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'audit_insert')$$,
    'SELECT relation FROM not_audited', 'F3: a table is audited, or there is a reason why not');
SELECT is_empty($$SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'orgusers'::regnamespace AND c.relkind = 'r' AND c.relname NOT IN (SELECT relation FROM not_audited)
    AND 4 <> (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled = 'O' AND t.tgname IN ('audit_insert', 'audit_update', 'audit_delete', 'audit_truncate'))$$,
    'F3: of an audited table inserts, updates, deletes and TRUNCATE are told of, but not what replication applies');
SELECT set_eq($$SELECT t.tgrelid::regclass::text, split_part(encode(t.tgargs, 'escape'), '\000', 3), t.tgqual IS NULL FROM pg_trigger t
    WHERE t.tgname = 'audit_update' AND split_part(encode(t.tgargs, 'escape'), '\000', 3) <> ''$$,
    $$VALUES ('orgusers.organizations', 'epoch', true), ('orgusers.join_links', 'uses', true)$$, 'F3: every column counts, but what is named here');
SELECT is_empty($$SELECT tgrelid::regclass FROM pg_trigger WHERE tgname = 'audit_update' AND tgqual IS NOT NULL$$, 'F3: of every update');
SELECT is_empty($$SELECT a.attname FROM pg_trigger t JOIN pg_attribute a ON a.attrelid = t.tgrelid
    WHERE t.tgname = 'audit_insert' AND a.attname ~ '(digest|token|secret|^key$)' AND a.attnum > 0 AND a.atttypid = 'bytea'::regtype
      AND strpos(encode(t.tgargs, 'escape'), a.attname) = 0$$, 'F3: no column that looks like a secret is in the trail');

-- F3: who, when, what, before, after
SET LOCAL ROLE regress_ou_server;
SELECT act('ann');
SELECT mark();
SELECT orgusers.create_organization('Acme', 'plans_and_groups') AS acme \gset
RESET ROLE;
SELECT set_eq('SELECT DISTINCT action, relation FROM since()',
    $$VALUES ('insert', 'organizations'), ('insert', 'roles'), ('insert', 'memberships'), ('insert', 'membership_roles'), ('insert', 'subscriptions')$$, 'F3: a new organization with all that is made with it');
SELECT results_eq('SELECT DISTINCT org_id, actor_id, db_role, db_login FROM since()', format($$VALUES (%L::uuid, person('ann'), 'regress_ou_server', %L)$$, :'acme', :'login'),
    'F3: who: the actor and the session''s role, not the owner whose function it is');
SELECT is((SELECT count(DISTINCT transaction)::int FROM since()), 1, 'F3: in one transaction');
SELECT results_eq('SELECT DISTINCT transaction::text FROM since()', 'SELECT pg_current_xact_id()::text', 'F3: this one');
SELECT ok((SELECT bool_and(at BETWEEN now() AND clock_timestamp()) FROM since()), 'F3: when: by the clock');
SELECT is((SELECT count(DISTINCT at)::int > 1 FROM since()), true, 'F3: not as of the transaction''s beginning');
SELECT results_eq('SELECT user_id FROM since() WHERE relation = ''membership_roles''', $$SELECT person('ann')$$, 'F3: whom it is about');
SELECT results_eq('SELECT before, after - ''created_at'' FROM since() WHERE relation = ''organizations''',
    format($$SELECT NULL::jsonb, to_jsonb(o) - 'created_at' - 'epoch' FROM orgusers.organizations o WHERE id = %L$$, :'acme'), 'F3: an insert: the whole row after it');
SELECT mark();
SELECT orgusers.rename_organization(:'acme', 'Acme Inc.');
SELECT results_eq('SELECT action, relation, before, after FROM since()',
    format($$VALUES ('update', 'organizations', '{"id": "%1$s", "name": "Acme"}'::jsonb, '{"id": "%1$s", "name": "Acme Inc."}'::jsonb)$$, :'acme'), 'F3: an update: the key and what changed, before and after');
SELECT orgusers.rename_organization(:'acme', 'Acme');
SELECT orgusers.set_plan(:'acme', 'paid', person('ann'));
SELECT enlist('Acme', 'bob');
SELECT mark();
SELECT orgusers.deactivate_user(:'acme', person('bob'));
SELECT results_eq('SELECT action, relation, user_id, before - ''deactivated_at'', (after ? ''deactivated_at'') FROM since()',
    format($$VALUES ('update', 'memberships', person('bob'), jsonb_build_object('org_id', %L, 'user_id', person('bob'), 'status', 'active'), true)$$, :'acme'), 'F3: a deactivation');
SELECT mark();
SELECT orgusers.remove_user(:'acme', person('bob'));
SELECT set_eq('SELECT action, relation, user_id, after FROM since()', $$VALUES ('delete', 'memberships', person('bob'), NULL::jsonb), ('delete', 'membership_roles', person('bob'), NULL)$$, 'F3: a removal, and the roles that go with it');
SELECT is((SELECT before ->> 'status' FROM since() WHERE relation = 'memberships'), 'deactivated', 'F3: a delete: the whole row before it');

-- F3: what is written is what to_jsonb() says, of every type of column
CREATE FUNCTION not_as_told(relation text, left_out text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM orgusers.%1$I t WHERE NOT EXISTS (SELECT FROM orgusers.audit_log a
                    WHERE a.relation = %1$L AND a.action = ''insert'' AND a.after = to_jsonb(t) - $1)', relation) INTO n USING left_out;
    RETURN n;
END $$;
SELECT orgusers.add_assertion_key('first', 'HS256', 'a secret of more than 32 bytes, really', 'test');
SELECT is(not_as_told(relation, left_out), 0::bigint, 'F3: as to_jsonb() has it: ' || relation) FROM (VALUES
    ('policies', '{}'::text[]), ('plans', '{}'), ('role_templates', '{}'), ('mail_templates', '{}'), ('assertion_keys', '{key}'), ('users', '{}'),
    ('roles', '{}')) AS v (relation, left_out);
SELECT mark();
INSERT INTO orgusers.plans (id, title, paid) VALUES ('priced', 'Priced', true);
UPDATE orgusers.plans SET seat_price = 7.00, currency = 'EUR', billing_period = 'month' WHERE id = 'priced';
DELETE FROM orgusers.plans WHERE id = 'priced';
SELECT results_eq('SELECT action, before, after FROM since()', $$VALUES
    ('insert', NULL::jsonb, '{"id": "priced", "paid": true, "seats": null, "title": "Priced", "currency": null, "seat_price": null, "billing_period": null}'::jsonb),
    ('update', '{"id": "priced", "seat_price": null, "currency": null, "billing_period": null}', '{"id": "priced", "seat_price": 7.00, "currency": "EUR", "billing_period": "month"}'),
    ('delete', '{"id": "priced", "paid": true, "seats": null, "title": "Priced", "currency": "EUR", "seat_price": 7.00, "billing_period": "month"}', NULL)$$, 'F3: NULL is a value');

-- F3: what is no change is not told of
SELECT mark();
SELECT orgusers.lock_organization(:'acme');
UPDATE orgusers.organizations SET epoch = epoch + 1;
UPDATE orgusers.organizations SET name = name;
INSERT INTO orgusers.permissions SELECT * FROM orgusers.permissions ON CONFLICT DO NOTHING;
SELECT orgusers.set_user_roles(:'acme', person('ann'), '{ADMIN}');
SELECT is_empty('SELECT told()', 'F3: the lock, and statements that change nothing, leave nothing');

-- F3: direct DML
SELECT act(NULL);
SELECT mark();
INSERT INTO orgusers.groups (org_id, name) SELECT :'acme', 'g' || n FROM generate_series(1, 3) n;
SELECT is((SELECT count(*)::int FROM told() t WHERE t = 'insert groups'), 3, 'F3: a row for each row of a statement');
SELECT results_eq('SELECT DISTINCT actor_id, db_role FROM since()', format('VALUES (NULL::uuid, %L)', :'login'), 'F3: by nobody but a role');
SELECT mark();
INSERT INTO orgusers.groups AS g (org_id, name) VALUES (:'acme', 'g1'), (:'acme', 'g4') ON CONFLICT (org_id, name) DO UPDATE SET name = 'g5';
SELECT set_eq('SELECT action, before ->> ''name'' AS was, after ->> ''name'' AS became FROM since()', $$VALUES ('insert', NULL, 'g4'), ('update', 'g1', 'g5')$$, 'F3: ON CONFLICT DO UPDATE: each row as what it was');
SELECT mark();
MERGE INTO orgusers.groups g USING (VALUES ('g2'), ('g3'), ('g6')) AS v (name) ON g.name = v.name AND g.org_id = :'acme'
    WHEN MATCHED AND v.name = 'g2' THEN DELETE WHEN MATCHED THEN UPDATE SET name = 'g7' WHEN NOT MATCHED THEN INSERT (org_id, name) VALUES (:'acme', v.name);
SELECT set_eq('SELECT action, before ->> ''name'' AS was, after ->> ''name'' AS became FROM since()', $$VALUES ('delete', 'g2', NULL), ('update', 'g3', 'g7'), ('insert', NULL, 'g6')$$, 'F3: MERGE');
SELECT mark();
COPY orgusers.plans (id, title, paid, seats) FROM stdin;
copied	Copied	f	7
\.
SELECT results_eq('SELECT org_id, relation, after FROM since()', $$VALUES (shared(), 'plans', '{"id": "copied", "title": "Copied", "paid": false, "seats": 7, "seat_price": null, "currency": null, "billing_period": null}'::jsonb)$$, 'F3: COPY; and what all organizations share');
SELECT mark();
UPDATE orgusers.plans SET id = 'renamed' WHERE id = 'copied';
SELECT results_eq('SELECT before, after FROM since()', $$VALUES ('{"id": "copied"}'::jsonb, '{"id": "renamed"}'::jsonb)$$, 'F3: a key that changes');
SELECT mark();
UPDATE orgusers.users SET email = 'ANN@example.org' WHERE id = person('ann');
SELECT results_eq('SELECT org_id, user_id, before ->> ''email'', after ->> ''email'' FROM since()', $$VALUES (shared(), person('ann'), 'ann@example.org', 'ANN@example.org')$$, 'F3: a change that compares as equal');
SELECT act('eve');
SELECT orgusers.create_organization('Other', 'plans_and_groups') AS other \gset
SELECT mark();
UPDATE orgusers.groups SET org_id = :'other' WHERE name = 'g6';
SELECT set_eq('SELECT org_id, before ->> ''org_id'' AS was, after ->> ''org_id'' AS became FROM since()', format('VALUES (%1$L::uuid, %1$L, %2$L), (%2$L, %1$L, %2$L)', :'acme', :'other'), 'F3: a row that goes to another organization is told of in both');
SELECT mark();
WITH gone AS (DELETE FROM orgusers.groups WHERE name IN ('g5', 'g7') RETURNING org_id, name) INSERT INTO orgusers.groups SELECT org_id, orgusers.new_id(), name || 'x' FROM gone;
SELECT set_eq('SELECT action || (coalesce(before, after) ->> ''name'') FROM since()', ARRAY['deleteg5', 'deleteg7', 'insertg5x', 'insertg7x'], 'F3: statements within a statement');
SELECT mark();
TRUNCATE orgusers.invitation_groups;
SELECT results_eq('SELECT org_id, action, relation FROM since()', $$VALUES (shared(), 'truncate', 'invitation_groups')$$, 'F3: TRUNCATE');

-- F3: no secrets
SELECT act('ann');
SELECT mark();
SELECT orgusers.add_assertion_key('k', 'HS256', 'a secret of more than 32 bytes, really', 'test');
UPDATE orgusers.assertion_keys SET key = 'another secret of more than 32 bytes' WHERE kid = 'k';
SELECT results_eq('SELECT action, coalesce(before, ''{}'') || after - ''created_at'' FROM since()', $$VALUES
    ('insert', '{"kid": "k", "issuer": null, "audience": "test", "algorithm": "HS256", "retired_at": null, "registers_users": false}'::jsonb), ('update', '{"kid": "k"}')$$, 'F3: a key is told of without the key, also that it was exchanged');
SELECT mark();
SELECT orgusers.invite_user(:'acme', 'dan@example.org', '{USER}');
SELECT set_eq('SELECT told()', ARRAY['insert invitations', 'insert invitation_roles'], 'F3: an invitation, not its token');
SELECT mark();
SELECT link_token(orgusers.invitation_link(:'acme', inv('Acme', 'dan'))) AS token \gset
SELECT results_eq('SELECT org_id, actor_id, relation, before, after - ''created_at'' FROM since()',
    format($$VALUES (%1$L::uuid, person('ann'), 'invitation_tokens', NULL::jsonb, jsonb_build_object('org_id', %1$L, 'invitation_id', inv('Acme', 'dan'), 'kind', 'link', 'created_by', person('ann')))$$, :'acme'),
    'F3: who was shown a link');
SELECT is_empty($$SELECT a.id FROM orgusers.audit_log a, orgusers.invitation_tokens t WHERE strpos(a::text, encode(t.digest, 'hex')) > 0$$, 'F3: no digest in it');
SELECT is_empty(format($$SELECT a.id FROM orgusers.audit_log a WHERE strpos(a::text, %L) > 0 OR a::text ~ 'secret of more' OR strpos(a::text, encode('secret of more', 'hex')) > 0$$, :'token'), 'F3: no token and no key in it');

-- F3: rolled back with what it tells of, and with nothing else
SELECT mark();
SAVEPOINT s;
SELECT orgusers.create_group(:'acme', 'undone');
ROLLBACK TO s;
SELECT orgusers.create_group(:'acme', 'done') AS done \gset
SELECT results_eq('SELECT after ->> ''name'' FROM since()', ARRAY['done'], 'F3: what was taken back is not in it');

-- F3: read by who has audit.view
SELECT enlist('Acme', 'cyd');
SET LOCAL ROLE regress_ou_app;
SELECT results_eq('SELECT DISTINCT org_id FROM orgusers.audit_log', format('VALUES (%L::uuid)', :'acme'), 'F3: an ADMIN reads the own organization''s, and nothing of what all share');
SELECT act('cyd');
SELECT is_empty('SELECT * FROM orgusers.audit_log', 'F3: a USER reads nothing');
SELECT throws_ok(format('SELECT * FROM orgusers.list_audit(%L)', :'acme'), 'OU002', NULL, 'F3: nor by the function');
SELECT act('gus');
SELECT is_empty('SELECT * FROM orgusers.audit_log', 'F3: an outsider reads nothing');
SELECT throws_ok(format('SELECT * FROM orgusers.list_audit(%L)', :'acme'), 'OU101', NULL, 'F3: and does not learn of the organization');
SELECT throws_ok('SELECT * FROM orgusers.list_audit(shared())', 'OU101', NULL, 'F3: what all share is no organization');
SELECT act(NULL);
SELECT is_empty('SELECT * FROM orgusers.audit_log', 'F3: nor does anybody anonymously');
SELECT throws_ok(format('SELECT * FROM orgusers.list_audit(%L)', :'acme'), 'OU001', NULL, 'F3: nor by the function');
SELECT act('ann');
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS off) ' || query; END $$;
SET LOCAL enable_seqscan = off;
SELECT isnt_empty($$SELECT p FROM pg_temp.plan('SELECT * FROM orgusers.audit_log') p WHERE p ~ 'Index Cond: \(org_id = ANY \(.*orgs_with'$$, 'F3: the actor''s organizations are found by the key');
SET LOCAL enable_seqscan = on;
SELECT results_eq(format('SELECT id, actor_id, db_role, action, relation, user_id, before, after FROM orgusers.list_audit(%L)', :'acme'),
    'SELECT id, actor_id, db_role, action, relation, user_id, before, after FROM orgusers.audit_log ORDER BY id DESC LIMIT 100', 'F3: the list is the trail, newest first');
SELECT results_eq(format('SELECT id FROM orgusers.list_audit(%1$L, page => 3) UNION ALL SELECT l.id FROM (SELECT id FROM orgusers.list_audit(%1$L, page => 3) OFFSET 2) p, orgusers.list_audit(%1$L, p.id, 4) l', :'acme'),
    'SELECT id FROM orgusers.audit_log ORDER BY id DESC LIMIT 7', 'F3: in pages');
SELECT is((SELECT count(*)::int FROM orgusers.list_audit(:'acme', page => 0)), 1, 'F3: of one row at least');
SELECT is((SELECT count(*) FROM orgusers.list_audit(:'acme', page => NULL)), (SELECT count(*) FROM orgusers.list_audit(:'acme')), 'F3: NULL is no size of a page, so the usual one');
SELECT results_eq(format('SELECT DISTINCT actor, relation FROM orgusers.list_audit(%L, of_relation => ''invitations'')', :'acme'), $$VALUES ('Ann', 'invitations')$$, 'F3: of one table');
SELECT set_eq(format('SELECT DISTINCT about, relation FROM orgusers.list_audit(%L, about_user => person(''bob''))', :'acme'), $$VALUES ('Bob', 'memberships'), ('Bob', 'membership_roles')$$, 'F3: about one user, by name after the removal too');
SELECT is((SELECT count(*)::int FROM orgusers.list_audit(:'acme', by_actor => person('bob'))), 0, 'F3: by one actor');
SELECT as_owner($$UPDATE orgusers.users SET display_name = NULL WHERE email IN ('bob@example.org', 'cyd@example.org')$$);
SELECT set_eq(format('SELECT DISTINCT user_id, about FROM orgusers.list_audit(%L, of_relation => ''memberships'') WHERE user_id <> person(''ann'')', :'acme'),
    $$VALUES (person('bob'), NULL), (person('cyd'), 'cyd@example.org')$$, 'F3: the address is shown of present users only');
SELECT as_owner($$DELETE FROM orgusers.users WHERE id = person('bob')$$);
SELECT is((SELECT count(*)::int FROM orgusers.list_audit(:'acme', of_relation => 'memberships') WHERE action = 'delete' AND about IS NULL), 1, 'F3: who is deleted is there by id');

-- F3: hostile sessions of the application's role
SELECT throws_ok(s, '42501', NULL, 'F3: the application''s role may not: ' || s) FROM (VALUES
    ($$INSERT INTO orgusers.audit_log (org_id, action, relation) VALUES (gen_random_uuid(), 'insert', 'x')$$),
    ($$UPDATE orgusers.audit_log SET actor_id = NULL$$), ($$DELETE FROM orgusers.audit_log$$), ($$TRUNCATE orgusers.audit_log$$),
    ($$SELECT * FROM orgusers.audit_log FOR UPDATE$$), ($$LOCK TABLE orgusers.audit_log IN ROW EXCLUSIVE MODE$$),
    ($$MERGE INTO orgusers.audit_log USING (VALUES (1)) v ON true WHEN MATCHED THEN DELETE$$),
    ($$COPY orgusers.audit_log FROM '/dev/null'$$),
    ($$ALTER TABLE orgusers.groups DISABLE TRIGGER audit_insert$$), ($$DROP TRIGGER audit_insert ON orgusers.groups$$),
    ($$ALTER FUNCTION orgusers.audit_statement() RENAME TO x$$), ($$CREATE RULE r AS ON INSERT TO orgusers.audit_log DO INSTEAD NOTHING$$),
    ($$CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION orgusers.audit_statement()$$),
    ($$SET session_replication_role = replica$$), ($$SET orgusers.user_id = 'x'$$),
    ($$SELECT orgusers.purge_audit('0')$$),
    ($$CREATE TEMP TABLE forged (org_id uuid, user_id uuid); CREATE TRIGGER t AFTER INSERT ON forged FOR EACH ROW EXECUTE FUNCTION orgusers.audit_row('org_id', 'user_id', '', '')$$)) AS v (s);
CREATE TEMP TABLE audit_log (LIKE orgusers.audit_log);
CREATE TEMP TABLE changed (org_id uuid, name text);
INSERT INTO changed VALUES (shared(), 'forged');
CREATE FUNCTION pg_temp.to_jsonb(anyelement) RETURNS jsonb LANGUAGE sql AS $$ SELECT '{}'::jsonb $$;
CREATE FUNCTION pg_temp.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT 'off' $$;
CREATE FUNCTION pg_temp.session_user() RETURNS name LANGUAGE sql AS $$ SELECT 'forged'::name $$;
SET LOCAL search_path = pg_temp, pg_catalog, public;
SET LOCAL check_function_bodies = off;
SET LOCAL row_security = off;
SELECT public.mark();
SELECT orgusers.create_group(:'acme', 'seen');
SELECT public.results_eq('SELECT org_id, actor_id, db_role, action, after ->> ''name'' FROM public.since()',
    format($$VALUES (%L::uuid, public.person('ann'), 'regress_ou_app', 'insert', 'seen')$$, :'acme'), 'F3: neither settings nor objects of the same names forge or suppress an entry');
SELECT public.is((SELECT count(*)::int FROM pg_temp.audit_log), 0, 'F3: nor catch one');
SET LOCAL search_path = "$user", public;
SET LOCAL row_security = on;
SET LOCAL TimeZone = 'Asia/Kathmandu';
SET LOCAL IntervalStyle = sql_standard;
SET LOCAL bytea_output = escape;
SELECT mark();
SELECT orgusers.invite_user(:'acme', 'fay@example.org');
SELECT is((SELECT (after ->> 'expires_at')::timestamptz FROM since() WHERE relation = 'invitations'), (SELECT expires_at FROM orgusers.invitations WHERE id = inv('Acme', 'fay')), 'F3: times are what they are in any time zone');
SELECT mark();
DO $$
BEGIN
    PERFORM orgusers.rename_group(public.org('Acme'), 'seen', 'hidden');
    RAISE EXCEPTION 'after it';
EXCEPTION WHEN OTHERS THEN
    NULL;
END $$;
SELECT is_empty('SELECT told()', 'F3: an error takes the entry back');
SELECT is((SELECT count(*)::int FROM orgusers.groups WHERE name = 'hidden'), 0, 'F3: together with the change');
DROP TABLE audit_log, changed;
DROP FUNCTION pg_temp.to_jsonb(anyelement), pg_temp.current_setting(text), pg_temp.session_user();
RESET ROLE;

-- F3: restore
SELECT act(NULL);
SET LOCAL check_function_bodies = off;
SELECT mark();
INSERT INTO orgusers.groups (org_id, name) VALUES (:'acme', 'r1');
SET LOCAL check_function_bodies = on;
SET LOCAL row_security = off;
INSERT INTO orgusers.groups (org_id, name) VALUES (:'acme', 'r2');
SELECT is((SELECT count(*)::int FROM told()), 2, 'F3: the owner is told of with either of a restore''s settings');
SET LOCAL check_function_bodies = off;
SELECT mark();
INSERT INTO orgusers.groups (org_id, name) VALUES (:'acme', 'r3');
INSERT INTO orgusers.invitation_tokens (org_id, digest, invitation_id, kind) VALUES (:'acme', decode(repeat('11', 32), 'hex'), inv('Acme', 'dan'), 'link');
SELECT is_empty('SELECT told()', 'F3: with both, what is inserted is taken for restored');
UPDATE orgusers.groups SET name = 'r4' WHERE name = 'r3';
DELETE FROM orgusers.groups WHERE name = 'r4';
SELECT set_eq('SELECT told()', ARRAY['update groups', 'delete groups'], 'F3: what a restore does not do is told of');
SET LOCAL check_function_bodies = on;
SET LOCAL row_security = on;
SET LOCAL session_replication_role = replica;
SELECT mark();
INSERT INTO orgusers.groups (org_id, name) VALUES (:'acme', 'applied');
SELECT is_empty('SELECT told()', 'F3: nor is what replication applies told of a second time');
SET LOCAL session_replication_role = origin;

-- F3: an organization that is deleted
SELECT act('ann');
SELECT count(*) AS entries FROM orgusers.audit_log WHERE org_id = :'acme' \gset
SELECT mark();
SELECT orgusers.delete_organization(:'acme');
SELECT ok((SELECT count(*) FROM orgusers.audit_log WHERE org_id = :'acme') > :entries, 'F3: a deleted organization''s trail stays, with the deletion');
SELECT set_eq('SELECT DISTINCT told()', ARRAY['delete organizations', 'delete memberships', 'delete membership_roles', 'delete roles', 'delete subscriptions', 'delete groups', 'delete invitations', 'delete invitation_roles'],
    'F3: of all that was in it');
SET LOCAL ROLE regress_ou_app;
SELECT is_empty(format('SELECT * FROM orgusers.audit_log WHERE org_id = %L', :'acme'), 'F3: for the owner only');
SELECT throws_ok(format('SELECT * FROM orgusers.list_audit(%L)', :'acme'), 'OU101', NULL, 'F3: nor by the function');
RESET ROLE;
SELECT throws_ok('INSERT INTO orgusers.organizations (id, name, policy) VALUES (shared(), ''All'', ''plans_and_groups'')', '23514', NULL, 'F3: no organization has the id of what all share');

-- F3: retention
UPDATE orgusers.audit_log SET at = at - interval '2 years' WHERE org_id = :'acme';
UPDATE orgusers.audit_log SET at = at - interval '1 year' WHERE org_id = :'other';
SELECT count(*) AS old_acme FROM orgusers.audit_log WHERE org_id = :'acme' \gset
SELECT count(*) AS old_other FROM orgusers.audit_log WHERE org_id = :'other' \gset
SELECT throws_ok($$SELECT orgusers.purge_audit('-1 day')$$, 'OU009', NULL, 'F3: no negative time');
SELECT throws_ok($$SELECT orgusers.purge_audit(NULL)$$, 'OU009', NULL, 'F3: nor NULL');
SELECT throws_ok($$SELECT orgusers.purge_audit('1 day', most => -1)$$, 'OU009', NULL, 'F3: nor a negative number');
SELECT is(orgusers.purge_audit('3 years'), 0::bigint, 'F3: nothing is as old');
SELECT is(orgusers.purge_audit('6 months', :'other', 1), 1::bigint, 'F3: a batch of one organization''s');
SELECT is(orgusers.purge_audit('18 months'), :old_acme::bigint, 'F3: what is old enough');
SELECT results_eq(format('SELECT action, relation, actor_id, db_role, before, (after ->> ''rows'')::int, (after ->> ''before'')::timestamptz < now() - interval ''17 months'' FROM orgusers.audit_log WHERE org_id = %L', :'acme'),
    format($$VALUES ('purge', 'audit_log', person('ann'), %L, NULL::jsonb, %s, true)$$, :'login', :old_acme), 'F3: the trail says that it was shortened');
SELECT results_eq(format('SELECT count(*), count(*) FILTER (WHERE action = ''purge'') FROM orgusers.audit_log WHERE org_id = %L', :'other'), format('VALUES (%s::bigint, 1::bigint)', :old_other), 'F3: the other one is as it was');
UPDATE orgusers.audit_log SET at = at - interval '2 years' WHERE org_id = :'acme';
SELECT is(orgusers.purge_audit('18 months'), 1::bigint, 'F3: that goes as well in time');
SELECT is_empty(format('SELECT * FROM orgusers.audit_log WHERE org_id = %L', :'acme'), 'F3: and leaves nothing');

SELECT * FROM finish();
ROLLBACK;
