-- What customers have spent: the tables that the purchase models read, RFM and what follows from purchase days.

-- By this name transforms.value looks for it.
CREATE TABLE intermediate.int_customer_value AS
WITH spent AS (
    SELECT
        customer_id, min(currency) AS currency, sum(net_amount)::DECIMAL(18, 2) AS net_revenue_amount,
        coalesce(sum(net_amount) FILTER (order_date > getvariable('as_of') - 365), 0)::DECIMAL(18, 2)
            AS window_net_revenue_amount
    FROM orders WHERE customer_id IS NOT NULL GROUP BY customer_id
),
bought AS (
    SELECT
        customer_id, count(*) AS purchase_days,
        count(*) FILTER (purchase_date > getvariable('as_of') - 365) AS window_purchase_days,
        min(purchase_date) AS first_purchase_date, max(purchase_date) AS last_purchase_date
    FROM purchase_days GROUP BY customer_id
)
SELECT
    * REPLACE (coalesce(purchase_days, 0) AS purchase_days, coalesce(window_purchase_days, 0) AS window_purchase_days),
    getvariable('as_of') - last_purchase_date AS recency_days
FROM spent LEFT JOIN bought USING (customer_id);

CREATE VIEW customer_value AS FROM intermediate.int_customer_value;

CREATE MACRO above(cuts, x) AS (1 + list_sum(list_transform(cuts, lambda cut: (x > cut)::INT)))::BIGINT;
CREATE MACRO below(cuts, x) AS (1 + list_sum(list_transform(cuts, lambda cut: (x < cut)::INT)))::BIGINT;

CREATE MACRO segment_of(r, fm) AS [
    ['Lost', 'Hibernating', 'At Risk', 'At Risk', 'Can''t Lose Them'],
    ['Hibernating', 'Hibernating', 'At Risk', 'At Risk', 'Can''t Lose Them'],
    ['About To Sleep', 'About To Sleep', 'Need Attention', 'Loyal Customers', 'Loyal Customers'],
    ['Promising', 'Potential Loyalists', 'Potential Loyalists', 'Loyal Customers', 'Loyal Customers'],
    ['New Customers', 'Potential Loyalists', 'Potential Loyalists', 'Champions', 'Champions']
][r][fm];

-- Today and the last thirteen ends of months, each scored by its own cut points.
CREATE TABLE scored AS
WITH ends AS (
    SELECT getvariable('as_of') AS end_date, true AS is_today
    UNION ALL
    SELECT
        (date_trunc('month', getvariable('as_of') + 1) - to_months(months))::DATE - 1, false
    FROM range(13) AS ends (months)
),
days AS (
    SELECT
        customer_id, day, any_value(currency) AS currency, sum(net_amount) AS net_amount, max(purchases) AS purchases
    FROM (
        SELECT customer_id, order_date AS day, currency, net_amount, 0 AS purchases FROM orders
        WHERE customer_id IS NOT NULL
        UNION ALL
        SELECT customer_id, purchase_date, currency, 0, 1 FROM purchase_days
    )
    GROUP BY ALL
),
-- Everybody who had bought by then, also those who had not in the year.
valued AS (
    SELECT
        end_date, is_today, customer_id, any_value(currency) AS currency,
        end_date - max(day) FILTER (purchases = 1) AS recency_days,
        coalesce(sum(purchases) FILTER (day > end_date - 365), 0) AS purchase_days,
        coalesce(sum(net_amount) FILTER (day > end_date - 365), 0)::DECIMAL(18, 2) AS net_revenue_amount
    FROM days JOIN ends ON day <= end_date
    GROUP BY end_date, is_today, customer_id
    HAVING max(purchases) = 1
),
cuts AS (
    SELECT
        end_date, is_today,
        quantile_disc(recency_days, [0.2, 0.4, 0.6, 0.8]) AS recency,
        quantile_disc(purchase_days, [0.2, 0.4, 0.6, 0.8]) AS frequency,
        quantile_disc(net_revenue_amount, [0.2, 0.4, 0.6, 0.8]) AS monetary
    FROM valued WHERE purchase_days > 0
    GROUP BY ALL
)
SELECT
    valued.*,
    CASE WHEN purchase_days > 0 THEN below(recency, recency_days) END AS r_score,
    CASE WHEN purchase_days > 0 THEN above(frequency, purchase_days) END AS f_score,
    CASE WHEN purchase_days > 0 THEN above(monetary, net_revenue_amount) END AS m_score,
    (f_score + m_score + 1) // 2 AS fm_score,
    coalesce(segment_of(r_score, fm_score), 'Lapsed') AS segment,
    recency, frequency, monetary
FROM valued LEFT JOIN cuts USING (end_date, is_today);

CREATE TABLE marts.customer_rfm AS
SELECT
    customer_id, end_date AS as_of_date, recency_days, purchase_days, net_revenue_amount, currency, r_score, f_score,
    m_score,
    fm_score, segment
FROM scored WHERE is_today ORDER BY segment, customer_id;

CREATE TABLE marts.rfm_cut_points AS
WITH cuts AS (SELECT recency, frequency, monetary, currency FROM scored WHERE is_today AND recency IS NOT NULL LIMIT 1)
SELECT
    getvariable('as_of') AS as_of_date, measure, CASE measure WHEN 'monetary' THEN currency END AS currency,
    generate_subscripts(points, 1) AS cut, unnest(points) AS value, 'computed' AS mode
FROM (
    SELECT 'recency' AS measure, currency, recency::DECIMAL(18, 2)[] AS points FROM cuts
    UNION ALL
    SELECT 'frequency', currency, frequency::DECIMAL(18, 2)[] FROM cuts
    UNION ALL
    SELECT 'monetary', currency, monetary::DECIMAL(18, 2)[] FROM cuts
);

CREATE TABLE marts.rfm_migration AS
WITH moves AS (
    SELECT
        present.end_date AS month_end_date, coalesce(former.segment, 'No Purchase') AS from_segment,
        present.segment AS to_segment, count(*) AS customers
    FROM scored AS present
    LEFT JOIN scored AS former
        ON former.customer_id = present.customer_id AND NOT former.is_today
        AND former.end_date = date_trunc('month', present.end_date)::DATE - 1
    WHERE NOT present.is_today AND present.end_date > (SELECT min(end_date) FROM scored WHERE NOT is_today)
    GROUP BY ALL
)
SELECT
    getvariable('as_of') AS as_of_date, *,
    sum(customers) OVER (PARTITION BY month_end_date, from_segment) AS from_customers,
    customers / from_customers AS from_share
FROM moves;

CREATE TABLE marts.repurchase_rates AS
SELECT
    getvariable('as_of') AS as_of_date, end_date AS window_end_date, count(*) FILTER (purchase_days >= 1) AS buyers,
    count(*) FILTER (purchase_days >= 2) AS repeat_buyers, repeat_buyers / nullif(buyers, 0) AS repurchase_rate
FROM scored WHERE is_today OR end_date < getvariable('as_of')
GROUP BY end_date;

CREATE TABLE marts.segment_history AS
SELECT customer_id, segment, as_of_date AS valid_from_date, NULL::DATE AS valid_to_date, 1 AS duration_days
FROM marts.customer_rfm;

CREATE TABLE marts.cohort_retention AS
WITH cohorts AS (
    SELECT date_trunc('month', first_purchase_date)::DATE AS cohort_month, count(*) AS customers
    FROM customer_value WHERE first_purchase_date IS NOT NULL GROUP BY ALL
),
active AS (
    SELECT
        date_trunc('month', first_purchase_date)::DATE AS cohort_month,
        date_trunc('month', purchase_date)::DATE AS activity_month,
        count(DISTINCT customer_id) AS customers
    FROM purchase_days JOIN customer_value USING (customer_id) GROUP BY ALL
),
months AS (
    SELECT unnest(generate_series(min(cohort_month), getvariable('as_of'), INTERVAL 1 MONTH))::DATE AS activity_month
        FROM cohorts
)
SELECT
    getvariable('as_of') AS as_of_date, cohort_month, datediff('month', cohort_month, activity_month) AS month_number,
    activity_month, cohorts.customers AS cohort_customers,
    CASE WHEN activity_month + INTERVAL 1 MONTH <= getvariable('as_of') + 1 THEN coalesce(active.customers, 0) END
        AS active_customers,
    active_customers / cohort_customers AS retention_rate
FROM cohorts JOIN months ON activity_month >= cohort_month LEFT JOIN active USING (cohort_month, activity_month);

-- Kaplan–Meier with Greenwood's variance, interval on the scale of log(−log S).
CREATE TABLE marts.survival_second_purchase AS
WITH numbered AS (
    SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY purchase_date) AS place FROM purchase_days
),
waits AS (
    SELECT
        coalesce(max(purchase_date) FILTER (place = 2), getvariable('as_of')) - min(purchase_date) AS days,
        count(*) = 2 AS came_back
    FROM numbered WHERE place <= 2 GROUP BY customer_id
),
by_days AS (SELECT days, count(*) AS leaving, count(*) FILTER (came_back) AS events FROM waits GROUP BY days),
at_risk AS (SELECT *, sum(leaving) OVER (ORDER BY days DESC) AS at_risk FROM by_days),
curve AS (
    SELECT
        *,
        bool_or(events = at_risk) OVER (ORDER BY days) AS is_over,
        sum(CASE WHEN events < at_risk THEN ln(1 - events / at_risk) END) OVER (ORDER BY days) AS log_survival,
        sum(CASE WHEN events < at_risk THEN events / at_risk / (at_risk - events) END) OVER (ORDER BY days) AS variance
    FROM at_risk
)
SELECT
    getvariable('as_of') AS as_of_date, days AS days_since_first_purchase, at_risk AS customers_at_risk,
    events AS second_purchases, leaving - events AS censored_customers,
    CASE WHEN is_over THEN 0 ELSE exp(log_survival) END AS survival_rate,
    1 - survival_rate AS repurchased_share,
    CASE WHEN NOT is_over THEN exp(log_survival) * sqrt(variance) END AS standard_error,
    CASE WHEN NOT is_over AND log_survival = 0 THEN 1 WHEN NOT is_over
        THEN exp(log_survival * exp(-1.959963984540054 * sqrt(variance) / log_survival)) END AS survival_low_rate,
    CASE WHEN NOT is_over AND log_survival = 0 THEN 1 WHEN NOT is_over
        THEN exp(log_survival * exp(1.959963984540054 * sqrt(variance) / log_survival)) END AS survival_high_rate
FROM curve;
