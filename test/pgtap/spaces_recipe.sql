-- Rows of the application that are assigned to a user: the recipe of doc/spaces.md, by a role that only develops.
BEGIN;
\ir setup.psql
SELECT no_plan();

CREATE ROLE regress_ou_dev;
SELECT orgusers.grant_to('regress_ou_dev', 'developer');
CREATE SCHEMA regress_app AUTHORIZATION regress_ou_dev;
SELECT act('ann');
SELECT orgusers.create_organization('Acme', 'plans_and_groups') AS acme \gset
SELECT orgusers.create_organization('Other', 'plans_and_groups') AS other \gset
SELECT orgusers.set_plan(o, 'paid', person('ann')) FROM unnest(ARRAY[:'acme', :'other']::uuid[]) o;
SELECT enlist('Acme', 'bob'), enlist('Other', 'bob'), enlist('Acme', 'cyd');
SELECT orgusers.create_space(:'acme', 'one') AS one \gset
SELECT orgusers.create_space(:'other', 'one') AS theirs \gset

SET LOCAL ROLE regress_ou_dev;
SELECT lives_ok($$CREATE TABLE regress_app.contacts (
        org_id   uuid NOT NULL REFERENCES orgusers.organizations ON DELETE CASCADE,
        space_id uuid,
        name     text,
        assignee uuid,
        FOREIGN KEY (org_id, space_id) REFERENCES orgusers.spaces (org_id, id) ON DELETE CASCADE,
        FOREIGN KEY (org_id, assignee) REFERENCES orgusers.memberships (org_id, user_id) ON DELETE SET NULL (assignee))$$,
    'B9: a developer makes a table whose rows are assigned to users');
CREATE INDEX ON regress_app.contacts (org_id, assignee);
SELECT orgusers.protect_table('regress_app.contacts', space_column => 'space_id', read => 'spaces.view', insert => 'spaces.view', update => 'spaces.view');
GRANT USAGE ON SCHEMA regress_app TO regress_ou_app;
GRANT SELECT, INSERT, UPDATE ON regress_app.contacts TO regress_ou_app;
SELECT throws_ok('SELECT * FROM orgusers.memberships', '42501', NULL, 'B9: without reading who is a user');

RESET ROLE;
CREATE FUNCTION assigned() RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg(c.name || ': ' || coalesce(split_part(u.email::text, '@', 1), '-'), ', ' ORDER BY c.name) FROM regress_app.contacts c LEFT JOIN orgusers.users u ON u.id = c.assignee $$;
SET LOCAL ROLE regress_ou_app;
INSERT INTO regress_app.contacts VALUES (:'acme', :'one', 'bob''s', person('bob')), (:'acme', :'one', 'cyd''s', person('cyd')), (:'acme', NULL, 'nobody''s', NULL),
    (:'other', :'theirs', 'bob''s there', person('bob'));
SELECT throws_ok(format($$INSERT INTO regress_app.contacts VALUES (%L, NULL, 'x', %L)$$, :'acme', person('eve')), '23503', NULL, 'B9: only a user of the organization is assigned');
SELECT throws_ok(format($$INSERT INTO regress_app.contacts VALUES (%L, %L, 'x', NULL)$$, :'acme', :'theirs'), '23503', NULL, 'B9: in a space of the organization');

SELECT orgusers.deactivate_user(:'acme', person('bob'));
SELECT is(assigned(), 'bob''s: bob, bob''s there: bob, cyd''s: cyd, nobody''s: -', 'C8: deactivation keeps what is assigned to the user');
SELECT lives_ok($$UPDATE regress_app.contacts SET name = 'still bob''s' WHERE name = 'bob''s'$$, 'C8: and the rows go on');
SELECT orgusers.remove_user(:'acme', person('bob'));
SELECT is(assigned(), 'bob''s there: bob, cyd''s: cyd, nobody''s: -, still bob''s: -', 'B9: removal makes it unassigned, in that organization only');
SELECT orgusers.delete_space(:'acme', 'one');
SELECT is(assigned(), 'bob''s there: bob, nobody''s: -', 'B9: rows in a space go with it, where the application says so');
RESET ROLE;
DELETE FROM orgusers.users WHERE id = person('bob');
SET LOCAL ROLE regress_ou_app;
SELECT is(assigned(), 'bob''s there: -, nobody''s: -', 'B9: so does deleting the user altogether');
SELECT orgusers.delete_organization(:'other');
SELECT is(assigned(), 'nobody''s: -', 'B9: with the organization the rows themselves go');

SELECT * FROM finish();
ROLLBACK;
