select
    record_key,
    {{ lineage_columns() }},
    received_at,
    tahun as year_number,
    perangkat_daerah as office,
    belanja_total_rp as spending_idr,
    belanja_pdn_rp as domestic_spending_idr,
    belanja_umk_rp as small_enterprise_spending_idr
from {{ source('lake', 'portal__domestic_products') }}
