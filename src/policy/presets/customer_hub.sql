-- The rule-book "customer hub": the customers of one company, roles of their own making, short-lived invitations.

CREATE FUNCTION orgusers.install_customer_hub(product_name text DEFAULT 'Example', accept_url text DEFAULT 'https://example.org/invitation#{{token}}',
                                              mail_from orgusers.email DEFAULT 'no-reply@example.org') RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.begin_policy('customer_hub');
    INSERT INTO orgusers.policies (id, title, default_plan, product_name, accept_url, mail_from,
                                   invitation_lifetime, own_role_change, self_removal, leaving, daily_invitations, welcome_mail)
        VALUES ('customer_hub', 'Customer hub', 'basic', install_customer_hub.product_name, install_customer_hub.accept_url,
                install_customer_hub.mail_from, '1 day', false, false, true, 50, true);
    INSERT INTO orgusers.role_templates (policy, id, name, founder, least_holders, editable) VALUES
        ('customer_hub', 'admin', 'Admin', true,  1, false),
        ('customer_hub', 'user',  'User',  false, 0, true);
    INSERT INTO orgusers.role_template_permissions (policy, template, permission)
        SELECT 'customer_hub', r.template, unnest(r.permissions) FROM (VALUES
            ('admin', '{organization.view,users.view,users.invite,users.remove,users.deactivate,roles.assign,roles.manage,audit.view,'
                      'spaces.view,spaces.manage,spaces.assign,billing.view}'::text[]),
            ('user',  '{spaces.view}')) AS r (template, permissions);
    INSERT INTO orgusers.role_template_grants (policy, template, grantable) VALUES
        ('customer_hub', 'admin', 'admin'),
        ('customer_hub', 'admin', 'user');
    INSERT INTO orgusers.base_permissions (policy, permission) VALUES ('customer_hub', 'organization.view');
    PERFORM orgusers.install_mail_templates('customer_hub');
END $$;
COMMENT ON FUNCTION orgusers.install_customer_hub(text, text, orgusers.email) IS 'Installs the policy customer_hub, where an organization is a customer of the company that runs the product: the roles Admin (at least one) and User, beside which an organization makes its own, invitations good for one day and at most 50 a day for each admin, a base permission for users without any role, welcome mail, leaving, and mail templates with this product name, page that answers invitations ({{token}} stands for the token) and sender. Choices where a rule was open: an invitation that names no role gives none, nobody changes their own roles, name and end of an organization are the company''s. All of it is data, to be edited afterwards. For the database''s owner. OU107 when it is installed';
