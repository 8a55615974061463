select
    record_key,
    delivery_id,
    source_row,
    received_at,
    indicator,
    title,
    title_year,
    title_month,
    bps_code,
    nama_wilayah as area_name,
    value
from {{ source('lake', 'portal__poverty_indicators') }}
