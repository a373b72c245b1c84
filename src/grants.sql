-- Who may do what with the extension's own objects.  This is the whole of it: nothing above grants anything.
--
-- Four audiences, each a list of functions:
--   application  any role through which users act, trusted or not: every question and every flow, and sign_in()
--   server       trusted with identity: application's, and act_as(), the users' directory, plans
--   mailer       claims and acknowledges mail, nothing else
--   developer    owns tables of the application, and protects them; trusted as the owner, see doc/operations.md
-- Whatever is in no list (internal functions, keys, installers) stays with the owner.

REVOKE ALL ON ALL TABLES IN SCHEMA orgusers FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA orgusers FROM PUBLIC;
DO $$
DECLARE
    proxy regtype;
BEGIN
    FOR proxy IN SELECT t.oid FROM pg_type t WHERE t.typnamespace = 'orgusers'::regnamespace AND t.typname ~ '^rights_(user|org|shared)' LOOP
        EXECUTE format('REVOKE ALL ON TYPE %s FROM PUBLIC', proxy);
    END LOOP;
END $$;

CREATE FUNCTION orgusers.audience_functions(audience text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE audience
        WHEN 'application' THEN ARRAY[
            'version',
            -- the casts and operators of our types
            'email_in', 'email_out', 'email_eq', 'email_ne', 'email_lt', 'email_le', 'email_gt', 'email_ge', 'email_cmp', 'email_hash', 'email_hash_extended',
            'invitation_token_in', 'invitation_token_out', 'invitation_token_eq', 'invitation_token_ne',
            -- who acts
            'sign_in', 'sign_out', 'current_user_id', 'my_profile', 'update_profile',
            -- what the actor may
            'can', 'require', 'require_user', 'has_role', 'is_member', 'orgs_with', 'orgs_reached', 'spaces_with', 'explain_access', 'cache_stats',
            -- organizations and their users
            'new_id', 'create_my_organization', 'rename_organization', 'delete_organization', 'my_organizations',
            'switch_organization', 'current_organization_id',
            'preview_leaving', 'leave_organization', 'access_state', 'new_areas', 'record_activity',
            'list_users', 'set_user_roles', 'set_user_groups', 'remove_user', 'deactivate_user', 'reactivate_user',
            'create_role', 'edit_role', 'delete_role', 'role_usage', 'list_roles', 'hand_over',
            'create_sub_account', 'list_sub_accounts',
            'create_group', 'rename_group', 'delete_group', 'set_group_roles',
            'create_space', 'rename_space', 'delete_space', 'set_user_spaces', 'set_group_spaces', 'set_user_permissions',
            'assign_spaces', 'unassign_spaces', 'list_spaces', 'list_space_users', 'set_invitation_spaces',
            'set_billing_admin', 'set_billing_cc', 'billing_contact',
            'seat_usage', 'billing_statement',
            -- invitations
            'invite_user', 'invite_users', 'list_invitations', 'resend_invitation', 'invitation_link', 'cancel_invitation', 'remove_invitation',
            'invitations_left',
            'preview_invitation', 'accept_invitation', 'decline_invitation',
            'my_invitations', 'accept_my_invitation', 'decline_my_invitation',
            -- joining
            'create_join_link', 'list_join_links', 'revoke_join_link', 'join_preview', 'join_organization',
            'claim_join_domain', 'list_join_domains', 'drop_join_domain', 'my_join_offers', 'join_by_domain',
            -- the audit trail
            'list_audit']
        WHEN 'server' THEN ARRAY[
            'act_as', 'create_organization', 'set_external_id', 'register_and_accept', 'register_user', 'set_email_verified', 'change_email', 'set_plan', 'billing_addresses', 'verify_join_domain',
            'seat_usage_of', 'billing_statement_of']
        WHEN 'mailer' THEN ARRAY['claim_mail', 'mail_sent', 'mail_failed', 'release_mail', 'mail_status']
        WHEN 'developer' THEN ARRAY['protect_table', 'unprotect_table', 'current_user_id', 'can', 'orgs_with', 'orgs_reached', 'is_member',
            'email_in', 'email_out', 'email_eq', 'email_ne', 'email_lt', 'email_le', 'email_gt', 'email_ge', 'email_cmp', 'email_hash', 'email_hash_extended']
    END;
COMMENT ON FUNCTION orgusers.audience_functions(text) IS 'Names of the functions that an audience (application, server: beyond application''s, mailer, developer) may call; NULL for any other word. Internal';

-- What the actor may see of the tables; nothing when anonymous.  Nothing can be written but through functions.
CREATE FUNCTION orgusers.grant_to(role regrole, audience text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    callable regprocedure;
BEGIN
    IF role IS NULL OR orgusers.audience_functions(audience) IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OU009', MESSAGE = 'no such role or audience',
            HINT = 'The audiences are application, server, mailer and developer.';
    END IF;
    IF audience = 'server' THEN
        PERFORM orgusers.grant_to(role, 'application');
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA orgusers TO %s', role);
    FOR callable IN SELECT p.oid FROM pg_proc p
                    WHERE p.pronamespace = 'orgusers'::regnamespace AND p.proname = ANY (orgusers.audience_functions(audience)) LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', callable, role);
    END LOOP;
    IF audience = 'application' THEN
        EXECUTE format('GRANT SELECT ON orgusers.users, orgusers.current_organizations, orgusers.organizations, orgusers.memberships, orgusers.roles, orgusers.role_permissions,'
            ' orgusers.membership_roles, orgusers.membership_permissions, orgusers.last_activity, orgusers.seen_areas, orgusers.spaces, orgusers.space_members, orgusers.space_groups, orgusers.groups, orgusers.group_members, orgusers.group_roles, orgusers.subscriptions,'
            ' orgusers.seat_ledger, orgusers.plan_ledger,'
            ' orgusers.join_link_roles, orgusers.join_domains, orgusers.join_domain_roles,'
            ' orgusers.invitations, orgusers.invitation_roles, orgusers.invitation_groups, orgusers.invitation_spaces,'
            ' orgusers.audit_log,'
            ' orgusers.policies, orgusers.plans, orgusers.permissions, orgusers.role_templates,'
            ' orgusers.role_template_permissions, orgusers.role_template_grants, orgusers.base_permissions TO %s', role);
        -- without the digest, which is nobody's business
        EXECUTE format('GRANT SELECT (org_id, id, created_by, created_at, expires_at, most_uses, uses, revoked_at) ON orgusers.join_links TO %s', role);
    ELSIF audience = 'developer' THEN
        EXECUTE format('GRANT SELECT ON orgusers.protected_tables, orgusers.permissions TO %s', role);
        -- foreign keys to organizations, spaces and users
        EXECUTE format('GRANT REFERENCES (id) ON orgusers.organizations, orgusers.users TO %s', role);
        EXECUTE format('GRANT REFERENCES (org_id, id) ON orgusers.spaces TO %s', role);
        EXECUTE format('GRANT REFERENCES (org_id, user_id) ON orgusers.memberships TO %s', role);
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.grant_to(regrole, text) IS 'Grants a role what its audience needs: application (any role through which users act), server (trusted to say who acts, with act_as), mailer, or developer (owns tables of the application, protects them and refers to ours; who may do that can get the owner''s rights by PostgreSQL''s foreign keys, so grant it to nobody who is trusted less). Call it again after an upgrade. For the database''s owner; OU009 for NULL or another audience';
REVOKE ALL ON FUNCTION orgusers.audience_functions(text), orgusers.grant_to(regrole, text) FROM PUBLIC;

ALTER TABLE orgusers.organizations ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.organizations FOR SELECT USING (orgusers.can(id, 'organization.view'));
COMMENT ON POLICY seen ON orgusers.organizations IS 'Organizations that the actor may see';

ALTER TABLE orgusers.roles ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.roles FOR SELECT USING (orgusers.can(org_id, 'organization.view'));
COMMENT ON POLICY seen ON orgusers.roles IS 'Roles of organizations that the actor may see';

ALTER TABLE orgusers.role_permissions ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.role_permissions FOR SELECT USING (orgusers.can(org_id, 'organization.view'));
COMMENT ON POLICY seen ON orgusers.role_permissions IS 'What edited roles permit, of organizations that the actor may see';

ALTER TABLE orgusers.groups ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.groups FOR SELECT USING (orgusers.can(org_id, 'organization.view'));
COMMENT ON POLICY seen ON orgusers.groups IS 'Groups of organizations that the actor may see';

ALTER TABLE orgusers.group_roles ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.group_roles FOR SELECT USING (orgusers.can(org_id, 'organization.view'));
COMMENT ON POLICY seen ON orgusers.group_roles IS 'What the groups carry of organizations that the actor may see';

ALTER TABLE orgusers.memberships ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.memberships FOR SELECT
    USING (user_id = orgusers.current_user_id() OR orgusers.can(org_id, 'users.view'));
COMMENT ON POLICY seen ON orgusers.memberships IS 'The actor''s own, and those of organizations whose users the actor may see';

ALTER TABLE orgusers.membership_roles ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.membership_roles FOR SELECT
    USING (user_id = orgusers.current_user_id() OR orgusers.can(org_id, 'users.view'));
COMMENT ON POLICY seen ON orgusers.membership_roles IS 'The actor''s own, and those of organizations whose users the actor may see';

ALTER TABLE orgusers.group_members ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.group_members FOR SELECT
    USING (user_id = orgusers.current_user_id() OR orgusers.can(org_id, 'users.view'));
COMMENT ON POLICY seen ON orgusers.group_members IS 'The actor''s own, and those of organizations whose users the actor may see';

ALTER TABLE orgusers.membership_permissions ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.membership_permissions FOR SELECT
    USING (user_id = orgusers.current_user_id() OR orgusers.can(org_id, 'users.view'));
COMMENT ON POLICY seen ON orgusers.membership_permissions IS 'The actor''s own, and those of organizations whose users the actor may see';

ALTER TABLE orgusers.spaces ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.spaces FOR SELECT
    USING (orgusers.can(org_id, id, 'spaces.view'));
COMMENT ON POLICY seen ON orgusers.spaces IS 'Spaces that the actor may see';

ALTER TABLE orgusers.space_members ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.space_members FOR SELECT
    USING (user_id = orgusers.current_user_id() OR orgusers.can(org_id, space_id, 'spaces.view'));
COMMENT ON POLICY seen ON orgusers.space_members IS 'The actor''s own, and those of spaces that the actor may see';

ALTER TABLE orgusers.space_groups ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.space_groups FOR SELECT
    USING (orgusers.can(org_id, space_id, 'spaces.view'));
COMMENT ON POLICY seen ON orgusers.space_groups IS 'Those of spaces that the actor may see';

-- The inner table is under its own policy.
ALTER TABLE orgusers.users ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.users FOR SELECT
    USING (id = orgusers.current_user_id() OR EXISTS (SELECT FROM orgusers.memberships m WHERE m.user_id = users.id));
COMMENT ON POLICY seen ON orgusers.users IS 'The actor, and the users of organizations whose users the actor may see';

ALTER TABLE orgusers.current_organizations ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.current_organizations FOR SELECT USING (user_id = orgusers.current_user_id() AND orgusers.is_member(org_id));
COMMENT ON POLICY seen ON orgusers.current_organizations IS 'The actor''s own, while it counts';

ALTER TABLE orgusers.last_activity ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.last_activity FOR SELECT
    USING (user_id = orgusers.current_user_id() AND orgusers.is_member(org_id) OR orgusers.can(org_id, 'users.view'));
COMMENT ON POLICY seen ON orgusers.last_activity IS 'The actor''s own, and those of organizations whose users the actor may see';

ALTER TABLE orgusers.seen_areas ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.seen_areas FOR SELECT USING (user_id = orgusers.current_user_id() AND orgusers.is_member(org_id));
COMMENT ON POLICY seen ON orgusers.seen_areas IS 'The actor''s own';

ALTER TABLE orgusers.subscriptions ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.subscriptions FOR SELECT USING (orgusers.can(org_id, 'billing.view'));
COMMENT ON POLICY seen ON orgusers.subscriptions IS 'Subscriptions of organizations whose billing the actor may see';

ALTER TABLE orgusers.seat_ledger ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.seat_ledger FOR SELECT USING (orgusers.can(org_id, 'billing.statement'));
COMMENT ON POLICY seen ON orgusers.seat_ledger IS 'Seat time of organizations whose statements the actor may see';

ALTER TABLE orgusers.plan_ledger ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.plan_ledger FOR SELECT USING (orgusers.can(org_id, 'billing.statement'));
COMMENT ON POLICY seen ON orgusers.plan_ledger IS 'Past plans of organizations whose statements the actor may see';

ALTER TABLE orgusers.invitations ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.invitations FOR SELECT USING (orgusers.can(org_id, 'users.view'));
COMMENT ON POLICY seen ON orgusers.invitations IS 'Invitations of organizations whose users the actor may see; the invited person''s are in my_invitations()';

ALTER TABLE orgusers.invitation_roles ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.invitation_roles FOR SELECT USING (orgusers.can(org_id, 'users.view'));
COMMENT ON POLICY seen ON orgusers.invitation_roles IS 'Roles of the invitations that the actor may see';

ALTER TABLE orgusers.invitation_groups ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.invitation_groups FOR SELECT USING (orgusers.can(org_id, 'users.view'));
COMMENT ON POLICY seen ON orgusers.invitation_groups IS 'Groups of the invitations that the actor may see';

ALTER TABLE orgusers.invitation_spaces ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.invitation_spaces FOR SELECT USING (orgusers.can(org_id, 'users.view') AND orgusers.can(org_id, space_id, 'spaces.view'));
COMMENT ON POLICY seen ON orgusers.invitation_spaces IS 'Spaces that the actor may see of the invitations that the actor may see';

-- How many are left, invitations_left() says; the rows are nobody's to read.
ALTER TABLE orgusers.invitation_quota ENABLE ROW LEVEL SECURITY;

ALTER TABLE orgusers.join_links ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.join_links FOR SELECT USING (orgusers.can(org_id, 'joining.manage'));
COMMENT ON POLICY seen ON orgusers.join_links IS 'Join links of organizations where the actor may manage them';

ALTER TABLE orgusers.join_link_roles ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.join_link_roles FOR SELECT USING (orgusers.can(org_id, 'joining.manage'));
COMMENT ON POLICY seen ON orgusers.join_link_roles IS 'Roles of join links of organizations where the actor may manage them';

ALTER TABLE orgusers.join_domains ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.join_domains FOR SELECT USING (orgusers.can(org_id, 'joining.manage'));
COMMENT ON POLICY seen ON orgusers.join_domains IS 'Join domains of organizations where the actor may manage them';

ALTER TABLE orgusers.join_domain_roles ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.join_domain_roles FOR SELECT USING (orgusers.can(org_id, 'joining.manage'));
COMMENT ON POLICY seen ON orgusers.join_domain_roles IS 'Roles of join domains of organizations where the actor may manage them';

ALTER TABLE orgusers.audit_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON orgusers.audit_log FOR SELECT USING (orgusers.can(org_id, 'audit.view'));
COMMENT ON POLICY seen ON orgusers.audit_log IS 'Audit trails of organizations that the actor may read; never what all organizations share';

-- EXPLAIN's estimates come from what ANALYZE has sampled of all rows, whatever policies hide: by comparisons that the
-- server takes for leakproof, as those of texts and ids, anybody who may read the table at all finds such a value, piece
-- by piece.  Nothing is planned by the names here, so none are sampled.
ALTER TABLE orgusers.users ALTER display_name SET STATISTICS 0, ALTER avatar_url SET STATISTICS 0;
ALTER TABLE orgusers.organizations ALTER name SET STATISTICS 0, ALTER external_id SET STATISTICS 0;
ALTER TABLE orgusers.roles ALTER name SET STATISTICS 0;
ALTER TABLE orgusers.groups ALTER name SET STATISTICS 0;
ALTER TABLE orgusers.spaces ALTER name SET STATISTICS 0;
ALTER TABLE orgusers.invitations ALTER first_name SET STATISTICS 0, ALTER last_name SET STATISTICS 0;
ALTER TABLE orgusers.join_domains ALTER domain SET STATISTICS 0, ALTER challenge SET STATISTICS 0;
ALTER TABLE orgusers.join_domain_roles ALTER domain SET STATISTICS 0;
