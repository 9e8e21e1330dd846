-- Whose each sighting and each identifier is. A customer is named after the least of the identifiers.

CREATE TABLE customers AS
SELECT label, 'C' || left(md5(getvariable('salt') || min(type || ':' || value)), 16) AS customer_id
FROM (SELECT DISTINCT id, type, value FROM identifiers) JOIN component USING (id, type)
GROUP BY label;

CREATE TABLE owners AS
SELECT sighting, min(customer_id) AS customer_id
FROM held ANTI JOIN shared USING (id) JOIN component USING (id) JOIN customers USING (label)
GROUP BY sighting;

CREATE TABLE known_identifiers AS
SELECT
    customers.customer_id,
    identifiers.type AS identifier_type,
    identifiers.value AS identifier_value,
    CASE
        WHEN identifiers.type = 'email' THEN
            left(value, 1) || '***@' || left(split_part(value, '@', 2), 1) || '***.' || split_part(value, '.', -1)
        ELSE '***' || right(value, CASE WHEN length(value) < 11 THEN 2 WHEN length(value) < 12
            OR identifiers.type = 'phone' THEN 3 ELSE 4 END)
    END AS identifier_masked,
    left(sha256(getvariable('salt') || identifiers.type || ':' || value), 32) AS identifier_key,
    min(first_seen_at) AS first_seen_at,
    max(last_seen_at) AS last_seen_at,
    array_to_string(list_sort(list(DISTINCT source)), ',') AS sources,
    sum(records)::BIGINT AS records
FROM (SELECT DISTINCT id, type, value FROM identifiers) AS identifiers
JOIN held USING (id)
JOIN sightings USING (sighting)
ANTI JOIN shared USING (id)
JOIN component USING (id)
JOIN customers USING (label)
GROUP BY customers.customer_id, identifiers.type, value;
