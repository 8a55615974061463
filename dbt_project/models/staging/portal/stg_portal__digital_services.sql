select
    record_key,
    delivery_id,
    source_row,
    received_at,
    tahun as year_number,
    indikator as indicator_name,
    nilai as value,
    target
from {{ source('lake', 'portal__digital_services') }}
