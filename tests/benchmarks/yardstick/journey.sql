-- Where each customer stands, day by day. What is known changes on days with a touchpoint; in between only time
-- passes, so that a stage begins on such a day or where one of the limits below is reached.

CREATE TABLE journey_knowledge AS
WITH bought AS (
    SELECT DISTINCT customer_id, order_date AS day FROM orders WHERE customer_id IS NOT NULL AND net_amount > 0
),
loyal AS (
    SELECT *, lag(day, 2) OVER (PARTITION BY customer_id ORDER BY day) AS loyal_since FROM bought
),
browsed AS (
    SELECT
        customer_id, session_date AS day, max(interested_since) AS interested_since, max(product_views) > 0 AS viewed,
        max(carts) > 0 AS filled_cart, max(referrals) > 0 AS referred
    FROM (
        SELECT *, lag(session_date) OVER (PARTITION BY customer_id ORDER BY started_at, record_id) AS interested_since
        FROM sessions WHERE customer_id IS NOT NULL
    )
    GROUP BY ALL
),
visited AS (
    SELECT customer_id, visit_date AS day, coalesce(max(dwell_seconds), 0) >= 300 AS stayed
    FROM visits WHERE customer_id IS NOT NULL GROUP BY ALL
),
asked AS (
    SELECT DISTINCT customer_id, call_date AS day FROM calls WHERE customer_id IS NOT NULL AND is_enquiry
),
days AS (SELECT DISTINCT customer_id, occurred_date AS day FROM marts.customer_timeline),
known AS (
    SELECT
        days.customer_id,
        days.day,
        lead(days.day) OVER (PARTITION BY days.customer_id ORDER BY days.day) AS next_day,
        count(loyal.day) OVER so_far AS purchase_days,
        min(loyal.day) OVER so_far AS first_purchase,
        max(loyal.day) OVER so_far AS last_purchase,
        max(loyal_since) OVER so_far AS loyal_since,
        max(coalesce(browsed.day, visited.day)) OVER so_far AS last_activity,
        max(interested_since) OVER so_far AS interested_since,
        max(days.day) FILTER (viewed) OVER so_far AS last_view,
        max(days.day) FILTER (filled_cart) OVER so_far AS last_cart,
        max(days.day) FILTER (stayed) OVER so_far AS last_visit,
        max(asked.day) OVER so_far AS last_enquiry,
        max(days.day) FILTER (referred) OVER so_far AS last_referral
    FROM days
    LEFT JOIN loyal USING (customer_id, day)
    LEFT JOIN browsed USING (customer_id, day)
    LEFT JOIN visited USING (customer_id, day)
    LEFT JOIN asked USING (customer_id, day)
    WINDOW so_far AS (PARTITION BY days.customer_id ORDER BY days.day ROWS UNBOUNDED PRECEDING)
),
-- A resolution closes all complaints since the one before it.
marked_calls AS (
    SELECT
        customer_id, call_date, coalesce(is_resolved, false) AS resolves,
        is_complaint AND NOT coalesce(is_resolved, true) AS complains,
        count(*) FILTER (is_resolved) OVER (
            PARTITION BY customer_id ORDER BY started_at, coalesce(is_resolved, false) DESC,
            record_id ROWS UNBOUNDED PRECEDING
        ) AS spell
    FROM calls WHERE customer_id IS NOT NULL
),
complaints AS (
    SELECT
        customer_id, min(call_date) FILTER (complains) AS opened,
        lead(max(call_date) FILTER (resolves)) OVER (PARTITION BY customer_id ORDER BY spell) AS resolved
    FROM marked_calls
    GROUP BY customer_id, spell
    QUALIFY opened IS NOT NULL AND (resolved IS NULL OR resolved > opened)
)
SELECT
    known.*,
    complaints.opened AS complaint,
    (last_purchase - first_purchase) / nullif(purchase_days - 1, 0) AS mean_gap,
    floor(greatest(90, 2 * mean_gap))::INT AS at_risk_after,
    floor(greatest(180, 3 * mean_gap))::INT AS dormant_after,
    greatest(
        interested_since, CASE WHEN last_view IS NOT NULL AND last_cart IS NOT NULL
            THEN least(last_view, last_cart) END,
        last_visit, last_enquiry
    ) AS interested,
    CASE WHEN purchase_days > 0 THEN day + 366 END AS churned_from,
    CASE WHEN purchase_days > 0 THEN greatest(last_purchase + dormant_after + 1, last_activity + 60) END
        AS dormant_from,
    last_purchase + at_risk_after + 1 AS overdue_from,
    CASE WHEN purchase_days > 0 THEN complaints.opened + 8 END AS complaint_from,
    CASE WHEN loyal_since IS NOT NULL THEN least(loyal_since + 365, last_purchase + 91) END AS loyal_until,
    CASE WHEN loyal_since IS NOT NULL AND last_referral IS NOT NULL
        THEN least(loyal_since + 365, last_purchase + 91, last_referral + 365) END AS advocate_until,
    CASE WHEN day = first_purchase THEN first_purchase + 31 END AS new_until,
    CASE WHEN purchase_days = 0 THEN interested + 30 END AS considering_until
FROM known
LEFT JOIN complaints
    ON complaints.customer_id = known.customer_id AND day >= opened AND (resolved IS NULL OR day < resolved);

CREATE TABLE journey_moves AS
WITH limits AS (
    SELECT *, unnest(list_distinct(list_filter(
        [churned_from, dormant_from, overdue_from, complaint_from, loyal_until, advocate_until, new_until,
            considering_until],
        lambda limit_date: limit_date > day AND limit_date < coalesce(next_day, getvariable('as_of') + 1)
    ))) AS stage_date
    FROM journey_knowledge
),
candidates AS (
    SELECT *, day AS stage_date FROM journey_knowledge
    UNION ALL
    FROM limits
),
judged AS (
    SELECT
        *,
        CASE
            WHEN stage_date >= churned_from THEN 'churned'
            WHEN stage_date >= dormant_from THEN 'dormant'
            WHEN stage_date >= overdue_from OR stage_date >= complaint_from THEN 'at_risk'
            WHEN stage_date < advocate_until THEN 'advocacy'
            WHEN stage_date < loyal_until THEN 'loyalty'
            WHEN stage_date < new_until THEN 'purchase'
            WHEN purchase_days > 0 THEN 'use'
            WHEN stage_date < considering_until THEN 'consideration'
            ELSE 'awareness'
        END AS stage
    FROM candidates
),
moves AS (
    SELECT *, lag(stage) OVER (PARTITION BY customer_id ORDER BY stage_date) AS previous_stage
    FROM judged
    QUALIFY previous_stage IS DISTINCT FROM stage
),
reasoned AS (
    SELECT
        *,
        CASE
            WHEN stage = 'churned' THEN 'silent'
            WHEN stage = 'dormant' THEN 'inactive'
            WHEN stage = 'at_risk' AND stage_date >= overdue_from THEN 'overdue'
            WHEN stage = 'at_risk' THEN 'complaint'
            WHEN stage = 'advocacy' THEN 'referral'
            WHEN stage = 'loyalty' THEN 'frequent'
            WHEN stage = 'purchase' THEN 'first_purchase'
            WHEN stage = 'use' AND previous_stage = 'purchase' AND stage_date > day THEN 'settled'
            WHEN stage = 'use' AND previous_stage IN ('loyalty', 'advocacy') AND stage_date > day THEN 'less_frequent'
            WHEN stage = 'use' AND stage_date = last_purchase THEN 'repeat_purchase'
            WHEN stage = 'use' THEN 'contact'
            WHEN stage = 'consideration' AND last_view > stage_date - 30 AND last_cart > stage_date - 30 THEN 'cart'
            WHEN stage = 'consideration' AND last_visit > stage_date - 30 THEN 'store_visit'
            WHEN stage = 'consideration' AND last_enquiry > stage_date - 30 THEN 'enquiry'
            WHEN stage = 'consideration' THEN 'sessions'
            WHEN previous_stage IS NULL THEN 'first_touchpoint'
            ELSE 'interest_faded'
        END AS reason_code
    FROM moves
)
SELECT
    customer_id, stage_date, stage, previous_stage, reason_code,
    CASE reason_code WHEN 'overdue' THEN at_risk_after WHEN 'inactive' THEN dormant_after END AS patience_days,
    CASE
        WHEN reason_code IN ('overdue', 'inactive', 'frequent', 'less_frequent', 'first_purchase', 'repeat_purchase')
            THEN 'purchase'
        WHEN reason_code IN ('complaint', 'referral', 'cart', 'store_visit', 'enquiry') THEN reason_code
        ELSE 'touchpoint'
    END AS evidence_type,
    CASE
        WHEN evidence_type = 'purchase' THEN last_purchase
        WHEN reason_code = 'complaint' THEN complaint
        WHEN reason_code = 'referral' THEN last_referral
        WHEN reason_code = 'cart' THEN last_cart
        WHEN reason_code = 'store_visit' THEN last_visit
        WHEN reason_code = 'enquiry' THEN last_enquiry
        ELSE day
    END AS evidence_date
FROM reasoned;

-- The record that stands for each move: the last of its kind on the day.
CREATE TABLE journey_evidence AS
WITH candidates (customer_id, evidence_type, evidence_date, seen_at, record_id) AS (
    SELECT customer_id, 'purchase', order_date, ordered_at, record_id FROM orders WHERE net_amount > 0
    UNION ALL
    SELECT customer_id, 'referral', session_date, started_at, record_id FROM sessions WHERE referrals > 0
    UNION ALL
    SELECT customer_id, 'cart', session_date, started_at, record_id FROM sessions WHERE carts > 0
    UNION ALL
    SELECT customer_id, 'store_visit', visit_date, entered_at, 'store_visits:' || visit_id FROM visits
        WHERE dwell_seconds >= 300
    UNION ALL
    SELECT customer_id, 'enquiry', call_date, started_at, record_id FROM calls WHERE is_enquiry
    UNION ALL
    SELECT customer_id, 'complaint', call_date, started_at, record_id FROM calls WHERE is_complaint AND NOT is_resolved
    UNION ALL
    SELECT customer_id, 'touchpoint', occurred_date, occurred_at, record_id FROM marts.customer_timeline
)
SELECT customer_id, evidence_type, evidence_date, arg_max(record_id, (seen_at, record_id)) AS evidence_id
FROM candidates
SEMI JOIN journey_moves USING (customer_id, evidence_type, evidence_date)
GROUP BY ALL;

CREATE TABLE marts.customer_journey_history AS
SELECT
    customer_id,
    stage,
    stage_date AS valid_from_date,
    lead(stage_date) OVER (PARTITION BY customer_id ORDER BY stage_date) - 1 AS valid_to_date,
    coalesce(valid_to_date, getvariable('as_of')) + 1 - stage_date AS duration_days,
    reason_code,
    CASE reason_code
        WHEN 'silent' THEN 'no touchpoint for more than 365 days'
        WHEN 'inactive' THEN
            format('no purchase for more than {} days and no app or store activity for 60 days', patience_days)
        WHEN 'overdue' THEN format('no purchase for more than {} days', patience_days)
        WHEN 'complaint' THEN format('complaint of {} unresolved for more than 7 days', evidence_date::VARCHAR)
        WHEN 'referral' THEN 'loyal, with a referral in 365 days'
        WHEN 'frequent' THEN 'at least 3 purchase days in 365 days, the last within 90 days'
        WHEN 'first_purchase' THEN 'first purchase, no touchpoint after it'
        WHEN 'settled' THEN 'first purchase more than 30 days ago, no touchpoint after it'
        WHEN 'less_frequent' THEN 'no longer 3 purchase days in 365 days with the last within 90 days'
        WHEN 'repeat_purchase' THEN 'another purchase'
        WHEN 'contact' THEN 'touchpoint after a purchase'
        WHEN 'cart' THEN 'product view and cart within 30 days'
        WHEN 'store_visit' THEN 'store visit of at least 300 seconds within 30 days'
        WHEN 'enquiry' THEN 'enquiry call within 30 days'
        WHEN 'sessions' THEN '2 or more sessions within 30 days'
        WHEN 'interest_faded' THEN 'no more sign of interest in 30 days'
        WHEN 'first_touchpoint' THEN 'first touchpoint, no purchase'
    END AS reason,
    evidence_id
FROM journey_moves LEFT JOIN journey_evidence USING (customer_id, evidence_type, evidence_date)
ORDER BY customer_id, valid_from_date;

CREATE TABLE marts.customer_journey AS
SELECT
    customer_id, getvariable('as_of') AS as_of_date, stage, valid_from_date AS since_date,
    duration_days AS days_in_stage,
    reason_code, reason, evidence_id
FROM marts.customer_journey_history WHERE valid_to_date IS NULL;

CREATE TABLE stages AS
SELECT unnest(range(1, 10)) AS stage_order, unnest([
    'awareness', 'consideration', 'purchase', 'use', 'loyalty', 'advocacy', 'at_risk', 'dormant', 'churned'
]) AS stage;

CREATE TABLE marts.journey_funnel AS
WITH history AS (
    SELECT *, stage_order <= 6 AS is_forward, stage_order BETWEEN 3 AND 6 AS is_buying
    FROM marts.customer_journey_history JOIN stages USING (stage)
),
first_entries AS (
    SELECT
        customer_id, stage, stage_order, is_forward, min(valid_from_date) AS entered,
        bool_or(valid_to_date IS NULL) AS is_here
    FROM history GROUP BY ALL
),
progress AS (
    SELECT entry.customer_id, entry.stage, is_here, entered, min(later.valid_from_date) AS progressed
    FROM first_entries AS entry
    LEFT JOIN history AS later
        ON later.customer_id = entry.customer_id AND later.valid_from_date > entered
        AND CASE WHEN entry.is_forward THEN later.is_forward AND later.stage_order > entry.stage_order
            ELSE later.is_buying END
    GROUP BY ALL
)
SELECT
    getvariable('as_of') AS as_of_date, stages.stage, stages.stage_order,
    count(*) FILTER (is_here) AS customers_now, count(customer_id) AS customers_ever,
    count(progressed) AS customers_progressed,
    CASE WHEN stages.stage <> 'advocacy' THEN customers_progressed / nullif(customers_ever, 0) END AS conversion_rate,
    median(progressed - entered) AS median_days_to_next
FROM stages LEFT JOIN progress USING (stage)
GROUP BY stages.stage, stages.stage_order;

CREATE TABLE marts.journey_transitions AS
SELECT
    getvariable('as_of') AS as_of_date, stage_date AS moved_date, previous_stage AS from_stage, stage AS to_stage,
    count(*) AS customers,
    previous_stage IN ('dormant', 'churned') AND stage IN ('purchase', 'use', 'loyalty', 'advocacy') AS is_win_back
FROM journey_moves WHERE previous_stage IS NOT NULL
GROUP BY ALL;
