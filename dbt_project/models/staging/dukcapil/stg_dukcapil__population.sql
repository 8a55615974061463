select
    record_key,
    {{ lineage_columns() }},
    period_start,
    received_at,
    kemendagri_code,
    jumlah_penduduk as population,
    pria as men,
    wanita as women,
    jumlah_kk as families,
    u0 as age_0_4,
    age_15_64
from {{ source('lake', 'dukcapil__population') }}
