-- Orders, sessions, visits, calls and touchpoints of customers. Needs owners (sighting, customer_id).

CREATE TABLE orders AS
SELECT
    min(customer_id) AS customer_id,
    source,
    order_id,
    source || ':' || order_id AS record_id,
    min(ordered_at) AS ordered_at,
    min(order_date) AS order_date,
    min(channel) AS channel,
    min(store_id) AS store_id,
    min(original_order_id) FILTER (line_type = 'return') AS original_order_id,
    sum(CASE line_type WHEN 'sale' THEN gross_amount - discount_amount
        ELSE discount_amount - gross_amount END)::DECIMAL(18, 2)
        AS net_amount,
    coalesce(sum(gross_amount - discount_amount) FILTER (line_type = 'return'), 0)::DECIMAL(18, 2) AS return_amount,
    min(currency) AS currency,
    bool_or(line_type = 'return') AS has_return,
    bool_and(line_type = 'return') AS is_return
FROM lines LEFT JOIN owners USING (sighting)
GROUP BY source, order_id;

-- A day with a purchase; what was taken back whole does not count. By this name transforms.value looks for them.
CREATE TABLE intermediate.int_customer_purchase_days AS
WITH taken_back AS (
    SELECT source, original_order_id AS order_id, sum(return_amount) AS return_amount
    FROM orders
    WHERE original_order_id <> order_id
    GROUP BY ALL
)
SELECT customer_id, order_date AS purchase_date, count(*) AS orders, sum(net_amount)::DECIMAL(18, 2) AS net_amount,
    currency
FROM orders LEFT JOIN taken_back USING (source, order_id)
WHERE customer_id IS NOT NULL AND net_amount > 0 AND net_amount > coalesce(taken_back.return_amount, 0)
GROUP BY ALL;

CREATE VIEW purchase_days AS FROM intermediate.int_customer_purchase_days;

-- Events with no gap of more than half an hour.
CREATE TABLE sessions AS
WITH owned AS (
    SELECT events.*, customer_id, coalesce(customer_id, device_id, sighting::VARCHAR, session_id, event_id) AS visitor
    FROM events LEFT JOIN owners USING (sighting)
),
marked AS (
    SELECT
        *,
        coalesce(occurred_at - lag(occurred_at) OVER before > INTERVAL 30 MINUTE, true) AS is_first
    FROM owned
    WINDOW before AS (PARTITION BY visitor ORDER BY occurred_at, record_id)
),
numbered AS (
    SELECT *, sum(is_first::INT) OVER (
            PARTITION BY visitor ORDER BY occurred_at, record_id ROWS UNBOUNDED PRECEDING
        ) AS number
    FROM marked
)
SELECT
    customer_id,
    min(record_id) FILTER (is_first) AS record_id,
    min(channel) FILTER (is_first) AS channel,
    min(occurred_at) AS started_at,
    max(occurred_at) AS ended_at,
    min(occurred_at)::DATE AS session_date,
    count(*) AS events,
    count(*) FILTER (event_name = 'product_view') AS product_views,
    count(*) FILTER (event_name = 'add_to_cart') AS carts,
    count(*) FILTER (event_name = 'referral') AS referrals
FROM numbered
GROUP BY customer_id, visitor, number;

-- Pings of one device in one store with no gap of more than half an hour are one visit.
CREATE TABLE visits AS
WITH owned AS (
    SELECT
        visit_records.*,
        customer_id,
        coalesce(device_id, sighting::VARCHAR, visit_id) AS visitor,
        device_id IN (SELECT device_id FROM sensors) IS TRUE AS is_sensor
    FROM visit_records LEFT JOIN owners USING (sighting)
),
pings AS (
    SELECT customer_id, store_id, visitor, is_sensor, entered_at, min(visit_id) AS visit_id
    FROM owned WHERE is_ping GROUP BY ALL
),
marked AS (
    SELECT
        *,
        coalesce(
            entered_at - lag(entered_at) OVER (PARTITION BY store_id, visitor, customer_id ORDER BY entered_at)
            > INTERVAL 30 MINUTE, true
        ) AS is_first
    FROM pings
),
numbered AS (
    SELECT
        *,
        sum(is_first::INT) OVER (
            PARTITION BY store_id, visitor, customer_id ORDER BY entered_at ROWS UNBOUNDED PRECEDING
        ) AS number
    FROM marked
),
joined AS (
    SELECT
        max(visit_id) FILTER (is_first) AS visit_id, customer_id, store_id, is_sensor,
        min(entered_at) AS entered_at, max(entered_at) AS exited_at
    FROM numbered
    GROUP BY customer_id, store_id, visitor, is_sensor, number
    UNION ALL
    SELECT visit_id, customer_id, store_id, is_sensor, entered_at, exited_at FROM owned WHERE NOT is_ping
)
SELECT *, entered_at::DATE AS visit_date, epoch(exited_at - entered_at) AS dwell_seconds FROM joined;

CREATE TABLE calls AS
WITH owned AS (
    SELECT
        call_records.*, customer_id, 'hotline_calls:' || call_id AS record_id, started_at::DATE AS call_date,
        talk_seconds + coalesce(hold_seconds, 0) + coalesce(wrap_seconds, 0) AS handle_seconds,
        outcome = 'answered' AND (
            coalesce(talk_seconds < 0 OR hold_seconds < 0 OR wrap_seconds < 0, false)
            OR coalesce(talk_seconds + coalesce(hold_seconds, 0) + coalesce(wrap_seconds, 0) > 3600, false)
        ) AS is_handle_excluded
    FROM call_records LEFT JOIN owners USING (sighting)
)
SELECT
    customer_id, call_id, record_id, started_at, call_date, outcome, is_queued, wait_seconds, reason, is_resolved,
    satisfaction_score, is_handle_excluded,
    coalesce(reason = 'complaint', false) AS is_complaint,
    coalesce(reason = 'enquiry', false) AS is_enquiry,
    CASE WHEN outcome = 'answered' AND NOT is_handle_excluded THEN handle_seconds END AS handle_seconds,
    outcome = 'abandoned' AND is_queued AND coalesce(wait_seconds < 10, false) AS is_short_abandon,
    CASE WHEN customer_id IS NOT NULL THEN coalesce(
        started_at - lag(started_at) OVER (PARTITION BY customer_id ORDER BY started_at, record_id)
        <= INTERVAL 24 HOUR, false
    ) END AS is_repeat_contact,
    CASE WHEN customer_id IS NOT NULL AND outcome = 'answered' AND getvariable('as_of') - call_date >= 7 THEN coalesce(
        lead(started_at) OVER (PARTITION BY customer_id, coalesce(reason, '') ORDER BY started_at,
            record_id) - started_at
        > INTERVAL 7 DAY, true
    ) END AS is_fcr
FROM owned;

CREATE VIEW touchpoints AS
SELECT
    customer_id, ordered_at AS occurred_at, order_date AS occurred_date, channel,
    CASE WHEN is_return THEN 'return' ELSE 'order' END AS touchpoint_type, source, record_id, net_amount AS amount,
        currency
FROM orders
UNION ALL
SELECT customer_id, started_at, session_date, channel, 'session', 'app_events', record_id, NULL, NULL FROM sessions
UNION ALL
SELECT
    customer_id, entered_at, visit_date, 'store', 'store_visit', 'store_visits', 'store_visits:' || visit_id, NULL, NULL
FROM visits WHERE NOT is_sensor OR customer_id IS NOT NULL
UNION ALL
SELECT customer_id, started_at, call_date, 'hotline', 'call', 'hotline_calls', record_id, NULL, NULL FROM calls;

CREATE TABLE marts.customer_timeline AS
FROM touchpoints WHERE customer_id IS NOT NULL ORDER BY customer_id, occurred_at;
