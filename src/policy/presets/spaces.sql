-- The rule-book "spaces": four roles over general, users, spaces and billing settings; members see what they are given.

CREATE FUNCTION orgusers.install_spaces(product_name text DEFAULT 'Example', accept_url text DEFAULT 'https://example.org/invitation#{{token}}',
                                        mail_from orgusers.email DEFAULT 'no-reply@example.org') RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.begin_policy('spaces');
    INSERT INTO orgusers.plans (id, title, paid) VALUES ('business', 'Business', true) ON CONFLICT DO NOTHING;
    INSERT INTO orgusers.policies (id, title, default_plan, product_name, accept_url, mail_from,
                                   invitation_lifetime, own_role_change, self_removal, leaving, spaces_per_call)
        VALUES ('spaces', 'Spaces', 'basic', install_spaces.product_name, install_spaces.accept_url, install_spaces.mail_from,
                '7 days', true, false, false, 10);
    INSERT INTO orgusers.role_templates (policy, id, name, founder, by_default, least_holders, all_spaces, joinable) VALUES
        ('spaces', 'organization_admin', 'Organization Admin', true,  false, 1, true,  false),
        ('spaces', 'billing_admin',      'Billing Admin',      false, false, 0, true,  false),
        ('spaces', 'user_admin',         'User Admin',         false, false, 0, true,  false),
        ('spaces', 'member',             'Member',             false, true,  0, false, true);
    INSERT INTO orgusers.role_template_permissions (policy, template, permission)
        SELECT 'spaces', r.template, unnest(r.permissions) FROM (VALUES
            ('organization_admin', '{organization.view,organization.rename,organization.delete,'
                                   'users.view,users.invite,users.remove,users.deactivate,roles.assign,joining.manage,audit.view,'
                                   'spaces.view,spaces.manage,spaces.assign,'
                                   'billing.view,billing.statement,billing.manage,subscription.manage}'::text[]),
            ('billing_admin',      '{organization.view,users.view,spaces.view,'
                                   'billing.view,billing.statement,billing.manage,subscription.manage}'),
            -- sees who pays (billing.view), not what
            ('user_admin',         '{organization.view,users.view,users.invite,users.remove,spaces.view,spaces.manage,spaces.assign,billing.view}'),
            ('member',             '{spaces.view}')) AS r (template, permissions);
    INSERT INTO orgusers.role_template_grants (policy, template, grantable) VALUES
        ('spaces', 'organization_admin', 'organization_admin'),
        ('spaces', 'organization_admin', 'billing_admin'),
        ('spaces', 'organization_admin', 'user_admin'),
        ('spaces', 'organization_admin', 'member'),
        ('spaces', 'user_admin',         'member');
    PERFORM orgusers.install_mail_templates('spaces');
END $$;
COMMENT ON FUNCTION orgusers.install_spaces(text, text, orgusers.email) IS 'Installs the policy spaces: the roles Organization Admin (everything; at least one), Billing Admin (sees all, changes billing), User Admin (adds and removes Members, assigns spaces) and Member (reaches assigned spaces only), at most ten spaces a call, nobody removes themselves or leaves, the plans basic and business (paid), and mail templates with this product name, page that answers invitations ({{token}} stands for the token) and sender. The role Billing Admin says who may see and change billing; the billing admin of a paid plan is the one user whom invoices go to, and may hold any role. Choices where a rule was open: an invitation is good for seven days, one that names no role gives Member, an Organization Admin may step down while another is left. All of it is data, to be edited afterwards. For the database''s owner. OU107 when it is installed';
