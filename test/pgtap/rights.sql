-- The cache of rights: its size, odd users, and loads that are broken off.
BEGIN;
\ir setup.psql
SELECT no_plan();
SET LOCAL plan_cache_mode = force_generic_plan;
SET LOCAL jit = off;

-- org 1 has 3,000 users in the role USER, every tenth ADMIN by two groups as well; user 0 is in 5,000 organizations.
CREATE FUNCTION pg_temp.id(kind integer, n integer) RETURNS uuid IMMUTABLE RETURN (lpad(kind::text, 8, '0') || '-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid;
DO $$
BEGIN
    PERFORM orgusers.register_permission('docs.read', 'Read.');
    INSERT INTO orgusers.role_template_permissions SELECT 'plans_and_groups', id, 'docs.read' FROM orgusers.role_templates;
    INSERT INTO orgusers.users (id, email) SELECT pg_temp.id(1, i), (i || '@example.net')::orgusers.email FROM generate_series(0, 3000) i;
    PERFORM act('ann');
    PERFORM orgusers.create_organization('Large', 'plans_and_groups', pg_temp.id(2, 1));
    PERFORM orgusers.create_group(pg_temp.id(2, 1), 'one', '{ADMIN}'), orgusers.create_group(pg_temp.id(2, 1), 'two', '{USER,ADMIN}');
    PERFORM orgusers.set_plan(pg_temp.id(2, 1), 'paid', person('ann'));
    INSERT INTO orgusers.memberships (org_id, user_id) SELECT pg_temp.id(2, 1), pg_temp.id(1, i) FROM generate_series(1, 3000) i;
    INSERT INTO orgusers.membership_roles SELECT org_id, pg_temp.id(1, i), id FROM orgusers.roles, generate_series(1, 3000) i
        WHERE org_id = pg_temp.id(2, 1) AND name = 'USER' AND i % 3 <> 0;
    INSERT INTO orgusers.group_members SELECT org_id, id, pg_temp.id(1, i) FROM orgusers.groups, generate_series(1, 3000) i
        WHERE org_id = pg_temp.id(2, 1) AND i % 10 = 0;
    INSERT INTO orgusers.organizations (id, name, policy) SELECT pg_temp.id(3, i), 'Small', 'plans_and_groups' FROM generate_series(1, 5000) i;
    INSERT INTO orgusers.subscriptions (org_id, plan, paid) SELECT pg_temp.id(3, i), 'free', false FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
    INSERT INTO orgusers.roles (org_id, policy, template, name) SELECT pg_temp.id(3, i), 'plans_and_groups', 'user', 'USER' FROM generate_series(1, 5000) i ON CONFLICT DO NOTHING;
    INSERT INTO orgusers.memberships (org_id, user_id) SELECT pg_temp.id(3, i), pg_temp.id(1, 0) FROM generate_series(1, 5000) i;
    INSERT INTO orgusers.membership_roles SELECT org_id, pg_temp.id(1, 0), id FROM orgusers.roles WHERE org_id >= pg_temp.id(3, 1) AND name = 'USER' AND org_id <> pg_temp.id(3, 77);
END $$;
ANALYZE orgusers.memberships, orgusers.membership_roles, orgusers.roles;

-- The memory of the cache and all below.
CREATE FUNCTION pg_temp.memory() RETURNS bigint LANGUAGE sql AS $$
    SELECT sum(used_bytes)::bigint FROM pg_backend_memory_contexts
    WHERE name IN ('orgusers rights', 'orgusers numbering', 'orgusers permissions', 'orgusers templates', 'orgusers role sets')
$$;
CREATE FUNCTION pg_temp.wrong_answers(first integer, last integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    wrong bigint := 0;
BEGIN
    FOR i IN first .. last LOOP
        PERFORM orgusers.act_as(pg_temp.id(1, i));
        IF orgusers.can(pg_temp.id(2, 1), 'docs.read') <> (i % 3 <> 0 OR i % 10 = 0)
           OR orgusers.can(pg_temp.id(2, 1), 'users.remove') <> (i % 10 = 0)
           OR NOT orgusers.is_member(pg_temp.id(2, 1)) OR orgusers.can(pg_temp.id(3, 1), 'docs.read') THEN
            wrong := wrong + 1;
        END IF;
    END LOOP;
    RETURN wrong;
END $$;

SET LOCAL orgusers.cache_size = '64kB';
SELECT is(pg_temp.wrong_answers(1, 3000), 0::bigint, 'thousands of users get their own answers out of the smallest cache');
SELECT cmp_ok(pg_temp.memory(), '<', 200000::bigint, 'which stays small');
CREATE TEMP TABLE measured AS SELECT pg_temp.memory() AS memory;
SELECT is(pg_temp.wrong_answers(1, 3000), 0::bigint, 'and again');
SELECT cmp_ok(pg_temp.memory(), '<=', memory + 8192, 'and does not grow') FROM measured;
SELECT throws_ok($$SET LOCAL orgusers.cache_size = '63kB'$$, '22023', NULL, 'no smaller cache');

-- 0, 1 and 5,000 organizations; the last are more than that cache takes, and serve their statement.
SELECT lives_ok($$SELECT orgusers.act_as(person('gus'))$$, 'a user without organizations acts');
SELECT is(cardinality(orgusers.orgs_with('docs.read')), 0, 'a user without organizations');
SELECT ok(NOT orgusers.can(pg_temp.id(2, 1), 'docs.read'), 'may nothing');
SELECT lives_ok($$SELECT orgusers.act_as(pg_temp.id(1, 1))$$, 'a user with one organization acts');
SELECT is(orgusers.orgs_with('docs.read'), ARRAY[pg_temp.id(2, 1)], 'a user with one organization');
SELECT lives_ok($$SELECT orgusers.act_as(pg_temp.id(1, 0))$$, 'a user with 5,000 acts');
SELECT is(cardinality(orgusers.orgs_with('docs.read')), 4999, '5,000 organizations, one without a role there');
SELECT is((SELECT count(*) FROM generate_series(0, 5001) i WHERE orgusers.can(pg_temp.id(3, i), 'docs.read')), 4999::bigint, 'row by row');
SELECT is((SELECT count(*) FROM generate_series(0, 5001) i WHERE orgusers.is_member(pg_temp.id(3, i))), 5000::bigint, 'and a user of all');
SELECT ok(orgusers.orgs_with('docs.read') = (SELECT array_agg(o ORDER BY o) FROM unnest(orgusers.orgs_with('docs.read')) o), 'in order of their ids');
SELECT cmp_ok(pg_temp.memory(), '<=', memory + 8192, 'what is too large is not kept') FROM measured;
SET LOCAL orgusers.cache_size = '1MB';
SELECT ok(orgusers.can(pg_temp.id(3, 5000), 'docs.read'), 'a larger cache takes it');
SELECT cmp_ok(pg_temp.memory(), '>', 120000::bigint, 'and keeps it');
SET LOCAL orgusers.cache_size = '64kB';
SELECT is(pg_temp.wrong_answers(1, 100), 0::bigint, 'others push it out of the smallest');
SELECT cmp_ok(pg_temp.memory(), '<=', memory + 8192, 'and its memory is free') FROM measured;

-- Asked again and again in one query: for each row, by rescans, in turn.
SELECT lives_ok($$SELECT act('ann')$$, 'ann acts');
CREATE TEMP TABLE docs AS SELECT pg_temp.id(2, 1) AS org_id FROM generate_series(1, 10);
CREATE INDEX ON docs (org_id);
ANALYZE docs;
SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_material = off; SET LOCAL enable_memoize = off;
DECLARE rescans CURSOR FOR SELECT found FROM generate_series(1, 100000) g
    LEFT JOIN LATERAL (SELECT true AS found FROM docs WHERE orgusers.can(org_id, 'docs.read') AND g > 0 LIMIT 1) d ON true
    WHERE cardinality(orgusers.orgs_with(CASE g % 3 WHEN 0 THEN 'docs.read' WHEN 1 THEN 'users.invite' ELSE 'never.registered' END)) >= 0;
MOVE 99999 IN rescans;
SELECT cmp_ok((SELECT max(used_bytes) FROM pg_backend_memory_contexts WHERE name = 'ExecutorState'), '<', 8000000::bigint, 'a query does not gather memory with its rescans');
CLOSE rescans;
RESET enable_seqscan; RESET enable_bitmapscan; RESET enable_material; RESET enable_memoize;

-- Questions that make no sense
SELECT is(orgusers.can(org('Large'), p), false, format('permission %s', left(coalesce(quote_literal(p), 'NULL'), 20)))
    FROM unnest(ARRAY['never.registered', '', 'docs.read ', 'DOCS.READ', repeat('x', 62), repeat('x', 63), repeat('x', 64), repeat('x', 100000), NULL]) p;
SELECT is(orgusers.orgs_with(p), '{}', format('organizations with %s', left(coalesce(quote_literal(p), 'NULL'), 20)))
    FROM unnest(ARRAY['never.registered', '', repeat('x', 64), NULL]) p;
SELECT is(orgusers.can(NULL, 'docs.read'), false, 'no organization');
SELECT is(orgusers.can(NULL, NULL), false, 'nothing at all');
SELECT is(orgusers.is_member(NULL), false, 'a user of no organization');
SELECT orgusers.sign_out();
SELECT is(orgusers.can(org('Large'), 'docs.read'), false, 'nobody acts');

-- Loads broken off at any moment, by an error that a subtransaction catches.
CREATE FUNCTION pg_temp.broken_off() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    broken integer := 0;
BEGIN
    FOR i IN 1 .. 24 LOOP
        BEGIN
            UPDATE orgusers.permissions SET description = 'Changed.' || i WHERE key = 'docs.read';
            UPDATE orgusers.memberships SET status = status WHERE user_id = pg_temp.id(1, 0) AND org_id = pg_temp.id(3, 1);
            PERFORM orgusers.act_as(pg_temp.id(1, 0));
            PERFORM pg_temp.deep(i % 24 * 5);
        EXCEPTION WHEN statement_too_complex THEN
            broken := broken + 1;
        END;
    END LOOP;
    RETURN broken;
END $$;
-- The stack ends somewhere on the way to the answer.
SET LOCAL max_stack_depth = '100kB';
CREATE FUNCTION pg_temp.deep(n integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF n > 0 THEN
        RETURN pg_temp.deep(n - 1);
    END IF;
    RETURN orgusers.can(pg_temp.id(3, 1), 'docs.read');
END $$;
SELECT ok(pg_temp.broken_off() BETWEEN 1 AND 23, 'some loads fail for want of stack');
UPDATE measured SET memory = pg_temp.memory();
SELECT ok(pg_temp.broken_off() BETWEEN 1 AND 23, 'and again');
RESET max_stack_depth;
SELECT is(session_user, current_user, 'the role is the caller''s again');
SELECT is(pg_temp.wrong_answers(1, 300), 0::bigint, 'answers are right after loads that failed');
SELECT cmp_ok(pg_temp.memory(), '<=', memory + 100000, 'and no memory is lost') FROM measured;

-- A role that may call can() needs orgs_with() as well: the planner may ask by it.
SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;
GRANT SELECT ON docs TO regress_ou_nobody;
GRANT USAGE ON SCHEMA orgusers TO regress_ou_nobody;
GRANT EXECUTE ON FUNCTION orgusers.can(uuid, text) TO regress_ou_nobody;
SELECT lives_ok($$SELECT act('ann')$$, 'ann acts');
SET LOCAL ROLE regress_ou_nobody;
SELECT throws_ok('SELECT count(*) FROM docs WHERE orgusers.can(org_id, ''docs.read'')', '42501', 'permission denied for function orgs_with', 'can() without orgs_with()');
RESET ROLE;
GRANT EXECUTE ON FUNCTION orgusers.orgs_with(text) TO regress_ou_nobody;
SET LOCAL ROLE regress_ou_nobody;
SELECT is((SELECT count(*) FROM docs WHERE orgusers.can(org_id, 'docs.read')), 10::bigint, 'with it, though the role may read no table of rights');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
