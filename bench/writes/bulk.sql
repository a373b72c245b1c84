-- Milliseconds of each bulk statement, in turns with a plain INSERT of as many rows; each is rolled back.
\set ON_ERROR_STOP 1
\o /dev/null
CREATE TEMP TABLE invited AS
    SELECT jsonb_agg(jsonb_build_object('email', 'new' || n || '@example.org')) AS people FROM generate_series(1, 10000) n;
SELECT orgusers.act_as(writes.id('admin', 0), true);
\timing on
\o

\echo == plain_members
BEGIN;
INSERT INTO writes.members (org_id, user_id, role) SELECT writes.id('org', 0), writes.id('person', n), 'member' FROM generate_series(1, 10000) n;
ROLLBACK;
\echo == memberships
BEGIN;
INSERT INTO orgusers.memberships (org_id, user_id) SELECT writes.id('org', 0), writes.id('person', n) FROM generate_series(1, 10000) n;
ROLLBACK;
\echo == plain_invitations
BEGIN;
INSERT INTO writes.invitations (org_id, email, role, invited_by)
    SELECT writes.id('org', 0), 'new' || n || '@example.org', 'member', writes.id('admin', 0) FROM generate_series(1, 10000) n;
ROLLBACK;
\echo == invitations
BEGIN;
SELECT count(*) FILTER (WHERE invitation_id IS NOT NULL) AS made FROM invited, orgusers.invite_users(writes.id('org', 0), people, send => false);
ROLLBACK;
\echo == invitations_mailed
BEGIN;
SELECT count(*) FILTER (WHERE invitation_id IS NOT NULL) AS made FROM invited, orgusers.invite_users(writes.id('org', 0), people);
ROLLBACK;
