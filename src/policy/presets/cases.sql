-- The rule-book "cases": four levels of users, a price for each but guests, deactivation instead of removal.

CREATE FUNCTION orgusers.install_cases(product_name text DEFAULT 'Example', accept_url text DEFAULT 'https://example.org/invitation#{{token}}',
                                       mail_from orgusers.email DEFAULT 'no-reply@example.org') RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.begin_policy('cases');
    INSERT INTO orgusers.plans (id, title, paid, seat_price, currency, billing_period) VALUES ('per_user', 'Per user', true, 30, 'EUR', 'month') ON CONFLICT DO NOTHING;
    INSERT INTO orgusers.policies (id, title, default_plan, product_name, accept_url, mail_from,
                                   invitation_lifetime, own_role_change, self_removal, leaving)
        VALUES ('cases', 'Cases', 'per_user', install_cases.product_name, install_cases.accept_url, install_cases.mail_from,
                '30 days', true, false, false);
    INSERT INTO orgusers.role_templates (policy, id, name, founder, by_default, least_holders, all_spaces, most_spaces, holds_seat) VALUES
        ('cases', 'administrator', 'Account Administrator', true,  false, 1, true,  NULL, true),
        ('cases', 'standard',      'Standard',              false, false, 0, true,  NULL, true),
        ('cases', 'limited',       'Limited',               false, true,  0, false, NULL, true),
        ('cases', 'guest',         'Guest',                 false, false, 0, false, 1,    false);
    INSERT INTO orgusers.role_template_permissions (policy, template, permission)
        SELECT 'cases', r.template, unnest(r.permissions) FROM (VALUES
            ('administrator', '{organization.view,organization.rename,organization.delete,'
                              'users.view,users.invite,users.deactivate,roles.assign,audit.view,'
                              'spaces.view,spaces.manage,spaces.assign,'
                              'billing.view,billing.statement,billing.manage,subscription.manage}'::text[]),
            ('standard',      '{spaces.view,spaces.manage,spaces.assign}'),
            ('limited',       '{spaces.view}'),
            ('guest',         '{spaces.view}')) AS r (template, permissions);
    INSERT INTO orgusers.role_template_grants (policy, template, grantable) VALUES
        ('cases', 'administrator', 'administrator'),
        ('cases', 'administrator', 'standard'),
        ('cases', 'administrator', 'limited'),
        ('cases', 'administrator', 'guest');
    PERFORM orgusers.install_mail_templates('cases');
END $$;
COMMENT ON FUNCTION orgusers.install_cases(text, text, orgusers.email) IS 'Installs the policy cases, where a space is a case: the levels Account Administrator (everything; at least one), Standard (all cases, no account settings), Limited (assigned cases) and Guest (one assigned case, without a seat and a price), invitations good for 30 days, the plan per_user (30 EUR a month for each seat, an example), and mail templates with this product name, page that answers invitations ({{token}} stands for the token) and sender. Choices where a rule was open: an invitation that names no role gives Limited, Standard users make cases and assign people to them, and nobody is removed or leaves, since a deactivated user stays listed on cases. All of it is data, to be edited afterwards. For the database''s owner. OU107 when it is installed';
