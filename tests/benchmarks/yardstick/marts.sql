-- One row for each customer, and the summaries. Needs predictions (of transforms.value).

CREATE TABLE customer_orders AS
SELECT
    customer_id,
    count(*) FILTER (NOT is_return) AS orders,
    count(*) FILTER (is_return) AS return_orders,
    count(DISTINCT source || ':' || coalesce(original_order_id, order_id)) FILTER (has_return) AS returned_orders,
    (sum(net_amount) FILTER (NOT is_return) / nullif(count(*) FILTER (NOT is_return), 0))::DECIMAL(18, 2)
        AS average_order_value_amount
FROM orders WHERE customer_id IS NOT NULL GROUP BY customer_id;

-- What a customer's purchases leave after cost and tax; who has few known lines gets those of a typical customer.
CREATE TABLE customer_margins AS
WITH known AS (
    SELECT
        owner.customer_id, sum(gross_amount - discount_amount) AS amount,
        sum(((gross_amount - discount_amount) / (1 + coalesce(tax_rate, 0)) - cost_amount * quantity)::DECIMAL(18, 4))
            AS margin
    FROM lines
    JOIN orders AS owner USING (source, order_id)
    JOIN products ON products.product_id = lines.product_id AND products.currency = lines.currency
    WHERE line_type = 'sale' AND gross_amount > discount_amount AND quantity IS NOT NULL AND cost_amount IS NOT NULL
        AND owner.customer_id IS NOT NULL
    GROUP BY ALL
),
whole AS (SELECT sum(margin) / sum(amount) AS rate, sum(amount) / count(*) AS typical FROM known)
SELECT
    customer_id,
    (coalesce(margin, 0) + typical * rate) / (coalesce(amount, 0) + typical) AS margin_rate,
    CASE WHEN amount IS NULL THEN 'currency' ELSE 'customer' END AS margin_source
FROM customer_value LEFT JOIN known USING (customer_id) CROSS JOIN whole;

CREATE TABLE marts.customer_clv AS
SELECT
    customer_id,
    getvariable('as_of') AS as_of_date,
    valued.net_revenue_amount AS historic_clv_amount,
    p.predicted_clv_amount, p.predicted_clv_low_amount, p.predicted_clv_high_amount,
    p.predicted_orders_30, p.predicted_orders_90, p.predicted_orders_365,
    p.predicted_clv_30_amount, p.predicted_clv_90_amount, p.predicted_clv_365_amount,
    (valued.net_revenue_amount + coalesce(p.predicted_clv_amount, 0))::DECIMAL(18, 2) AS total_clv_amount,
    (valued.net_revenue_amount * coalesce(m.margin_rate, p.margin_setting))::DECIMAL(18, 2) AS historic_margin_amount,
    (p.predicted_net_revenue_amount * coalesce(m.margin_rate, p.margin_setting))::DECIMAL(18, 2)
        AS predicted_margin_amount,
    coalesce(m.margin_rate, p.margin_setting) AS margin_rate,
    m.margin_source,
    valued.purchase_days AS historic_orders,
    p.predicted_orders, p.predicted_orders_low, p.predicted_orders_high, p.likely_orders_low, p.likely_orders_high,
    (valued.last_purchase_date - valued.first_purchase_date) / nullif(valued.purchase_days - 1, 0)
        AS average_days_between_orders,
    o.average_order_value_amount,
    p.expected_order_value_amount, p.p_alive, p.p_buy_30, p.p_buy_90, p.p_buy_365, 1 - p.p_buy_365 AS churn_risk,
    p.expected_next_order_date, p.horizon_days, valued.currency, coalesce(p.model, 'historic') AS model,
    p.propensity_model, p.spend_model, coalesce(p.fit_status, 'not_fitted') AS fit_status, p.fallback_reason
FROM customer_value AS valued
LEFT JOIN customer_orders AS o USING (customer_id)
LEFT JOIN predictions AS p USING (customer_id)
LEFT JOIN customer_margins AS m USING (customer_id)
WHERE valued.purchase_days > 0
ORDER BY customer_id;

CREATE TABLE customer_channels AS
WITH channels AS (
    SELECT
        customer_id, channel, count(*) AS touchpoints, min(occurred_at) AS first_seen_at,
        max(occurred_at) AS last_seen_at,
        max(occurred_date) > getvariable('as_of') - 365 AS is_recent
    FROM marts.customer_timeline GROUP BY ALL
)
SELECT
    customer_id,
    min(first_seen_at) AS first_seen_at,
    max(last_seen_at) AS last_seen_at,
    arg_min(channel, (first_seen_at, channel)) AS acquisition_channel,
    arg_min(channel, (-touchpoints, -epoch_us(last_seen_at), channel)) AS primary_channel,
    sum(touchpoints)::BIGINT AS touchpoints,
    coalesce(sum(touchpoints) FILTER (channel = 'app'), 0)::BIGINT AS app_touchpoints,
    coalesce(sum(touchpoints) FILTER (channel = 'web'), 0)::BIGINT AS web_touchpoints,
    coalesce(sum(touchpoints) FILTER (channel = 'store'), 0)::BIGINT AS store_touchpoints,
    coalesce(sum(touchpoints) FILTER (channel = 'hotline'), 0)::BIGINT AS hotline_touchpoints,
    coalesce(sum(touchpoints) FILTER (channel NOT IN ('app', 'web', 'store', 'hotline')), 0)::BIGINT
        AS other_touchpoints,
    bool_or(is_recent AND channel IN ('app', 'web')) AND bool_or(is_recent AND channel IN ('store', 'hotline'))
        AS is_multi_channel,
    (app_touchpoints + web_touchpoints) / sum(touchpoints) > 0.5 AS is_mostly_online
FROM channels
GROUP BY customer_id;

CREATE TABLE marts.customer_identifiers AS
SELECT
    customer_id, identifier_type, identifier_masked, identifier_key, first_seen_at, last_seen_at, sources, records
FROM known_identifiers SEMI JOIN customer_channels USING (customer_id)
ORDER BY customer_id, identifier_type;

CREATE TABLE profiles AS
WITH latest AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY customer_id, identifier_type ORDER BY last_seen_at DESC, records DESC, identifier_value
        ) = 1 AS is_latest
    FROM known_identifiers
)
SELECT
    customer_id,
    any_value(identifier_masked) FILTER (is_latest AND identifier_type = 'email') AS email_masked,
    any_value(sources) FILTER (is_latest AND identifier_type = 'email') AS email_source,
    any_value(last_seen_at) FILTER (is_latest AND identifier_type = 'email') AS email_seen_at,
    any_value(identifier_masked) FILTER (is_latest AND identifier_type = 'phone') AS phone_masked,
    any_value(sources) FILTER (is_latest AND identifier_type = 'phone') AS phone_source,
    any_value(last_seen_at) FILTER (is_latest AND identifier_type = 'phone') AS phone_seen_at,
    any_value(identifier_masked) FILTER (is_latest AND identifier_type = 'loyalty_id') AS loyalty_id_masked,
    any_value(sources) FILTER (is_latest AND identifier_type = 'loyalty_id') AS loyalty_id_source,
    any_value(last_seen_at) FILTER (is_latest AND identifier_type = 'loyalty_id') AS loyalty_id_seen_at,
    count(*) AS identifiers,
    count(*) FILTER (identifier_type = 'email') AS email_count,
    count(*) FILTER (identifier_type = 'phone') AS phone_count,
    count(*) FILTER (identifier_type = 'loyalty_id') AS loyalty_id_count,
    count(*) FILTER (identifier_type = 'device_id') AS device_id_count,
    count(*) FILTER (identifier_type = 'app_user_id') AS app_user_id_count,
    count(*) FILTER (identifier_type = 'payment_token') AS payment_token_count
FROM latest GROUP BY customer_id;

CREATE TABLE marts.customer_360 AS
WITH browsing AS (
    SELECT customer_id, count(*) AS sessions, sum(events)::BIGINT AS events FROM sessions GROUP BY customer_id
),
visiting AS (
    SELECT customer_id, count(*) AS visits, sum(dwell_seconds) AS dwell_seconds FROM visits GROUP BY customer_id
),
calling AS (
    SELECT
        customer_id, count(*) AS calls, count(*) FILTER (is_complaint) AS complaints,
        avg(satisfaction_score) AS mean_satisfaction_score
    FROM calls GROUP BY customer_id
)
SELECT
    customer_id,
    getvariable('as_of') AS as_of_date,
    c.first_seen_at, c.last_seen_at, c.acquisition_channel,
    profiles.* EXCLUDE (customer_id, identifiers, email_count, phone_count, loyalty_id_count, device_id_count,
        app_user_id_count,
        payment_token_count),
    coalesce(identifiers, 0) AS identifiers, coalesce(email_count, 0) AS email_count,
    coalesce(phone_count, 0) AS phone_count,
    coalesce(loyalty_id_count, 0) AS loyalty_id_count, coalesce(device_id_count, 0) AS device_id_count,
    coalesce(app_user_id_count, 0) AS app_user_id_count, coalesce(payment_token_count, 0) AS payment_token_count,
    coalesce(o.orders, 0) AS orders, coalesce(valued.purchase_days, 0) AS purchase_days,
    coalesce(valued.net_revenue_amount, 0) AS net_revenue_amount, o.average_order_value_amount, valued.currency,
    valued.first_purchase_date, valued.last_purchase_date, coalesce(o.return_orders, 0) AS return_orders,
    coalesce(o.returned_orders, 0) AS returned_orders, o.returned_orders / nullif(o.orders, 0) AS return_rate,
    coalesce(sessions, 0) AS sessions, coalesce(events, 0) AS events, coalesce(visits, 0) AS visits,
    coalesce(dwell_seconds, 0) AS dwell_seconds, coalesce(calls, 0) AS calls, coalesce(complaints, 0) AS complaints,
    mean_satisfaction_score,
    c.touchpoints, c.app_touchpoints, c.web_touchpoints, c.store_touchpoints, c.hotline_touchpoints,
    c.other_touchpoints,
    c.app_touchpoints / c.touchpoints AS app_share, c.web_touchpoints / c.touchpoints AS web_share,
    c.store_touchpoints / c.touchpoints AS store_share, c.hotline_touchpoints / c.touchpoints AS hotline_share,
    c.other_touchpoints / c.touchpoints AS other_share,
    c.primary_channel, c.is_multi_channel, c.is_mostly_online,
    rfm.recency_days, rfm.r_score, rfm.f_score, rfm.m_score, rfm.fm_score,
    coalesce(rfm.segment, 'No Purchase') AS segment,
    clv.historic_clv_amount, clv.predicted_clv_amount, clv.predicted_clv_low_amount, clv.predicted_clv_high_amount,
    clv.predicted_orders, clv.p_alive, clv.p_buy_30, clv.p_buy_90, clv.p_buy_365, clv.churn_risk,
    clv.expected_next_order_date, clv.model AS clv_model, clv.fit_status AS clv_fit_status,
    journey.stage AS journey_stage, journey.since_date AS journey_since_date
FROM customer_channels AS c
LEFT JOIN profiles USING (customer_id)
LEFT JOIN customer_orders AS o USING (customer_id)
LEFT JOIN customer_value AS valued USING (customer_id)
LEFT JOIN browsing USING (customer_id)
LEFT JOIN visiting USING (customer_id)
LEFT JOIN calling USING (customer_id)
LEFT JOIN marts.customer_rfm AS rfm USING (customer_id)
LEFT JOIN marts.customer_clv AS clv USING (customer_id)
LEFT JOIN marts.customer_journey AS journey USING (customer_id)
ORDER BY segment, customer_id;

CREATE TABLE marts.segment_summary AS
SELECT
    getvariable('as_of') AS as_of_date, c.segment, (SELECT max(currency) FROM customer_value) AS currency,
    count(*) AS customers, count(*) / sum(count(*)) OVER () AS customer_share,
    coalesce(sum(valued.window_net_revenue_amount), 0)::DECIMAL(18, 2) AS net_revenue_amount,
    sum(valued.window_net_revenue_amount) / sum(sum(valued.window_net_revenue_amount)) OVER () AS revenue_share,
    avg(clv.total_clv_amount)::DECIMAL(18, 2) AS mean_clv_amount
FROM marts.customer_360 AS c
LEFT JOIN customer_value AS valued USING (customer_id)
LEFT JOIN marts.customer_clv AS clv USING (customer_id)
GROUP BY c.segment;

CREATE TABLE marts.churn_risk AS
WITH leaving AS (
    SELECT
        customer_id, stage, since_date, rfm.segment, valued.last_purchase_date,
        valued.recency_days AS days_since_purchase,
        (valued.last_purchase_date - valued.first_purchase_date) / nullif(valued.purchase_days - 1, 0)
            AS expected_gap_days,
        days_since_purchase / nullif(expected_gap_days, 0) AS overdue_ratio,
        coalesce(clv.predicted_clv_amount, valued.window_net_revenue_amount) AS value_at_stake_amount,
        CASE WHEN clv.predicted_clv_amount IS NULL THEN 'past_window' ELSE 'predicted' END AS value_basis,
        valued.currency, clv.p_alive, clv.p_buy_90, reason_code, reason
    FROM marts.customer_journey
    JOIN customer_value AS valued USING (customer_id)
    LEFT JOIN marts.customer_rfm AS rfm USING (customer_id)
    LEFT JOIN marts.customer_clv AS clv USING (customer_id)
    WHERE stage IN ('at_risk', 'dormant') AND valued.purchase_days > 0
)
SELECT
    *, getvariable('as_of') AS as_of_date,
    row_number() OVER (PARTITION BY currency ORDER BY value_at_stake_amount DESC, customer_id) AS risk_rank
FROM leaving
ORDER BY risk_rank;

CREATE TABLE marts.channel_summary AS
WITH touched AS (
    SELECT
        channel, count(*) AS touchpoints, count(DISTINCT customer_id) AS customers,
        count(*) FILTER (customer_id IS NULL) AS anonymous_touchpoints
    FROM touchpoints GROUP BY channel
),
ordered AS (
    SELECT
        channel, min(currency) AS currency, count(*) FILTER (NOT is_return) AS orders,
        sum(net_amount) AS net_revenue_amount,
        count(DISTINCT source || ':' || coalesce(original_order_id, order_id)) FILTER (has_return) AS returned_orders
    FROM orders GROUP BY channel
),
browsed AS (SELECT channel, count(*) AS sessions, sum(events)::BIGINT AS events FROM sessions GROUP BY channel),
visited AS (
    SELECT 'store' AS channel, count(*) AS visits, avg(dwell_seconds) AS mean_dwell_seconds
    FROM visits WHERE NOT is_sensor OR customer_id IS NOT NULL
),
hotline AS (
    SELECT
        'hotline' AS channel, count(*) AS calls, count(is_repeat_contact) AS identified_calls,
        count(*) FILTER (is_queued) AS offered_calls, count(*) FILTER (outcome = 'answered') AS answered_calls,
        count(*) FILTER (outcome = 'abandoned' AND is_queued) AS abandoned_calls,
        count(*) FILTER (is_short_abandon) AS short_abandons,
        abandoned_calls / nullif(offered_calls, 0) AS abandon_rate_queued,
        (abandoned_calls - short_abandons) / nullif(offered_calls - short_abandons, 0)
            AS abandon_rate_offered_excl_short,
        avg(coalesce(wait_seconds, 0)) FILTER (outcome = 'answered') AS asa_seconds,
        avg(wait_seconds) FILTER (outcome = 'answered' AND is_queued) AS asa_waited_seconds,
        count(*) FILTER (outcome = 'answered' AND is_queued AND wait_seconds <= 20)
            / nullif(offered_calls - short_abandons, 0)
            AS service_level_rate,
        service_level_rate >= 0.8 AS is_service_level_met,
        avg(handle_seconds) AS aht_seconds, count(*) FILTER (is_handle_excluded) AS excluded_handles,
        count(is_fcr) AS fcr_known_calls, count(*) FILTER (is_fcr) / nullif(fcr_known_calls, 0) AS fcr_rate,
        count(*) FILTER (is_repeat_contact) AS repeat_contacts,
        repeat_contacts / nullif(identified_calls, 0) AS repeat_contact_rate,
        count(*) FILTER (is_complaint) AS complaints, avg(satisfaction_score) AS mean_satisfaction_score
    FROM calls
)
SELECT
    getvariable('as_of') AS as_of_date, channel, touchpoints, customers, anonymous_touchpoints,
    coalesce(orders, 0) AS orders, coalesce(net_revenue_amount, 0)::DECIMAL(18, 2) AS net_revenue_amount, currency,
    coalesce(returned_orders, 0) AS returned_orders, returned_orders / nullif(orders, 0) AS return_rate,
    coalesce(sessions, 0) AS sessions, coalesce(events, 0) AS events, coalesce(visits, 0) AS visits, mean_dwell_seconds,
    hotline.* EXCLUDE (channel) REPLACE (coalesce(calls, 0) AS calls)
FROM touched
LEFT JOIN ordered USING (channel) LEFT JOIN browsed USING (channel) LEFT JOIN visited USING (channel)
LEFT JOIN hotline USING (channel);

CREATE TABLE marts.calendar AS
SELECT
    getvariable('as_of') AS as_of_date, day::DATE AS date_day, isodow(day) AS weekday,
    date_trunc('week', day)::DATE AS week_start_date, date_trunc('month', day)::DATE AS month_start_date,
    date_trunc('quarter', day)::DATE AS quarter_start_date, date_trunc('year', day)::DATE AS year_start_date
FROM (SELECT unnest(generate_series(min(occurred_date), getvariable('as_of'), INTERVAL 1 DAY)) AS day FROM touchpoints);
