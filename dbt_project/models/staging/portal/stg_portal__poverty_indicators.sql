select
    record_key,
    {{ lineage_columns() }},
    received_at,
    indicator,
    title,
    title_year,
    title_month,
    bps_code,
    nama_wilayah as area_name,
    value
from {{ source('lake', 'portal__poverty_indicators') }}
