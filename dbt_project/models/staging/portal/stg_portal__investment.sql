select
    record_key,
    {{ lineage_columns() }},
    received_at,
    tahun as year_number,
    triwulan as quarter_number,
    jenis as investment_kind,
    realisasi_rp as investment_idr
from {{ source('lake', 'portal__investment') }}
