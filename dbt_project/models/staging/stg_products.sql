select
    _source as source,
    _source || ':' || product_id as record_id,
    valid_from_at as occurred_at,
    {{ business_date('valid_from_at') }} as occurred_date,
    _batch_id,

    product_id,
    parent_product_id,
    gtin,

    valid_from_at,
    valid_to_at,
    updated_at,

    status,
    product_name,
    product_category,
    category_path,
    brand,
    manufacturer,
    supplier,
    unit,
    package_size,
    is_returnable,

    list_price_amount,
    cost_amount,
    currency,
    tax_rate
from {{ known_rows('products') }}
where {{ is_known('valid_from_at') }}
