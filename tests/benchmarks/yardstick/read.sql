-- The incoming files, cleaned: typed, in UTC, without rows that break a rule that alters a figure, each record once.
-- Variables: incoming (folder), as_of (DATE).

SET TimeZone = 'UTC';

-- One number for the identifiers that a record carries, null where it carries none. Numbers and devices by themselves
-- may pass to somebody else, so each month of theirs stands for itself.
CREATE MACRO sighting_of(source, seen_at, email, phone, loyalty_id, device_id, app_user_id, payment_token) AS
CASE WHEN coalesce(email, phone, loyalty_id, device_id, app_user_id, payment_token) IS NOT NULL
    THEN hash(
        source, email, phone, loyalty_id, device_id, app_user_id, payment_token,
        CASE WHEN coalesce(email, loyalty_id, app_user_id, payment_token) IS NULL THEN date_trunc('month', seen_at) END
    ) END;

CREATE MACRO berlin(text) AS
CAST(try_strptime(text, ['%d.%m.%Y %H:%M:%S', '%Y-%m-%dT%H:%M:%S']) AT TIME ZONE 'Europe/Berlin' AS TIMESTAMP);

CREATE MACRO utc(text) AS CAST(try_cast(text AS TIMESTAMPTZ) AS TIMESTAMP);

CREATE MACRO euros(text) AS try_cast(replace(text, ',', '.') AS DECIMAL(18, 2));

CREATE MACRO is_known(moment) AS moment < CAST(getvariable('as_of') + 1 AS TIMESTAMP);

-- Records whose key comes more than once are looked at again: the same record twice counts once, two that differ say
-- nothing.

-- Order lines ---------------------------------------------------------------------------------------------------------

CREATE TEMP TABLE raw_lines AS
SELECT
    'pos_sales' AS source,
    Bon_Nr AS order_id,
    Position AS line_id,
    berlin(Zeitpunkt) AS ordered_at,
    'store' AS channel,
    CASE Vorgang WHEN 'VERKAUF' THEN 'sale' WHEN 'RETOURE' THEN 'return' END AS line_type,
    Filiale AS store_id,
    Artikel AS product_id,
    try_cast(replace(Menge, ',', '.') AS DECIMAL(18, 3)) AS quantity,
    euros(Bruttobetrag) AS gross_amount,
    coalesce(euros(Rabatt), 0) AS discount_amount,
    'EUR' AS currency,
    Ursprungsbon AS original_order_id,
    NULL::VARCHAR AS email,
    NULL::VARCHAR AS phone,
    Kundenkarte AS loyalty_id,
    NULL::VARCHAR AS app_user_id,
    Zahlungstoken AS payment_token
FROM read_csv(
    getvariable('incoming') || '/pos_sales/*.csv.gz',
    delim = ';', quote = '"', header = true, all_varchar = true, ignore_errors = true
)
UNION ALL
SELECT
    'web_orders',
    order_number,
    line_no::VARCHAR,
    created_at::TIMESTAMP,
    CASE sales_channel WHEN 'WEBSHOP' THEN 'web' WHEN 'APP' THEN 'app' END,
    CASE kind WHEN 'order' THEN 'sale' WHEN 'return' THEN 'return' END,
    NULL,
    sku,
    quantity,
    quantity * unit_price,
    coalesce(discount, 0),
    currency,
    return_of,
    nullif(customer_email, ''),
    nullif(customer_phone, ''),
    nullif(loyalty_number, ''),
    nullif(account_id, ''),
    nullif(payment_token, '')
FROM read_parquet(getvariable('incoming') || '/web_orders/*.parquet');

DELETE FROM raw_lines
WHERE NOT coalesce(
    order_id IS NOT NULL AND line_id IS NOT NULL AND is_known(ordered_at) AND channel IS NOT NULL
    AND line_type IS NOT NULL AND quantity >= 0 AND gross_amount >= 0
    AND discount_amount BETWEEN 0 AND gross_amount AND regexp_full_match(currency, '[A-Z]{3}'),
    false
);

CREATE TEMP TABLE doubled AS SELECT source, order_id, line_id FROM raw_lines GROUP BY ALL HAVING count(*) > 1;

CREATE TABLE lines AS
WITH once AS (
    FROM raw_lines ANTI JOIN doubled USING (source, order_id, line_id)
    UNION ALL
    FROM (SELECT DISTINCT * FROM raw_lines SEMI JOIN doubled USING (source, order_id, line_id))
    QUALIFY count(*) OVER (PARTITION BY source, order_id, line_id) = 1
)
SELECT
    *,
    ordered_at::DATE AS order_date,
    sighting_of(source, ordered_at, email, phone, loyalty_id, NULL, app_user_id, payment_token) AS sighting
FROM once;

DROP TABLE raw_lines;

-- Events of app and web shop ------------------------------------------------------------------------------------------

CREATE TEMP TABLE raw_events AS
SELECT
    id AS event_id,
    try_cast(ts AS TIMESTAMP) AS occurred_at,
    name AS event_name,
    channel,
    nullif(session, '') AS session_id,
    ctx.campaign AS campaign,
    nullif(device.id, '') AS device_id,
    nullif("user".id, '') AS app_user_id,
    nullif("user".loyalty, '') AS loyalty_id,
    nullif("user".email, '') AS email,
    nullif("user".phone, '') AS phone
FROM read_json(
    getvariable('incoming') || '/app_events/*.jsonl.gz',
    format = 'newline_delimited', ignore_errors = true,
    columns = {
        id: 'VARCHAR', ts: 'VARCHAR', name: 'VARCHAR', channel: 'VARCHAR', session: 'VARCHAR',
        device: 'STRUCT(id VARCHAR)', ctx: 'STRUCT(campaign VARCHAR)',
        user: 'STRUCT(id VARCHAR, loyalty VARCHAR, email VARCHAR, phone VARCHAR)'
    }
)
WHERE is_known(try_cast(ts AS TIMESTAMP)) AND id IS NOT NULL AND name IS NOT NULL AND channel IN ('app', 'web');

CREATE OR REPLACE TEMP TABLE doubled AS SELECT event_id FROM raw_events GROUP BY ALL HAVING count(*) > 1;

CREATE TABLE events AS
WITH once AS (
    FROM raw_events ANTI JOIN doubled USING (event_id)
    UNION ALL
    FROM (SELECT DISTINCT * FROM raw_events SEMI JOIN doubled USING (event_id))
    QUALIFY count(*) OVER (PARTITION BY event_id) = 1
)
SELECT
    *,
    'app_events:' || event_id AS record_id,
    sighting_of('app_events', occurred_at, email, phone, loyalty_id, device_id, app_user_id, NULL) AS sighting
FROM once;

DROP TABLE raw_events;

-- Visits to stores ----------------------------------------------------------------------------------------------------

CREATE TEMP TABLE raw_visits AS
SELECT
    visit_ref AS visit_id,
    site AS store_id,
    site_type AS store_type,
    utc(seen_from) AS entered_at,
    utc(seen_until) AS exited_at,
    CASE sensor WHEN 'sighting' THEN true WHEN 'beacon' THEN false END AS is_ping,
    device AS device_id,
    card AS loyalty_id,
    wifi_login AS email
FROM read_csv(
    getvariable('incoming') || '/store_visits/*.csv',
    delim = ',', quote = '"', header = true, all_varchar = true, ignore_errors = true
)
WHERE is_known(utc(seen_from)) AND visit_ref IS NOT NULL AND site IS NOT NULL AND sensor IN ('sighting', 'beacon')
    AND coalesce(utc(seen_until) >= utc(seen_from), seen_until IS NULL);

CREATE OR REPLACE TEMP TABLE doubled AS SELECT visit_id FROM raw_visits GROUP BY ALL HAVING count(*) > 1;

CREATE TABLE visit_records AS
WITH once AS (
    FROM raw_visits ANTI JOIN doubled USING (visit_id)
    UNION ALL
    FROM (SELECT DISTINCT * FROM raw_visits SEMI JOIN doubled USING (visit_id))
    QUALIFY count(*) OVER (PARTITION BY visit_id) = 1
)
SELECT *, sighting_of('store_visits', entered_at, email, NULL, loyalty_id, device_id, NULL, NULL) AS sighting FROM once;

DROP TABLE raw_visits;

-- Calls ---------------------------------------------------------------------------------------------------------------

CREATE TEMP TABLE raw_calls AS
SELECT
    call_ref AS call_id,
    berlin(received) AS started_at,
    CASE result WHEN 'ANSWERED' THEN 'answered' WHEN 'HANGUP' THEN 'abandoned' WHEN 'IVR' THEN 'self_service' END
        AS outcome,
    queue IS NOT NULL AS is_queued,
    epoch(try_cast(wait AS INTERVAL)) AS wait_seconds,
    try_cast(talk_sec AS DOUBLE) AS talk_seconds,
    try_cast(hold_sec AS DOUBLE) AS hold_seconds,
    try_cast(wrap_sec AS DOUBLE) AS wrap_seconds,
    lower(topic) AS reason,
    solved = 'J' AS is_resolved,
    try_cast(rating AS INTEGER) AS satisfaction_score,
    email,
    caller AS phone,
    card AS loyalty_id,
    account AS app_user_id,
    agent,
    wait IS NOT NULL AND wait_seconds IS NULL OR hold_sec IS NOT NULL AND hold_seconds IS NULL AS is_garbled
FROM read_csv(
    getvariable('incoming') || '/hotline_calls/*.csv',
    delim = ',', quote = '"', header = true, all_varchar = true, ignore_errors = true
);

DELETE FROM raw_calls
WHERE NOT coalesce(
    call_id IS NOT NULL AND is_known(started_at) AND outcome IS NOT NULL AND NOT is_garbled
    AND coalesce(hold_seconds, 0) >= 0 AND coalesce(wrap_seconds, 0) >= 0
    AND coalesce(satisfaction_score, 1) BETWEEN 1 AND 5,
    false
);

CREATE TABLE call_records AS
SELECT *, sighting_of('hotline_calls', started_at, email, phone, loyalty_id, NULL, app_user_id, NULL) AS sighting
FROM (SELECT DISTINCT * FROM raw_calls)
QUALIFY count(*) OVER (PARTITION BY call_id) = 1;

DROP TABLE raw_calls;

-- The catalogue: what stands in the last one --------------------------------------------------------------------------

CREATE TABLE products AS
SELECT Artikel AS product_id, euros(Einkaufspreis) AS cost_amount, Waehrung AS currency, euros(MwSt)::DOUBLE AS tax_rate
FROM (
    SELECT DISTINCT * FROM read_csv(
        getvariable('incoming') || '/product_catalogue/*.csv.gz',
        delim = ';', quote = '"', header = true, all_varchar = true, ignore_errors = true, filename = true
    )
    QUALIFY filename = max(filename) OVER ()
)
WHERE regexp_full_match(Waehrung, '[A-Z]{3}') AND euros(Listenpreis) >= 0 AND Status IN ('AKTIV', 'AUSLAUF')
    AND is_known(berlin(Seit)) AND coalesce(berlin(Bis) >= berlin(Seit), Bis IS NULL)
QUALIFY count(*) OVER (PARTITION BY Artikel) = 1;

-- Sources of which only the identifiers matter here -------------------------------------------------------------------

CREATE TABLE other_records AS
WITH profiles AS (
    SELECT
        kunden_nr, berlin(geaendert) AS updated_at, berlin(angelegt) AS created_at, geburtsdatum,
        try_strptime(geburtsdatum, '%d.%m.%Y') AS born_at, email, telefon, kundenkarte, konto
    FROM read_csv(
        getvariable('incoming') || '/crm_profiles/*.csv',
        delim = ';', quote = '"', header = true, all_varchar = true, ignore_errors = true, filename = true
    )
    WHERE kunden_nr IS NOT NULL AND is_known(updated_at) AND coalesce(updated_at >= created_at, true)
        AND status IN ('AKTIV', 'GESPERRT') AND coalesce(born_at < getvariable('as_of'), geburtsdatum IS NULL)
    QUALIFY row_number() OVER (PARTITION BY kunden_nr ORDER BY updated_at DESC, filename DESC) = 1
),
consents AS (
    SELECT
        consent, utc(changed) AS updated_at, state, given, revoked,
        subject.mail AS mail, subject.account AS account, subject.card AS card, subject.cookie AS cookie
    FROM read_json(
        getvariable('incoming') || '/consents/*.jsonl',
        format = 'newline_delimited', ignore_errors = true, filename = true,
        columns = {
            consent: 'VARCHAR', purpose: 'VARCHAR', state: 'VARCHAR', changed: 'VARCHAR', given: 'VARCHAR',
            revoked: 'VARCHAR',
            subject: 'STRUCT(mail VARCHAR, account VARCHAR, card VARCHAR, cookie VARCHAR)'
        }
    )
    WHERE consent IS NOT NULL AND purpose IS NOT NULL AND is_known(updated_at)
        AND state IN ('opt_in', 'opt_out', 'revoked')
        AND (state <> 'opt_in' OR given IS NOT NULL AND (revoked IS NULL OR revoked <= given))
        AND (state <> 'revoked' OR revoked IS NOT NULL)
    QUALIFY row_number() OVER (PARTITION BY consent ORDER BY updated_at DESC, filename DESC) = 1
),
surveys AS (
    SELECT DISTINCT * FROM read_csv(
        getvariable('incoming') || '/surveys/*.csv',
        delim = ';', quote = '"', header = true, all_varchar = true, ignore_errors = true
    )
    WHERE is_known(berlin(beantwortet)) AND art IN ('NPS', 'CSAT', 'CES', 'SKALA')
        AND split_part(skala, '-', 1)::INT < split_part(skala, '-', 2)::INT
        AND (art <> 'NPS' OR skala = '0-10') AND (werte IS NULL OR starts_with(werte, '{'))
        AND coalesce(
            try_cast(wert AS DOUBLE) BETWEEN split_part(skala, '-', 1)::INT AND split_part(skala, '-', 2)::INT,
            wert IS NULL OR wert = 'k. A.'
        )
    QUALIFY count(*) OVER (PARTITION BY antwort, frage) = 1
),
messages AS (
    SELECT DISTINCT * FROM read_parquet(getvariable('incoming') || '/campaign_messages/*.parquet')
    WHERE event_ref IS NOT NULL AND is_known(happened_at::TIMESTAMP)
        AND event IN ('SENT', 'BOUNCE', 'OPEN', 'CLICK', 'UNSUBSCRIBE', 'REDEEM') AND channel <> 'PIGEON'
        AND (cost IS NULL OR currency IS NOT NULL) AND coalesce(campaign_end >= campaign_start, true)
        AND coalesce(regexp_full_match(currency, '[A-Z]{3}'), true)
    QUALIFY count(*) OVER (PARTITION BY event_ref) = 1
),
cases AS (
    SELECT DISTINCT * FROM read_json(
        getvariable('incoming') || '/service_cases/*.jsonl.gz',
        format = 'newline_delimited', ignore_errors = true,
        columns = {
            ticket: 'STRUCT(id VARCHAR, priority VARCHAR)',
            event: 'STRUCT("number" VARCHAR, kind VARCHAR, "at" VARCHAR, team VARCHAR)',
            customer: 'STRUCT(mail VARCHAR, phone VARCHAR, card VARCHAR, account VARCHAR)'
        }
    )
    WHERE ticket.id IS NOT NULL AND event."number" IS NOT NULL AND is_known(utc(event."at"))
        AND event.kind IN ('OPENED', 'ASSIGNED', 'REPLIED', 'ESCALATED', 'SOLVED', 'REOPENED', 'CLOSED')
        AND ticket.priority IN ('P1', 'P2', 'P3', 'P4', 'P5')
    QUALIFY count(*) OVER (PARTITION BY ticket.id, event."number") = 1
),
returns AS (
    SELECT DISTINCT * FROM read_csv(
        getvariable('incoming') || '/returns_desk/*.csv',
        delim = ',', quote = '"', header = true, all_varchar = true, ignore_errors = true
    )
    WHERE slip IS NOT NULL AND pos IS NOT NULL AND is_known(berlin(booked)) AND try_cast(pieces AS INT) >= 0
        AND state IN ('NEW', 'OPENED', 'USED', 'DAMAGED', 'MISSING')
        AND coalesce(euros(refund) >= 0, refund IS NULL) AND (refund IS NULL OR currency IS NOT NULL)
        AND coalesce(berlin(paid) >= berlin(booked), paid IS NULL)
    QUALIFY count(*) OVER (PARTITION BY slip, pos) = 1
),
reviews AS (
    SELECT DISTINCT * FROM read_json(
        getvariable('incoming') || '/product_reviews/*.jsonl',
        format = 'newline_delimited', ignore_errors = true,
        columns = {
            id: 'VARCHAR', created: 'VARCHAR', body: 'VARCHAR',
            rating: 'STRUCT("value" VARCHAR, best VARCHAR, worst VARCHAR)',
            author: 'STRUCT(nick VARCHAR, account VARCHAR, mail VARCHAR)'
        }
    )
    WHERE id IS NOT NULL AND is_known(utc(created)) AND (rating."value" IS NOT NULL OR body IS NOT NULL)
        AND coalesce(rating.worst::INT < rating.best::INT AND rating."value"::INT BETWEEN rating.worst::INT
            AND rating.best::INT,
            rating."value" IS NULL)
    QUALIFY count(*) OVER (PARTITION BY id) = 1
),
all_records (source, seen_at, email, phone, loyalty_id, device_id, app_user_id, payment_token) AS (
    SELECT 'crm_profiles', updated_at, email, telefon, kundenkarte, NULL, konto, NULL FROM profiles
    UNION ALL
    SELECT 'consents', updated_at, mail, NULL, card, cookie, account, NULL FROM consents
    UNION ALL
    SELECT 'surveys', berlin(beantwortet), email, telefon, NULL, NULL, konto, NULL FROM surveys
    UNION ALL
    SELECT 'campaign_messages', happened_at::TIMESTAMP, recipient, NULL, card, device, account, NULL FROM messages
    UNION ALL
    SELECT 'service_cases', utc(event."at"), customer.mail, customer.phone, customer.card, NULL, customer.account,
        NULL FROM cases
    UNION ALL
    SELECT 'returns_desk', berlin(booked), email, phone, card, NULL, account, token FROM returns
    UNION ALL
    SELECT 'product_reviews', utc(created), author.mail, NULL, NULL, NULL, author.account, NULL FROM reviews
)
SELECT
    source,
    seen_at,
    nullif(email, '') AS email,
    nullif(phone, '') AS phone,
    nullif(loyalty_id, '') AS loyalty_id,
    nullif(device_id, '') AS device_id,
    nullif(app_user_id, '') AS app_user_id,
    nullif(payment_token, '') AS payment_token
FROM all_records;
