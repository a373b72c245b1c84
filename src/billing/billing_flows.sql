-- Plans, and who answers for billing.

CREATE FUNCTION orgusers.set_plan(org_id uuid, plan text, billing_admin_id uuid DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_plan orgusers.plans;
    old      orgusers.subscriptions;
    admin    uuid;
BEGIN
    SELECT * INTO new_plan FROM orgusers.plans p WHERE p.id = set_plan.plan;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU105', MESSAGE = 'no such plan', HINT = 'The table orgusers.plans lists them.';
    END IF;
    IF orgusers.lock_organization(set_plan.org_id) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'OU101', MESSAGE = 'no such organization';
    END IF;
    SELECT * INTO old FROM orgusers.subscriptions s WHERE s.org_id = set_plan.org_id;
    IF new_plan.paid THEN
        admin := coalesce(set_plan.billing_admin_id, old.billing_admin_id);
        IF admin IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'OU302', MESSAGE = 'a paid plan needs a billing admin',
                HINT = 'Name a user of the organization as billing_admin_id.';
        END IF;
        PERFORM orgusers.member(set_plan.org_id, admin);
    ELSIF set_plan.billing_admin_id IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OU302', MESSAGE = 'a free plan has no billing admin',
            HINT = 'Leave billing_admin_id out.';
    END IF;
    INSERT INTO orgusers.subscriptions (org_id, plan, paid, billing_admin_id)
        VALUES (set_plan.org_id, new_plan.id, new_plan.paid, admin)
        ON CONFLICT ON CONSTRAINT subscriptions_pkey
            DO UPDATE SET plan = excluded.plan, paid = excluded.paid, billing_admin_id = excluded.billing_admin_id;
    PERFORM orgusers.check_now();
    PERFORM orgusers.announce_billing_admin(set_plan.org_id, old.billing_admin_id, admin);
END $$;
COMMENT ON FUNCTION orgusers.set_plan(uuid, text, uuid) IS 'Puts an organization on a plan. A paid plan takes a billing admin (NULL: keeps the one there is), who gets mail; a free one ends it. Seats are billed at the plan''s price from now on, see billing_statement(). For the trusted server, when the payment is settled. OU101 no such organization, OU102 billing admin not a user of it, OU105 no such plan, OU301 more users than seats, OU302 billing admin missing, not active, or named for a free plan, OU404 no mail template';

CREATE FUNCTION orgusers.set_billing_admin(org_id uuid, user_id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old uuid;
BEGIN
    PERFORM orgusers.authorize_change(set_billing_admin.org_id, 'billing.manage');
    PERFORM orgusers.member(set_billing_admin.org_id, set_billing_admin.user_id);
    SELECT s.billing_admin_id INTO old FROM orgusers.subscriptions s WHERE s.org_id = set_billing_admin.org_id AND s.paid;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU302', MESSAGE = 'the organization is not on a paid plan, so it has no billing admin',
            HINT = 'The trusted server puts it on one with set_plan().';
    END IF;
    UPDATE orgusers.subscriptions s SET billing_admin_id = set_billing_admin.user_id WHERE s.org_id = set_billing_admin.org_id;
    PERFORM orgusers.check_now();
    PERFORM orgusers.announce_billing_admin(set_billing_admin.org_id, old, set_billing_admin.user_id);
END $$;
COMMENT ON FUNCTION orgusers.set_billing_admin(uuid, uuid) IS 'Makes an active user of the organization its one billing admin; that user and the one before get mail. Needs billing.manage. OU102 no such user there, OU302 not active, or no paid plan, OU404 no mail template, and what require() raises';

CREATE FUNCTION orgusers.announce_billing_admin(org_id uuid, old_admin uuid, new_admin uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF new_admin IS NOT DISTINCT FROM old_admin OR new_admin IS NULL THEN
        RETURN;
    END IF;
    PERFORM orgusers.enqueue_mail(announce_billing_admin.org_id, 'billing_admin_changed', u.email, u.display_name, u.locale, orgusers.mail_people(new_admin))
        FROM orgusers.users u WHERE u.id IN (old_admin, new_admin) ORDER BY u.id;
END $$;
COMMENT ON FUNCTION orgusers.announce_billing_admin(uuid, uuid, uuid) IS 'Mails the new billing admin and the one before. Internal';

CREATE FUNCTION orgusers.set_billing_cc(org_id uuid, addresses orgusers.email[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted orgusers.email[] := ARRAY(SELECT DISTINCT a FROM unnest(addresses) a WHERE a IS NOT NULL ORDER BY a);
BEGIN
    PERFORM orgusers.authorize_change(set_billing_cc.org_id, 'billing.manage');
    IF cardinality(wanted) > 20 THEN
        RAISE EXCEPTION USING ERRCODE = 'OU106', MESSAGE = 'at most 20 further billing addresses can be kept',
            HINT = 'Leave some out, or use the address of a mailing list.';
    END IF;
    UPDATE orgusers.subscriptions s SET billing_cc = wanted WHERE s.org_id = set_billing_cc.org_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'OU105', MESSAGE = 'the organization has no plan',
            HINT = 'The trusted server gives it one with set_plan().';
    END IF;
END $$;
COMMENT ON FUNCTION orgusers.set_billing_cc(uuid, orgusers.email[]) IS 'Keeps exactly these further addresses for billing mail, 20 at most; NULL or an empty array keeps none. Needs billing.manage. OU105 no plan, OU106 too many, and what require() raises';

CREATE FUNCTION orgusers.billing_contact(org_id uuid)
    RETURNS TABLE (plan text, paid boolean, billing_admin_id uuid, billing_admin text, email orgusers.email, cc orgusers.email[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM orgusers.require(billing_contact.org_id, 'billing.view');
    RETURN QUERY
        SELECT s.plan, s.paid, s.billing_admin_id, coalesce(u.display_name, u.email::text), u.email, s.billing_cc
        FROM orgusers.subscriptions s LEFT JOIN orgusers.users u ON u.id = s.billing_admin_id
        WHERE s.org_id = billing_contact.org_id;
END $$;
COMMENT ON FUNCTION orgusers.billing_contact(uuid) IS 'Plan, billing admin and further billing addresses of the organization: one row, or none without a plan. Needs billing.view. Raises what require() raises';

CREATE FUNCTION orgusers.billing_addresses(org_id uuid) RETURNS orgusers.email[]
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT ARRAY(SELECT u.email FROM orgusers.users u WHERE u.id = s.billing_admin_id)
        || ARRAY(SELECT cc FROM unnest(s.billing_cc) cc
                 WHERE cc NOT IN (SELECT u.email FROM orgusers.users u WHERE u.id = s.billing_admin_id))
    FROM orgusers.subscriptions s WHERE s.org_id = billing_addresses.org_id;
END;
COMMENT ON FUNCTION orgusers.billing_addresses(uuid) IS 'Where invoices and billing mail of the organization go: the billing admin''s address as it is now, first, then the further ones, none twice; NULL without a plan. For the trusted server';
