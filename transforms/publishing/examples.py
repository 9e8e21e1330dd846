"""Queries that a marketer may begin with; the README shows them with their output."""

from __future__ import annotations

QUERIES = (
    (
        "Champions who have not bought for more than a week, best first",
        "SELECT customer_id, recency_days, purchase_days, net_revenue_amount FROM marts.customer_rfm"
        " WHERE segment = 'Champions' AND recency_days > 7 ORDER BY net_revenue_amount DESC LIMIT 10",
    ),
    (
        "Who is slipping away, and what they are worth",
        "SELECT j.stage, count(*) AS customers, sum(c.historic_clv_amount) AS revenue"
        " FROM marts.customer_journey AS j JOIN marts.customer_clv AS c USING (customer_id)"
        " WHERE j.stage IN ('at_risk', 'dormant') GROUP BY j.stage",
    ),
    (
        "Everything that one customer did, in order",
        "SELECT occurred_at, channel, touchpoint_type, amount FROM marts.customer_timeline WHERE customer_id ="
        " (SELECT customer_id FROM marts.customer_360 ORDER BY calls DESC, customer_id LIMIT 1) ORDER BY occurred_at",
    ),
)
