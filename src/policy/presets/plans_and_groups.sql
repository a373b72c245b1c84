-- The rule-book "plans and groups": administrators and users, groups, a free plan with three seats.

CREATE FUNCTION orgusers.install_plans_and_groups(product_name text DEFAULT 'Example', accept_url text DEFAULT 'https://example.org/invitation#{{token}}',
                                                  mail_from orgusers.email DEFAULT 'no-reply@example.org') RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.begin_policy('plans_and_groups');
    INSERT INTO orgusers.plans (id, title, paid, seats) VALUES
        ('free', 'Free', false, 3),
        ('paid', 'Paid', true,  NULL)
    ON CONFLICT DO NOTHING;
    INSERT INTO orgusers.policies (id, title, default_plan, product_name, accept_url, mail_from, invitation_lifetime, own_role_change, self_removal)
        VALUES ('plans_and_groups', 'Plans and groups', 'free', install_plans_and_groups.product_name,
                install_plans_and_groups.accept_url, install_plans_and_groups.mail_from, '7 days', true, true);
    INSERT INTO orgusers.role_templates (policy, id, name, founder, by_default, least_holders, joinable) VALUES
        ('plans_and_groups', 'admin', 'ADMIN', true,  false, 1, false),
        ('plans_and_groups', 'user',  'USER',  false, true,  0, true);
    INSERT INTO orgusers.role_template_permissions (policy, template, permission)
        SELECT 'plans_and_groups', r.template, unnest(r.permissions) FROM (VALUES
            ('admin', '{organization.view,organization.rename,organization.delete,'
                      'users.view,users.invite,users.remove,users.deactivate,'
                      'roles.assign,roles.manage,permissions.assign,groups.manage,joining.manage,audit.view,'
                      'billing.view,billing.manage,billing.statement,subscription.manage,spaces.view,spaces.manage,spaces.assign}'::text[]),
            ('user',  '{organization.view,spaces.view}')) AS r (template, permissions);
    INSERT INTO orgusers.role_template_grants (policy, template, grantable) VALUES
        ('plans_and_groups', 'admin', 'admin'),
        ('plans_and_groups', 'admin', 'user');
    PERFORM orgusers.install_mail_templates('plans_and_groups');
END $$;
COMMENT ON FUNCTION orgusers.install_plans_and_groups(text, text, orgusers.email) IS 'Installs the policy plans_and_groups: the roles ADMIN (everything) and USER, groups, the plans free (three seats) and paid (a billing admin, no cap), invitations good for seven days, and mail templates with this product name, page that answers invitations ({{token}} stands for the token) and sender. All of it is data, to be edited afterwards. For the database''s owner. OU107 when it is installed';
