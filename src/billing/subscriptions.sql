-- What an organization pays for and who answers for it.
--
-- A table of its own, not columns of organizations: the billing admin is single by construction, CHECK and
-- foreign keys say the whole rule, and a dump restores in the order of the foreign keys with every constraint
-- in force (organizations that point at memberships would have to be loaded after them, and before them).

CREATE TABLE orgusers.subscriptions (
    org_id           uuid PRIMARY KEY REFERENCES orgusers.organizations ON DELETE CASCADE,
    plan             text NOT NULL,
    paid             boolean NOT NULL,
    billing_admin_id uuid,
    billing_cc       orgusers.email[] NOT NULL DEFAULT '{}' CHECK (cardinality(billing_cc) <= 20 AND array_position(billing_cc, NULL) IS NULL),
    since            timestamptz NOT NULL DEFAULT now() CHECK (isfinite(since)),
    FOREIGN KEY (plan, paid) REFERENCES orgusers.plans (id, paid) ON UPDATE CASCADE,
    FOREIGN KEY (org_id, billing_admin_id) REFERENCES orgusers.memberships (org_id, user_id),
    CONSTRAINT subscriptions_billing_admin_iff_paid CHECK (paid = (billing_admin_id IS NOT NULL))
);
CREATE INDEX subscriptions_plan_idx ON orgusers.subscriptions (plan);
COMMENT ON TABLE orgusers.subscriptions IS 'Plan of an organization, its billing admin and the further addresses for billing mail. An organization without a row has no plan: no cap on seats and no billing admin';
COMMENT ON COLUMN orgusers.subscriptions.paid IS 'The plan''s own; held equal to it by the foreign key';
COMMENT ON COLUMN orgusers.subscriptions.billing_admin_id IS 'The one user whose address invoices go to: an active user of the organization on a paid plan, NULL on any other';
COMMENT ON COLUMN orgusers.subscriptions.since IS 'Since when the organization has had this plan. Kept by a trigger; the plans before are in plan_ledger';
COMMENT ON COLUMN orgusers.subscriptions.billing_cc IS 'Further addresses that receive billing mail, 20 at most';
SELECT pg_extension_config_dump('orgusers.subscriptions', '');
