select
    record_key,
    {{ lineage_columns() }},
    received_at,
    var_id as variable_id,
    unit,
    vervar as bps_code,
    vervar_label as area_name,
    turvar as second_dimension,
    tahun as year_number,
    turth as part_of_year,
    value,
    last_update
from {{ source('lake', 'bps__indicators') }}
