select
    kemendagri_code,
    bps_code,
    area_level,
    name,
    parent_kemendagri_code,
    parent_bps_code,
    is_unplaced,
    kemendagri_code = '{{ var("city") }}' or kemendagri_code like '{{ var("city") }}.%' as is_in_city,
    valid_from,
    valid_to,
    latitude,
    longitude
from {{ ref('regions') }}
