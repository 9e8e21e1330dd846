-- Identifiers as they can be compared, and who was seen with what. The runner joins what belongs together
-- (run.py: LEVELS), then owners.sql tells whose each sighting is.

-- Devices seen in forty stores within a year are sensors, not people.
CREATE TABLE sensors AS
WITH stores AS (
    SELECT device_id, store_id, max(entered_at)::DATE AS last_date
    FROM visit_records WHERE device_id IS NOT NULL GROUP BY ALL
)
SELECT device_id
FROM (SELECT *, max(last_date) OVER (PARTITION BY device_id) AS final_date FROM stores)
WHERE final_date - last_date < 365
GROUP BY device_id
HAVING count(*) >= 40;

CREATE TABLE sightings AS
WITH records AS (
    SELECT source, ordered_at AS seen_at, email, phone, loyalty_id, NULL AS device_id, app_user_id, payment_token
        FROM lines
    UNION ALL
    SELECT 'app_events', occurred_at, email, phone, loyalty_id, device_id, app_user_id, NULL FROM events
    UNION ALL
    SELECT 'store_visits', entered_at, email, NULL, loyalty_id, device_id, NULL, NULL FROM visit_records
    UNION ALL
    SELECT 'hotline_calls', started_at, email, phone, loyalty_id, NULL, app_user_id, NULL FROM call_records
    UNION ALL
    FROM other_records
)
SELECT
    source, email, phone, loyalty_id, device_id, app_user_id, payment_token,
    min(seen_at) AS first_seen_at, max(seen_at) AS last_seen_at, count(*) AS records,
    sighting_of(source, seen_at, email, phone, loyalty_id, device_id, app_user_id, payment_token) AS sighting
FROM records
WHERE coalesce(email, phone, loyalty_id, device_id, app_user_id, payment_token) IS NOT NULL
GROUP BY source, email, phone, loyalty_id, device_id, app_user_id, payment_token, sighting;

-- German mobile numbers in international form; other numbers are shared by whoever lives or works there.
CREATE MACRO international(text) AS regexp_replace(
    regexp_replace(regexp_replace(replace(text, '(0)', ''), '[^0-9+]', '', 'g'), '^(00|\+)?49', '+49'), '^0', '+49'
);
CREATE MACRO mobile(number) AS CASE
    WHEN regexp_full_match(number, '\+491[5-7][0-9]{8,9}') AND NOT regexp_matches(number, '0{8}|12345678') THEN number
END;

CREATE MACRO is_filler(text) AS text IN (
    'null', '(null)', 'none', '(none)', 'nil', 'nan', 'n/a', '#n/a', 'n.a.', 'na', 'n.v.', 'k.a.', 'not set',
    '(not set)',
    'undefined', 'unknown', 'unbekannt', 'anonymous', 'anonym', 'guest', 'gast', 'missing', 'empty', 'leer', 'no email',
    'noemail', 'no phone', 'keine', 'test', 'xxx', 'tbd', 'false', '-1'
) OR regexp_full_match(text, '[-_.,;:?!*/#+~ ]+|[{(]?0[0:. -]*[)}]?');

CREATE TABLE identifiers AS
WITH held AS (
    UNPIVOT (SELECT email, phone, loyalty_id, device_id, app_user_id, payment_token FROM sightings)
    ON email, phone, loyalty_id, device_id, app_user_id, payment_token INTO NAME type VALUE raw
),
texts AS (SELECT DISTINCT type, raw, trim(raw) AS text FROM held),
normalised AS (
    SELECT type, raw, CASE type
        WHEN 'email' THEN CASE
            WHEN regexp_full_match(rtrim(lower(text), '.'),
                '[^@\s]{1,64}@([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,63}')
                AND NOT regexp_matches(lower(text),
                    '^((no|do[-._]?not)[-._]?reply|mailer-daemon|postmaster|nobody|test[0-9]*|dummy|fake|none|null|undefined|'
                    || 'unknown|unbekannt|anonym|anonymous|keine|no[-._]?e?mail|x{3,}|a{3,}|asdf?|abc|123+)@')
                AND NOT regexp_matches(lower(text), '@(.*\.)?(test|invalid|localhost)$')
                AND NOT regexp_matches(lower(text),
                    '@(none|null|nomail|noemail|unknown|test|invalid|dummy|fake|xxx)\.[a-z]{2,3}$')
            THEN rtrim(lower(text), '.') END
        WHEN 'phone' THEN mobile(international(text))
        WHEN 'loyalty_id' THEN upper(replace(text, ' ', ''))
        WHEN 'device_id' THEN lower(text)
        ELSE text END AS value
    FROM texts
    WHERE NOT is_filler(lower(text)) AND text <> ''
)
SELECT type, raw, value, dense_rank() OVER (ORDER BY type, value) AS id
FROM normalised WHERE value IS NOT NULL;

-- Which identifiers each sighting holds.
CREATE TABLE held AS
WITH pairs AS (
    UNPIVOT (
        SELECT sighting, email, phone, loyalty_id, app_user_id, payment_token,
            CASE WHEN device_id NOT IN (FROM sensors) THEN device_id END AS device_id
        FROM sightings
    )
    ON email, phone, loyalty_id, device_id, app_user_id, payment_token INTO NAME type VALUE raw
)
SELECT pairs.sighting, identifiers.type, identifiers.id FROM pairs JOIN identifiers USING (type, raw);

-- The component of each identifier, itself at first, and those that too many share.
CREATE TABLE component AS SELECT id, min(type) AS type, id AS label FROM identifiers GROUP BY id;

CREATE TABLE shared (id BIGINT);
