select
    record_key,
    {{ lineage_columns() }},
    period_start,
    received_at,
    kemendagri_code,
    kecamatan_kemendagri_code,
    pkh = '1' as receives_pkh,
    bpnt = '1' as receives_bpnt,
    pbi_jk = '1' as receives_pbi_jk
from {{ source('lake', 'kemensos__assistance') }}
