-- What holds for every object of the extension.
BEGIN;
SELECT no_plan();

CREATE TEMP VIEW functions AS SELECT p.*, p.oid::regprocedure::text AS called FROM pg_proc p WHERE p.pronamespace = 'orgusers'::regnamespace;
CREATE TEMP VIEW relations AS SELECT c.*, c.oid::regclass::text AS called FROM pg_class c WHERE c.relnamespace = 'orgusers'::regnamespace;

-- Nothing for everybody
SELECT is_empty($$SELECT called FROM functions WHERE proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) a WHERE a.grantee = 0)$$, 'no function is executable by PUBLIC');
SELECT is_empty($$SELECT called FROM relations, aclexplode(relacl) a WHERE a.grantee = 0$$, 'no table is PUBLIC''s');
SELECT is_empty($$SELECT a.attrelid::regclass, a.attname FROM pg_attribute a JOIN relations r ON r.oid = a.attrelid WHERE a.attacl IS NOT NULL$$, 'no column has privileges of its own');
SELECT is_empty($$SELECT FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'orgusers' AND a.grantee = 0$$, 'the schema is not PUBLIC''s');
SELECT is_empty($$SELECT called FROM functions WHERE EXISTS (SELECT FROM aclexplode(proacl) a WHERE a.grantee <> proowner)
    UNION SELECT called FROM relations WHERE EXISTS (SELECT FROM aclexplode(relacl) a WHERE a.grantee <> relowner)$$, 'the extension itself grants nothing to anybody');

-- Whose rights and whose names a function works with
SELECT is_empty($$SELECT called FROM functions WHERE prosecdef AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)$$, 'every SECURITY DEFINER function pins its search_path');
SELECT is_empty($$SELECT called FROM functions p JOIN pg_language l ON l.oid = p.prolang
    WHERE l.lanname IN ('plpgsql', 'sql') AND p.prosqlbody IS NULL AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)$$,
    'so does every function whose body is read when it is called');
SELECT is_empty($$SELECT called FROM functions p JOIN pg_language l ON l.oid = p.prolang WHERE l.lanname NOT IN ('plpgsql', 'sql', 'c', 'internal')$$, 'no other language is used');
SELECT is_empty($$SELECT called FROM functions p JOIN pg_language l ON l.oid = p.prolang WHERE l.lanname = 'c' AND prosrc !~ '^orgusers_'$$, 'every C function has the prefix orgusers_');
-- What each function is labelled; a function that is in no list is volatile, not parallel safe, not strict, and runs as the owner.
CREATE TEMP TABLE labels (label text, names text);
INSERT INTO labels VALUES
    ('immutable', 'audience_functions can_support check_profile checked_domain decode_mailer_key email_cmp email_domain email_eq email_fault email_ge email_gt email_hash
        email_hash_extended email_in email_le email_lt email_ne email_out invitation_token_eq invitation_token_in invitation_token_ne invitation_token_out
        invitation_token_recv invitation_token_send is_avatar_url is_invitation_state is_locale is_mail_state is_name is_permission_key is_zone_name mail_html
        mail_placeholders mailer_key_id mails_de mails_en normal_domain price_of_rest require_kind require_pending template_is_valid token_digest token_organization token_text
        version'),
    ('stable', 'application_roles assigned_spaces_with billing_addresses billing_contact billing_lines billing_periods billing_statement billing_statement_of
        broken_references can check_policy checked_external_id checked_name current_organization_id current_user_id email_recv email_send explain_access free_seats given_by
        group_ids has_role health_check invitation_by_token is_below is_member join_link_by_token joining_roles known_permissions limit_new_spaces list_audit list_invitations
        list_join_domains list_join_links list_roles list_space_users list_spaces list_users mail_people mail_status mailer_key my_join_offers my_organizations my_profile
        orgs_reached orgs_with permissions_of policy_of present_guards preview_invitation preview_leaving reaches read_invitations refuse refuse_billing_admin refuse_in_tree
        refuse_self require require_few_spaces require_grantable require_group_change require_groups require_inviter require_joinable require_over require_seat require_user
        role_ids role_names role_to_edit roles_by_groups seat_periods seat_usage seat_usage_of settings_at_start space_ids spaces_with takes_seat templates_in_charge
        tree_refusal wants_seat'),
    -- asked in workers: the identity, and rights, which each worker looks up
    ('parallel safe', 'assigned_spaces_with audience_functions can can_support current_user_id decode_mailer_key email_cmp email_domain email_eq email_fault email_ge email_gt
        email_hash email_hash_extended email_in email_le email_lt email_ne email_out email_recv email_send has_role invitation_token_eq invitation_token_in invitation_token_ne
        invitation_token_out invitation_token_recv invitation_token_send is_avatar_url is_invitation_state is_locale is_mail_state is_member is_name is_permission_key
        is_zone_name mail_html mail_placeholders mailer_key_id mails_de mails_en new_id new_invitation_token normal_domain orgs_reached orgs_with price_of_rest reaches
        seal_invitation template_is_valid token_digest token_organization token_text version'),
    ('leakproof', 'email_eq'),
    ('strict', 'can_support email_cmp email_domain email_eq email_fault email_ge email_gt email_hash email_hash_extended email_in email_le email_lt email_ne email_out
        email_recv email_send invitation_token_eq invitation_token_in invitation_token_ne invitation_token_out invitation_token_recv invitation_token_send is_locale is_name
        lock_organization mail_placeholders mailer_key_id new_invitation_token seal_invitation template_is_valid token_digest token_organization token_text'),
    -- reads no table, or none with the executor; the owner's own; grant_to, protect_table and unprotect_table, for what the caller owns
    ('invoker', 'act_as assigned_spaces_with audience_functions audit_row audit_statement cache_stats can can_support check_now check_profile current_user_id
        decode_mailer_key email_cmp email_domain email_eq email_fault email_ge email_gt email_hash email_hash_extended email_in email_le email_lt email_ne email_out email_recv
        email_send grant_to has_right has_role install_permissions invitation_token_eq invitation_token_in invitation_token_ne invitation_token_out invitation_token_recv
        invitation_token_send is_avatar_url is_invitation_state is_locale is_mail_state is_member is_name is_permission_key is_zone_name lock_organization mail_html
        mail_placeholders mailer_key_id mails_de mails_en may_grant new_id new_invitation_token normal_domain orgs_reached orgs_with price_of_rest protect_table reaches
        read_invitations rights_changed seal_invitation sign_out status_now template_is_valid token_digest token_organization token_text unprotect_table user_from_claims
        version wake_mailer');
SELECT set_eq(format('SELECT proname::text FROM functions WHERE %s', has), format('SELECT regexp_split_to_table(names, E''\\s+'') FROM labels WHERE label = %L', label), 'functions are labelled as listed: ' || label)
    FROM (VALUES ('immutable', $$provolatile = 'i'$$), ('stable', $$provolatile = 's'$$), ('parallel safe', $$proparallel = 's'$$), ('leakproof', 'proleakproof'),
                 ('strict', 'proisstrict'), ('invoker', 'NOT prosecdef')) AS v (label, has);
SELECT is_empty($$SELECT called FROM functions WHERE proparallel = 'r'$$, 'no function is parallel restricted');
SELECT is_empty($$SELECT called FROM functions WHERE prosrc ~* '\mexecute\M' AND proname NOT IN ('grant_to', 'protect_table', 'unprotect_table', 'broken_references')
    AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql')$$, 'no function but these makes SQL from text');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_depend d JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
    WHERE d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'orgusers') AND p.pronamespace <> 'orgusers'::regnamespace$$,
    'the extension''s functions are in its schema');
SELECT is_empty($$SELECT called FROM functions p WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    UNION SELECT called FROM relations r WHERE relkind IN ('r', 'v') AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.deptype = 'e')$$,
    'everything in the schema belongs to the extension');

-- Comments
SELECT is_empty($$SELECT called FROM functions WHERE obj_description(oid, 'pg_proc') IS NULL$$, 'every function has a comment');
SELECT is_empty($$SELECT called FROM relations WHERE relkind IN ('r', 'v') AND obj_description(oid, 'pg_class') IS NULL$$, 'every table and view has a comment');
SELECT is_empty($$SELECT t.oid::regtype FROM pg_type t WHERE t.typnamespace = 'orgusers'::regnamespace AND t.typrelid = 0 AND t.typcategory <> 'A' AND obj_description(t.oid, 'pg_type') IS NULL$$,
    'every type has a comment');
SELECT is_empty($$SELECT r.called, t.tgname FROM pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal AND obj_description(t.oid, 'pg_trigger') IS NULL$$,
    'every trigger has a comment');
SELECT is_empty($$SELECT r.called, p.polname FROM pg_policy p JOIN relations r ON r.oid = p.polrelid WHERE obj_description(p.oid, 'pg_policy') IS NULL$$, 'every policy has a comment');
SELECT is_empty($$SELECT o.oid::regoperator FROM pg_operator o JOIN functions p ON p.oid = o.oprcode WHERE obj_description(o.oid, 'pg_operator') IS NULL$$, 'every operator has a comment');

-- Names that are said once
SELECT is_empty($$SELECT proname FROM functions WHERE proname <> 'can' GROUP BY proname HAVING count(*) > 1$$, 'no function but can has two forms');

-- Tables: dump, keys, row level security
SELECT set_eq($$SELECT called FROM relations WHERE relkind = 'r' AND oid NOT IN ('orgusers.installation'::regclass, 'orgusers.guards'::regclass)$$,
    $$SELECT unnest(extconfig)::regclass::text FROM pg_extension WHERE extname = 'orgusers'$$, 'every table is dumped, but the one that tells installations apart and what is made with the extension');
SELECT is_empty($$SELECT called FROM relations WHERE relkind NOT IN ('r', 'v', 'i', 'c')$$, 'there are no sequences and no other kinds of relations');
SELECT is_empty($$SELECT attrelid::regclass, attname FROM pg_attribute a JOIN relations r ON r.oid = a.attrelid WHERE a.attidentity <> ''$$, 'nor identity columns');
SELECT is_empty($$SELECT called FROM relations r WHERE relkind = 'r' AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = r.oid AND i.indisprimary)$$, 'every table has a primary key');
SELECT is_empty($$SELECT i.indexrelid::regclass FROM pg_index i JOIN relations r ON r.oid = i.indrelid
    JOIN pg_attribute o ON o.attrelid = r.oid AND o.attname = 'org_id'
    WHERE i.indisunique AND i.indkey[0] <> o.attnum AND r.called <> 'orgusers.current_organizations'
      AND i.indexrelid <> 'orgusers.memberships_user_id_org_id_idx'::regclass  -- contains it; for looking up users' organizations
    $$, 'an organization''s keys begin with org_id');
SELECT is_empty($$SELECT c.conrelid::regclass, c.conname FROM pg_constraint c JOIN pg_attribute o ON o.attrelid = c.conrelid AND o.attname = 'org_id'
    WHERE c.contype = 'f' AND c.confdeltype = 'c' AND c.connamespace = 'orgusers'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indpred IS NULL AND i.indkey[0] = c.conkey[1])$$,
    'a deletion that cascades to organizations'' rows finds them by an index');
SELECT is_empty($$SELECT r.called FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attname = 'org_id'
    WHERE r.relkind = 'r' AND NOT r.relrowsecurity AND r.relname NOT IN ('invitation_tokens', 'mail_outbox')$$,
    'every table of organizations'' rows that is read directly has row level security');
SELECT is_empty($$SELECT p.polrelid::regclass, p.polname FROM pg_policy p JOIN relations r ON r.oid = p.polrelid WHERE p.polcmd <> 'r'$$, 'policies let rows be read, not written');
SELECT is_empty($$SELECT r.called, t.tgname FROM pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgenabled = 'D'$$, 'no trigger is disabled');

-- SQLSTATEs: this list is the one of src/errors.h.
CREATE TEMP TABLE sqlstates (code text PRIMARY KEY);
INSERT INTO sqlstates SELECT 'OU' || n FROM unnest(ARRAY[
    '001', '002', '003', '004', '005', '006', '007', '008', '009', '010',
    '101', '102', '103', '104', '105', '106', '107', '108', '109', '110', '111', '113', '118', '116', '112', '114', '115',
    '201', '202', '203', '204', '205', '206', '207', '208', '209', '210', '211', '212', '213', '214', '215',
    '301', '302', '303', '304', '305', '306', '308', '307',
    '401', '402', '403', '404', '405', '406']) n;
SELECT is_empty($$SELECT DISTINCT m[1] FROM functions, regexp_matches(prosrc, '\m(OU\d\d\d)\M', 'g') m WHERE m[1] NOT IN (SELECT code FROM sqlstates)$$, 'functions raise SQLSTATEs of the list');
SELECT is_empty($$SELECT called, m[1] FROM functions f, regexp_matches(obj_description(f.oid, 'pg_proc'), '\m(OU\d\d\d)\M', 'g') m WHERE m[1] NOT IN (SELECT code FROM sqlstates)$$,
    'comments name SQLSTATEs of the list');
SELECT is_empty($$SELECT called FROM functions f JOIN pg_language l ON l.oid = f.prolang WHERE l.lanname = 'plpgsql' AND prosrc ~* 'raise exception' AND prosrc !~ 'ERRCODE'$$,
    'every exception has an SQLSTATE');
SELECT is_empty($$SELECT code FROM sqlstates s WHERE NOT EXISTS (SELECT FROM functions f WHERE obj_description(f.oid, 'pg_proc') LIKE '%' || s.code || '%')$$,
    'every SQLSTATE is explained by the comment of a function that raises it');

SELECT * FROM finish();
ROLLBACK;
