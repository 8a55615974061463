select
    record_key,
    {{ lineage_columns() }},
    received_at,
    tahun as year_number,
    indikator as indicator_name,
    nilai as value,
    target
from {{ source('lake', 'portal__digital_services') }}
